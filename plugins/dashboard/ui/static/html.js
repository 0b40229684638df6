// The template tag of all components: text in it becomes text nodes, never markup.
import { h } from "preact";
import htm from "htm";

export const html = htm.bind(h);

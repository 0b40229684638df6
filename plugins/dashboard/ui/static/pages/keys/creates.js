// The line for the shell that makes a key, for lists that are empty.
import { address } from "../../api.js";

/** @param {string} key */
export const creates = (key) => `curl ${quote(new URL(address("keys/create"), location.href).href)} -H 'Content-Type: application/json' -d ${quote(JSON.stringify({ key, value: "world", ttl: 0 }))}`;

const quote = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

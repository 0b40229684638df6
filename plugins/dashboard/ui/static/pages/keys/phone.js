// Whether the tree and what is open take turns, as style sheets have it on a telephone.
import { signal } from "@preact/signals";

const query = matchMedia("(max-width: 640px)");

export const phone = signal(query.matches);
query.addEventListener("change", () => { phone.value = query.matches; });

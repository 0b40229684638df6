// Light, dark, or what the system says, remembered by this browser.
import { effect, signal } from "@preact/signals";

const stored = "modhost.theme";

function remembered() {
  try {
    const t = localStorage.getItem(stored);
    return t === "light" || t === "dark" ? t : "system";
  } catch { // storage may be forbidden
    return "system";
  }
}

/** "system", "light" or "dark". */
export const theme = signal(remembered());

/** Counts changes of what the page looks like, for who draws by hand. */
export const look = signal(0);

effect(() => {
  const t = theme.value;
  document.documentElement.dataset.theme = t;
  try {
    if (t === "system") localStorage.removeItem(stored);
    else localStorage.setItem(stored, t);
  } catch { /* then it is for this page only */ }
  look.value = look.peek() + 1;
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { look.value++; });

/** The colour that a property of style.css has now, resolved as canvas needs it. @param {string} name */
export function colour(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const text = getComputedStyle(probe).color;
  probe.remove();
  return text;
}

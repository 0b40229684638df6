// The question before a place is taken out of its line.
import { useEffect } from "preact/hooks";
import { post } from "../api.js";
import { html } from "../html.js";
import { useTopic } from "../live.js";
import { Confirm } from "../parts/dialog.js";
import { Age } from "../parts/time.js";
import { home } from "./focus.js";
import { OwnerAt, refused } from "./owner.js";

/**
 * Asks, and watches meanwhile whether the place is still what it was.
 * @param {{area: string, line: {key: string, module: string, name: string}, place: import("./state.js").Place, waiting: boolean,
 *   data: import("./state.js").Data, words: any, onClose: () => void}} props
 */
export function Release({ area, line, place, waiting, data, words, onClose }) {
  const queue = useTopic(waiting ? `${area}:${line.key}` : "").value.data;
  const now = data.lines.get(line.key);
  const found = queue?.places.find((/** @type {any} */ p) => p.index === place.index);
  const still = waiting
    ? found ? !found.held : !queue || queue.total > queue.places.length // it may stand behind those that are shown
    : now?.holder?.index === place.index;
  const why = refused(words, data.contacts.find((c) => c.module === line.module));

  async function act() {
    try {
      await post(`${area}/release`, { module: line.module, name: line.name, index: place.index, waiting });
    } catch (error) {
      if (error.code === 100) error.message = waiting ? words.changedPlace(place.index) : words.changedHands(place.index);
      throw error;
    }
  }
  // The button that asked may be gone with its row.
  useEffect(() => () => setTimeout(home), []);

  return html`
    <${Confirm} title=${waiting ? words.removeTitle : words.releaseTitle} verb=${waiting ? words.removeVerb : words.releaseVerb}
      blocked=${!still || why !== ""} act=${act} onClose=${onClose}>
      <dl class="asked">
        <div><dt>${words.name}</dt><dd><bdi class="mono whole">${line.name}</bdi></dd></div>
        <div><dt>${waiting ? words.who : words.heldBy}</dt><dd><${OwnerAt} owner=${place} words=${words} /></dd></div>
        <div><dt>${waiting ? words.asked : words.held}</dt><dd><${Age} since=${waiting ? place.asked : place.since} /></dd></div>
        ${waiting || !still ? null : html`<div><dt>${words.nextOwner}</dt><dd>${now?.next
          ? html`<${OwnerAt} owner=${now.next} words=${words} />` : words.releaseFree}</dd></div>`}
      </dl>
      <p>${waiting ? words.removeTold : words.releaseTold}</p>
      <div role="alert">${still ? null : html`
        <p class="banner warn"><strong>${words.changedTitle}.</strong> ${waiting ? words.changedPlace(place.index) : words.changedHands(place.index)}
          ${waiting ? null : now?.holder ? html` ${words.nowHeld} <${OwnerAt} owner=${now.holder} words=${words} />` : html` ${words.nowFree}`}</p>`}</div>
      ${why ? html`<p class="banner warn">${why}</p>` : null}
    <//>`;
}

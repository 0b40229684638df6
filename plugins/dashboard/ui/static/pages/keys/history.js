// What a key was before, as far as the dashboard has seen it: the v2 API keeps no history.
import { useEffect, useState } from "preact/hooks";
import { get } from "../../api.js";
import { html } from "../../html.js";
import { here } from "../../live.js";
import { Age } from "../../parts/time.js";
import { Problem } from "../../parts/problem.js";
import { bytes, dateTime } from "../../text.js";
import { K } from "../../text/keys.js";
import { Diff, Text } from "./editor.js";
import { kindOf } from "./kinds.js";

/** @param {{path: string, node: any, why: string, restore: (text: string) => void}} props */
export default function History({ path, node, why, restore }) {
  const [answer, setAnswer] = useState(/** @type {any} */ (null));
  const [problem, setProblem] = useState(/** @type {any} */ (null));
  const [chosen, choose] = useState("");
  const [again, setAgain] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    get("keys/history", { key: path }, { signal: stop.signal }).then((a) => { setAnswer(a); setProblem(null); }, (error) => { if (error.name !== "AbortError") setProblem(error); });
    return () => stop.abort();
  }, [path, node?.modified, again]);
  if (!answer) return html`<${Problem} error=${problem} retry=${() => setAgain((n) => n + 1)} />`;
  const { versions } = answer;
  const one = versions.find((v) => v.revision === chosen) ?? versions[0];
  const before = one && versions[versions.indexOf(one) + 1];
  const kind = one ? kindOf(one.value ?? "") : "text";
  const old = one?.type === "put" && one.revision !== node?.modified;
  const locked = why || (one?.truncated ? K.history.cutOff : one?.damaged ? K.binary.noSave : "");
  return html`
    <p class="muted">${answer.since ? K.history.since(dateTime(here(answer.since))) : ""} ${answer.why ?? ""} ${answer.bounded ? K.history.bounded : ""} ${
      answer.missed ? K.history.missed(dateTime(here(answer.missed))) : ""}</p>
    <${Problem} error=${problem} />
    ${versions.length === 0 ? html`<p class="empty">${K.history.none}</p>` : html`
      <div class="versions">
        <ol aria-label=${K.history.versions}>
          ${versions.map((v) => html`<li key=${v.revision}><button type="button" class="quiet" aria-pressed=${String(v === one)} onClick=${() => choose(v.revision)}>
            <strong>${K.history.types[v.type]}</strong> <span>${K.history.at(v.revision)}</span> <span class="muted">${v.at ? html`<${Age} since=${v.at} /> ${K.history.ago}` : K.history.before}${v.type === "put" ? ", " + bytes(v.size) : ""}</span></button></li>`)}
        </ol>
        <div class="version">
          <div class="row"><h3>${before ? K.history.change(before.revision, one.revision) : K.history.first(one.revision)}</h3><span class="grow"></span>
            ${old ? html`<button type="button" disabled=${Boolean(locked)} title=${locked || undefined} onClick=${() => restore(one.value)}>${K.history.restore}</button>` : null}</div>
          ${one.truncated ? html`<p class="banner warn">${K.history.cutOff}</p>` : null}
          ${one.type === "put" ? (before?.type === "put" ? html`<${Diff} from=${before.value} to=${one.value} kind=${kind} label=${K.history.diff} />` : html`<${Text} text=${one.value} kind=${kind} label=${K.history.diff} />`) : html`<p class="empty">${K.history.ended[one.type]}</p>`}
        </div>
      </div>`}`;
}

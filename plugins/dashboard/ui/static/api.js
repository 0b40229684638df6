// Questions and orders to the server.
import { base } from "./route.js";
import { T } from "./text.js";

/** What the server, or the way to it, has answered instead. Its fields are those of all errors of modhost. */
export class APIError extends Error {
  /** @param {number} status @param {{errorCode?: number, message?: string, cause?: string}} body */
  constructor(status, body) {
    super(body.message ?? T.error.noAnswer);
    this.status = status; // 0: there was no answer
    this.code = body.errorCode ?? 0;
    this.cause = body.cause ?? "";
    this.body = body;
  }
}

/**
 * Asks api/path. Parameters that are undefined or null are left out.
 * @param {string} path
 * @param {Record<string, any>} [params]
 * @param {{signal?: AbortSignal}} [options]
 */
export const get = (path, params = {}, options = {}) => send("GET", path + queryOf(params), undefined, options);

function queryOf(params) {
  const q = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) if (value !== undefined && value !== null) q.set(name, String(value));
  const text = q.toString();
  return text ? "?" + text : "";
}

/**
 * Gives an order. It is sent once: who gets no answer, also after half a minute, looks at what has become of it before it is sent again.
 * @param {string} path
 * @param {unknown} [body]
 * @param {{signal?: AbortSignal}} [options]
 */
export const post = (path, body = {}, options = {}) => send("POST", path, body, { signal: AbortSignal.timeout(patience), ...options });

const patience = 30000; // ms; the server gives up long before

/** The address of something to load without scripts. @param {string} path */
export const address = (path) => base + "api/" + path;

/**
 * Asks, or with a body orders, and gets lines of JSON as they come. Who stops taking them hangs up.
 * @param {string} path
 * @param {{params?: Record<string, any>, body?: unknown, signal?: AbortSignal}} [options]
 * @returns {AsyncGenerator<any>}
 */
export async function* lines(path, { params = {}, body, signal } = {}) {
  const hangUp = new AbortController();
  const stop = () => hangUp.abort();
  signal?.addEventListener("abort", stop);
  try {
    const answer = await ask(body === undefined ? "GET" : "POST", path + queryOf(params), body, { signal: hangUp.signal });
    if (!answer.ok || !answer.body) throw new APIError(answer.status, read(await answer.text(), answer.status) ?? { message: answer.statusText });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read().catch((e) => { throw e.name === "AbortError" ? e : new APIError(0, { message: T.error.broken, cause: String(e.message ?? e) }); });
      if (done) break;
      const parts = (rest + value).split("\n");
      rest = parts.pop() ?? "";
      for (const line of parts) {
        if (!line) continue;
        const one = JSON.parse(line);
        if (one.error?.message) throw new APIError(answer.status, one.error); // after the first line there is no other place for it
        yield one;
      }
    }
    if (rest) throw new APIError(0, { message: T.error.broken });
  } finally {
    signal?.removeEventListener("abort", stop);
    hangUp.abort();
  }
}

async function send(method, path, body, options) {
  const answer = await ask(method, path, body, options);
  const text = await answer.text().catch((e) => { throw e.name === "AbortError" ? e : new APIError(0, { message: T.error.noAnswer, cause: String(e.message ?? e) }); });
  const data = read(text, answer.status);
  if (!answer.ok) throw new APIError(answer.status, data ?? { message: answer.statusText });
  return data;
}

async function ask(method, path, body, options) {
  let answer;
  try {
    answer = await fetch(address(path), {
      method, signal: options.signal, credentials: "same-origin", cache: "no-store",
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (e) {
    if (e.name === "AbortError") throw e;
    throw new APIError(0, { message: T.error.noAnswer, cause: String(e.message ?? e) });
  }
  if (answer.status === 401) { // the session is over: the host shows its sign-in page
    location.reload();
  }
  return answer;
}

function read(text, status) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    throw new APIError(status, { message: T.error.foreign, cause: text.slice(0, 200) });
  }
}

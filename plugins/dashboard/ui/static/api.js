// Questions and orders to the server.
import { base } from "./route.js";

/** What the server, or the way to it, has answered instead. Its fields are those of all errors of modhost. */
export class APIError extends Error {
  /** @param {number} status @param {{errorCode?: number, message?: string, cause?: string}} body */
  constructor(status, body) {
    super(body.message ?? "No answer");
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
export function get(path, params = {}, options = {}) {
  const q = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) if (value !== undefined && value !== null) q.set(name, String(value));
  const text = q.toString();
  return send("GET", path + (text ? "?" + text : ""), undefined, options);
}

/**
 * Gives an order. It is sent once: who gets no answer looks at what has become of it before it is sent again.
 * @param {string} path
 * @param {unknown} [body]
 * @param {{signal?: AbortSignal}} [options]
 */
export const post = (path, body = {}, options = {}) => send("POST", path, body, options);

/** The address of something to load without scripts. @param {string} path */
export const address = (path) => base + "api/" + path;

async function send(method, path, body, options) {
  let answer;
  try {
    answer = await fetch(address(path), {
      method, signal: options.signal, credentials: "same-origin", cache: "no-store",
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (e) {
    if (e.name === "AbortError") throw e;
    throw new APIError(0, { message: "No answer", cause: String(e.message ?? e) });
  }
  if (answer.status === 401) { // the session is over: the host shows its sign-in page
    location.reload();
  }
  const text = await answer.text();
  let data;
  try {
    data = text ? JSON.parse(text) : null;
  } catch {
    throw new APIError(answer.status, { message: "Not an answer of the dashboard", cause: text.slice(0, 200) });
  }
  if (!answer.ok) throw new APIError(answer.status, data ?? { message: answer.statusText });
  return data;
}

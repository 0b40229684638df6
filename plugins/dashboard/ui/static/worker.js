// One stream for all tabs of a browser. Tabs say which topics they show; the stream has what all of them want. It is opened anew when a topic
// is added, which sends all of each topic again; so a tab never has to be told what it has missed.

const base = new URL("../../", import.meta.url);
// Without a pulse, which comes every second: after so many ms what is shown may be old, and after so many more the stream is dead.
const quiet = 1700;
const dead = 800;
/** @type {Map<MessagePort, Set<string>>} */
const tabs = new Map();
/** @type {EventSource | null} */
let stream = null;
let topics = new Set();
let watching = 0;
let failures = 0;
let planned = 0;

/** @param {unknown} message @param {string} [topic] */
function tell(message, topic) {
  for (const [port, wanted] of tabs) if (!topic || wanted.has(topic)) port.postMessage(message);
}

function wanted() {
  const all = new Set();
  for (const set of tabs.values()) for (const topic of set) all.add(topic);
  return all;
}

/** The stream has said something, or begins. */
function hear() {
  clearTimeout(watching);
  watching = setTimeout(() => {
    tell({ topic: "quiet" });
    watching = setTimeout(lost, dead);
  }, quiet);
}

/** Opens the stream after a moment, in which more wishes may come. */
function plan(wait) {
  clearTimeout(planned);
  planned = setTimeout(open, wait);
}

function open() {
  planned = 0;
  clearTimeout(watching);
  stream?.close();
  stream = null;
  if (tabs.size === 0) return;
  topics = wanted();
  const url = new URL("api/events", base);
  for (const topic of [...topics].sort()) url.searchParams.append("topic", topic);
  const mine = new EventSource(url);
  stream = mine;
  hear();
  mine.onmessage = (e) => {
    if (mine !== stream) return;
    hear();
    failures = 0;
    const message = JSON.parse(e.data);
    tell(message, message.topic === "hello" || message.topic === "pulse" ? undefined : message.topic);
  };
  mine.onerror = () => {
    if (mine === stream) lost();
  };
}

/** The stream has broken off: others are tried, soon at first. */
function lost() {
  clearTimeout(watching);
  stream?.close();
  stream = null;
  failures++;
  tell({ topic: "lost", failures });
  // A stream does not say why it was refused. If the session is over, the host has its sign-in page for the tabs. Not for long: a browser has but six connections to a host.
  if (failures > 1) fetch(base, { method: "HEAD", cache: "no-store", signal: AbortSignal.timeout(quiet + dead) }).then((answer) => { if (answer.status === 401) tell({ topic: "signedOut" }); }, () => {});
  plan(Math.min(5000, 250 * 2 ** Math.min(failures, 5)));
}

/** @param {MessagePort} port */
function join(port) {
  const leave = () => {
    tabs.delete(port);
    if (tabs.size === 0) open();
  };
  port.onclose = leave; // a tab that has crashed says nothing
  port.onmessage = (e) => {
    if (e.data.bye) return leave();
    tabs.set(port, new Set(e.data.topics));
    // Who joins a topic needs all of it first, also if others have it. What nobody wants any more goes with the next opening, unless it is much.
    if (e.data.anew || topics.size > wanted().size + 20) plan(30);
  };
  port.start?.();
}

if ("onconnect" in globalThis) globalThis.onconnect = (e) => join(e.ports[0]);
else globalThis.onmessage = (e) => join(e.data.port); // a worker of one tab, where there are no shared ones

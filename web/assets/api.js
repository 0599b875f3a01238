// Asking the control plane: requests with the key of this tab, and the stream of events.

const KEY = "fastworker-key";
let askForKey = async () => null;

// ask: shows a dialog and gives the key, or null.
export function whenKeyIsWanted(ask) {
  askForKey = ask;
}

export const hasKey = () => sessionStorage.getItem(KEY) !== null;
export const forgetKey = () => sessionStorage.removeItem(KEY);

export class Problem extends Error {
  constructor(status, body) {
    super(body?.detail ?? body?.title ?? body?.error ?? "status " + status);
    this.status = status;
    this.body = body;
  }
}

function headers(more) {
  const key = sessionStorage.getItem(KEY);
  return key ? {...more, Authorization: "Bearer " + key} : {...more};
}

let asking = null; // one dialog, however many requests were refused

async function learnKey() {
  asking ??= askForKey(hasKey()).finally(() => { asking = null; });
  const key = await asking;
  if (key === null) return false;
  sessionStorage.setItem(KEY, key);
  return true;
}

export async function ask(path, {method = "GET", body, signal, quiet = false} = {}) {
  for (;;) {
    const answer = await fetch(path, {
      method, signal, cache: "no-store",
      headers: headers(body === undefined ? {} : {"Content-Type": "application/json"}),
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    // A key that reads may be there, and another one be wanted for this.
    const wanted = answer.status === 401 || (answer.status === 403 && method !== "GET" && hasKey());
    if (wanted && !quiet && await learnKey()) continue;
    const text = await answer.text();
    let value = null;
    try {
      value = text ? JSON.parse(text) : null;
    } catch {
      value = {detail: text.slice(0, 200)};
    }
    if (!answer.ok) throw new Problem(answer.status, value);
    return value;
  }
}

export const enc = encodeURIComponent;

// --- events ---

// Frames of text/event-stream out of chunks of text.
export function frameReader(onFrame) {
  let rest = "";
  return (text) => {
    rest += text;
    for (let end; (end = rest.indexOf("\n\n")) >= 0; rest = rest.slice(end + 2)) {
      const frame = {id: null, event: "message", data: ""};
      for (const line of rest.slice(0, end).split("\n")) {
        const colon = line.indexOf(": ");
        if (colon > 0) frame[line.slice(0, colon)] = line.slice(colon + 2);
      }
      if (frame.data) onFrame(frame);
    }
  };
}

// Listens for ever, comes back by itself, and rests while nobody looks at the page: a browser
// has six connections to a server, and six tabs must not use them up.
export function listen(onEvent, onState) {
  let lastId = null;
  let current = null;

  async function once() {
    current = new AbortController();
    const resume = lastId === null ? {} : {"Last-Event-ID": lastId};
    const answer = await fetch("/api/v1/events?only=stats",
      {headers: headers(resume), cache: "no-store", signal: current.signal});
    if (answer.status === 401) {
      if (await learnKey()) return;
      throw new Problem(401);
    }
    if (!answer.ok) throw new Problem(answer.status);
    const read = frameReader(({id, event, data}) => {
      lastId = id ?? lastId;
      if (event === "hello") onState("live");
      else if (event !== "bye") onEvent(event, JSON.parse(data));
    });
    const stream = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const {value, done} = await stream.read();
      if (done) break;
      read(value);
    }
  }

  async function forever() {
    for (let wait = 500; ; wait = Math.min(wait * 2, 8000)) {
      const begun = performance.now();
      try {
        await once();
      } catch {
        // Told below.
      }
      if (document.hidden) {
        onState("resting");
        await new Promise((go) => document.addEventListener("visibilitychange", go, {once: true}));
        wait = 250;
        continue;
      }
      onState("down");
      if (performance.now() - begun > 5000) wait = 500;
      await new Promise((go) => setTimeout(go, wait));
    }
  }

  let leaving = null;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(leaving);
    if (document.hidden) leaving = setTimeout(() => current?.abort(), 5000);
  });
  forever();
}

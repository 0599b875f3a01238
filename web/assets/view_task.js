// One task: what it was asked, how its runs went, and what became of it. Waits for its end.
import {actionButton} from "./actions.js";
import {ask, enc} from "./api.js";
import {badge, h, panel} from "./dom.js";
import {clock, count, duration, exact, json, unix} from "./format.js";
import {live} from "./live.js";
import {table} from "./table.js";
import {cancelAction, isOver, retryAction} from "./view_tasks.js";

export const title = "Task";

const SHOWN = 20000; // characters of a text; the rest is for other tools

function fact(name, value) {
  return h("div", null, h("dt", null, name), h("dd", null, value));
}

// --- its runs ---

const now = () => Date.now() / 1000;

// As the answers have times, to the microsecond.
const timeOf = (seconds) => new Date(Math.floor(seconds) * 1000).toISOString().slice(0, 19) +
  (seconds % 1).toFixed(6).slice(1) + "Z";

// The runs that are known, the oldest first: those that failed, and the last one.
function runsOf(task) {
  const runs = (task.attempts ?? []).map((one) => ({number: one.attempt, began: one.began_unix,
    ended: one.ended_unix, error: one.error, status: "failure", place: one}));
  const began = unix(task.started_at), ended = unix(task.completed_at);
  if (began && (runs.at(-1)?.number ?? 0) < task.attempt && task.status !== "retrying") {
    runs.push({number: task.attempt, began, ended, error: task.error ?? "",
      status: task.status, place: task});
  }
  return runs;
}

function place({worker, thread}) {
  if (worker !== undefined) return worker;
  return thread === undefined ? "–" : `${live.stats?.worker_id ?? "here"}, thread ${thread}`;
}

function attempts(task, runs) {
  const list = table({label: "Runs", key: (run) => run.number, empty: "It has not run yet.",
    columns: [
      {title: "Run", kind: "number", cell: (run) => count(run.number)},
      {title: "Outcome", cell: (run) => badge(run.status)},
      {title: "Began", kind: "number", cell: (run) => clock(run.began) || "–"},
      {title: "Lasted", kind: "number", cell: (run) => (run.began && run.ended
        ? duration(run.ended - run.began) : "–")},
      {title: "Where", cell: (run) => place(run.place)},
      {title: "Error", kind: "wide", cell: (run) => run.error},
    ]});
  list.set(runs);
  const first = runs[0]?.number ?? 1;
  return panel("Runs", {id: "runs", note: first > 1
    ? `runs 1 to ${count(first - 1)} are not kept any more` : null}, list.element);
}

// A bar of how long it waited and how long it ran, run by run.
function timeline(task, runs) {
  const created = unix(task.created_at), end = unix(task.completed_at) ?? now();
  const parts = [];
  const part = (kind, words, seconds) => {
    const element = h("span", {className: kind, title: `${words} ${duration(seconds)}`});
    parts.push([element, Math.max(0, seconds)]);
    return Math.max(0, seconds);
  };
  let at = created, waited = 0, ran = 0;
  for (const run of runs) {
    if (!run.began) continue;
    waited += part("waited", at === created ? "waited" : "until the next run", run.began - at);
    at = run.ended ?? end;
    ran += part(run.status === "failure" ? "failed" : "ran", `run ${run.number}:`, at - run.began);
  }
  if (!isOver(task) && task.status !== "running") waited += part("waited", "waits", end - at);
  for (const [element, seconds] of parts) {
    element.style.flexGrow = 1 + 1000 * seconds / Math.max(waited + ran, 1e-9);
  }
  const started = runs.find((run) => run.began)?.began;
  const step = (name, time, note) => h("li", {className: time ? "" : "to-come"},
    h("strong", null, name), h("time", null, time ? exact(time) : "–"), h("span", null, note));
  const first = runs[0]?.number === 1 && runs.length > 1
    ? timeOf(started) : task.started_at;
  return h("div.timeline", null,
    h("div.timebar", {role: "img",
      "aria-label": `waited ${duration(waited)}, ran ${duration(ran)}`},
    parts.map(([element]) => element)),
    h("ol", null, step("Created", task.created_at, ""),
      step(task.attempt > 1 && first === task.started_at ? "Last run" : "Started", first,
        started ? "waited " + duration(started - created) : ""),
      step(isOver(task) ? "Ended: " + task.status : "Ended", task.completed_at,
        task.completed_at && started ? `ran ${duration(ran)}` + (runs.length > 1
          ? ` in ${count(runs.length)} runs` : "") : "")));
}

// --- texts ---

function block(name, value, id) {
  const more = value.length - SHOWN;
  return h("div.block", null, h("h3", null, name),
    h("pre", {tabIndex: 0, id, role: "group", "aria-label": name}, value.slice(0, SHOWN)),
    more > 0 && h("p.note", null, `and ${count(more)} characters more: see ` +
      "/api/v1/tasks/ID?full=true"));
}

function asked(task) {
  if (task.args !== undefined) {
    return [block("Arguments", json(task.args), "args"),
      task.kwargs && Object.keys(task.kwargs).length
        ? block("Named arguments", json(task.kwargs)) : null];
  }
  return h("p.empty", null, "The arguments were not kept. Those of ended tasks are kept as " +
    "the settings keep-args and keep-args-max say: by default of tasks that failed, up to 2 KiB.");
}

function became(task) {
  if (task.error !== null) return block("Error", task.error, "error");
  if (task.status === "success") return block("Result", json(task.result), "result");
  return h("p.empty", null, isOver(task) ? "It has no result." : "It has not ended.");
}

function progress({done, total, note}) {
  const bar = h("span.bar");
  bar.style.width = total ? Math.min(100, 100 * done / total) + "%" : "0";
  return h("span.load", null, h("span.track", null, bar),
    h("span", null, count(done) + (total ? ` of ${count(total)}` : "") +
      (note ? ", " + note : "")));
}

// A dead task whose result is no longer kept, as the other answer would have it.
function ofDead(dead) {
  return {...dead, status: "failure", attempt: dead.attempts, attempts: dead.attempt_errors,
    created_at: timeOf(dead.created_unix), started_at: null, completed_at: timeOf(dead.died_unix),
    result: null};
}

export function mount(root, {argument: id}) {
  const stop = new AbortController(), signal = stop.signal;
  const body = h("div.view");
  const path = "/api/v1/tasks/" + enc(id);
  root.append(h("div.view-head", null, h("h1", null, h("a", {href: "#/tasks"}, "Tasks"), " / ",
    h("code", null, id))), body);

  function paint(task, dead) {
    const again = () => { body.dataset.seen = ""; follow(); };
    const runs = runsOf(task), losses = dead?.losses ?? 0;
    body.replaceChildren(panel(task.name ?? "a task of no name", {id: "task",
      note: badge(task.status), tools: isOver(task)
        ? dead && actionButton("Retry", () => retryAction(task), {after: again})
        : actionButton("Cancel", () => cancelAction(task), {danger: true, after: again})},
    h("dl.facts", null, fact("Priority", badge(task.priority)),
      fact("Runs", count(task.attempt)),
      losses ? fact("Workers lost", count(losses)) : null,
      isOver(task) && task.status === "failure"
        ? fact("Dead set", dead ? "kept there, can run again" : "not in it") : null,
      task.progress ? fact("Progress", progress(task.progress)) : null,
      fact("Id", h("code", null, task.task_id))), timeline(task, runs)),
    panel("What became of it", {id: "became"}, became(task)),
    attempts(task, runs),
    panel("What it was asked", {id: "asked"}, asked(task),
      dead?.options ? block("Options", json(dead.options)) : null));
  }

  // The task, and what the dead set has of it.
  async function look(wait) {
    const ofTheDead = () => ask("/api/v1/dead/" + enc(id), {signal}).catch(() => null);
    try {
      const task = await ask(`${path}?full=true${wait}`, {signal});
      return [task, task.status === "failure" ? await ofTheDead() : null];
    } catch (error) {
      const dead = error.status === 410 || error.status === 404 ? await ofTheDead() : null;
      if (!dead) throw error;
      return [ofDead(dead), dead];
    }
  }

  async function follow() {
    let wait = "";
    while (!signal.aborted) {
      try {
        const [task, dead] = await look(wait);
        const seen = JSON.stringify([task, dead]);
        if (signal.aborted) return;
        if (body.dataset.seen !== seen) paint(task, dead);
        body.dataset.seen = seen;
        if (isOver(task)) return;
        // Neither its start nor its progress is an end: to be looked at again soon.
        wait = task.status === "running" && !task.progress && wait ? "&wait=20" : "&wait=1";
      } catch (error) {
        if (signal.aborted) return;
        body.replaceChildren(h("p.problem", {role: "alert"}, error.message));
        return;
      }
    }
  }

  follow();
  return () => stop.abort();
}

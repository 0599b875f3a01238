// Subworkers: what they have in hand, when they were heard of last; drained and resumed.
import {actionButton} from "./actions.js";
import {ask, enc} from "./api.js";
import {badge, h, panel} from "./dom.js";
import {count, duration, quote} from "./format.js";
import {poll} from "./poll.js";
import {table} from "./table.js";

export const title = "Workers";

function drain(worker) {
  return {title: "Drain " + worker.id, label: "Drain", danger: true,
    path: `/api/v1/workers/${enc(worker.id)}:drain`,
    text: "It finishes what runs, gives back the rest, and takes nothing new.",
    cli: "fastworker drain " + quote(worker.id), done: () => worker.id + " drains"};
}

function resume(worker) {
  return {title: "Resume " + worker.id, label: "Resume",
    path: `/api/v1/workers/${enc(worker.id)}:resume`,
    cli: "fastworker resume " + quote(worker.id), done: () => worker.id + " goes on"};
}

function load(worker) {
  const share = h("span.bar");
  share.style.width = Math.min(100, 100 * worker.in_hand / Math.max(1, worker.slots)) + "%";
  return h("span.load", null, h("span.track", null, share),
    h("span", null, `${worker.in_hand} / ${worker.slots}`));
}

export function mount(root) {
  const list = table({label: "Subworkers", key: (worker) => worker.id,
    empty: "No subworker is connected. The control plane runs tasks on its own threads.",
    columns: [
      {title: "Worker", kind: "name", cell: (w) => h("span", null, h("strong", null, w.id),
        h("code", null, [w.software, w.address].filter(Boolean).join(" at ")))},
      {title: "State", cell: (w) => badge(w.state)},
      {title: "In hand / slots", cell: load},
      {title: "Last heard", kind: "number", cell: (w) => duration(w.seen_seconds) + " ago"},
      {title: "Ended", kind: "number", cell: (w) => count(w.ended)},
      {title: "Given back", kind: "number", cell: (w) => count(w.returned)},
      {title: "Lost", kind: "number", cell: (w) => count(w.lost)},
      {title: "Task names", kind: "number", cell: (w) => count(w.tasks)},
      {title: "", kind: "actions", cell: (w) => (w.state === "draining"
        ? actionButton("Resume", () => resume(w), {key: "r", after: () => asked.again()})
        : actionButton("Drain", () => drain(w), {key: "c", danger: true,
          after: () => asked.again()}))},
    ]});
  const problem = h("p.problem", {role: "alert"});
  const asked = poll(() => ask("/api/v1/workers"), ({workers}) => list.set(workers),
    {every: 2000, problem});
  root.append(h("div.view-head", null, h("h1", null, title)), problem,
    panel("Subworkers", {id: "subworkers"}, list.element));
  return asked.close;
}

// One task: what it was asked, what became of it, and when. Waits for its end.
import {actionButton} from "./actions.js";
import {ask, enc} from "./api.js";
import {badge, h, panel} from "./dom.js";
import {duration, exact, json, unix} from "./format.js";
import {cancelAction, isOver, retryAction} from "./view_tasks.js";

export const title = "Task";

function fact(name, value) {
  return h("div", null, h("dt", null, name), h("dd", null, value));
}

// A bar of how long it waited and how long it ran.
function timeline(task) {
  const created = unix(task.created_at), started = unix(task.started_at);
  const end = unix(task.completed_at) ?? Date.now() / 1000;
  const waited = Math.max(0, (started ?? end) - created), ran = started ? end - started : 0;
  const parts = [h("span.waited", {title: "waited"}), h("span.ran", {title: "ran"})];
  parts[0].style.flexGrow = waited;
  parts[1].style.flexGrow = ran;
  const step = (name, at, note) => h("li", {className: at ? "" : "to-come"},
    h("strong", null, name), h("time", null, at ? exact(at) : "–"), h("span", null, note));
  return h("div.timeline", null,
    h("div.timebar", {role: "img",
      "aria-label": `waited ${duration(waited)}, ran ${duration(ran)}`}, parts),
    h("ol", null, step("Created", task.created_at, ""),
      step("Started", task.started_at, started ? "waited " + duration(waited) : ""),
      step(isOver(task) ? "Ended: " + task.status : "Ended", task.completed_at,
        task.completed_at && started ? "ran " + duration(ran) : "")));
}

function block(name, value, id) {
  return h("div.block", null, h("h3", null, name),
    h("pre", {tabIndex: 0, id, "aria-label": name}, value));
}

export function mount(root, {argument: id}) {
  const stop = new AbortController();
  const body = h("div");
  const path = "/api/v1/tasks/" + enc(id);
  root.append(h("div.view-head", null, h("h1", null, h("a", {href: "#/tasks"}, "Tasks"), " / ",
    h("code", null, id))), body);

  function paint(task, dead) {
    const more = {...dead, ...task};
    const again = () => { body.dataset.seen = ""; follow(); };
    const known = new Set(["task_id", "name", "priority", "status", "attempt", "created_at",
      "started_at", "completed_at", "result", "error", "args", "kwargs", "attempts", "losses",
      "created_unix", "died_unix"]);
    const rest = Object.entries(more).filter(([name, value]) => !known.has(name) && value !== null);
    body.replaceChildren(panel(task.name, {id: "task", note: badge(task.status),
      tools: isOver(task)
        ? dead && actionButton("Retry", () => retryAction(task), {after: again})
        : actionButton("Cancel", () => cancelAction(task), {danger: true, after: again})},
    h("dl.facts", null, fact("Priority", badge(task.priority)),
      fact("Attempt", String(more.attempts ?? task.attempt)),
      more.losses ? fact("Workers lost", String(more.losses)) : null,
      fact("Id", h("code", null, task.task_id))), timeline(task)),
    panel("What it was asked", {id: "asked"},
      more.args === undefined ? h("p.empty", null, "Arguments are kept while a task is not over, " +
        "and of tasks in the dead set.")
        : [block("Arguments", json(more.args)), more.kwargs && Object.keys(more.kwargs).length
          ? block("Named arguments", json(more.kwargs)) : null]),
    panel("What became of it", {id: "became"},
      task.error !== null ? block("Error", task.error, "error")
        : task.status === "success" ? block("Result", json(task.result), "result")
          : h("p.empty", null, isOver(task) ? "It has no result." : "It has not ended."),
      rest.length ? block("More", json(Object.fromEntries(rest))) : null));
  }

  async function follow() {
    let wait = "";
    while (!stop.signal.aborted) {
      try {
        const task = await ask(path + wait, {signal: stop.signal});
        const dead = task.status === "failure" ? await ask("/api/v1/dead/" + enc(id),
          {signal: stop.signal}).catch(() => null) : null;
        const seen = JSON.stringify([task, dead]);
        if (body.dataset.seen !== seen) paint(task, dead);
        body.dataset.seen = seen;
        if (isOver(task)) return;
        wait = task.status === "running" || wait ? "?wait=20" : "?wait=1";
        if (!task.started_at) wait = "?wait=1"; // its start is no end: look again soon
      } catch (error) {
        if (stop.signal.aborted) return;
        body.replaceChildren(h("p.problem", {role: "alert"}, error.message));
        return;
      }
    }
  }

  follow();
  return () => stop.abort();
}

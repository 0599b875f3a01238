// The four priorities: depth, age, pause; and limits of names.
import {actionButton} from "./actions.js";
import {ask, enc} from "./api.js";
import {badge, field, h, panel} from "./dom.js";
import {age, count, duration, quote} from "./format.js";
import {live} from "./live.js";
import {poll} from "./poll.js";
import {table} from "./table.js";

export const title = "Queues";

const duringField = () => {
  const input = h("input", {type: "text", placeholder: "for ever", autocomplete: "off"});
  return {element: field("For how long", input, "such as 30s, 5m, 2h; empty: until it is resumed"),
    read: () => (input.value.trim() ? {for: input.value.trim()} : {})};
};

const option = (request) => (/[?&]for=([^&]+)/.exec(request.path)
  ? " --for " + /[?&]for=([^&]+)/.exec(request.path)[1] : "");

function pause(name, path, line) {
  return {title: "Pause " + name, label: "Pause", query: true, path: path + ":pause",
    text: "What runs goes on; nothing more of it starts.", fields: [duringField()],
    cli: (request) => `fastworker pause ${line}${option(request)}`,
    done: () => `Paused: ${name}`};
}

function resume(name, path, line) {
  return {title: "Resume " + name, label: "Resume", path: path + ":resume",
    cli: "fastworker unpause " + line, done: () => `Goes on: ${name}`};
}

// A button for the state that a row has; pressed by p or r.
function toggle(row, name, path, line, after) {
  return row.paused
    ? actionButton("Resume", () => resume(name, path, line), {key: "r", after})
    : actionButton("Pause", () => pause(name, path, line), {key: "p", after});
}

function pauseText(row) {
  if (!row.paused) return "";
  return row.resumes_in ? `paused, ${duration(row.resumes_in)} left` : "paused";
}

function limitAction(row) {
  const number = (label, value, hint) => h("input", {type: "number", min: "0", step: "any",
    value: String(value ?? 0), "aria-label": label, title: hint});
  const task = h("input", {type: "text", required: true, value: row?.task ?? "",
    readOnly: !!row, list: "limit-names"});
  const running = number("At once", row?.max_running), rate = number("Starts a second", row?.rate);
  const burst = number("Burst", row?.burst);
  const action = {title: row ? "Limits of " + row.task : "New limit", label: "Set", method: "PUT",
    text: "Over all workers. 0 takes a limit away.", path: "/api/v1/limits/",
    fields: [{element: h("div", null, field("Task", task), field("At once, at most", running),
      field("Starts a second, at most", rate), field("Burst", burst)),
    read: () => {
      action.path = "/api/v1/limits/" + enc(task.value);
      return {max_running: Number(running.value), rate: Number(rate.value),
        burst: Number(burst.value)};
    }}],
    cli: () => `fastworker limits set ${quote(task.value)} --max-running ${running.value} ` +
      `--rate ${rate.value} --burst ${burst.value}`,
    done: () => "Limits of " + task.value + " are set"};
  return action;
}

export function mount(root) {
  const load = () => asked.again();
  const queues = table({label: "Queues", key: (row) => row.priority, columns: [
    {title: "Priority", cell: (row) => badge(row.priority)},
    {title: "Waiting", kind: "number", cell: (row) => count(row.depth)},
    {title: "Held back", kind: "number", cell: (row) => count(row.held)},
    {title: "Oldest", kind: "number", cell: (row) => (row.depth
      ? age(row.oldest_seconds) : "–")},
    {title: "p99 wait", kind: "number", ages: true, cell: (row) => {
      const us = live.stats?.queues[row.priority].wait[2];
      return us ? duration(us / 1e6) : "–";
    }},
    {title: "State", kind: "wide", cell: (row) => (row.paused ? badge(pauseText(row)) : "")},
    {title: "", kind: "actions", cell: (row) => toggle(row, row.priority + " tasks",
      "/api/v1/queues/" + row.priority, "--priority " + row.priority, load)},
  ]});
  const limits = table({label: "Limits", key: (row) => row.task, empty: "No task is limited.",
    columns: [
      {title: "Task", cell: (row) => h("code", null, row.task)},
      {title: "At once", kind: "number", cell: (row) => row.max_running || "any"},
      {title: "Per second", kind: "number", cell: (row) => row.rate || "any"},
      {title: "Burst", kind: "number", cell: (row) => row.burst || "–"},
      {title: "Running", kind: "number", cell: (row) => count(row.running)},
      {title: "Waiting", kind: "number", cell: (row) => count(row.waiting)},
      {title: "State", kind: "wide", cell: (row) => (row.paused ? badge(pauseText(row)) : "")},
      {title: "", kind: "actions", cell: (row, now) => h("span", null,
        actionButton("Change", () => limitAction(now()), {key: "e", after: load}), " ",
        toggle(row, row.task, "/api/v1/limits/" + enc(row.task), "--task " + quote(row.task),
          load))},
    ]});
  const problem = h("p.problem", {role: "alert"}), everything = h("span"), names = h("datalist",
    {id: "limit-names"});

  const asked = poll(() => Promise.all([ask("/api/v1/queues"), ask("/api/v1/limits")]),
    ([now, limited]) => {
      queues.set(now.queues);
      limits.set(limited.limits);
      if (everything.dataset.paused === String(now.paused)) return;
      everything.dataset.paused = now.paused;
      everything.replaceChildren(toggle(now, "everything", "/api/v1/queues/all", "--all", load));
    }, {every: 2000, problem});

  root.append(h("div.view-head", null, h("h1", null, title), h("div.tools", null,
    h("span.note", null, "All priorities: "), everything)), problem, names,
  panel("Priorities", {id: "priorities"}, queues.element),
  panel("Limits", {id: "limits", note: "of names, over all workers",
    tools: actionButton("New limit…", () => limitAction(null), {after: load})}, limits.element));
  ask("/api/registered-tasks").then(({tasks}) =>
    names.replaceChildren(...tasks.map((t) => h("option", {value: t.name})))).catch(() => {});
  return asked.close;
}

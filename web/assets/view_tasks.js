// All tasks, newest first, a page at a time: found by id, name, status, priority; cancelled and
// retried one by one, as selected, or as the filter has them.
import {act, actionButton, toast} from "./actions.js";
import {ask, enc} from "./api.js";
import {cancelByFilter, retryByFilter} from "./by_filter.js";
import {badge, h, select, setText} from "./dom.js";
import {clock, count, duration, PRIORITIES, quote, unix} from "./format.js";
import {poll} from "./poll.js";
import {table} from "./table.js";

const PAGE = 100;
const STATES = ["pending", "queued", "scheduled", "assigned", "running", "retrying", "success",
  "failure", "cancelled"];
const OVER = new Set(["success", "failure", "cancelled"]);

export const isOver = (task) => OVER.has(task.status);

export function cancelAction(task) {
  return {title: "Cancel " + task.task_id, label: "Cancel it", danger: true, method: "DELETE",
    path: "/api/v1/tasks/" + enc(task.task_id),
    text: task.status === "running" ? "It runs. It is told, and ends when it looks."
      : "It has not started, and will not.",
    cli: "fastworker cancel --task-id " + quote(task.task_id),
    done: () => "Cancelled " + task.task_id};
}

export function retryAction(task) {
  return {title: "Retry " + task.task_id, label: "Run it again",
    path: `/api/v1/tasks/${enc(task.task_id)}:retry`,
    text: "It was given up. It runs again under the same id, with all its retries.",
    cli: "fastworker dead retry " + quote(task.task_id),
    done: () => "Runs again: " + task.task_id};
}

// --- many ---

// Each of them, four at a time. => [done, refused]
async function each(ids, one) {
  const left = [...ids];
  let done = 0, refused = 0;
  await Promise.all([1, 2, 3, 4].map(async () => {
    for (let id; (id = left.shift()) !== undefined;) {
      await one(id).then(() => done++, () => refused++);
    }
  }));
  return [done, refused];
}

const cancelOne = (id) => ask("/api/v1/tasks/" + enc(id), {method: "DELETE"});
const retryOne = (id) => ask(`/api/v1/tasks/${enc(id)}:retry`, {method: "POST"});

function told(verb, [done, refused]) {
  toast(`${verb} ${count(done)}` + (refused ? `, ${count(refused)} would not` : ""),
    refused && !done ? "bad" : "good");
}

function forMany(ids, verb, line, one, danger) {
  return {title: `${verb} ${count(ids.length)} selected tasks`, label: verb + " them", danger,
    cli: line, lines: ids.map((id) => one.curl(id)),
    run: async () => told(one.past, await each(ids, one.go))};
}

const CANCEL = {go: cancelOne, past: "Cancelled",
  curl: (id) => ({method: "DELETE", path: "/api/v1/tasks/" + enc(id)})};
const RETRY = {go: retryOne, past: "Runs again:",
  curl: (id) => ({path: `/api/v1/tasks/${enc(id)}:retry`})};

// --- the view ---

export const title = "Tasks";

export function mount(root, {params}) {
  const filter = {status: params.get("status") ?? "", name: params.get("name") ?? "",
    priority: params.get("priority") ?? ""};
  const selected = new Set();
  const load = () => asked.again();
  let cursors = [""], page = {tasks: [], total: 0};

  const search = h("input", {id: "search", type: "search", name: "search", autocomplete: "off",
    placeholder: "Id, or name of a task", value: filter.name,
    "aria-label": "Search by id or name"});
  const status = select([["", "any status"], ...STATES.map((s) => [s, s])], filter.status);
  const priority = select([["", "any priority"], ...PRIORITIES.map((p) => [p, p])],
    filter.priority);
  status.setAttribute("aria-label", "Status");
  priority.setAttribute("aria-label", "Priority");
  const names = h("datalist", {id: "names"});
  search.setAttribute("list", "names");
  const total = h("p.note", {id: "total", role: "status"});
  const problem = h("p.problem", {role: "alert"});

  const list = table({
    label: "Tasks", key: (task) => task.task_id, selection: {set: selected, changed: paintBulk},
    open: (task) => { location.hash = "#/tasks/" + enc(task.task_id); },
    empty: "No task fits. Results are kept for a time only.",
    columns: [
      {title: "Task", kind: "name", cell: (t) => h("a", {href: "#/tasks/" + enc(t.task_id)},
        h("span", null, t.name), h("code", null, t.task_id))},
      {title: "Status", cell: (t) => badge(t.status)},
      {title: "Priority", cell: (t) => badge(t.priority)},
      {title: "Created", kind: "number", cell: (t) => clock(unix(t.created_at))},
      {title: "Waited", kind: "number", cell: (t) => (t.started_at
        ? duration(unix(t.started_at) - unix(t.created_at)) : "–")},
      {title: "Ran", kind: "number", cell: (t) => (t.completed_at && t.started_at
        ? duration(unix(t.completed_at) - unix(t.started_at)) : "–")},
      {title: "Result or error", kind: "wide", cell: (t) => h("span.clip", {title: t.error},
        (t.error ?? (t.status === "success" ? JSON.stringify(t.result) : "")).slice(0, 200))},
      {title: "", kind: "actions", cell: (t, now) => (isOver(t)
        ? (t.status === "failure" && t.attempt > 1 ? actionButton("Retry", () => retryAction(t),
          {key: "r", after: load}) : "")
        : actionButton("Cancel", () => cancelAction(now()),
          {key: "c", danger: true, after: load}))},
    ],
  });

  // --- paging ---
  const turn = (change) => {
    change();
    back.disabled = forth.disabled = true; // until the answer comes
    load();
  };
  const back = h("button", {type: "button", onclick: () => turn(() => cursors.pop())}, "← Newer");
  const forth = h("button", {type: "button",
    onclick: () => turn(() => cursors.push(page.next))}, "Older →");

  const query = (more) => new URLSearchParams(Object.entries({...filter, ...more})
    .filter(([, value]) => value !== "" && value !== undefined)).toString();

  // Older pages stay as they were when they were asked for.
  const rests = () => document.querySelector("dialog[open]") || cursors.length > 1;

  function show(now) {
    page = now;
    list.set(page.tasks);
    setText(total, `${count(page.total)} task${page.total === 1 ? "" : "s"}` +
      (cursors.length > 1 ? `, page ${cursors.length}` : ""));
    back.disabled = cursors.length === 1;
    forth.disabled = !page.next;
    paintBulk();
  }

  // --- searching ---
  async function find() {
    const text = search.value.trim();
    if (text && ![...names.children].some((option) => option.value === text)) {
      const task = await ask("/api/v1/tasks/" + enc(text)).catch((error) => error);
      if (task.task_id) {
        location.hash = "#/tasks/" + enc(text);
        return;
      }
      if (task.status === 410) {
        problem.textContent = "The result of this task is no longer kept.";
        return;
      }
    }
    Object.assign(filter, {status: status.value, priority: priority.value, name: text});
    cursors = [""];
    const next = query();
    history.replaceState(null, "", "#/tasks" + (next ? "?" + next : ""));
    await load();
  }

  // --- many at once ---
  const bulk = h("div.bulk");
  function paintBulk() {
    const ids = [...selected];
    if (bulk.dataset.for === ids.length + query()) return;
    bulk.dataset.for = ids.length + query();
    const many = (verb, line, kind, danger) => h("button.small", {type: "button",
      className: danger ? "small danger-text" : "small",
      onclick: async () => {
        if (await act(forMany(ids, verb, line, kind, danger)) === null) return;
        selected.clear();
        await load();
        list.paint();
      }}, `${verb} selected`);
    bulk.replaceChildren(...[...(ids.length === 0 ? [] : [
      h("span", null, count(ids.length) + " selected"),
      many("Cancel", "fastworker cancel " + ids.map(quote).join(" "), CANCEL, true),
      many("Retry", "fastworker dead retry " + ids.map(quote).join(" "), RETRY, false),
      h("button.small", {type: "button",
        onclick: () => { selected.clear(); list.paint(); paintBulk(); }}, "Select none")]),
    filter.status === "failure" && h("button.small", {type: "button",
      onclick: () => filtered(retryByFilter(filter))}, "Retry by filter…"),
    !OVER.has(filter.status) && h("button.small.danger-text", {type: "button",
      onclick: () => filtered(cancelByFilter(filter))}, "Cancel by filter…")].filter(Boolean));
  }

  async function filtered(action) {
    if (await act(action) !== null) load();
  }

  const form = h("form.filters", {role: "search", onsubmit: (event) => {
    event.preventDefault();
    find();
  }}, search, status, priority, h("button.primary", {type: "submit"}, "Search"));
  status.addEventListener("change", find);
  priority.addEventListener("change", find);
  root.append(h("div.view-head", null, h("h1", null, title), total), form, names, problem,
    h("section.panel", {"aria-label": "List of tasks"}, bulk, list.element,
      h("div.pager", null, back, forth)));
  ask("/api/registered-tasks").then(({tasks}) =>
    names.replaceChildren(...tasks.map((t) => h("option", {value: t.name})))).catch(() => {});
  const asked = poll(() => ask("/api/v1/tasks?" + query({limit: PAGE, cursor: cursors.at(-1)})),
    show, {every: 2000, problem, rests});
  return asked.close;
}

// Tasks that were tried more than once and given up: run again or forgotten, one, some, or as the
// filter has them.
import {act, actionButton} from "./actions.js";
import {ask, enc} from "./api.js";
import {flagsOf} from "./by_filter.js";
import {badge, h, select, setText} from "./dom.js";
import {ago, count, PRIORITIES, quote} from "./format.js";
import {poll} from "./poll.js";
import {table} from "./table.js";

export const title = "Dead set";

const VERBS = {retry: ["Retry", "Run again", "retried", "dead retry"],
  purge: ["Forget", "Forget", "purged", "dead rm"]};

function change(verb, ids) {
  const [word, label, member, line] = VERBS[verb];
  return {title: ids.length === 1 ? `${word} ${ids[0]}` : `${word} ${count(ids.length)} selected`,
    label, danger: verb === "purge", path: "/api/v1/dead:" + verb, body: {task_ids: ids},
    text: verb === "purge" ? "What is forgotten cannot be run again from here."
      : "Under the same ids, with all their retries.",
    cli: `fastworker ${line} ${ids.map(quote).join(" ")}`,
    done: (answer) => `${count(answer[member])} ${member}`};
}

function changeFiltered(verb, filter) {
  const [word, label, member, line] = VERBS[verb];
  const body = Object.values(filter).some(Boolean)
    ? Object.fromEntries(Object.entries(filter).filter(([, value]) => value)) : {all: true};
  return {title: word + " by filter", label: label + " all of them", danger: true,
    path: "/api/v1/dead:" + verb, body, text: "All that have: " +
      (body.all ? "anything" : Object.entries(body).map((pair) => pair.join(" ")).join("; ")),
    cli: `fastworker ${line} ${flagsOf(body)}`,
    preview: async (request) => {
      const dry = await ask(request.path, {method: "POST", body: {...body, dry_run: true}});
      return `${count(dry.matched)} tasks fit now`;
    },
    done: (answer) => `${count(answer[member])} ${member}`};
}

export function mount(root) {
  const filter = {name: "", error: "", priority: ""}, selected = new Set();
  const load = () => asked.again();
  let cursors = [""], page = {};
  const total = h("p.note", {role: "status"}), problem = h("p.problem", {role: "alert"});
  const bulk = h("div.bulk");
  const list = table({label: "Dead tasks", key: (task) => task.task_id,
    empty: "Nothing was given up.", selection: {set: selected, changed: paintBulk},
    open: (task) => { location.hash = "#/tasks/" + enc(task.task_id); },
    columns: [
      {title: "Task", kind: "name", cell: (t) => h("a", {href: "#/tasks/" + enc(t.task_id)},
        h("span", null, t.name), h("code", null, t.task_id))},
      {title: "Priority", cell: (t) => badge(t.priority)},
      {title: "Runs", kind: "number", cell: (t) => count(t.attempts)},
      {title: "Workers lost", kind: "number", cell: (t) => count(t.losses)},
      {title: "Given up", kind: "number", ages: true, cell: (t) => ago(t.died_unix)},
      {title: "Error", kind: "wide", cell: (t) => h("span.clip", {title: t.error}, t.error)},
      {title: "", kind: "actions", cell: (t) => h("span.many", null,
        actionButton("Retry", () => change("retry", [t.task_id]), {key: "r", after: load}),
        actionButton("Forget", () => change("purge", [t.task_id]), {danger: true, after: load}))},
    ]});

  const turn = (change) => {
    change();
    back.disabled = forth.disabled = true; // until the answer comes
    load();
  };
  const back = h("button", {type: "button", onclick: () => turn(() => cursors.pop())}, "← Newer");
  const forth = h("button", {type: "button",
    onclick: () => turn(() => cursors.push(page.next))}, "Older →");

  function paintBulk() {
    const ids = [...selected];
    const some = (verb) => actionButton(VERBS[verb][0] + " selected", () => change(verb, ids),
      {danger: verb === "purge", after: () => { selected.clear(); paintBulk(); load(); }});
    const all = (verb) => h("button.small", {type: "button", className: "small" +
      (verb === "purge" ? " danger-text" : ""), onclick: async () => {
      if (await act(changeFiltered(verb, filter)) !== null) load();
    }}, VERBS[verb][0] + " by filter…");
    bulk.replaceChildren(...(ids.length ? [h("span", null, count(ids.length) + " selected"),
      some("retry"), some("purge")] : []), all("retry"), all("purge"));
  }

  const name = h("input", {type: "search", placeholder: "Name of a task", "aria-label": "Name"});
  const error = h("input", {type: "search", placeholder: "Part of the error",
    "aria-label": "Part of the error"});
  const priority = select([["", "any priority"], ...PRIORITIES.map((p) => [p, p])], "");
  priority.setAttribute("aria-label", "Priority");
  const find = () => {
    Object.assign(filter, {name: name.value.trim(), error: error.value.trim(),
      priority: priority.value});
    cursors = [""];
    load();
  };
  priority.addEventListener("change", find);
  root.append(h("div.view-head", null, h("h1", null, title), total),
    h("form.filters", {role: "search", onsubmit: (event) => { event.preventDefault(); find(); }},
      name, error, priority, h("button.primary", {type: "submit"}, "Search")), problem,
    h("section.panel", {"aria-label": "List of dead tasks"}, bulk, list.element,
      h("div.pager", null, back, forth)));
  paintBulk();
  const asked = poll(() => ask("/api/v1/dead?" + new URLSearchParams(
    Object.entries({...filter, cursor: cursors.at(-1), limit: 100})
      .filter(([, value]) => value !== ""))), (now) => {
    page = now;
    list.set(page.tasks);
    setText(total, `${count(page.total)} task${page.total === 1 ? "" : "s"}`);
    back.disabled = cursors.length === 1;
    forth.disabled = !page.next;
  }, {every: 3000, problem, rests: () => document.querySelector("dialog[open]")});
  return asked.close;
}

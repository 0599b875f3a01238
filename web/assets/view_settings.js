// The settings in force, each with where it came from; names of tasks; bounds and their use.
import {ask} from "./api.js";
import {badge, h, panel} from "./dom.js";
import {bytes, count, duration} from "./format.js";
import {live} from "./live.js";
import {table} from "./table.js";

export const title = "Settings";

// Long times and sizes in larger units too.
function readable({name, value}) {
  const seconds = /^(\d{3,})s$/.exec(value)?.[1];
  if (seconds) return `${value}, ${duration(Number(seconds))}`;
  return /^\d{4,}$/.test(value) && name.endsWith("bytes") ? `${value}, ${bytes(Number(value))}`
    : value;
}

export function mount(root) {
  let all = [];
  const list = table({label: "Settings", key: (one) => one.name, empty: "None fits.", columns: [
    {title: "Setting", cell: (one) => h("code", null, one.name)},
    {title: "Value", kind: "wide", cell: (one) => readable(one) || "–"},
    {title: "From", cell: (one) => badge(one.origin)},
  ]});
  const names = table({label: "Names of tasks", key: (one) => one.name,
    empty: "No task is known.", columns: [
      {title: "Task", cell: (one) => h("a", {href: "#/tasks?name=" + encodeURIComponent(one.name)},
        h("code", null, one.name))},
      {title: "Module", cell: (one) => one.module ?? ""},
      {title: "What it does", kind: "wide", cell: (one) => one.doc ?? ""},
    ]});
  const problem = h("p.problem", {role: "alert"}), bounds = h("dl.facts");
  const only = h("input", {type: "checkbox", id: "only-set", onchange: paint});
  const words = h("input", {type: "search", placeholder: "Part of a name",
    "aria-label": "Part of a name", oninput: paint});

  function paint() {
    list.set(all.filter((one) => one.name.includes(words.value.trim()) &&
      (!only.checked || one.origin !== "default")));
  }

  async function load() {
    const [settings, tasks, cache] = await Promise.all([ask("/api/v1/settings"),
      ask("/api/registered-tasks"), ask("/api/cache")]);
    all = Object.entries(settings).filter(([, one]) => one.origin !== undefined)
      .map(([name, one]) => ({name, ...one}));
    paint();
    names.set(tasks.tasks);
    const used = live.stats?.tasks, fact = (name, value) => h("div", null, h("dt", null, name),
      h("dd", null, value));
    bounds.replaceChildren(fact("Results kept",
      `${count(cache.current_size)} of ${count(cache.max_size)}`),
    fact("Memory of results", `${bytes(cache.bytes)} of ${bytes(cache.max_bytes)}`),
    ...(used ? [fact("Memory of unfinished tasks",
      `${bytes(used.bytes)} of ${bytes(used.bytes_max)}`)] : []));
  }

  root.append(h("div.view-head", null, h("h1", null, title)), problem,
    panel("Bounds", {id: "bounds"}, bounds),
    panel("In force", {id: "in-force", tools: [words, h("label.tick", {for: "only-set"}, only,
      " only what was set")]}, list.element),
    panel("Names of tasks", {id: "task-names"}, names.element));
  load().catch((error) => { problem.textContent = error.message; });
}

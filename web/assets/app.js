// The frame: which view is shown, how the control plane is reached, keys of the keyboard.
import {askForKey, dialog} from "./actions.js";
import {whenKeyIsWanted} from "./api.js";
import {themeChanged} from "./charts.js";
import {byId, h, setText} from "./dom.js";
import {duration} from "./format.js";
import {live, on, start} from "./live.js";
import * as dead from "./view_dead.js";
import * as overview from "./view_overview.js";
import * as queues from "./view_queues.js";
import * as schedules from "./view_schedules.js";
import * as settings from "./view_settings.js";
import * as task from "./view_task.js";
import * as tasks from "./view_tasks.js";
import * as workers from "./view_workers.js";

// path, view, the letter after g
const VIEWS = [["", overview, "o"], ["tasks", tasks, "t"], ["queues", queues, "q"],
  ["workers", workers, "w"], ["schedules", schedules, "s"], ["dead", dead, "d"],
  ["settings", settings, "e"]];

let unmount = null;
let shown = null;

// "#/tasks/ID?status=failure" => view, its argument, its parameters
function route() {
  const [path, query = ""] = location.hash.slice(2).split("?");
  const [name, ...rest] = path.split("/");
  const params = new URLSearchParams(query);
  if (name === "tasks" && rest.length) return [task, decodeURIComponent(rest.join("/")), params];
  return [(VIEWS.find(([path]) => path === name) ?? VIEWS[0])[1], null, params];
}

function show() {
  const [view, argument, params] = route();
  const main = byId("main"), next = location.hash;
  if (shown === next) return;
  unmount?.();
  main.replaceChildren();
  document.title = view.title + " – FastWorker";
  const path = view === task ? "tasks" : VIEWS.find(([, one]) => one === view)[0];
  for (const link of byId("nav").children) {
    const current = link.getAttribute("href") === "#/" + path;
    current ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
    if (current) link.scrollIntoView({block: "nearest", inline: "nearest"});
  }
  unmount = view.mount(main, {argument, params}) ?? null;
  if (shown !== null) main.focus({preventScroll: true});
  shown = next;
  scrollTo(0, 0);
}

// --- the state of the connection ---

function showState() {
  const words = {connecting: "connecting", live: "live", down: "no answer", resting: "resting"};
  const state = live.stats?.state === "draining" && live.state === "live" ? "draining" : live.state;
  byId("state").dataset.state = state;
  setText(byId("state"), words[state] ?? state);
}

function showPlane() {
  const {worker_id: id, version, uptime_seconds: up} = live.stats;
  setText(byId("plane"), `${id} · ${version} · up ${duration(up)}`);
  showState();
}

// --- theme ---

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  localStorage.setItem("theme", theme);
  themeChanged();
}

function toggleTheme() {
  const chosen = document.documentElement.dataset.theme;
  const dark = chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  setTheme(dark ? "light" : "dark");
}

// --- keyboard ---

const KEYS = [
  ["g then o t q w s d e", "overview, tasks, queues, workers, schedules, dead set, settings"],
  ["/", "search tasks"], ["↑ ↓ or j k", "row before, row after"], ["Enter", "open the row"],
  ["x", "select the row"], ["c", "cancel, or drain"], ["r", "retry, resume, or run now"],
  ["p", "pause"], ["Shift+T", "dark, light"], ["?", "this list"], ["Esc", "close a dialog"]];

function help() {
  return dialog("Keyboard", (close) => [
    h("dl.keys", null, KEYS.map(([key, text]) => [h("dt", null, h("kbd", null, key)),
      h("dd", null, text)])),
    h("div.buttons", null, h("button.primary", {type: "button", onclick: () => close(null)},
      "Close"))]);
}

// g waits for the next key, however long: who types slowly types too. Listens before the view does,
// whose letters may be the same.
let afterG = false;
function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) {
    return;
  }
  if (event.target.closest("input:not([type=checkbox]), select")) return;
  const to = VIEWS.find(([, , letter]) => letter === event.key);
  if (afterG && to) {
    location.hash = "#/" + to[0];
    event.stopPropagation();
  } else if (event.key === "?") help();
  else if (event.key === "T") toggleTheme();
  else if (event.key === "/") {
    event.preventDefault();
    if (route()[0] !== tasks) location.hash = "#/tasks";
    show();
    byId("search").focus();
  }
  afterG = event.key === "g";
}

byId("nav").append(...VIEWS.map(([path, view]) => h("a", {href: "#/" + path}, view.title)));
byId("theme").addEventListener("click", toggleTheme);
byId("help").addEventListener("click", help);
document.addEventListener("keydown", onKey, true);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("main").focus();
});
addEventListener("hashchange", show);
whenKeyIsWanted(askForKey);
on("state", showState);
on("stats", showPlane);
show();
start().then(() => { if (live.state === "connecting") showState(); });

// Tasks that run by the clock: when next, what became of the last runs; run now, pause, backfill.
import {actionButton} from "./actions.js";
import {ask, enc} from "./api.js";
import {badge, field, h, panel} from "./dom.js";
import {age, clock, count, quote, until} from "./format.js";
import {poll} from "./poll.js";
import {table} from "./table.js";

export const title = "Schedules";

const path = (schedule, verb) => `/api/v1/schedules/${enc(schedule.name)}:${verb}`;

function trigger(schedule) {
  return {title: `Run ${schedule.name} now`, label: "Run it now", path: path(schedule, "trigger"),
    text: "Whatever the clock says. If a run is not over, its overlap policy holds: " +
      schedule.overlap + ".",
    cli: "fastworker schedule trigger " + quote(schedule.name),
    done: (answer) => `${schedule.name}: ${answer.outcome}`};
}

function pause(schedule) {
  return {title: "Pause " + schedule.name, label: "Pause", path: path(schedule, "pause"),
    cli: "fastworker schedule pause " + quote(schedule.name),
    done: () => "Paused: " + schedule.name};
}

function resume(schedule) {
  return {title: "Resume " + schedule.name, label: "Resume", path: path(schedule, "resume"),
    text: "What was missed meanwhile is caught up with as its policy says: " + schedule.catchup +
      ".",
    cli: "fastworker schedule resume " + quote(schedule.name),
    done: () => "Goes on: " + schedule.name};
}

// "2026-01-31T09:00" of a field => seconds, by the clock of the schedule: as text.
function backfill(schedule) {
  const from = h("input", {type: "datetime-local", step: "1", required: true});
  const to = h("input", {type: "datetime-local", step: "1", required: true});
  return {title: "Backfill " + schedule.name, label: "Run them all", danger: true,
    path: path(schedule, "backfill"),
    text: "Runs all its times from one to the other, both included, by the clock of the " +
      "schedule" + (schedule.tz ? ` (${schedule.tz}).` : "."),
    fields: [{element: h("div", null, field("From", from), field("To", to)),
      read: () => ({from: from.value, to: to.value})}],
    cli: () => `fastworker schedule backfill ${quote(schedule.name)} ` +
      `${from.value || "FROM"} ${to.value || "TO"}`,
    done: (answer) => `${schedule.name}: ${count(answer.runs)} runs`};
}

function remove(schedule) {
  return {title: "Remove " + schedule.name, label: "Remove", danger: true, method: "DELETE",
    path: "/api/v1/schedules/" + enc(schedule.name), text: "What runs, runs on.",
    cli: "fastworker schedule rm " + quote(schedule.name),
    done: () => "Removed: " + schedule.name};
}

function runs(schedule) {
  const list = table({label: "Runs of " + schedule.name, key: (run) => run.task_id,
    empty: "It has not run yet.",
    columns: [
      {title: "Planned", cell: (run) => clock(run.planned_unix)},
      {title: "Why", cell: (run) => run.reason},
      {title: "Status", cell: (run) => badge(run.status)},
      {title: "Took", kind: "number", cell: (run) => (run.ended_unix
        ? age(run.ended_unix - run.submitted_unix) : "–")},
      {title: "Error", kind: "wide", cell: (run) => run.error ?? ""},
      {title: "Task", cell: (run) => h("a", {href: "#/tasks/" + enc(run.task_id)},
        h("code", null, run.task_id.slice(0, 8)))},
    ]});
  list.set(schedule.runs ?? []);
  return panel("Last runs of " + schedule.name, {id: "runs"}, list.element);
}

export function mount(root) {
  const load = () => asked.again();
  let closed = false, opened = null;
  const below = h("div");
  const actions = (s, now) => h("span.many", null,
    actionButton("Run now", () => trigger(now()), {key: "r", after: load}),
    s.state === "paused" ? actionButton("Resume", () => resume(now()), {key: "p", after: load})
      : actionButton("Pause", () => pause(s), {key: "p", after: load}),
    actionButton("Backfill…", () => backfill(now()), {key: "b", after: load}),
    actionButton("Remove", () => remove(s), {danger: true, after: load}));
  const list = table({label: "Schedules", key: (s) => s.name, open: showRuns,
    empty: "No schedule. Modules bring theirs; fastworker schedule put, or PUT " +
      "/api/v1/schedules/NAME, makes others.",
    columns: [
      {title: "Schedule", kind: "name", cell: (s) => h("span", null, h("strong", null, s.name),
        h("code", null, s.task))},
      {title: "When", kind: "name", cell: (s) => h("span", null, h("span", null, s.when),
        h("code", null, s.tz ?? ""))},
      {title: "State", cell: (s) => badge(s.state)},
      {title: "Next", kind: "number", ages: true, cell: (s) => until(s.next_unix)},
      {title: "Last success", kind: "number", cell: (s) => clock(s.last_success_unix) || "–"},
      {title: "Started", kind: "number", cell: (s) => count(s.started)},
      {title: "Missed, skipped", kind: "number",
        cell: (s) => `${count(s.missed)}, ${count(s.skipped)}`},
      {title: "", kind: "actions", cell: actions},
    ]});
  const problem = h("p.problem", {role: "alert"});

  async function showRuns(schedule) {
    opened = schedule.name;
    try {
      const one = await ask("/api/v1/schedules/" + enc(schedule.name));
      if (closed || opened !== one.name) return;
      const seen = JSON.stringify(one.runs);
      if (below.dataset.seen === seen && below.dataset.name === opened) return;
      Object.assign(below.dataset, {seen, name: opened});
      below.replaceChildren(runs(one));
    } catch {
      opened = null;
      below.replaceChildren();
    }
  }

  const asked = poll(() => ask("/api/v1/schedules"), ({schedules}) => {
    list.set(schedules);
    if (opened) showRuns({name: opened});
  }, {every: 2000, problem});

  root.append(h("div.view-head", null, h("h1", null, title)), problem,
    panel("By the clock", {id: "schedules", note: "a row opens its last runs"}, list.element),
    below);
  return () => {
    closed = true;
    asked.close();
  };
}

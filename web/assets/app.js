// The page asks once a second and shows what it got; a page that is not looked at does not ask.
"use strict";

const byId = (id) => document.getElementById(id);
let last = null; // {finished, at} of the previous answer, for the rate

async function ask(path) {
  const answer = await fetch(path, { cache: "no-store" });
  if (!answer.ok) throw new Error(path + ": " + answer.status);
  return path === "/metrics" ? answer.text() : answer.json();
}

function cell(text, kind) {
  const td = document.createElement("td");
  td.textContent = text;
  if (kind) td.className = kind;
  return td;
}

function rows(id, items, build) {
  byId(id).replaceChildren(...items.map((item) => {
    const tr = document.createElement("tr");
    tr.append(...build(item));
    return tr;
  }));
}

function duration(seconds) {
  if (seconds < 0.001) return (seconds * 1e6).toFixed(0) + " µs";
  if (seconds < 1) return (seconds * 1e3).toFixed(1) + " ms";
  if (seconds < 120) return seconds.toFixed(1) + " s";
  if (seconds < 7200) return (seconds / 60).toFixed(0) + " min";
  return (seconds / 3600).toFixed(1) + " h";
}

// Seconds since some day: a Date alone would round to milliseconds.
function moment(text) {
  return Date.parse(text.slice(0, 19) + "Z") / 1000 + Number("0" + text.slice(19));
}

function finishedTotal(metrics) {
  let sum = 0;
  const lines = /^fastworker_tasks_finished_total\{[^}]*\} (\d+)/gm;
  for (const match of metrics.matchAll(lines)) sum += Number(match[1]);
  return sum;
}

function showRate(metrics) {
  const now = { finished: finishedTotal(metrics), at: performance.now() };
  const rate = last && (now.finished - last.finished) * 1000 / (now.at - last.at);
  if (last) byId("rate").textContent = Math.round(rate).toLocaleString("en");
  last = now;
}

function showStatus(status) {
  byId("queued").textContent = status.tasks.queued.toLocaleString("en");
  byId("active").textContent = status.tasks.active.toLocaleString("en");
  byId("cached").textContent = status.tasks.cached_results.toLocaleString("en");
  byId("uptime").textContent = duration(status.uptime_seconds);
  byId("state").textContent = status.running ? "live, " + status.worker_id : "draining";
}

function showTask(task) {
  const ran = task.started_at && task.completed_at;
  const took = ran ? duration(moment(task.completed_at) - moment(task.started_at)) : "";
  return [cell(task.name), cell(task.task_id), cell(task.priority), cell(task.status, task.status),
    cell(task.error ?? task.result ?? "", "wide"), cell(took)];
}

async function turn() {
  if (document.hidden) return;
  try {
    const filter = encodeURIComponent(byId("filter").value);
    const [status, queues, tasks, metrics] = await Promise.all([
      ask("/api/status"), ask("/api/queues"), ask("/api/tasks?limit=50&status=" + filter),
      ask("/metrics")]);
    byId("state").dataset.state = "live";
    showStatus(status);
    showRate(metrics);
    rows("queues", Object.entries(queues.queues), ([name, queue]) => [
      cell(name), cell(queue.count.toLocaleString("en")),
      cell(queue.count ? duration(queue.oldest_seconds) : "")]);
    rows("tasks", tasks.tasks, showTask);
  } catch (error) {
    byId("state").dataset.state = "down";
    byId("state").textContent = "no answer from the control plane";
  }
}

async function start() {
  byId("filter").addEventListener("change", turn);
  setInterval(turn, 1000);
  await turn();
  const names = await ask("/api/registered-tasks");
  rows("names", names.tasks, (task) =>
    [cell(task.name), cell(task.module ?? ""), cell(task.doc ?? "", "wide")]);
}
start();

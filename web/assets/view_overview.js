// What goes on: throughput, latency, queues, threads, and what urgent tasks waited behind.
import {sparkline, timeChart} from "./charts.js";
import {badge, choice, columnHead, h, panel, setText} from "./dom.js";
import {age, ago, count, duration, PRIORITIES, short} from "./format.js";
import {heatMap, threadStrip} from "./heatmap.js";
import {addUp, live, on, quantile} from "./live.js";

const ends = (p) => p.success + p.failure + p.cancelled + p.timeout;
const sum = (list) => list.reduce((total, n) => total + n, 0);
const perSecond = (v) => short(v) + "/s";

function tile(id, label, colour) {
  const value = h("p.value", {id}, "–"), more = h("p.more", null, "\u00a0");
  const line = sparkline(colour);
  return {
    element: h("div.tile", null, h("h2", null, label), value, more, line.element),
    close: line.close,
    set(text, note, values) {
      setText(value, text);
      setText(more, note || "\u00a0");
      line.set(values);
    },
  };
}

function tiles() {
  const all = {
    rate: tile("rate", "Finished per second", "ok"),
    waiting: tile("waiting", "Waiting", "normal"),
    running: tile("running", "Running", "ran"),
    failed: tile("failed", "Failed per second", "bad"),
    p99: tile("p99", "99 % started within", "p99"),
    oldest: tile("oldest", "Oldest waiting", "high"),
  };
  return {
    element: h("section.tiles", {"aria-label": "Now"}, Object.values(all).map((t) => t.element)),
    close: () => Object.values(all).forEach((t) => t.close()),
    set(stats) {
      const shown = live.points.slice(-120), last = shown.at(-1);
      if (!last) return;
      const {tasks, workers} = stats, failures = (p) => p.failure + p.timeout;
      const recent = addUp(live.points.slice(-10), "wait_counts");
      const p99 = quantile(recent, 0.99), slots = stats.threads.length + workers.slots;
      all.rate.set(short(ends(last)), count(sum([tasks.success, tasks.failure, tasks.cancelled,
        tasks.timeout])) + " in all", shown.map(ends));
      all.waiting.set(count(tasks.queued), tasks.scheduled
        ? count(tasks.scheduled) + " scheduled" : "", shown.map((p) => p.queued));
      all.running.set(count(tasks.running), `of ${count(slots)} slots`,
        shown.map((p) => p.running));
      all.failed.set(short(failures(last)), tasks.dead ? count(tasks.dead) + " in the dead set"
        : count(tasks.failure + tasks.timeout) + " in all", shown.map(failures));
      all.p99.set(p99 === null ? "–" : duration(p99), "in the last 10 s",
        shown.map((p) => p.wait?.[2] ?? 0));
      const oldest = Math.max(...last.oldest);
      all.oldest.set(oldest ? age(oldest) : "–", oldest
        ? "in " + PRIORITIES[last.oldest.indexOf(oldest)] : "nothing waits",
      shown.map((p) => Math.max(...p.oldest)));
    },
  };
}

// --- queues ---

function queueRows() {
  const rows = Object.fromEntries(PRIORITIES.map((level) => {
    const bar = h("span.bar", {"data-level": level}), depth = h("td.number", null, "0");
    const oldest = h("td.number"), p50 = h("td.number.spare"), p99 = h("td.number");
    const state = h("span.state");
    return [level, {bar, depth, oldest, p50, p99, state, element: h("tr", null,
      h("th", {scope: "row"}, h("a", {href: "#/queues"}, level), state), depth,
      h("td.grow.spare", null, h("span.track", null, bar)), oldest, p50, p99)}];
  }));
  const heads = [["Priority"], ["Waiting", "number"], ["", "spare", "Share"],
    ["Oldest", "number"], ["p50 wait", "number spare"], ["p99 wait", "number"]]
    .map((head) => columnHead(...head));
  return {
    element: h("div.table-box", {tabIndex: 0, role: "group", "aria-label": "Queues"},
      h("table.compact", null,
        h("thead", null, h("tr", null, heads)),
        h("tbody", null, Object.values(rows).map((row) => row.element)))),
    set(stats) {
      const most = Math.max(1, ...PRIORITIES.map((level) => stats.queues[level].depth));
      for (const [level, row] of Object.entries(rows)) {
        const queue = stats.queues[level];
        setText(row.depth, count(queue.depth));
        row.bar.style.width = 100 * Math.log1p(queue.depth) / Math.log1p(most) + "%";
        setText(row.oldest, queue.depth ? age(queue.oldest_seconds) : "–");
        setText(row.p50, queue.wait[0] ? duration(queue.wait[0] / 1e6) : "–");
        setText(row.p99, queue.wait[2] ? duration(queue.wait[2] / 1e6) : "–");
        const paused = queue.paused || stats.paused;
        if (!!row.state.firstChild !== paused) {
          row.state.replaceChildren(...(paused ? [badge("paused")] : []));
        }
      }
    },
  };
}

// --- threads ---

function threadRows() {
  const element = h("div.threads");
  const empty = h("p.empty", null, "This control plane runs no tasks itself; its subworkers do.");
  let rows = [];
  return {
    element,
    close: () => rows.forEach((row) => row.strip.close()),
    set(stats) {
      if (rows.length !== stats.threads.length || !element.firstChild) {
        rows.forEach((row) => row.strip.close());
        rows = stats.threads.map((_, i) => {
          const strip = threadStrip("Thread " + i), said = h("span.said");
          return {strip, said, element: h("div.thread", null, h("span.name", null, "thread " + i),
            strip.element, said)};
        });
        element.replaceChildren(...(rows.length ? rows.map((row) => row.element) : [empty]));
      }
      const most = Math.max(1, ...live.threads.flat().map((s) => s.ran));
      rows.forEach((row, i) => {
        const seconds = live.threads[i] ?? [], last = seconds.at(-1);
        row.strip.set(seconds, most);
        const text = !last ? "" : last.ran === 0 ? (last.parked ? "parked" : "running")
          : perSecond(last.ran) + (last.stolen ? `, ${short(last.stolen)} stolen` : "");
        setText(row.said, text);
        row.strip.element.setAttribute("aria-label", `Thread ${i}: ${text}`);
      });
    },
  };
}

// --- inversions ---

function inversions() {
  const body = h("tbody"), worst = h("p.note"), calm = h("p.empty");
  const heads = ["Waited", "Behind", "Times", "Mean wait"].map((text, i) =>
    h("th", {scope: "col", className: i > 1 ? "number" : ""}, text));
  const box = h("div.table-box", {tabIndex: 0, role: "group", "aria-label": "Waited behind"},
    h("table.compact", null, h("thead", null, h("tr", null, heads)), body));
  return {
    element: h("div", null, calm, box, worst),
    set(from) {
      const pairs = new Map();
      for (const one of live.behind) {
        if (one.t < from) continue;
        const pair = pairs.get(one.priority + " " + one.behind) ?? {...one, count: 0, ms: 0};
        pair.count += one.count;
        pair.ms += one.count * one.mean_ms;
        pairs.set(one.priority + " " + one.behind, pair);
      }
      calm.hidden = pairs.size > 0;
      box.hidden = pairs.size === 0;
      setText(calm, "No task waited behind a less urgent one on the same thread.");
      body.replaceChildren(...[...pairs.values()].map((pair) => h("tr", null,
        h("td", null, badge(pair.priority)), h("td", null, badge(pair.behind)),
        h("td.number", null, count(pair.count)),
        h("td.number", null, duration(pair.ms / pair.count / 1e3)))));
      const w = live.worst;
      setText(worst, w && w.t >= from ? `Worst: ${w.name} (${w.priority}) waited ` +
        `${duration(w.wait_ms / 1e3)} behind ${w.behind} (${w.behind_priority}), ${ago(w.t)}.`
        : "\u00a0");
    },
  };
}

// --- the view ---

export const title = "Overview";

export function mount(root) {
  let seconds = Number(sessionStorage.getItem("range") ?? 300), kind = "wait", heat = "wait_counts";
  const now = tiles(), queues = queueRows(), threads = threadRows(), behind = inversions();
  const rate = timeChart({label: "Tasks per second over time", format: short, series: [
    {label: "succeeded", colour: "ok", fill: "ok-fill"}, {label: "failed", colour: "bad"},
    {label: "submitted", colour: "dim", dash: [4, 4]}]});
  const latency = timeChart({label: "Latency percentiles over time", format: duration, log: true,
    series: [{label: "p50", colour: "p50"}, {label: "p90", colour: "p90"},
      {label: "p99", colour: "p99"}, {label: "p99.9", colour: "p999"}]});
  const depth = timeChart({label: "Waiting tasks by priority over time", format: short,
    series: PRIORITIES.map((level) => ({label: level, colour: level}))});
  const map = heatMap("Latency heat map");

  function set() {
    if (!live.stats) return;
    const last = live.points.at(-1)?.t ?? Date.now() / 1000;
    const from = Math.min(last - 60, Math.max(last - seconds, live.points[0]?.t ?? 0));
    const points = live.points.filter((p) => p.t >= from), window = [from, last];
    const t = points.map((p) => p.t), at = (i) => points.map((p) =>
      (p[kind] && p[kind][i] > 0 ? p[kind][i] / 1e6 : null));
    now.set(live.stats);
    queues.set(live.stats);
    threads.set(live.stats);
    behind.set(from);
    rate.set([t, points.map((p) => p.success), points.map((p) => p.failure + p.timeout),
      points.map((p) => p.submitted)], window);
    latency.set([t, at(0), at(1), at(2), at(3)], window);
    depth.set([t, ...PRIORITIES.map((_, i) => points.map((p) => p.depth[i]))], window);
    map.set(points, heat, Math.floor(from), Math.ceil(last));
  }

  const ranges = choice("Time shown", [[60, "1 min"], [300, "5 min"], [900, "15 min"]], seconds,
    (value) => { sessionStorage.setItem("range", seconds = value); set(); });
  const kinds = (name, tell) => choice(name, [["wait", "wait"], ["run", "run"]], "wait", tell);
  root.append(h("div.view-head", null, h("h1", null, title), ranges), now.element,
    h("div.grid", null,
      panel("Throughput", {id: "throughput", note: "per second"}, rate.element),
      panel("Latency", {id: "latency", note: "percentiles", tools: kinds("Latency of",
        (value) => { kind = value; set(); })}, latency.element),
      panel("Queues", {id: "queues"}, queues.element),
      panel("Waiting by priority", {id: "depth"}, depth.element),
      panel("Latency heat map", {id: "heat", tools: kinds("Heat map of",
        (value) => { heat = value + "_counts"; set(); })}, map.element),
      h("div.stack", null,
        panel("Threads", {id: "threads", note: "the last minute"}, threads.element,
          h("p.key", null, h("span.swatch.ran"), "ran ", h("span.swatch.stolen"), "stolen ",
            h("span.swatch.parked"), "parked")),
        panel("Waited behind less urgent tasks", {id: "behind"}, behind.element))));
  set();
  const off = on("stats", set);
  return () => {
    off();
    for (const part of [now, threads, rate, latency, depth, map]) part.close();
  };
}

// What is known of the last minutes: points of each second, the latest figures, and who wants to
// be told. One store for all views.
import {ask, listen} from "./api.js";

const POINTS_KEPT = 900;
const BUCKETS = 144;

export const live = {
  state: "connecting", // live, down, resting
  stats: null,         // the latest event "stats"
  points: [],          // oldest first
  threads: [],         // per thread: [{ran, stolen, parked}, ...] of the last seconds
  behind: [],          // [{t, priority, behind, count, mean_ms}] of the last minutes
  worst: null,         // the worst wait behind something less urgent, while this page is open
};

const listeners = new Map(); // what -> functions

// what: "stats" or "state". => a function that ends it.
export function on(what, tell) {
  if (!listeners.has(what)) listeners.set(what, new Set());
  listeners.get(what).add(tell);
  return () => listeners.get(what).delete(tell);
}

function tell(what, value) {
  for (const listener of listeners.get(what) ?? []) listener(value);
}

// --- buckets: four an octave, as the server has them ---

export function bucketSeconds(bucket) {
  const units = bucket < 4 ? bucket : (4 + bucket % 4) * 2 ** (Math.floor(bucket / 4) - 1);
  return units * 128e-9;
}

// Sparse pairs of many points added up.
export function addUp(points, name) {
  const counts = new Float64Array(BUCKETS);
  for (const point of points) {
    const pairs = point[name] ?? [];
    for (let i = 0; i < pairs.length; i += 2) counts[pairs[i]] += pairs[i + 1];
  }
  return counts;
}

export function quantile(counts, share) {
  const total = counts.reduce((sum, n) => sum + n, 0);
  let seen = 0;
  for (let b = 0; b < BUCKETS && total > 0; b++) {
    if (counts[b] > 0 && seen + counts[b] >= share * total) {
      const low = bucketSeconds(b);
      return low + (bucketSeconds(b + 1) - low) * (share * total - seen) / counts[b];
    }
    seen += counts[b];
  }
  return null;
}

// --- coming in ---

function addPoint(point) {
  const last = live.points.at(-1);
  if (last && point.t <= last.t) return;
  live.points.push(point);
  if (live.points.length > POINTS_KEPT) live.points.splice(0, live.points.length - POINTS_KEPT);
}

function addThreads(before, now) {
  if (!before || before.length !== now.length) return;
  now.forEach((thread, i) => {
    const strip = live.threads[i] ??= [];
    const ran = thread.ran - before[i].ran;
    if (ran < 0) strip.length = 0; // another run of the program
    strip.push({ran: Math.max(0, ran), stolen: Math.max(0, thread.stolen - before[i].stolen),
      parks: Math.max(0, thread.parks - before[i].parks), parked: thread.parked});
    if (strip.length > 120) strip.shift();
  });
  live.threads.length = now.length;
}

function addInversions(stats) {
  const t = stats.point?.t ?? Date.now() / 1000;
  for (const one of stats.behind) live.behind.push({t, ...one});
  while (live.behind.length && live.behind[0].t < t - POINTS_KEPT) live.behind.shift();
  if (live.worst && live.worst.t < t - POINTS_KEPT) live.worst = null;
  if (stats.worst && stats.worst.wait_ms > (live.worst?.wait_ms ?? 0)) {
    live.worst = {t, ...stats.worst};
  }
}

function takeStats(stats) {
  if (live.stats && stats.uptime_seconds < live.stats.uptime_seconds) live.threads = [];
  addThreads(live.stats?.threads, stats.threads);
  addInversions(stats);
  if (stats.point) addPoint(stats.point);
  live.stats = stats;
  tell("stats", stats);
}

function setState(state) {
  if (state === live.state) return;
  live.state = state;
  tell("state", state);
}

async function loadHistory() {
  const {points} = await ask(`/api/v1/stats/history?seconds=${POINTS_KEPT}`);
  const newest = live.points;
  live.points = [];
  for (const point of points) addPoint(point);
  for (const point of newest) addPoint(point);
}

export async function start() {
  await loadHistory().catch(() => {});
  const stats = await ask("/api/v1/stats").catch(() => null);
  if (stats) takeStats(stats);
  listen((event, data) => {
    if (event === "stats") takeStats(data);
    else if (event === "gap") loadHistory().catch(() => {});
  }, (state) => {
    if (state === "live" && live.state !== "connecting") loadHistory().catch(() => {});
    setState(state);
  });
}

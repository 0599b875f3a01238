// Numbers and times as people read them.

const whole = new Intl.NumberFormat("en", {maximumFractionDigits: 0});
export const PRIORITIES = ["critical", "high", "normal", "low"];

export const count = (value) => whole.format(value ?? 0);

// Three digits that mean something: 0.42, 7.3, 812, 12.4k, 3.1M
export function short(value) {
  if (!value) return "0";
  const size = Math.abs(value);
  if (size < 10) return value.toFixed(size < 1 ? 2 : 1).replace(/\.0+$/, "");
  if (size < 10000) return whole.format(value);
  for (const [unit, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (size < unit) continue;
    return (value / unit).toFixed(size >= 100 * unit ? 0 : 1).replace(".0", "") + letter;
  }
  return whole.format(value);
}

export function bytes(value) {
  for (const [unit, letter] of [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]]) {
    if (value >= unit) return (value / unit).toFixed(value >= 100 * unit ? 0 : 1) + " " + letter;
  }
  return count(value) + " B";
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return "";
  if (seconds < 0.5e-7) return "< 1 µs";
  if (seconds < 0.0000995) return (seconds * 1e6).toFixed(seconds < 0.00000995 ? 1 : 0) + " µs";
  if (seconds < 0.000995) return (seconds * 1e6).toFixed(0) + " µs";
  if (seconds < 0.0995) return (seconds * 1e3).toFixed(1) + " ms";
  if (seconds < 0.9995) return (seconds * 1e3).toFixed(0) + " ms";
  if (seconds < 119.5) return seconds.toFixed(1) + " s";
  if (seconds < 7200) return Math.round(seconds / 60) + " min";
  if (seconds < 172800) return (seconds / 3600).toFixed(1) + " h";
  return (seconds / 86400).toFixed(1) + " d";
}

// Unix seconds of an RFC 3339 time, to the microsecond: a Date alone would round.
export function unix(text) {
  if (!text) return null;
  const [, head, part, zone] = /^(.{19})(\.\d+)?(.*)$/.exec(text) ?? [];
  return head ? Date.parse(head + (zone || "Z")) / 1000 + Number("0" + (part ?? "")) : null;
}

// Of ages that are measured by the millisecond.
export const age = (seconds) => (seconds < 0.001 ? "< 1 ms" : duration(seconds));

export function clock(seconds) {
  if (!seconds) return "";
  const date = new Date(seconds * 1000);
  const time = date.toLocaleTimeString("en-GB");
  const today = new Date().toDateString() === date.toDateString();
  return today ? time : date.toLocaleDateString("en-CA") + " " + time;
}

export function exact(text) {
  return text ? text.replace("T", " ").replace("Z", " UTC") : "";
}

export function ago(seconds) {
  return seconds ? duration(Math.max(0, Date.now() / 1000 - seconds)) + " ago" : "";
}

export function until(seconds) {
  if (!seconds) return "";
  const left = seconds - Date.now() / 1000;
  return left < 0 ? "now" : "in " + duration(left);
}

export function json(value) {
  return JSON.stringify(value, null, 2);
}

// For a shell: quoted when it has to be.
export function quote(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : "'" + text.replaceAll("'", "'\\''") + "'";
}

// Lines over time, by uPlot; and small ones without axes. Colours come from the style sheet, so a
// change of theme draws everything again.
import {h, setText} from "./dom.js";
import {clock} from "./format.js";

/* global uPlot */

// What a variable of the style sheet is in the present theme. An element has to be asked: the
// variable itself has both themes' colours.
const probe = document.body.appendChild(h("span", {hidden: true})), colours = new Map();
export function colour(name) {
  if (!colours.has(name)) {
    probe.style.color = `var(--${name})`;
    colours.set(name, getComputedStyle(probe).color);
  }
  return colours.get(name);
}

const redraws = new Set();
export function themeChanged() {
  colours.clear();
  for (const redraw of redraws) redraw();
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", themeChanged);

// Calls draw when the element is first shown, and whenever its width or the theme changes.
export function drawn(element, draw) {
  let width = 0;
  const observer = new ResizeObserver(() => {
    const now = Math.floor(element.clientWidth);
    if (now === width || now === 0) return;
    width = now;
    draw();
  });
  observer.observe(element);
  redraws.add(draw);
  return () => {
    observer.disconnect();
    redraws.delete(draw);
  };
}

function axis(format, size) {
  return {
    stroke: colour("dim"), font: "12px system-ui, sans-serif", size, gap: 6,
    grid: {stroke: colour("grid"), width: 1}, ticks: {show: false},
    values: format && ((_, values) => values.map((v) => (v === null ? "" : format(v)))),
  };
}

function linearRange(_, low, high) {
  return [0, high > 0 ? high * 1.15 : 1];
}

function logRange(_, low, high) {
  if (!(high > 0)) return [1e-6, 1];
  const from = 10 ** Math.floor(Math.log10(low)), to = 10 ** Math.ceil(Math.log10(high));
  return [from, to > from ? to : from * 10];
}

// Of a log axis only the decades are marked.
const decades = (_, values) => values.map((v) =>
  (Math.abs(Math.log10(v) - Math.round(Math.log10(v))) < 1e-6 ? v : null));

function options(chart, width, onCursor) {
  const {series, log, format, height} = chart;
  const values = axis(format, 64);
  if (log) Object.assign(values, {filter: decades, grid: {...values.grid, filter: decades}});
  return {
    width, height, padding: [10, 30, 0, 0], // half of the last time
    cursor: {y: false, sync: {key: "time"}, points: {size: 7}},
    legend: {show: false},
    hooks: {setCursor: [onCursor]},
    scales: {
      x: {range: (_, low, high) => chart.window ?? [low, high]},
      y: log ? {distr: 3, range: logRange} : {range: linearRange},
    },
    axes: [
      {...axis(null, 30), space: 76, values: (_, at) => at.map((v) => clock(v).slice(-8))},
      {...values, space: 34},
    ],
    series: [{}, ...series.map((one) => ({
      width: one.width ?? 1.75, stroke: colour(one.colour), dash: one.dash,
      fill: one.fill ? colour(one.fill) : undefined, spanGaps: false, points: {show: false},
    }))],
  };
}

// series: [{label, colour, fill, dash}]; set(data, window): columns, the first of Unix seconds.
// Below it a legend, with the values at the pointer or, without one, the latest.
export function timeChart({label, series, format, log = false, height = 224}) {
  const canvas = h("div.chart", {role: "img", "aria-label": label});
  const shown = series.map((one) => h("span.value", null, "–")), when = h("span.when");
  const legend = h("p.legend", null, series.map((one, i) => h("span.entry", null,
    h("span.line", {"data-colour": one.colour}), one.label, " ", shown[i])), when);
  const chart = {series, log, format, height, window: null};
  let plot = null, data = [[], ...series.map(() => [])];

  function say(at) {
    const i = at ?? data[0].length - 1;
    setText(when, at === null || at === undefined || !data[0][i] ? "" : clock(data[0][i]));
    shown.forEach((element, k) => {
      const value = data[k + 1]?.[i];
      setText(element, value === null || value === undefined ? "–" : format(value));
    });
  }
  const stop = drawn(canvas, () => {
    plot?.destroy();
    plot = new uPlot(options(chart, canvas.clientWidth, (u) => say(u.cursor.idx)), data, canvas);
  });
  return {
    element: h("div", null, canvas, legend),
    set(columns, window) {
      data = columns;
      chart.window = window;
      plot?.setData(data);
      say(plot?.cursor.left >= 0 ? plot.cursor.idx : null);
    },
    close() {
      stop();
      plot?.destroy();
    },
  };
}

// A canvas of the size that is shown, in device pixels. => [context, width, height] in CSS pixels
export function canvasOf(canvas) {
  const ratio = devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return [context, width, height];
}

// A line without axes, with the area below it.
export function sparkline(name) {
  const canvas = h("canvas.spark", {"aria-hidden": "true"});
  let values = [];
  function draw() {
    const [context, width, height] = canvasOf(canvas);
    const most = Math.max(...values, 1e-9), step = width / Math.max(values.length - 1, 1);
    if (values.length < 2) return;
    const y = (v) => height - 2 - (height - 5) * v / most;
    context.beginPath();
    values.forEach((v, i) => context.lineTo(i * step, y(v)));
    context.strokeStyle = colour(name);
    context.lineWidth = 1.5;
    context.lineJoin = "round";
    context.stroke();
    context.lineTo(width, height);
    context.lineTo(0, height);
    context.globalAlpha = 0.12;
    context.fillStyle = colour(name);
    context.fill();
    context.globalAlpha = 1;
  }
  const stop = drawn(canvas, draw);
  return {element: canvas, close: stop, set: (now) => { values = now; draw(); }};
}

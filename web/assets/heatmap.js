// Latency over time: a column for some seconds, a row for half an octave, the darker the more.
import {canvasOf, colour, drawn} from "./charts.js";
import {h} from "./dom.js";
import {clock, count, duration} from "./format.js";
import {addUp, bucketSeconds, quantile} from "./live.js";

const LEFT = 58, BOTTOM = 22, TOP = 6;
const FIRST_ROW = 6; // half octaves of buckets; what is faster than a microsecond is in the first
const DECADES = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100, 1000];

const rowOf = (bucket) => Math.max(FIRST_ROW, bucket >> 1);
const rowSeconds = (row) => bucketSeconds(row * 2);

// Columns of rows of counts, from points.
function grid(points, from, to, columns) {
  const cells = Array.from({length: columns}, () => new Map());
  let most = 0, last = rowOf(72);
  for (const [t, pairs] of points) {
    const column = Math.floor((t - from) / (to - from) * columns);
    if (column < 0 || column >= columns) continue;
    for (let i = 0; i < pairs.length; i += 2) {
      const row = rowOf(pairs[i]), n = (cells[column].get(row) ?? 0) + pairs[i + 1];
      cells[column].set(row, n);
      most = Math.max(most, n);
      last = Math.max(last, row + 1);
    }
  }
  return {cells, most, rows: last - FIRST_ROW};
}

export function heatMap(label) {
  const canvas = h("canvas.heat", {role: "img", "aria-label": label, tabIndex: 0});
  const told = h("p.note.heat-note", {"aria-live": "off"}, "\u00a0");
  const element = h("div", null, canvas, told);
  let view = null, summary = "";

  function draw() {
    const [context, width, height] = canvasOf(canvas);
    if (!view) return;
    const plot = {x: LEFT, y: TOP, w: width - LEFT - 8, h: height - BOTTOM - TOP};
    const columns = Math.max(20, Math.min(150, Math.floor(plot.w / 6), view.to - view.from));
    const map = grid(view.points, view.from, view.to, columns);
    view.map = map;
    view.plot = plot;
    const cw = plot.w / columns, ch = plot.h / map.rows;
    const ramp = [0, 1, 2, 3, 4, 5, 6].map((i) => colour("heat-" + i));
    context.fillStyle = colour("well");
    context.fillRect(plot.x, plot.y, plot.w, plot.h);
    map.cells.forEach((rows, i) => {
      for (const [row, n] of rows) {
        const share = Math.log1p(n) / Math.log1p(map.most);
        context.fillStyle = ramp[Math.min(6, Math.floor(share * 7))];
        const y = plot.y + plot.h - (row - FIRST_ROW + 1) * ch;
        context.fillRect(plot.x + i * cw, y, Math.ceil(cw) - (cw > 4 ? 1 : 0), Math.ceil(ch));
      }
    });
    drawAxes(context, plot, map);
  }

  function drawAxes(context, plot, map) {
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (const decade of DECADES) {
      const row = FIRST_ROW + Math.log2(decade / rowSeconds(FIRST_ROW)) * 2;
      const y = plot.y + plot.h - (row - FIRST_ROW) / map.rows * plot.h;
      if (y < plot.y - 1 || y > plot.y + plot.h + 2) continue;
      context.fillStyle = colour("dim");
      context.fillText(duration(decade).replace(".0", ""), plot.x - 8, Math.max(y, 8));
      context.fillStyle = colour("grid");
      context.fillRect(plot.x, Math.round(y), plot.w, 1);
    }
    context.fillStyle = colour("dim");
    const marks = Math.max(2, Math.floor(plot.w / 150));
    for (let i = 0; i <= marks; i++) {
      const t = view.from + (view.to - view.from) * i / marks;
      context.textAlign = i === 0 ? "left" : i === marks ? "right" : "center";
      context.fillText(clock(t).slice(-8), plot.x + plot.w * i / marks, plot.y + plot.h + 13);
    }
  }

  canvas.addEventListener("pointermove", (event) => {
    const {map, plot} = view ?? {};
    if (!map) return;
    const column = Math.floor((event.offsetX - plot.x) / plot.w * map.cells.length);
    const row = FIRST_ROW + Math.floor((plot.y + plot.h - event.offsetY) / plot.h * map.rows);
    const n = map.cells[column]?.get(row) ?? 0;
    if (!map.cells[column] || row < FIRST_ROW || row >= FIRST_ROW + map.rows) return;
    const t = view.from + (view.to - view.from) * column / map.cells.length;
    told.textContent = `${clock(t)}: ${count(n)} between ${duration(rowSeconds(row))} and ` +
      duration(rowSeconds(row + 1));
  });
  canvas.addEventListener("pointerleave", () => { told.textContent = summary; });
  const stop = drawn(canvas, draw);

  return {
    element,
    close: stop,
    // name: "wait_counts" or "run_counts"
    set(points, name, from, to) {
      view = {from, to, points: points.filter((p) => p[name]).map((p) => [p.t, p[name]])};
      draw();
      const counts = addUp(points, name), total = counts.reduce((sum, n) => sum + n, 0);
      summary = total === 0 ? "nothing ran in this time"
        : `${count(total)} in all: half under ${duration(quantile(counts, 0.5))}, ` +
          `99 % under ${duration(quantile(counts, 0.99))}, ` +
          `99.9 % under ${duration(quantile(counts, 0.999))}`;
      if (!canvas.matches(":hover")) told.textContent = summary;
      canvas.setAttribute("aria-label", `${label}: ${summary}`);
    },
  };
}

// One row of a thread's last seconds: ran (the taller the more), of it stolen, or parked.
export function threadStrip(label) {
  const canvas = h("canvas.strip", {role: "img", "aria-label": label});
  let seconds = [], scale = 1;
  function draw() {
    const [context, width, height] = canvasOf(canvas);
    const shown = 60, cell = width / shown;
    context.fillStyle = colour("well");
    context.fillRect(0, 0, width, height);
    seconds.slice(-shown).forEach((one, i, all) => {
      const x = (shown - all.length + i) * cell, w = Math.max(1, cell - 1);
      if (one.ran === 0) {
        context.fillStyle = colour(one.parked ? "grid" : "dim");
        context.fillRect(x, height - 2, w, 2);
        return;
      }
      const size = Math.max(3, height * Math.log1p(one.ran) / Math.log1p(scale));
      const stolen = size * Math.min(1, one.stolen / one.ran);
      context.fillStyle = colour("ran");
      context.fillRect(x, height - size, w, size);
      context.fillStyle = colour("stolen");
      context.fillRect(x, height - stolen, w, stolen);
    });
  }
  const stop = drawn(canvas, draw);
  return {element: canvas, close: stop,
    set: (now, most) => { seconds = now; scale = Math.max(most, 1); draw(); }};
}

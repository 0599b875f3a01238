// A table whose rows stay: what did not change is not touched, so that focus, selection and the
// reader's place in it stay too, and what is being pressed is still there when it is let go. Arrow
// keys and j, k move between rows; a row's buttons are reached by Tab, or by their letters.
import {columnHead, h} from "./dom.js";

// columns: [{title, cell: (row, now) => text or node, kind, ages}]; now() has the row as it is when
// it is called, for what is pressed later; ages: changes by itself, without the row.
export function table({label, columns, key, open, empty = "Nothing here.", selection}) {
  const body = h("tbody");
  const all = selection && h("input", {type: "checkbox", "aria-label": "Select all shown",
    onchange: () => {
      for (const [id] of rows) all.checked ? selection.set.add(id) : selection.set.delete(id);
      paint();
      selection.changed();
    }});
  const head = h("tr", null, selection && h("th.tick", {scope: "col"}, all),
    columns.map((column) => columnHead(column.title, column.kind)));
  const note = h("p.empty", {hidden: true}, empty);
  const element = h("div.table-box", {tabIndex: 0, role: "group", "aria-label": label},
    h("table.rows", null, h("thead", null, head), body), note);
  const rows = new Map(); // key -> {tr, cells, text, row, tick}
  let current = null;

  // The one row that Tab stops at.
  function mark(tr) {
    if (current) current.tabIndex = -1;
    current = tr;
    if (tr) tr.tabIndex = 0;
  }

  function focusRow(tr) {
    if (!tr) return;
    mark(tr);
    tr.focus();
  }

  function onKey(event, entry) {
    const tr = entry.tr, inside = event.target !== tr;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (inside && (!event.target.closest("button, a") || /^( |Enter)$/.test(event.key))) return;
    if (event.key === "ArrowDown" || event.key === "j") focusRow(tr.nextElementSibling);
    else if (event.key === "ArrowUp" || event.key === "k") focusRow(tr.previousElementSibling);
    else if (event.key === "Home") focusRow(body.firstElementChild);
    else if (event.key === "End") focusRow(body.lastElementChild);
    else if (event.key === "Enter" && open) open(entry.row);
    else if ((event.key === "x" || event.key === " ") && entry.tick) entry.tick.click();
    else {
      const button = tr.querySelector(`button[data-key="${CSS.escape(event.key)}"]`);
      if (!button || button.disabled) return;
      button.click();
    }
    event.preventDefault();
    event.stopPropagation();
  }

  function make(id, row) {
    const entry = {row};
    entry.cells = columns.map((column) => h("td", {className: column.kind ?? "",
      "data-title": column.title}));
    entry.tick = selection && h("input", {type: "checkbox", "aria-label": "Select " + id,
      onclick: (event) => event.stopPropagation(),
      onchange: () => {
        entry.tick.checked ? selection.set.add(id) : selection.set.delete(id);
        selection.changed();
      }});
    entry.tr = h("tr", {tabIndex: -1, className: open ? "opens" : "",
      onkeydown: (event) => onKey(event, entry), onfocus: () => mark(entry.tr),
      onclick: (event) => {
        if (open && !event.target.closest("button, input, a, select")) open(entry.row);
      }}, selection && h("td.tick", null, entry.tick), entry.cells);
    return entry;
  }

  function fill(entry, row) {
    const text = JSON.stringify(row);
    entry.row = row;
    columns.forEach((column, i) => {
      if (entry.text === text && !column.ages) return;
      const content = column.cell(row, () => entry.row) ?? "", cell = entry.cells[i];
      if (content instanceof Node ? cell.firstChild?.isEqualNode(content)
        : cell.textContent === String(content)) return;
      const focused = cell.contains(document.activeElement);
      cell.replaceChildren(content);
      if (focused) focusRow(entry.tr);
    });
    entry.text = text;
  }

  function paint() {
    if (!selection) return;
    for (const [id, entry] of rows) entry.tick.checked = selection.set.has(id);
    all.checked = rows.size > 0 && [...rows.keys()].every((id) => selection.set.has(id));
  }

  return {
    element,
    set(list) {
      const wanted = new Set(list.map(key));
      let lost = -1; // the place of the row that goes and has the focus
      for (const [id, entry] of rows) {
        if (wanted.has(id)) continue;
        if (entry.tr.contains(document.activeElement)) lost = [...body.children].indexOf(entry.tr);
        entry.tr.remove();
        rows.delete(id);
      }
      let at = body.firstElementChild;
      for (const row of list) {
        const id = key(row);
        let entry = rows.get(id);
        if (!entry) rows.set(id, entry = make(id, row));
        fill(entry, row);
        if (entry.tr === at) at = at.nextElementSibling;
        else body.insertBefore(entry.tr, at);
      }
      if (!current?.isConnected) mark(body.firstElementChild);
      if (lost >= 0) focusRow(body.children[Math.min(lost, list.length - 1)] ?? element);
      note.hidden = list.length > 0;
      paint();
    },
    paint,
    focusFirst: () => focusRow(body.firstElementChild),
  };
}

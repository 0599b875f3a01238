// Elements, without markup in strings: nothing that comes from a task is ever read as HTML.

// h("p.note", {title: "x", onclick}, "text", node, [more])
export function h(what, attributes, ...children) {
  const [tag, ...classes] = what.split(".");
  const element = document.createElement(tag || "div");
  if (classes.length) element.className = classes.join(" ");
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "className") element.className = [element.className, value].join(" ").trim();
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(9).filter((child) => child !== null && child !== undefined &&
    child !== false));
  return element;
}

export const byId = (id) => document.getElementById(id);

// Sets a text only when it differs, so that what is selected or focused stays so.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function panel(title, {id, tools, note} = {}, ...children) {
  const heading = h("h2", {id: id && id + "-title"}, title);
  return h("section.panel", {id, "aria-labelledby": id && id + "-title"},
    h("header.panel-head", null, heading, note && h("p.note", null, note),
      tools && h("div.tools", null, tools)),
    ...children);
}

export const badge = (word) => h("span.badge", {"data-word": word}, word);

// The head of a column; one without a title says what it is to those who cannot see it.
export const columnHead = (text, kind = "", unseen = "Actions") =>
  h("th", {scope: "col", className: kind}, text || h("span.away", null, unseen));

// A row of buttons of which one is pressed. choices: [[value, label], ...]
export function choice(label, choices, value, onchange) {
  const group = h("div.choice", {role: "group", "aria-label": label});
  for (const [key, text] of choices) {
    group.append(h("button", {
      type: "button", "aria-pressed": String(key === value),
      onclick: (event) => {
        for (const button of group.children) button.setAttribute("aria-pressed", "false");
        event.currentTarget.setAttribute("aria-pressed", "true");
        onchange(key);
      },
    }, text));
  }
  return group;
}

let names = 0;
export function field(label, control, hint) {
  control.id ||= "field-" + ++names;
  return h("div.field", null, h("label", {for: control.id}, label), control,
    hint && h("p.note", null, hint));
}

export function select(options, value, onchange) {
  return h("select", {onchange: (event) => onchange?.(event.target.value)},
    options.map(([key, text]) => h("option", {value: key, selected: key === value}, text)));
}

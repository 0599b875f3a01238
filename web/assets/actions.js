// Doing things: a dialog says what will happen and how to say the same with curl or on the command
// line; Enter does it. What became of it is told at the edge of the page.
import {ask, hasKey} from "./api.js";
import {byId, h} from "./dom.js";
import {quote} from "./format.js";

export function toast(text, kind = "good") {
  const note = h("p.toast", {"data-kind": kind}, text);
  byId("toasts").append(note);
  setTimeout(() => note.remove(), kind === "bad" ? 12000 : 5000);
}

export function curl({method = "POST", path, body}) {
  const parts = ["curl", "-X", method];
  if (hasKey()) parts.push("-H", '"Authorization: Bearer $FASTWORKER_GUI_API_KEY"');
  if (body !== undefined) {
    parts.push("-H", "'Content-Type: application/json'", "-d", quote(JSON.stringify(body)));
  }
  return [...parts, quote(location.origin + path)].join(" ");
}

function copyable(what, text) {
  const button = h("button.small", {type: "button", onclick: async () => {
    await navigator.clipboard?.writeText(text);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy as " + what; }, 1500);
  }}, "Copy as " + what);
  return h("div.copyable", null, h("code", {tabIndex: 0, "aria-label": what + " line"}, text),
    button);
}

// A modal dialog. build(close) => its content; the promise has what close was called with.
export function dialog(title, build) {
  return new Promise((resolve) => {
    const before = document.activeElement, row = before?.closest("tr");
    const close = (value) => {
      box.close();
      box.remove();
      if (before?.isConnected) before.focus();
      else if (row?.isConnected) row.focus(); // its button has changed meanwhile
      resolve(value);
    };
    const heading = h("h2", {id: "dialog-title"}, title);
    const box = h("dialog", {"aria-labelledby": "dialog-title",
      oncancel: (event) => { event.preventDefault(); close(null); },
      onclick: (event) => { if (event.target === box) close(null); }}, heading);
    box.append(...build(close));
    document.body.append(box);
    box.showModal();
    (box.querySelector("[data-first]") ?? box.querySelector("input, button")).focus();
  });
}

// action: {title, text, label, danger, method, path, body, query, cli, done, fields, preview}
// fields: [{element, read}] are shown above; read() gives members for the body, or for the query;
// preview: async (request) => text, such as how many a filter has;
// run, lines: instead of one request, what is done, and the requests that would do it.
export async function act(action) {
  const request = () => {
    const more = Object.assign({}, ...(action.fields ?? []).map((f) => f.read()));
    const query = action.query ? "?" + new URLSearchParams(more) : "";
    const body = action.query || action.method === "DELETE" ? action.body
      : {...action.body, ...more};
    return {method: action.method ?? "POST", path: action.path + (query === "?" ? "" : query),
      body: body && Object.keys(body).length ? body : undefined};
  };
  return dialog(action.title, (close) => {
    const lines = h("div.lines");
    const preview = h("p.preview", {role: "status"});
    const problem = h("p.problem", {role: "alert"});
    const show = async () => {
      const cli = typeof action.cli === "function" ? action.cli(request()) : action.cli;
      lines.replaceChildren(copyable("curl", action.lines
        ? action.lines.map(curl).join("\n") : curl(request())),
      ...(cli ? [copyable("CLI", cli)] : []));
      if (action.preview) {
        preview.textContent = "counting…";
        preview.textContent = await action.preview(request()).catch((e) => e.message);
      }
    };
    const form = h("form", {method: "dialog", onsubmit: async (event) => {
      event.preventDefault();
      go.disabled = true;
      problem.textContent = "";
      try {
        if (action.run) {
          await action.run();
          close({});
          return;
        }
        const answer = await ask(request().path, request());
        close(answer ?? {});
        toast(action.done ? action.done(answer) : action.title + ": done");
      } catch (error) {
        go.disabled = false;
        problem.textContent = error.message;
      }
    }});
    const go = h("button", {type: "submit", "data-first": "",
      className: action.danger ? "primary danger" : "primary"}, action.label);
    form.append(
      ...(action.text ? [h("p", null, action.text)] : []),
      ...(action.fields ?? []).map((f) => f.element), preview, lines, problem,
      h("div.buttons", null, h("button", {type: "button", onclick: () => close(null)}, "Close"),
        go));
    form.addEventListener("input", show);
    show();
    return [form];
  });
}

// A button that asks for an action. make() => the action, when it is pressed.
export function actionButton(label, make, {title, after, danger, key} = {}) {
  return h("button.small", {type: "button", title, "data-key": key,
    className: danger ? "small danger-text" : "small",
    onclick: async (event) => {
      event.stopPropagation();
      const action = make();
      if (action && await act(action) !== null) after?.();
    }}, label);
}

export function askForKey(wasWrong) {
  return dialog("API key", (close) => {
    const input = h("input", {type: "password", id: "key", autocomplete: "off", required: true,
      "data-first": ""});
    return [h("form", {method: "dialog", onsubmit: (event) => {
      event.preventDefault();
      close(input.value);
    }},
    h("p", null, wasWrong ? "This key does not allow it. Another one?"
      : "This control plane asks for a key. It is kept in this tab until it is closed, " +
        "and nowhere else."),
    h("div.field", null, h("label", {for: "key"}, "Key"), input),
    h("div.buttons", null, h("button", {type: "button", onclick: () => close(null)}, "Close"),
      h("button.primary", {type: "submit"}, "Use it")))];
  });
}

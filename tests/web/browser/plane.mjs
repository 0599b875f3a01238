// A control plane of one's own, a client that submits, and a browser that looks.
// SPDX-License-Identifier: Apache-2.0
import {spawn} from "node:child_process";
import {mkdtempSync, readFileSync, rmSync} from "node:fs";
import {createRequire} from "node:module";
import {tmpdir} from "node:os";
import {join} from "node:path";

const need = createRequire(join(process.env.FW_BROWSER_CACHE, "package.json"));
const {chromium} = need("playwright-core");
const axeSource = readFileSync(need.resolve("axe-core/axe.min.js"), "utf8");
const PROGRAM = process.env.FASTWORKER_BIN, SAMPLES = process.env.FW_SAMPLES;
// A limit of waits, not a time that anything should take.
export const LONG = 1000 * Number(process.env.FW_PATIENCE ?? 30);

const blocks = process.env.FW_PORTS.split(" ").map(Number);
const planes = [];

// Looks at a condition until it is true, and gives what it gave.
export async function until(condition, what) {
  for (const end = Date.now() + LONG; Date.now() < end;) {
    const value = await condition();
    if (value) return value;
    await new Promise((go) => setTimeout(go, 20)); // between two looks
  }
  throw new Error("never: " + what);
}

export class Plane {
  static async start(flags = [], env = {}) {
    const plane = new Plane();
    const first = blocks.shift();
    plane.base = `tcp://127.0.0.1:${first + 3}`;
    plane.url = `http://127.0.0.1:${first + 10}`;
    plane.env = {...process.env, FASTWORKER_CONTROL_PLANE_ADDRESS: plane.base};
    plane.children = [];
    plane.said = "";
    plane.words = ["control-plane", "--base-address", plane.base,
      "--discovery-address", `tcp://127.0.0.1:${first}`, "--gui-port", String(first + 10),
      "--task-modules", SAMPLES, ...flags];
    plane.settings = {...process.env, ...env};
    planes.push(plane);
    await plane.begin();
    return plane;
  }

  // Starts the control plane, also again, at the same addresses.
  async begin() {
    this.child = this.spawn(this.words, this.settings);
    await until(() => {
      if (this.child.exitCode !== null) throw new Error(this.said);
      return fetch(this.url + "/readyz").then((answer) => answer.ok, () => false);
    }, "the control plane is ready");
  }

  // Ends it at once, and gives back when it is gone.
  async fall() {
    const gone = new Promise((ended) => this.child.once("close", ended));
    this.child.kill("SIGKILL");
    await gone;
  }

  spawn(words, env = this.env) {
    const child = spawn(PROGRAM, words, {env, stdio: ["pipe", "pipe", "pipe"]});
    this.children.push(child);
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (data) => { this.said = (this.said + data).slice(-20000); });
    }
    child.stdin.on("error", () => {}); // it has ended
    return child;
  }

  // Runs a command to its end. => what it said
  async run(...words) {
    const child = this.spawn(words);
    let out = "";
    child.stdout.on("data", (data) => { out += data; });
    child.stdin.end();
    await new Promise((ended) => child.once("close", ended));
    return out;
  }

  // A real client that goes on submitting. => a function that stops it, and waits until all that it
  // was given has been submitted.
  stream(line) {
    const child = this.spawn(["submit", "--stdin", "--json", "--non-blocking"]);
    const ended = new Promise((end) => child.once("close", end));
    let n = 0;
    const timer = setInterval(() => child.stdin.write(line(n++) + "\n"), 5);
    return () => {
      clearInterval(timer);
      child.stdin.end();
      return ended;
    };
  }

  // Many lines at once, to the end.
  async submit(lines) {
    const child = this.spawn(["submit", "--stdin", "--json", "--non-blocking"]);
    child.stdin.end(lines.join("\n") + "\n");
    await new Promise((ended) => child.once("close", ended));
  }

  async api(path, method = "GET", body) {
    const answer = await fetch(this.url + path, {method, body: body && JSON.stringify(body),
      headers: body ? {"Content-Type": "application/json"} : {}});
    return answer.json();
  }

  async state(id) {
    return (await this.api("/api/v1/tasks/" + id)).status;
  }

  subworker(id) {
    return this.spawn(["subworker", "--worker-id", id, "--threads", "2",
      "--control-plane-address", this.base, "--task-modules", SAMPLES], process.env);
  }

  stop() {
    for (const child of this.children) if (child.exitCode === null) child.kill("SIGKILL");
  }

  // Those too that a test which failed has left.
  static stopAll() {
    for (const plane of planes) plane.stop();
  }
}

export class Browser {
  static async start() {
    const browser = new Browser();
    browser.folder = mkdtempSync(join(tmpdir(), "fastworker-browser-"));
    browser.context = await chromium.launchPersistentContext(browser.folder, {
      executablePath: process.env.FW_CHROMIUM, headless: true, chromiumSandbox: false,
      viewport: {width: 1280, height: 900}, colorScheme: "light",
      args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync"]});
    browser.context.setDefaultTimeout(LONG);
    return browser;
  }

  // A page at a view; what goes wrong in it is kept in page.wrong, and all that its toasts have said
  // in window.toasts, because they go.
  async open(plane, view = "", {width = 1280, height = 900, theme = "light"} = {}) {
    const page = await this.context.newPage();
    page.wrong = [];
    page.hosts = new Set();
    page.on("console", (message) => {
      if (message.type() === "error" && !message.text().includes("status of 4")) {
        page.wrong.push(message.text());
      }
    });
    page.on("pageerror", (error) => page.wrong.push(error.stack));
    page.on("request", (request) => {
      if (!request.url().startsWith("data:")) page.hosts.add(new URL(request.url()).origin);
    });
    await page.addInitScript(() => {
      window.toasts = [];
      new MutationObserver((changes) => changes.forEach((change) => change.addedNodes.forEach(
        (node) => node.className === "toast" && window.toasts.push(node.textContent))))
        .observe(document, {childList: true, subtree: true});
    });
    await page.setViewportSize({width, height});
    await page.emulateMedia({colorScheme: theme});
    await page.goto(plane.url + "/" + view, {waitUntil: "domcontentloaded"});
    return page;
  }

  async stop() {
    await this.context.close();
    rmSync(this.folder, {recursive: true, force: true});
  }
}

// Violations of WCAG 2.2 AA that axe finds, as text.
export async function axe(page) {
  await page.evaluate(axeSource);
  const {violations} = await page.evaluate(() => globalThis.axe.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}));
  return violations.map((one) => `${one.id}: ${one.help}: ` +
    one.nodes.slice(0, 3).map((node) => node.html + " " + node.failureSummary).join(" | "));
}

// The dashboard in a real browser, against the real program with a real client: numbers move, what
// is pressed happens, by mouse and by keyboard; it can be read and is light.
// Covers web/assets. SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import {after, before, test as testOf} from "node:test";
import {axe, Browser, LONG, Plane, until} from "./plane.mjs";

const VIEWS = ["", "#/tasks", "#/queues", "#/workers", "#/schedules", "#/dead", "#/settings"];
let plane, browser;
const test = (name, run) => testOf(name, {timeout: 4 * LONG,
  skip: process.env.FW_PATTERN && !name.includes(process.env.FW_PATTERN)}, run);

before(async () => {
  plane = await Plane.start(["--threads", "2", "--result-cache-size", "200000"]);
  browser = await Browser.start();
});
after(async () => {
  await browser?.stop();
  Plane.stopAll();
});

const line = (task, args, more = {}) => JSON.stringify({task, args, ...more});

// The text of an element, once it fits.
const textOf = (page, selector, pattern) => until(async () => {
  const text = await page.locator(selector).first().textContent();
  return pattern.test(text) && text;
}, `${selector} is ${pattern}`);

const row = (page, id) => page.locator("tr", {hasText: id});

// Nothing behind a dialog takes a key or the focus, and it goes when the answer has come: what it
// does may be seen elsewhere before.
const noDialog = (page) => page.locator("dialog").first().waitFor({state: "detached"});

// Presses the button of the dialog, and waits until it is gone.
async function confirm(page, name) {
  await page.getByRole("dialog").getByRole("button", {name}).click();
  await noDialog(page);
}

// The same with Enter, once the dialog listens.
async function enter(page) {
  await page.locator("dialog[open] [data-first]:focus").press("Enter");
  await noDialog(page);
}

// Goes to a row and presses a key there.
async function press(page, at, key) {
  await noDialog(page);
  await at.press(key);
}

const toast = (page, pattern) => until(() => page.evaluate((source) =>
  window.toasts.some((text) => new RegExp(source).test(text)), pattern.source), `toast ${pattern}`);

// The view has what it asked for, and figures come.
async function filled(page) {
  await textOf(page, "#state", /^live$/);
  await page.locator("main h1").waitFor();
  await page.locator("main").locator("tbody tr, .empty:not([hidden]), #task").first().waitFor();
}

async function close(page) {
  assert.deepEqual(page.wrong, []);
  assert.deepEqual([...page.hosts], [plane.url]);
  await page.close();
}

// A task that runs until it is cancelled.
async function running(id) {
  await plane.submit([line("sleep", [600], {id})]);
  await until(async () => await plane.state(id) === "running", id + " runs");
}

async function dead(id) {
  await fetch(plane.url + "/api/v1/tasks", {method: "POST",
    headers: {"Content-Type": "application/json"},
    body: line("fail", ["no paper"], {id, max_retries: 1, retry_delay: 0.01})});
  await until(async () => (await plane.api("/api/v1/dead")).tasks.some((t) => t.task_id === id),
    id + " is dead");
}

test("numbers move while a client submits", async () => {
  const page = await browser.open(plane);
  await textOf(page, "#state", /^live$/);
  const stop = plane.stream((n) => line("add", [n, 1]));
  await textOf(page, "#rate", /^[1-9]/);
  const first = await textOf(page, "#rate ~ .more", /^[1-9]/);
  await until(async () => await page.locator("#rate ~ .more").first().textContent() !== first,
    "the total grows");
  await stop();
  await until(async () => await page.locator(".uplot canvas").count() === 3, "charts are drawn");
  await page.keyboard.press("g");
  await page.keyboard.press("t");
  await page.waitForFunction(() => document.querySelectorAll("tbody tr").length >= 50);
  await close(page);
});

test("a task is cancelled by click", async () => {
  await running("by-click");
  const page = await browser.open(plane, "#/tasks?status=running");
  await row(page, "by-click").getByRole("button", {name: "Cancel"}).click();
  const dialog = page.getByRole("dialog");
  assert.match(await dialog.textContent(), /curl -X DELETE .*\/api\/v1\/tasks\/by-click/);
  assert.match(await dialog.textContent(), /fastworker cancel --task-id by-click/);
  await confirm(page, "Cancel it");
  await until(async () => await plane.state("by-click") === "cancelled", "it is cancelled");
  await toast(page, /Cancelled by-click/);
  await close(page);
});

test("a task is found, opened and cancelled by keyboard", async () => {
  await running("by-key");
  const page = await browser.open(plane);
  await textOf(page, "#state", /^live$/);
  await page.keyboard.press("/");
  await page.locator("#search:focus").waitFor();
  await page.keyboard.type("by-key");
  await page.keyboard.press("Enter");
  await textOf(page, "#task .badge", /^running$/);
  await page.keyboard.press("g");
  await page.keyboard.press("t");
  await press(page, row(page, "by-key"), "c");
  await enter(page);
  await until(async () => await plane.state("by-key") === "cancelled", "it is cancelled");
  await close(page);
});

test("the detail of a task follows it to its end", async () => {
  await plane.submit([line("echo", [{a: [1, "<b>x</b>"]}], {id: "detail/1", priority: "high"})]);
  const page = await browser.open(plane, "#/tasks/detail%2F1");
  await textOf(page, "#task .badge", /^success$/);
  assert.match(await page.locator("#result").textContent(), /<b>x<\/b>/);
  assert.match(await page.locator(".timeline").textContent(), /Started.*Ended: success/s);
  await close(page);
});

test("every run of a task is told, and what it was asked, when it is over", async () => {
  await dead("runs");
  const page = await browser.open(plane, "#/tasks/runs");
  await textOf(page, "#runs tbody", /1failure.*thread \d.*no paper.*2failure.*no paper/s);
  await textOf(page, "#args", /"no paper"/);
  await plane.api("/api/v1/dead:purge", "POST", {task_ids: ["runs"]});
  await plane.submit([line("add", [1, 2], {id: "unkept"})]);
  await page.goto(plane.url + "/#/tasks/unkept");
  await textOf(page, "#asked", /not kept.*keep-args/);
  await close(page);
});

test("dead tasks are retried by click, by keyboard, and by filter", async () => {
  for (const id of ["dead-1", "dead-2", "dead-3"]) await dead(id);
  const page = await browser.open(plane, "#/dead");
  const attempt = async (id) => (await plane.api("/api/v1/tasks/" + id)).attempt;
  const before = await attempt("dead-1"); // runs are counted on, and all three have had as many
  const retried = async (id) => until(async () => await attempt(id) > before, id + " runs again");
  await row(page, "dead-1").getByRole("button", {name: "Retry"}).click();
  await confirm(page, "Run again");
  await retried("dead-1");
  await press(page, row(page, "dead-2"), "r");
  await enter(page);
  await retried("dead-2");
  for (const id of ["dead-1", "dead-2"]) {
    await until(async () => (await plane.api("/api/v1/dead")).tasks.some((t) => t.task_id === id),
      id + " is dead again");
  }
  await page.getByLabel("Part of the error").fill("paper");
  await page.keyboard.press("Enter");
  await page.getByRole("button", {name: "Forget by filter…"}).click();
  await textOf(page, "dialog .preview", /^3 tasks fit now$/);
  await confirm(page, "Forget all of them");
  await until(async () => (await plane.api("/api/v1/dead")).total === 0, "they are forgotten");
  await close(page);
});

test("selected tasks, and all that a filter has, are cancelled", async () => {
  const ids = Array.from({length: 30}, (_, i) => "many-" + i);
  await plane.submit(ids.map((id) => line("sleep", [1], {id, countdown: 900, priority: "low"})));
  const page = await browser.open(plane, "#/tasks?status=scheduled&priority=low");
  await press(page, row(page, "many-29"), "x");
  await row(page, "many-28").getByRole("checkbox").check();
  await textOf(page, ".bulk", /^2 selected/);
  await page.getByRole("button", {name: "Cancel selected"}).click();
  await confirm(page, "Cancel them");
  await until(async () => await plane.state("many-28") === "cancelled" &&
    await plane.state("many-29") === "cancelled", "the selected ones are cancelled");
  await textOf(page, "#total", /^28 tasks/);
  await page.getByRole("button", {name: "Cancel by filter…"}).click();
  await textOf(page, "dialog .preview", /^28 tasks fit now$/);
  assert.match(await page.getByRole("dialog").textContent(),
    /fastworker cancel --where priority=low,status=scheduled/);
  await confirm(page, "Cancel all of them");
  await textOf(page, "#total", /^0 tasks/);
  await close(page);
});

test("a priority is paused by click and goes on by keyboard", async () => {
  const page = await browser.open(plane, "#/queues");
  const low = page.locator("tr", {has: page.locator('.badge[data-word="low"]')});
  await low.getByRole("button", {name: "Pause"}).click();
  await page.getByLabel("For how long").fill("10m");
  assert.match(await page.getByRole("dialog").textContent(),
    /fastworker pause --priority low --for 10m/);
  await page.getByLabel("For how long").press("Enter");
  await noDialog(page);
  await until(async () => (await plane.api("/api/v1/queues")).queues[3].paused, "low is paused");
  await low.getByRole("button", {name: "Resume"}).waitFor();
  await plane.submit([line("add", [1, 2], {id: "held", priority: "low"})]);
  await until(async () => await plane.state("held") === "queued", "it waits");
  await press(page, low, "r");
  await enter(page);
  await until(async () => await plane.state("held") === "success", "it goes on");
  await close(page);
});

test("workers are drained by click and by keyboard", async () => {
  for (const id of ["sw1", "sw2"]) plane.subworker(id);
  const page = await browser.open(plane, "#/workers");
  const state = async (id) => (await plane.api("/api/v1/workers")).workers
    .find((w) => w.id === id)?.state;
  await row(page, "sw1").getByRole("button", {name: "Drain"}).click();
  await confirm(page, "Drain");
  await until(async () => await state("sw1") === "draining", "sw1 drains");
  await press(page, row(page, "sw2"), "c");
  await enter(page);
  await until(async () => await state("sw2") === "draining", "sw2 drains");
  await row(page, "sw1").getByRole("button", {name: "Resume"}).click();
  await confirm(page, "Resume");
  await until(async () => await state("sw1") === "active", "sw1 goes on");
  await close(page);
});

test("schedules run now, are paused, and show their runs", async () => {
  await plane.run("schedule", "put", "nightly", "0 3 * * *", "add", "1", "2");
  const page = await browser.open(plane, "#/schedules");
  await row(page, "nightly").getByRole("button", {name: "Run now"}).click();
  await confirm(page, "Run it now");
  await toast(page, /nightly: started/);
  await press(page, row(page, "nightly"), "Enter");
  await textOf(page, "#runs tbody", /trigger/);
  await press(page, row(page, "nightly").first(), "p");
  await enter(page);
  await until(async () => (await plane.api("/api/v1/schedules/nightly")).state === "paused",
    "it is paused");
  await close(page);
});

test("a hundred thousand tasks are paged", async () => {
  await plane.submit(Array.from({length: 100000}, (_, i) => line("add", [i, 1])));
  const page = await browser.open(plane, "#/tasks?name=add");
  await textOf(page, "#total", /^\d{3},\d{3} tasks/);
  assert.equal(await page.locator("tbody tr").count(), 100);
  const newest = await page.locator("tbody tr").first().textContent();
  await page.getByRole("button", {name: "Older"}).click();
  await textOf(page, "#total", /page 2/);
  assert.notEqual(await page.locator("tbody tr").first().textContent(), newest);
  assert.equal(await page.locator("tbody tr").count(), 100);
  await close(page);
});

test("the key is asked for, and kept in this tab only", async () => {
  const closed = await Plane.start([], {FASTWORKER_GUI_API_KEY: "open sesame"});
  await closed.submit([line("sleep", [600], {id: "locked"})]);
  const page = await browser.open(closed, "#/tasks");
  await row(page, "locked").getByRole("button", {name: "Cancel"}).click();
  await page.getByRole("button", {name: "Cancel it"}).click();
  const key = page.getByLabel("Key", {exact: true});
  await key.fill("wrong");
  await key.press("Enter");
  await page.getByText("This key does not allow it").waitFor();
  await key.fill("open sesame");
  await key.press("Enter");
  await noDialog(page);
  await until(async () => await closed.state("locked") === "cancelled", "it is cancelled");
  assert.equal(await page.evaluate(() => JSON.stringify(localStorage)), "{}");
  assert.equal(await page.evaluate(() => document.cookie), "");
  assert.deepEqual(page.wrong, []);
  await page.close();
  closed.stop();
});

test("the connection comes back by itself", async () => {
  const own = await Plane.start(["--threads", "1"]);
  const page = await browser.open(own);
  await textOf(page, "#state", /^live$/);
  await own.fall();
  await textOf(page, "#state", /^no answer$/);
  await own.begin();
  await textOf(page, "#state", /^live$/);
  await page.close();
  own.stop();
});

test("nothing that axe finds, in any view, theme or width", async () => {
  await dead("axe-dead");
  await running("axe-running");
  const found = [];
  const few = ["", "#/tasks?status=running", "#/dead"]; // a row of each kind is enough
  const views = [...VIEWS.filter((view) => view !== "#/tasks"), few[1], "#/tasks/axe-running"];
  for (const [theme, width, some] of [["light", 1280, views], ["dark", 1280, few],
    ["light", 375, few]]) {
    for (const view of some) {
      const page = await browser.open(plane, view, {theme, width});
      await filled(page);
      found.push(...(await axe(page)).map((text) => `${view} ${theme} ${width}: ${text}`));
      await close(page);
    }
  }
  const page = await browser.open(plane, "#/tasks?status=running");
  await row(page, "axe-running").getByRole("button", {name: "Cancel"}).click();
  await page.getByRole("dialog").waitFor();
  found.push(...await axe(page));
  await page.keyboard.press("Escape");
  await noDialog(page);
  await page.getByRole("button", {name: "Cancel by filter…"}).click();
  await textOf(page, "dialog .preview", /now/);
  found.push(...await axe(page));
  await page.keyboard.press("Escape");
  await noDialog(page);
  await page.keyboard.press("?");
  await page.getByRole("dialog").waitFor();
  found.push(...await axe(page));
  await close(page);
  const queues = await browser.open(plane, "#/queues");
  for (const name of ["New limit…", "Pause"]) {
    await queues.getByRole("button", {name}).first().click();
    await queues.getByRole("dialog").waitFor();
    found.push(...await axe(queues));
    await queues.keyboard.press("Escape");
    await noDialog(queues);
  }
  await close(queues);
  assert.deepEqual(found, []);
  await plane.api("/api/v1/tasks/axe-running", "DELETE");
});

test("nothing is wider than a narrow screen", async () => {
  for (const view of VIEWS) {
    const page = await browser.open(plane, view, {width: 375, height: 800});
    await filled(page);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(wide <= 375, `${view}: ${wide}`);
    await close(page);
  }
});

// The pictures of the README, when they are asked for.
testOf("pictures", {skip: !process.env.FW_SCREENSHOTS, timeout: 6 * LONG}, async () => {
  const busy = await Plane.start(["--threads", "4"]);
  for (const id of ["eu-1", "eu-2"]) busy.subworker(id);
  await busy.run("schedule", "put", "nightly", "0 3 * * *", "add", "1", "2");
  const tasks = [["add", (n) => [n, 1]], ["sha256", (n) => ["x".repeat(n % 9000)]],
    ["sleep", (n) => [(n * 7919 % 97) / 4000]], ["primes", (n) => [n * 31 % 20000]],
    ["fail", (n) => ["no paper in tray " + n % 4]]];
  const kinds = [0, 0, 0, 1, 2, 0, 3, 2, 0, 1, 2, 0, 4, 0, 2, 3];
  const stop = busy.stream((n) => {
    const [task, args] = tasks[kinds[n * 5 % 16 ^ n % 3]];
    return line(task, args(n), {priority: ["normal", "low", "high", "normal", "critical"][n % 5]});
  });
  const pages = [["light", "", 1280, 1180], ["dark", "", 1280, 1180], ["narrow", "", 375, 812],
    ["tasks", "#/tasks", 1280, 760]];
  await until(async () => (await busy.api("/api/v1/stats/history")).points.length > 75,
    "there is something to see");
  for (const [name, view, width, height] of pages) {
    const page = await browser.open(busy, view, {width, height,
      theme: name === "dark" ? "dark" : "light"});
    await textOf(page, "#state", /^live$/);
    await until(() => page.evaluate(() => !document.querySelector(".said") ||
      /s/.test(document.querySelector(".said").textContent)), "threads are told");
    await page.screenshot({path: `${process.env.FW_SCREENSHOTS}/dashboard-${name}.png`});
    await page.close();
  }
  await stop();
  busy.stop();
});

test("the page weighs under 150 KB", async () => {
  const page = await browser.context.newPage();
  const session = await browser.context.newCDPSession(page);
  await session.send("Network.enable");
  await session.send("Network.setCacheDisabled", {cacheDisabled: true});
  const sizes = new Map(), paths = new Map();
  session.on("Network.responseReceived", ({requestId, response}) =>
    paths.set(requestId, new URL(response.url).pathname));
  session.on("Network.loadingFinished", ({requestId, encodedDataLength}) =>
    sizes.set(requestId, encodedDataLength));
  await page.goto(plane.url, {waitUntil: "domcontentloaded"});
  await textOf(page, "#state", /^live$/);
  const files = [...sizes].filter(([id]) => !paths.get(id)?.startsWith("/api/"));
  const sum = files.reduce((total, [, size]) => total + size, 0);
  console.log(`page weight: ${sum} bytes in ${files.length} files`);
  assert.ok(files.length > 10);
  assert.ok(sum < 150 * 1024, `${sum} bytes`);
  await page.close();
});

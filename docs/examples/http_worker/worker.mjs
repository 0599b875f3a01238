// A worker that asks for its tasks over HTTP; Node 18 or later, no packages.
//
//     FASTWORKER_URL=http://127.0.0.1:8080 node worker.mjs
//
// SPDX-License-Identifier: Apache-2.0
import { hostname } from "node:os";

const url = (process.env.FASTWORKER_URL ?? "http://127.0.0.1:8080") + "/api/v1/worker/";
const key = process.env.FASTWORKER_KEY;
const lease = 30; // seconds; renewed three times in it

const tasks = {
  "node.add": async (a, b) => a + b,
  "node.reverse": async (text) => [...text].reverse().join(""),
};

// The answer, or null: somebody else has the lease.
async function post(path, body = {}) {
  const headers = { "content-type": "application/json" };
  if (key) headers.authorization = "Bearer " + key;
  const answer = await fetch(url + path, { method: "POST", headers, body: JSON.stringify(body) });
  if (answer.status === 409) return null;
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

async function run(task) {
  const beat = setInterval(() => post(task.lease + ":beat"), (lease / 3) * 1000);
  try {
    const result = await tasks[task.name](...task.args);
    await post(task.lease + ":complete", { result });
  } catch (error) {
    await post(task.lease + ":fail", { error: String(error) });
  } finally {
    clearInterval(beat);
  }
}

// Four at once: whatever is free asks for more.
const most = 4;
const running = new Set();
const worker = `node-${hostname()}-${process.pid}`;
while (true) {
  const answer = await post("poll", { worker, tasks: Object.keys(tasks), max: most, wait: 20, lease });
  for (const task of answer.tasks) {
    const one = run(task).finally(() => running.delete(one));
    running.add(one);
  }
  if (running.size === most) await Promise.race(running);
}

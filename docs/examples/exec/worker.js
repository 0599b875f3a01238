// A pool worker for FastWorker: serve(async (args, kwargs, task) => result).
// throw Object.assign(new Error("text"), {retry_ms: 50}) to be tried again.
// SPDX-License-Identifier: Apache-2.0
const lines = require("readline").createInterface({input: process.stdin});

exports.serve = async (run) => {
  const say = (answer) => process.stdout.write(JSON.stringify(answer) + "\n");
  console.log = console.error; // what is printed goes to the log
  for await (const line of lines) {
    const task = JSON.parse(line);
    task.progress = (done, total = 0, note = "") =>
      say({id: task.id, progress: [done, total, note]});
    try {
      say({id: task.id, ok: (await run(task.args, task.kwargs, task)) ?? null});
    } catch (error) {
      say({id: task.id, error: String(error.message), retry_ms: error.retry_ms});
    }
  }
};

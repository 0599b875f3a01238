// An example of a pool worker: [task "slug"] mode = pool.
// SPDX-License-Identifier: Apache-2.0
require("./worker.js").serve(async ([text], kwargs, task) => {
  if (typeof text !== "string") throw new Error("a text is wanted");
  task.progress(1, 1, "done");
  return text.toLowerCase().replace(/[^a-z0-9]+/g, kwargs.dash ?? "-");
});

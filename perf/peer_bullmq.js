// perf/peer_bullmq.js - BullMQ's two sides, for perf/peer_broker.py.
//
//     node peer_bullmq.js work PORT            echoes, two at once
//     node peer_bullmq.js ask PORT WINDOW      for each line N: N tasks, their results, a line N
//
// SPDX-License-Identifier: Apache-2.0
const { Queue, QueueEvents, Worker } = require('bullmq');

const [what, port, window] = process.argv.slice(2);
const connection = { host: '127.0.0.1', port: Number(port), maxRetriesPerRequest: null };
const text = 'x'.repeat(64);

async function ask() {
  const queue = new Queue('q', { connection });
  const events = new QueueEvents('q', { connection });
  queue.setMaxListeners(0);
  events.setMaxListeners(0);
  await events.waitUntilReady();
  async function many(count) {
    let left = count;
    async function lane() {
      while (left-- > 0) {
        const job = await queue.add('echo', text, { removeOnComplete: 1000 });
        if (await job.waitUntilFinished(events) !== text) throw new Error('another result');
      }
    }
    await Promise.all(Array.from({ length: Math.min(Number(window), count) }, lane));
  }
  let input = '';
  for await (const chunk of process.stdin) {
    input += chunk;
    for (let end; (end = input.indexOf('\n')) >= 0; input = input.slice(end + 1)) {
      const count = Number(input.slice(0, end));
      await many(count);
      process.stdout.write(`${count}\n`);
    }
  }
}

if (what === 'work') new Worker('q', async (job) => job.data, { connection, concurrency: 2 });
else ask();

"""Everything at once for FW_SOAK_SECONDS (default 10): all is answered, and memory does not grow.

SPDX-License-Identifier: Apache-2.0
"""

import asyncio
import json
import os
import random
import time

import harness
from fastworker.tasks.models import TaskPriority
from harness import Case, ask, task, wait_until

SECONDS = float(os.environ.get("FW_SOAK_SECONDS", "10"))
SEED = int(os.environ.get("FW_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
CLIENTS = 8


def resident_bytes(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as facts:
        return int(facts.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Soak(Case):
    async def one_client(self, plane, generator, until, counts):
        client = plane.client()
        await client.start()
        while time.monotonic() < until:
            choice = generator.randrange(10)
            number = generator.randrange(1 << 40)
            priority = generator.choice(list(TaskPriority))
            if choice < 6:
                result = await client.submit_task("add", (number, 1), priority=priority)
                self.assertEqual(result.result, number + 1)
                counts["single"] += 1
            elif choice < 7:
                result = await client.submit_task("after", (0.01, [number]), priority=priority)
                self.assertEqual(result.result, [number])
                counts["slow"] += 1
            elif choice < 8:
                ids = await client.submit_batch(
                    [{"task_name": "add", "args": (number, n)} for n in range(20)])
                await self.all_finished(client, ids, number)
                counts["batch"] += 1
            elif choice < 9:
                result = await client.submit_task("fail_with", (str(number),))
                self.assertEqual(result.error, str(number))
                counts["failure"] += 1
            else:
                result = await client.submit_task("add", (number, 1), countdown=0.05)
                self.assertEqual(result.result, number + 1)
                counts["delayed"] += 1
        client.stop()

    async def all_finished(self, client, ids, number):
        for position, task_id in enumerate(ids):
            result = None
            while result is None:
                result = await client.get_task_result(task_id)
            self.assertEqual(result.result, number + position)

    def test_everything_at_once(self):
        print("FW_SEED =", SEED)
        plane = self.plane("--concurrency", "8", "--result-cache-size", "1000")
        # Until the cache is full, memory has a reason to grow.
        for _ in range(3):
            members = [task("add", n, 1) for n in range(1000)]
            ask(plane.address(2), {"action": "batch_submit", "tasks": members})
            plane.finished(members[-1]["id"])
        counts = dict.fromkeys(("single", "slow", "batch", "failure", "delayed"), 0)

        async def run(seconds):
            until = time.monotonic() + seconds
            await asyncio.gather(*[
                self.one_client(plane, random.Random(SEED + number), until, counts)
                for number in range(CLIENTS)])
        asyncio.run(run(SECONDS / 4))
        before = resident_bytes(plane.pid)
        asyncio.run(run(SECONDS * 3 / 4))
        after = resident_bytes(plane.pid)
        print(json.dumps(counts), "resident", before, "->", after)
        self.assertTrue(all(counts.values()), counts)
        self.assertLess(after - before, 16 << 20)
        wait_until(lambda: plane.api("status")["tasks"]["active"] == 0, "nothing is left")
        self.assertEqual(plane.api("status")["tasks"]["queued"], 0)
        self.assertEqual(plane.stop(), 0)


if __name__ == "__main__":
    harness.main()

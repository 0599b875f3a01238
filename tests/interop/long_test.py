"""What needs more than a minute: NNG sends an unanswered request again after 60 s.

SPDX-License-Identifier: Apache-2.0
"""

import asyncio
import time

import harness
from harness import Case, wait_until

OVER_A_MINUTE = 70


class Long(Case):
    def test_task_of_70_seconds_runs_once_and_C_061_delay_of_60_seconds(self):
        plane = self.plane("--concurrency", "4")

        async def submit():
            client = plane.client(timeout=120)
            await client.start()
            begun = time.time()
            delayed = await client.submit_task("count_file", (self.path("runs"),), countdown=60)
            result = await client.submit_task(
                "spend", (self.path("log"), "long", float(OVER_A_MINUTE)))
            client.stop()
            return begun, delayed, result
        begun, delayed, result = asyncio.run(submit())
        self.assertEqual((result.status.value, result.result), ("success", "long"))
        self.assertEqual(self.marks(), ["+long", "-long"])
        self.assertGreaterEqual(plane.metric("fastworker_tasks_deduplicated_total"), 1)
        self.assertEqual(delayed.status.value, "scheduled")
        stored = harness.TaskResult(**plane.finished(delayed.task_id))
        self.assertEqual(self.marks("runs"), ["."])
        waited = stored.started_at.timestamp() - begun
        self.assertGreaterEqual(waited, 59.9)
        self.assertLess(waited, 61.5)
        wait_until(lambda: plane.metric("fastworker_tasks_started_total") == 2, "two runs in all")


if __name__ == "__main__":
    harness.main()

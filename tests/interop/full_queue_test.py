"""A full queue and unmodified Python clients: they wait for room, or lower tasks give way to them.

SPDX-License-Identifier: Apache-2.0
"""

import asyncio

import harness
from fastworker.tasks.models import TaskPriority
from harness import Case, task, until, wait_until

ROOM = 24


class FullQueue(Case):
    def full(self, *flags, priority="normal"):
        """One thread that is busy until the gate opens, and no room left."""
        plane = self.plane("--threads", "1", "--queue-max", str(ROOM), *flags)
        requests = [plane.begin(self.hold("first"))]
        self.wait_marks("+first")
        for i in range(1, ROOM):
            requests.append(plane.begin(task("add", i, 0, priority=priority, id=f"fill-{i}")))
        wait_until(lambda: plane.metric("fastworker_tasks", state="queued") == ROOM - 1,
                   "a full queue")
        return plane, requests

    @staticmethod
    async def submit(plane, count, priority=TaskPriority.NORMAL):
        """Results of that many submissions at once of one unmodified client."""
        client = plane.client()
        await client.start()
        try:
            return await asyncio.gather(
                *(client.submit_task("add", (i, 1), priority=priority) for i in range(count)))
        finally:
            client.stop()

    def test_clients_wait_and_are_served(self):
        plane, requests = self.full("--queue-full", "block", "--queue-wait", "1h")

        async def ask_all():
            asked = asyncio.ensure_future(self.submit(plane, 8))
            await until(lambda: plane.metric("fastworker_queue_line") >= 1, "one that waits")
            self.open_gate()
            return await asked

        results = asyncio.run(ask_all())
        self.assertEqual([r.status.value for r in results], ["success"] * 8, results)
        self.assertEqual([r.result for r in results], [i + 1 for i in range(8)])
        for request in requests:
            self.assertEqual(request.answer()["status"], "success")
        self.assertEqual(plane.metric("fastworker_queue_line"), 0)

    def test_a_refusal_is_heard_in_time(self):
        plane, _requests = self.full("--queue-full", "block", "--queue-wait", "50ms")
        [result] = asyncio.run(self.submit(plane, 1))
        self.assertEqual(result.status.value, "failure")
        self.assertIn("the queue is full, try again in ", result.error)
        self.open_gate()

    def test_lower_ones_give_way_and_their_askers_hear_it(self):
        plane, requests = self.full("--queue-full", "shed-low", "--queue-wait", "1h",
                                    priority="low")

        async def ask_one():
            asked = asyncio.ensure_future(self.submit(plane, 1, TaskPriority.HIGH))
            await until(lambda: plane.metric("fastworker_tasks_shed_total") >= 1, "one gave way")
            self.open_gate()
            return await asked

        [result] = asyncio.run(ask_one())
        self.assertEqual((result.status.value, result.result), ("success", 1))
        answers = [request.answer() for request in requests]
        shed = [a for a in answers if a["status"] != "success"]
        self.assertEqual(len(shed), plane.metric("fastworker_tasks_shed_total"))
        self.assertGreater(len(shed), 0)
        for answer in shed:
            self.assertIn("gave way to a task of higher priority", answer["error"])


if __name__ == "__main__":
    harness.main()

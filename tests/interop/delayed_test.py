"""Delayed tasks: C-060 to C-066.

SPDX-License-Identifier: Apache-2.0
"""

import asyncio
import datetime
import json
import time

import harness
from harness import OnePlane, ask, task, wait_until


def local(seconds):
    """An eta as the Python client writes it."""
    return str(datetime.datetime.now() + datetime.timedelta(seconds=seconds))


class Delayed(OnePlane):
    def python_submit(self, *arguments, countdown, **options):
        async def submit():
            client = self.cp.client(**options)
            await client.start()
            begun = time.time()
            result = await client.submit_task(*arguments, countdown=countdown)
            client.stop()
            return begun, result
        return asyncio.run(submit())

    def test_C_060_short_delay_returns_the_result(self):
        begun, result = self.python_submit("count_file", (self.path("runs"),), countdown=3)
        self.assertEqual((result.status.value, result.result), ("success", True))
        self.assertEqual(self.marks("runs"), ["."])
        waited = result.started_at.timestamp() - begun
        self.assertGreaterEqual(waited, 2.99)
        self.assertLess(waited, 4.5)  # the timer is exact; the machine may be busy

    def test_C_061_long_delay_is_answered_at_once(self):
        begun, result = self.python_submit("count_file", (self.path("runs"),), countdown=1000)
        self.assertEqual((result.status.value, result.error), ("scheduled", None))
        self.assertIsNone(result.started_at)
        self.assertLess(time.time() - begun, 20)
        self.assertFalse(self.cp.query(result.task_id)["found"])
        self.assertTrue(self.cp.cancel(result.task_id)["cancelled"])
        self.assertEqual(self.marks("runs"), [])

    def test_C_062_client_that_tries_again_causes_one_run(self):
        _, result = self.python_submit("count_file", (self.path("runs"),), countdown=5, timeout=1,
                                       retries=8)
        self.assertEqual((result.status.value, result.result), ("success", True))
        self.assertEqual(self.marks("runs"), ["."])

    def test_C_063_past_eta_runs_at_once(self):
        self.assert_success(self.cp.run("add", 1, 2, eta=local(-5)), 3)
        _, result = self.python_submit("add", (1, 2), countdown=-5)
        self.assertEqual(result.result, 3)

    def test_C_064_spellings_of_one_time(self):
        due = time.time() + 3
        utc = datetime.datetime.fromtimestamp(due, datetime.timezone.utc)
        other = utc.astimezone(datetime.timezone(datetime.timedelta(hours=2)))
        spellings = [utc.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), str(other), due, str(int(due)),
                     int(due * 1000), str(datetime.datetime.fromtimestamp(due))]
        requests = [self.cp.begin(task("add", 1, 2, eta=eta)) for eta in spellings]
        for request, eta in zip(requests, spellings):
            answer = request.answer()
            self.assert_success(answer, 3)
            started = datetime.datetime.fromisoformat(answer["started_at"]).timestamp()
            self.assertGreaterEqual(started, int(due) - 0.01, eta)
            self.assertLess(started, due + 1.5, eta)

    def test_C_065_cancelled_and_sent_again_never_runs(self):
        async def submit():
            client = self.cp.client(timeout=1, retries=5)
            await client.start()
            task_id = await client.delay("count_file", self.path("runs"), countdown=4)
            cancelled = False
            while not cancelled:
                cancelled = await client.cancel_task(task_id)
            await harness.until(lambda: client.get_status(task_id) != "pending", "an answer")
            mine = client.get_result(task_id)
            stored = await client.get_task_result(task_id)
            client.stop()
            return mine, stored
        mine, stored = asyncio.run(submit())
        for result in (mine, stored):
            self.assertEqual((result.status.value, result.error), ("cancelled", "Task cancelled"))
        # A task due later than the cancelled one has run: the time of the first is over.
        self.assert_success(self.cp.run("add", 1, 2, eta=local(5)), 3)
        self.assertEqual(self.marks("runs"), [])

    def test_C_065_same_message_after_cancel(self):
        message = task("count_file", self.path("runs"), eta=local(2))
        request = self.cp.begin(message)
        wait_until(lambda: self.cp.cancel(message["id"])["cancelled"], "it is known")
        self.assertEqual(request.answer()["status"], "cancelled")
        for _ in range(2):
            self.assertEqual(self.cp.submit(message)["status"], "cancelled")
        self.assert_success(self.cp.run("add", 1, 2, eta=local(3)), 3)
        self.assertEqual(self.cp.submit(message)["error"], "Task cancelled")
        self.assertEqual(self.marks("runs"), [])

    def test_C_066_a_thousand_due_together(self):
        eta = local(3)
        members = [task("count_file", self.path("runs"), eta=eta) for _ in range(1000)]
        answer = json.loads(ask(self.cp.address(2), {"action": "batch_submit", "tasks": members}))
        self.assertTrue(answer["batch_accepted"])
        # One more that is due at the same moment and low: it comes last.
        last = self.cp.run("add", 1, 2, eta=eta, priority="low")
        self.assert_success(last, 3)
        wait_until(lambda: self.marks("runs") == ["." * 1000], "all of them have run")
        due = datetime.datetime.fromisoformat(eta)
        for member in members[::50]:
            result = self.cp.finished(member["id"])
            started = datetime.datetime.fromisoformat(result["started_at"])
            self.assertGreaterEqual(started, due - datetime.timedelta(milliseconds=10))
            self.assertLess(started, due + datetime.timedelta(seconds=2))

    def test_delayed_result_is_stored(self):
        message = task("add", 20, 22, eta=local(1))
        request = self.cp.begin(message)
        request.drop()
        self.assert_success(self.cp.finished(message["id"]), 42)


if __name__ == "__main__":
    harness.main()

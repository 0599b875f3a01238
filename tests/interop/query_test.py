"""Query and cancel: C-070 to C-079.

SPDX-License-Identifier: Apache-2.0
"""

import asyncio
import datetime
import json

import harness
from fastworker.tasks.models import TaskResult
from harness import QUERY, Case, OnePlane, Plane, ask, task, wait_until


def not_found(task_id):
    return f"Task {task_id} not found in cache or expired"


class Query(OnePlane):
    def raw(self, message):
        return json.loads(ask(self.cp.address(QUERY), message))

    def test_C_070_known_id(self):
        message = task("add", 5, 3)
        answer = self.cp.submit(message)
        found = self.cp.query(message["id"])
        self.assertEqual(found, {"found": True, "result": answer})
        TaskResult(**found["result"])

    def test_C_071_unknown_and_unfinished_ids(self):
        self.assertEqual(self.cp.query("nobody")["error"], not_found("nobody"))
        running = self.hold("running")
        scheduled = task("add", 1, 2, eta=str(datetime.datetime.now()
                                              + datetime.timedelta(seconds=100)))
        request = self.cp.begin(running)
        self.wait_marks("+running")
        self.assertEqual(self.cp.submit(scheduled)["status"], "scheduled")
        for task_id in (running["id"], scheduled["id"]):
            answer = self.cp.query(task_id)
            self.assertFalse(answer["found"])
            self.assertEqual(answer["error"], not_found(task_id))
        self.open_gate()
        request.answer()
        self.assertTrue(self.cp.query(running["id"])["found"])
        self.assertTrue(self.cp.cancel(scheduled["id"])["cancelled"])

    def test_C_072_missing_id(self):
        for message in ({}, {"task_id": ""}, {"task_id": None}, {"action": "cancel"},
                        {"task_id": {}}, {"task_id": []}, {"task_id": False},
                        {"action": "cancel", "task_id": ""}):
            with self.subTest(message):
                self.assertEqual(self.raw(message)["error"], "Missing task_id")

    def test_C_073_unknown_action_is_a_query(self):
        message = task("add", 5, 3)
        self.cp.submit(message)
        for action in ("query", "", "CANCEL", None, 7, []):
            self.assertTrue(self.raw({"action": action, "task_id": message["id"]})["found"], action)

    def test_C_074_anything_is_answered(self):
        for data in (b"", b"[]", b"7", b"nonsense", b"{", b'{"task_id": 7}', b'{"task_id": [7]}',
                     b"\xff\xff", b"null"):
            with self.subTest(data):
                answer = json.loads(ask(self.cp.address(QUERY), data))
                self.assertFalse(answer["found"])
                self.assertFalse(answer["cancelled"])
                self.assertTrue(answer["error"])

    def test_C_076_cancel_running(self):
        message = self.hold("running")
        request = self.cp.begin(message)
        self.wait_marks("+running")
        self.assertEqual(self.cp.cancel(message["id"]),
                         {"cancelled": True, "task_id": message["id"]})
        answer = request.answer()  # its gate was never opened: it was stopped
        self.assertEqual(answer["status"], "cancelled")
        self.assertEqual(self.cp.finished(message["id"])["status"], "cancelled")
        self.assertEqual(self.marks(), ["+running", "-running"])

    def test_C_077_cancel_finished_or_unknown(self):
        message = task("add", 5, 3)
        self.cp.submit(message)
        for task_id in (message["id"], "nobody"):
            self.assertEqual(self.cp.cancel(task_id), {"cancelled": False, "task_id": task_id})
        self.assert_success(self.cp.query(message["id"])["result"], 8)

    def test_C_079_python_client(self):
        async def use_client():
            client = self.cp.client()
            await client.start()
            task_id = await client.delay("hold", self.path("log"), "running", self.path("gate"))
            await harness.until(lambda: "+running" in self.marks(), "it runs")
            unfinished = await client.get_task_result(task_id)
            cancelled = await client.cancel_task(task_id)
            await harness.until(lambda: client.get_status(task_id) != "pending", "an answer")
            stored = await client.get_task_result(task_id)
            again = await client.cancel_task(task_id)
            mine = client.get_result(task_id)
            client.stop()
            return unfinished, cancelled, mine, stored, again
        unfinished, cancelled, mine, stored, again = asyncio.run(use_client())
        self.assertIsNone(unfinished)
        self.assertEqual((cancelled, again), (True, False))
        self.assertEqual(mine, stored)
        self.assertEqual(stored.status.value, "cancelled")

    def python_program(self, *arguments):
        return self.run_program("--log-level", "ERROR", *arguments, "--discovery-address",
                                self.cp.discovery, program=harness.PYTHON_PROGRAM).stdout

    def test_C_079_python_command_line(self):
        good, bad, held = task("add", 5, 3), task("fail_with", "no paper"), self.hold("running")
        self.cp.submit(good)
        self.cp.submit(bad)
        request = self.cp.begin(held)
        self.wait_marks("+running")
        said = self.python_program("status", "--task-id", good["id"])
        self.assertIn(f"Task ID: {good['id']}\nStatus: success\nResult: 8\nStarted at: ", said)
        said = self.python_program("status", "--task-id", bad["id"])
        self.assertIn("Status: failure\nError: no paper\n", said)
        said = self.python_program("status", "--task-id", held["id"])
        self.assertIn(f"Task ID {held['id']} not found or expired.", said)
        said = self.python_program("cancel", "--task-id", held["id"])
        self.assertIn(f"Task {held['id']} cancelled successfully", said)
        self.assertEqual(request.answer()["status"], "cancelled")
        said = self.python_program("cancel", "--task-id", good["id"])
        self.assertIn("could not be cancelled (not found or already terminal)", said)


class OneSlot(Case):
    def test_C_075_cancel_queued(self):
        plane = self.plane("--concurrency", "1", "--threads", "1")
        first = plane.begin(self.hold("first"))
        self.wait_marks("+first")
        queued = [task("count_file", self.path("runs"), priority=priority)
                  for priority in harness.PRIORITIES]
        requests = [plane.begin(message) for message in queued]
        wait_until(lambda: plane.api("status")["tasks"]["queued"] == 4, "all are queued")
        self.assertFalse(plane.query(queued[0]["id"])["found"])
        for message, request in zip(queued, requests):
            self.assertEqual(plane.cancel(message["id"]),
                             {"cancelled": True, "task_id": message["id"]})
            answer = request.answer()
            self.assertEqual((answer["status"], answer["error"]), ("cancelled", "Task cancelled"))
            self.assertIsNone(answer["started_at"])
            self.assertEqual(plane.finished(message["id"]), answer)
            self.assertFalse(plane.cancel(message["id"])["cancelled"])
        self.open_gate()
        self.assert_success(first.answer(), "first")
        self.assert_success(plane.run("add", 1, 2, priority="low"), 3)
        self.assertEqual(self.marks("runs"), [])

    def test_C_071_expired_and_pushed_out_results(self):
        plane = self.plane("--result-cache-size", "100", "--result-cache-ttl", "1")
        message = task("add", 1, 2)
        plane.submit(message)
        wait_until(lambda: not plane.query(message["id"])["found"], "it has expired")
        self.assertEqual(plane.query(message["id"])["error"], not_found(message["id"]))
        plane.kill()
        plane = self.keep(Plane("--result-cache-size", "100"))
        messages = [task("add", number, 1) for number in range(300)]
        for message in messages:
            plane.submit(message)
        self.assertFalse(plane.query(messages[0]["id"])["found"])
        self.assertTrue(plane.query(messages[-1]["id"])["found"])
        self.assertLessEqual(plane.api("cache")["current_size"], 100)


if __name__ == "__main__":
    harness.main()

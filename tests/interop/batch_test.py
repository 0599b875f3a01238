"""Batch: C-050 to C-054.

SPDX-License-Identifier: Apache-2.0
"""

import asyncio
import datetime
import json

import harness
import pynng
from harness import OnePlane, ask, task, wait_until


class Batch(OnePlane):
    def submit(self, members, port=2):
        return json.loads(ask(self.cp.address(port), {"action": "batch_submit", "tasks": members}))

    def test_C_050_python_client_submits_ten(self):
        async def submit():
            client = self.cp.client()
            await client.start()
            ids = await client.submit_batch(
                [{"task_name": "add", "args": (number, 1)} for number in range(10)])
            results = []
            for task_id in ids:
                result = None
                while result is None:
                    result = await client.get_task_result(task_id)
                results.append(result)
            client.stop()
            return ids, results
        ids, results = asyncio.run(submit())
        self.assertEqual(len(ids), 10)
        self.assertEqual([result.task_id for result in results], ids)
        self.assertEqual([result.status.value for result in results], ["success"] * 10)
        self.assertEqual([result.result for result in results], list(range(1, 11)))

    def test_C_050_acknowledgement_lists_the_ids_in_order(self):
        members = [task("add", number, 1) for number in range(10)]
        self.assertEqual(self.submit(members), {"batch_accepted": True,
                                                "task_ids": [member["id"] for member in members]})

    def test_C_050_ids_are_made_up_where_missing(self):
        answer = self.submit([{"name": "add", "args": [1, 2]}, {"name": "add", "args": [3, 4]}])
        self.assertEqual([self.cp.finished(i)["result"] for i in answer["task_ids"]], [3, 7])

    def test_C_051_one_reply_and_others_on_the_port_get_their_own(self):
        held = self.cp.begin(self.hold("waiting"))
        self.wait_marks("+waiting")
        members = [task("add", number, 1) for number in range(50)]
        with pynng.Req0(recv_timeout=int(harness.LONG * 1000), resend_time=-1) as requester:
            requester.dial(self.cp.address(2), block=True)
            requester.send(json.dumps({"action": "batch_submit", "tasks": members}).encode())
            self.assertTrue(json.loads(requester.recv())["batch_accepted"])
            for member in members:
                self.assert_success(self.cp.finished(member["id"]))
            # All members are over and none of them has answered here, nor to the one that waits.
            requester.send(json.dumps(task("give_back", "own")).encode())
            self.assert_success(json.loads(requester.recv()), "own")
        self.assertFalse(held.has_answer())
        self.open_gate()
        self.assert_success(held.answer(), "waiting")

    def test_C_052_one_bad_member_and_none_runs(self):
        for bad in ({"name": None}, {"priority": "urgent"}, {"kwargs": []}):
            with self.subTest(bad):
                members = [task("count_file", self.path("runs")) for _ in range(3)]
                members[1].update(bad)
                answer = self.submit(members)
                self.assertEqual((answer["batch_accepted"], answer["task_ids"]), (False, []))
                self.assertIn(next(iter(bad)), answer["error"])
                for member in members:
                    stored = self.cp.query(member["id"])
                    self.assertTrue(stored["found"], stored)
                    self.assert_failure(stored["result"], answer["error"])
        self.cp.run("add", 1, 2)
        self.assertEqual(self.marks("runs"), [])

    def test_C_052_tasks_that_are_no_list(self):
        for tasks in (None, 7, {}, "x", [7], [[]], [None]):
            with self.subTest(tasks):
                answer = self.submit(tasks)
                self.assertEqual((answer["batch_accepted"], answer["task_ids"]), (False, []))
                self.assertTrue(answer["error"])
        answer = json.loads(ask(self.cp.address(2), {"action": "batch_submit"}))
        self.assertIn("tasks", answer["error"])

    def test_C_052_unknown_name_is_no_bad_member(self):
        members = [task("add", 1, 2), task("nope")]
        self.assertTrue(self.submit(members)["batch_accepted"])
        self.assert_success(self.cp.finished(members[0]["id"]), 3)
        self.assert_failure(self.cp.finished(members[1]["id"]), "Task nope not found")

    def started(self):
        return [self.cp.metric("fastworker_tasks_started_total", priority=priority)
                for priority in harness.PRIORITIES]

    def test_C_053_members_keep_their_own_priority_and_eta(self):
        later = str(datetime.datetime.now() + datetime.timedelta(seconds=100))
        members = [task("add", 1, 2, priority="low"), task("add", 3, 4, priority="critical"),
                   task("count_file", self.path("runs"), eta=later)]
        before = self.started()
        self.assertTrue(self.submit(members, port=1)["batch_accepted"])
        self.cp.finished(members[0]["id"])
        self.cp.finished(members[1]["id"])
        self.assertEqual([b - a for a, b in zip(before, self.started())], [1, 0, 0, 1])
        self.assertEqual(self.cp.metric("fastworker_tasks", state="scheduled"), 1)
        self.assertFalse(self.cp.query(members[2]["id"])["found"])
        self.assertTrue(self.cp.cancel(members[2]["id"])["cancelled"])
        self.assertEqual(self.marks("runs"), [])

    def test_C_054_empty_batch(self):
        self.assertEqual(self.submit([]), {"batch_accepted": True, "task_ids": []})

    def test_a_batch_sent_twice_runs_once(self):
        members = [task("count_file", self.path("runs")) for _ in range(5)]
        self.assertTrue(self.submit(members)["batch_accepted"])
        self.assertTrue(self.submit(members)["batch_accepted"])
        wait_until(lambda: all(self.cp.query(m["id"])["found"] for m in members), "all are over")
        self.assertEqual(self.marks("runs"), ["....."])

    def test_one_id_twice_in_a_batch_runs_once(self):
        member = task("count_file", self.path("runs"))
        self.assertTrue(self.submit([member, member])["batch_accepted"])
        self.cp.finished(member["id"])
        self.assertEqual(self.marks("runs"), ["."])

    def test_large_batch(self):
        members = [task("add", number, 1) for number in range(2000)]
        self.assertTrue(self.submit(members)["batch_accepted"])
        for member in members[::97] + members[-1:]:
            self.assert_success(self.cp.finished(member["id"]), member["args"][0] + 1)


if __name__ == "__main__":
    harness.main()

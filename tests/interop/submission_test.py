"""Submission: C-030 to C-044, and many clients at once.

SPDX-License-Identifier: Apache-2.0
"""

import asyncio
import json

import harness
from fastworker.tasks.models import TaskPriority, TaskResult
from harness import Case, OnePlane, ask, task, tcp, wait_until


class Submission(OnePlane):
    flags = ("--concurrency", "4", "--threads", "4")

    def python_submit(self, *calls, **options):
        """Results of submit_task calls of one unmodified client, in order."""
        async def submit_all():
            client = self.cp.client(**options)
            await client.start()
            results = [await client.submit_task(*call) for call in calls]
            client.stop()
            return results
        return asyncio.run(submit_all())

    def test_C_030_good_task(self):
        callback = {"address": tcp(self.cp.ports.spare(3)), "data": {"k": [1, None]}}
        message = task("add", 5, 3, callback=callback)
        answer = self.cp.submit(message)
        self.assertEqual(set(answer), {"task_id", "status", "result", "error", "started_at",
                                       "completed_at", "callback"})
        self.assert_success(answer, 8)
        self.assertEqual(answer["task_id"], message["id"])
        self.assertEqual(answer["callback"], callback)
        parsed = TaskResult(**answer)
        self.assertLessEqual(parsed.started_at, parsed.completed_at)

    def test_C_030_keyword_arguments(self):
        self.assert_success(self.cp.run("add", kwargs={"x": 5, "y": 3}), 8)
        self.assert_success(self.cp.run("add", 5, kwargs={"y": 3}), 8)
        [result] = self.python_submit(("add", (5,), {"y": 3}))
        self.assertEqual(result.result, 8)

    def test_C_031_failing_task(self):
        self.assert_failure(self.cp.run("fail_with", "no paper"), "no paper")
        self.assert_failure(self.cp.run("fail_with", ""), "")
        self.assert_failure(self.cp.run("fail_with", 'quotes " and \n ü'), 'quotes " and \n ü')

    def test_C_031_wrong_arguments(self):
        for arguments, kwargs in (((1,), {}), ((1, 2, 3), {}), ((1, 2), {"x": 1}), ((), {"z": 1}),
                                  (("a", 1), {})):
            result = self.cp.run("add", *arguments, kwargs=kwargs)
            self.assertEqual(result["status"], "failure", (arguments, kwargs))
            self.assertTrue(result["error"])

    def test_C_032_unknown_name(self):
        self.assert_failure(self.cp.run("nope"), "Task nope not found")

    def test_C_033_timeout(self):
        result = self.cp.submit(self.hold("slow", timeout=0.2))
        self.assert_failure(result, "Task timed out after 0.2s")
        result = self.cp.submit(self.hold("slow", timeout=1))
        self.assert_failure(result, "Task timed out after 1.0s")

    def test_C_034_no_timeout_is_five_minutes(self):
        for fields in ({}, {"timeout": None}, {"timeout": 0}):
            left = self.cp.run("time_left", **fields)["result"]
            self.assertTrue(290_000 < left <= 300_000, left)
        left = self.cp.run("time_left", timeout=1000)["result"]
        self.assertTrue(990_000 < left <= 1_000_000, left)

    def test_C_036_malformed_tasks_are_answered_in_shape(self):
        good = task("add", 1, 2)
        cases = [({"name": None}, "name"), ({"name": 7}, "name"), ({"kwargs": None}, "kwargs"),
                 ({"args": {}}, "args"), ({"priority": "urgent"}, "priority"), ({"id": 7}, "id"),
                 ({"kwargs": []}, "kwargs"), ({"args": "ab"}, "args"),
                 ({"callback": 7}, "callback"),
                 ({"callback": {}}, "callback"), ({"callback": {"address": 7}}, "callback"),
                 ({"callback": {"address": "tcp://127.0.0.1:9", "data": [1]}}, "callback"),
                 ({"timeout": "soon"}, "timeout"), ({"max_retries": 5.5}, "max_retries")]
        for change, field in cases:
            with self.subTest(change):
                result = self.cp.submit({**good, **change}, port=2)
                self.assertEqual(result["status"], "failure")
                self.assertIn(field, result["error"])
                self.assertEqual(result["task_id"], "" if field == "id" else good["id"])
        nameless = {key: value for key, value in good.items() if key != "name"}
        self.assertIn("name", self.cp.submit(nameless)["error"])

    def test_C_036_python_client_reports_it_after_one_attempt(self):
        before = self.cp.metric("fastworker_tasks_rejected_total", reason="malformed")

        async def submit():
            client = self.cp.client()
            await client.start()
            bad = harness.task("add", 1, 2)
            model = client_task(bad)
            result = await client._submit_task_internal(model)
            client.stop()
            return result

        def client_task(fields):
            from fastworker.tasks.models import Task
            return Task.model_construct(**{**Task(**fields).__dict__, "retry_count": "many"})
        result = asyncio.run(submit())
        self.assertEqual(result.status.value, "failure")
        self.assertIn("retry_count", result.error)
        after = self.cp.metric("fastworker_tasks_rejected_total", reason="malformed")
        self.assertEqual(after - before, 1)

    def test_C_037_same_id_while_running_runs_once(self):
        message = self.hold("once")
        first = self.cp.begin(message)
        self.wait_marks("+once")
        others = [self.cp.begin({**message, "priority": priority})
                  for priority in harness.PRIORITIES]
        self.cp.run("add", 1, 2)
        self.assertFalse(any(other.has_answer() for other in others))
        self.open_gate()
        answers = [request.answer() for request in [first, *others]]
        self.assert_success(answers[0], "once")
        self.assertTrue(all(answer == answers[0] for answer in answers), answers)
        self.assertEqual(self.marks(), ["+once", "-once"])

    def test_C_038_same_id_afterwards_is_answered_from_the_cache(self):
        message = task("count_file", self.path("runs"))
        answers = [self.cp.submit(message) for _ in range(3)]
        self.assert_success(answers[0], True)
        self.assertEqual(answers[1:], answers[:1] * 2)
        self.assertEqual(self.marks("runs"), ["."])

    def test_C_039_client_that_tries_again_causes_one_run(self):
        [result] = self.python_submit(
            ("spend", (self.path("log"), "patience", 3)), timeout=1, retries=3)
        self.assertEqual((result.status.value, result.result), ("success", "patience"))
        self.assertEqual(self.marks(), ["+patience", "-patience"])

    def test_C_039_five_seconds_with_a_timeout_of_one(self):
        [result] = self.python_submit(
            ("spend", (self.path("log"), "patience", 5)), timeout=1, retries=10)
        self.assertEqual((result.status.value, result.result), ("success", "patience"))
        self.assertEqual(self.marks(), ["+patience", "-patience"])

    def test_C_040_requester_that_left_finds_the_result_in_the_cache(self):
        message = self.hold("left")
        request = self.cp.begin(message)
        self.wait_marks("+left")
        request.drop()
        self.open_gate()
        self.assert_success(self.cp.finished(message["id"]), "left")

    def test_two_hundred_concurrent_clients(self):
        async def one(number):
            client = self.cp.client()
            await client.start()
            priority = list(TaskPriority)[number % 4]
            result = await client.submit_task("add", (number, 1), priority=priority)
            client.stop()
            return result.result

        async def all_of_them():
            return await asyncio.gather(*[one(number) for number in range(200)])
        self.assertEqual(asyncio.run(all_of_them()), [number + 1 for number in range(200)])

    def test_delay_returns_at_once_and_the_result_comes(self):
        async def submit():
            client = self.cp.client()
            await client.start()
            ids = [await client.delay("add", number, 1) for number in range(20)]
            first = [client.get_status(task_id) for task_id in ids]
            await harness.until(lambda: all(client.get_status(i) != "pending" for i in ids),
                                "all results")
            results = [client.get_result(task_id).result for task_id in ids]
            client.stop()
            return first, results
        first, results = asyncio.run(submit())
        self.assertEqual({status.value for status in first}, {"pending"})
        self.assertEqual(results, [number + 1 for number in range(20)])

    def test_large_arguments_and_results(self):
        for size in (1 << 10, 1 << 16, 1 << 19):
            [result] = self.python_submit(("give_back", ("x" * size,)))
            self.assertEqual(result.result, "x" * size)

    def test_legacy_client_sees_only_success_and_failure(self):
        """FastWorker 0.1 knows no other words; its Task has no retry_count (protocol 23)."""
        message = self.hold("old")
        del message["retry_count"]
        request = self.cp.begin(message)
        self.wait_marks("+old")
        self.assertTrue(self.cp.cancel(message["id"])["cancelled"])
        self.assertEqual(request.answer()["status"], "failure")
        self.assertEqual(self.cp.finished(message["id"])["status"], "cancelled")


class Order(Case):
    def test_C_035_field_decides_not_the_port(self):
        plane = self.plane("--concurrency", "1", "--threads", "1")
        held = plane.begin(self.hold("first"))
        self.wait_marks("+first")
        low = [harness.OpenRequest(plane.address(0), task("mark", self.path("log"), "low",
                                                          priority="low"))]
        critical = harness.OpenRequest(plane.address(3), task("mark", self.path("log"), "critical",
                                                              priority="critical"))
        wait_until(lambda: plane.api("status")["tasks"]["queued"] == 2, "both are queued")
        self.open_gate()
        for request in [held, *low, critical]:
            self.assert_success(request.answer())
        self.assertEqual(self.marks(), ["+first", "-first", "=critical", "=low"])

    def test_C_041_concurrency_is_a_limit(self):
        plane = self.plane("--concurrency", "2")
        requests = [plane.begin(task("spend", self.path("log"), f"t{i}", 0.05)) for i in range(20)]
        for request in requests:
            self.assert_success(request.answer())
        running, most = 0, 0
        for mark in self.marks():
            running += 1 if mark[0] == "+" else -1
            most = max(most, running)
        self.assertEqual((running, most), (0, 2))

    def test_C_042_strict_priority_and_first_in_first_out(self):
        plane = self.plane("--concurrency", "1", "--threads", "1")
        held = plane.begin(self.hold("first"))
        self.wait_marks("+first")
        requests = []
        for number in range(3):
            for priority in reversed(harness.PRIORITIES):
                text = f"{priority}-{number}"
                requests.append(plane.begin(
                    task("mark", self.path("log"), text, priority=priority)))
                queued = len(requests)
                wait_until(lambda: plane.api("status")["tasks"]["queued"] == queued, "queued")
        self.open_gate()
        for request in [held, *requests]:
            self.assert_success(request.answer())
        expected = [f"={priority}-{n}" for priority in harness.PRIORITIES for n in range(3)]
        self.assertEqual(self.marks(), ["+first", "-first", *expected])

    def test_C_043_retries_with_back_off(self):
        plane = self.plane()
        message = task("flaky", self.path("log"), 2, max_retries=2, retry_delay=0.1,
                       retry_backoff=2.0)
        result = plane.submit(message)
        self.assert_success(result, 3)
        times = [float(mark[1:]) for mark in self.marks()]
        gaps = [later - earlier for earlier, later in zip(times, times[1:])]
        self.assertEqual(len(times), 3)
        self.assertGreaterEqual(gaps[0], 0.1)
        self.assertGreaterEqual(gaps[1], 0.2)
        self.assertEqual(plane.query(message["id"])["result"]["result"], 3)

    def test_C_043_retries_that_do_not_help(self):
        plane = self.plane()
        result = plane.run("flaky", self.path("log"), 9, max_retries=3, retry_delay=0.01,
                           retry_backoff=1000.0, retry_backoff_max=0.02)
        self.assert_failure(result, "run 4 fails")
        self.assertEqual(len(self.marks()), 4)

    def test_counters_tell_what_happened(self):
        plane = self.plane()
        for _ in range(3):
            plane.run("add", 1, 2, priority="high")
        plane.run("fail_with", "x")
        message = task("add", 1, 2)
        plane.submit(message)
        plane.submit(message)
        self.assertEqual(plane.metric("fastworker_tasks_started_total"), 5)
        self.assertEqual(plane.metric("fastworker_tasks_finished_total", status="success"), 4)
        self.assertEqual(plane.metric("fastworker_tasks_finished_total", status="failure"), 1)
        self.assertEqual(plane.metric("fastworker_tasks_started_total", priority="high"), 3)
        self.assertEqual(plane.metric("fastworker_tasks_submitted_total"), 5)
        self.assertEqual(plane.metric("fastworker_tasks_deduplicated_total"), 1)


class Raw(OnePlane):
    def test_reply_is_compact_or_not_but_json_of_one_line(self):
        answer = ask(self.cp.address(2), task("add", 1, 2))
        self.assertEqual(json.loads(answer)["result"], 3)
        self.assertNotIn(b"\n", answer)
        self.assertFalse(answer.endswith(b"\0"))


if __name__ == "__main__":
    harness.main()

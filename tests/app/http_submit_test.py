"""POST /api/v1/tasks and tasks:batch: one task, many, all or none, and what is refused.

Covers app/http/http_submit.c and app/http/submission_json.c. SPDX-License-Identifier: Apache-2.0
"""
import json
import threading

from http_case import HttpCase
from plane import main, wait_until


class One(HttpCase):
    def test_a_task_is_accepted_and_found(self):
        answer = self.ask("POST", "/api/v1/tasks", {"task": "add", "args": [2, 3]})
        self.assertIn(answer.status, (200, 202))
        task_id = answer.json["task_id"]
        self.assertRegex(task_id, "^[0-9a-f]{8}-")
        if answer.status == 202:
            self.assertEqual(answer.headers["location"], "/api/v1/tasks/" + task_id)
        task = self.ok("GET", f"/api/v1/tasks/{task_id}?wait=60")
        self.assertEqual((task["status"], task["result"]), ("success", 5))

    def test_prefer_waits_for_the_result(self):
        task = self.ok("POST", "/api/v1/tasks",
                       {"task": "echo", "args": [{"a": 1}], "priority": "critical"},
                       prefer="respond-async, wait=60")
        self.assertEqual((task["status"], task["result"], task["priority"]),
                         ("success", {"a": 1}, "critical"))
        answer = self.ask("POST", "/api/v1/tasks", {"task": "sleep", "args": [600], "id": "a/b c"},
                          prefer="wait=0.05")
        self.assertEqual(answer.status, 202)
        self.assertEqual(answer.headers["location"], "/api/v1/tasks/a%2Fb%20c")
        self.assertEqual(self.ok("DELETE", "/api/v1/tasks/a%2Fb%20c")["cancelled"], True)

    def test_arguments_stay_as_they_were_written(self):
        text = '[1.0, 12345678901234567890123, "\\u00e9", 1e5, -0]'
        task = self.ask("POST", "/api/v1/tasks",
                        b'{"task": "echo", "args": [' + text.encode() + b"]}", prefer="wait=60")
        self.assertIn(b'"result": ' + text.encode(), task.body)

    def test_the_id_decides(self):
        body = {"task": "sleep", "args": [600]}
        for key in ("once", '"once"'):
            answer = self.ask("POST", "/api/v1/tasks", body, idempotency_key=key)
            self.assertEqual((answer.status, answer.json["task_id"]), (202, "once"))
        for other in ({"task": "sleep", "args": [601]}, {"task": "add", "args": [600]}):
            problem = self.refused(409, "POST", "/api/v1/tasks", {**other, "id": "once"})
            self.assertEqual(problem["type"], "urn:fastworker:conflict")
        problem = self.refused(422, "POST", "/api/v1/tasks", {**body, "id": "twice"},
                               idempotency_key="once")
        self.assertEqual(problem["field"], "id")
        self.refused(422, "POST", "/api/v1/tasks", body, idempotency_key="k" * 256)
        self.ok("DELETE", "/api/v1/tasks/once")
        wait_until(lambda: self.ok("GET", "/api/v1/tasks/once")["status"] == "cancelled", "an end")
        # What has ended is answered, not run again.
        self.assertEqual(self.ok("POST", "/api/v1/tasks", body, idempotency_key="once")["status"],
                         "cancelled")
        self.refused(409, "POST", "/api/v1/tasks", {"task": "add", "id": "once"})

    def test_every_member_is_checked_and_named(self):
        wrong = {
            "task": [None, "", 1, "x" * 256, "a\nb", []],
            "args": [{}, 1, "[]"],
            "kwargs": [[], 1],
            "id": ["", "i" * 256, 7],
            "priority": ["urgent", 1, ""],
            "countdown": [-1, "soon", [], 1e300],
            "eta": ["soon", [], -5, "2030-13-01"],
            "timeout": [-1, "x", True],
            "result_ttl": [-1, {}],
            "max_retries": [-1, 1.5, "3", 60001],
            "retry_delay": [-1, "x"],
            "retry_backoff": [-1, "much"],
            "retry_backoff_max": [-1],
            "callback": [1, {}, {"address": 1}, {"address": "tcp://a:1", "data": 1}],
            "options": [1, [], {"kay": "x"}],
            "tmeout": [1],
        }
        for field, values in wrong.items():
            for value in values:
                with self.subTest(field=field, value=value):
                    body = {"task": "add", "args": [1, 2], field: value}
                    problem = self.refused(422, "POST", "/api/v1/tasks", body)
                    self.assertEqual(problem["field"], field)
        for body in (b"", b"[]", b"1", b"{", b'{"task": "add"} x', b"\xff"):
            self.refused(422 if body == b"" else 400, "POST", "/api/v1/tasks", body)
        self.refused(415, "POST", "/api/v1/tasks", b"{}", content_type="text/plain")

    def test_times_retries_and_options_arrive(self):
        task = self.ok("POST", "/api/v1/tasks", {
            "task": "sleep", "args": [600], "timeout": "50ms", "countdown": 0.01,
            "kwargs": None, "options": {"group": "g"}}, prefer="wait=60")
        self.assertEqual((task["status"], task["error"]),
                         ("failure", "Task timed out after 0.05s"))
        task = self.ok("POST", "/api/v1/tasks", {
            "task": "fail", "args": ["no paper"], "max_retries": 2, "retry_delay": 0.001,
            "retry_backoff": 1, "id": "tried"}, prefer="wait=60")
        self.assertEqual((task["status"], task["attempt"]), ("failure", 3))
        task = self.ok("POST", "/api/v1/tasks",
                       {"task": "add", "args": [1, 2], "eta": "2101-01-01T00:00:00Z"}, status=202)
        self.assertEqual(task["status"], "scheduled")
        self.assertEqual(self.ok("DELETE", "/api/v1/tasks/" + task["task_id"])["was"], "scheduled")


class Names(HttpCase):
    def test_name_is_the_same_as_task(self):
        for both in ({"name": "sleep"}, {"name": "sleep", "task": "sleep"}):
            told = self.ok("POST", "/api/v1/tasks", {**both, "args": [600]}, status=202)
            self.assertEqual(told["name"], "sleep")
        for first, second in (("name", "task"), ("task", "name")):
            problem = self.refused(422, "POST", "/api/v1/tasks", {first: "add", second: "echo"})
            self.assertEqual(problem["field"], second)
            self.assertIn("differ", problem["detail"])

    def test_a_misspelt_member(self):
        problem = self.refused(422, "POST", "/api/v1/tasks", {"task": "add", "timeuot": 3})
        self.assertEqual(problem["detail"],
                         "timeuot: no such member is known, did you mean 'timeout'?")
        problem = self.refused(422, "POST", "/api/v1/tasks", {"task": "add", "colour": 3})
        self.assertEqual(problem["detail"], "colour: no such member is known")


class Batch(HttpCase):
    flags = ("--payload-max", "64K")

    def test_all_become_tasks(self):
        items = [{"task": "add", "args": [i, 1], "id": f"b{i}"} for i in range(300)]
        for body in (items, {"tasks": items}):
            told = self.ok("POST", "/api/v1/tasks:batch", body, status=202)
            self.assertEqual(told["count"], 300)
            self.assertEqual(told["task_ids"], [item["id"] for item in items])
        self.assertEqual(self.ok("GET", "/api/v1/tasks/b299?wait=60")["result"], 300)
        lines = "\n".join(json.dumps({"task": "echo", "args": [i]}) for i in range(3)) + "\n\r\n"
        told = self.ok("POST", "/api/v1/tasks:batch", lines.encode(), status=202,
                       content_type="application/x-ndjson; charset=utf-8")
        self.assertEqual(told["count"], 3)
        self.assertEqual(self.ok("GET", f"/api/v1/tasks/{told['task_ids'][2]}?wait=60")["result"],
                         2)

    def test_or_none(self):
        before = self.ok("GET", "/api/v1/tasks")["total"]
        good = {"task": "add", "args": [1, 1]}
        problem = self.refused(422, "POST", "/api/v1/tasks:batch",
                               [good, {"task": "add", "arg": 1}])
        self.assertEqual((problem["field"], problem["detail"]),
                         ("[1].arg",
                          "task 1: arg: no such member is known, did you mean 'args'?"))
        self.refused(422, "POST", "/api/v1/tasks:batch", [good, {**good, "options": {"kay": 1}}])
        self.refused(422, "POST", "/api/v1/tasks:batch", [good, 1])
        self.refused(422, "POST", "/api/v1/tasks:batch", [])
        self.refused(413, "POST", "/api/v1/tasks:batch",
                     [good, {"task": "echo", "args": ["x" * 70000]}])
        self.refused(400, "POST", "/api/v1/tasks:batch", b"{}")
        problem = self.refused(400, "POST", "/api/v1/tasks:batch", b'{"task": "add"}\n{"task": ',
                               content_type="application/x-ndjson")
        self.assertIn("task 1", problem["detail"])
        self.assertEqual(self.ok("GET", "/api/v1/tasks")["total"], before)


class Full(HttpCase):
    flags = ("--queue-max", "4", "--threads", "1")

    def test_a_full_queue_says_when_to_try_again(self):
        for i in range(4):
            self.ok("POST", "/api/v1/tasks", {"task": "sleep", "args": [600], "id": f"s{i}"},
                    status=202)
        answer = self.ask("POST", "/api/v1/tasks", {"task": "sleep", "args": [600]})
        self.assertEqual((answer.status, answer.headers["retry-after"]), (429, "1"))
        self.assertEqual(answer.json["type"], "urn:fastworker:busy")
        self.refused(429, "POST", "/api/v1/tasks:batch", [{"task": "add"}] * 2)
        self.ok("DELETE", "/api/v1/tasks/s0")
        wait_until(lambda: self.ask("POST", "/api/v1/tasks", {"task": "sleep", "args": [600]})
                   .status == 202, "room again")

    def test_none_are_taken_while_the_program_ends(self):
        plane = self.plane("--threads", "1")
        plane.hold("held")
        threading.Thread(target=plane.process.terminate).start()
        wait_until(lambda: self.ask("GET", "/readyz", plane=plane).status == 503, "draining")
        problem = self.refused(503, "POST", "/api/v1/tasks", {"task": "add"}, plane=plane)
        self.assertEqual(problem["type"], "urn:fastworker:draining")
        self.ok("DELETE", "/api/v1/tasks/held", plane=plane)


if __name__ == "__main__":
    main()

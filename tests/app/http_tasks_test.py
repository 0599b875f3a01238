"""/api/v1/tasks: the list, results, cancelling, running again; and /api/v1/dead.

Covers app/http/http_tasks.c, app/http/http_dead.c, app/http/task_page.c, app/life/kept.c.
SPDX-License-Identifier: Apache-2.0
"""
from http_case import HttpCase
from plane import main, wait_until


class Tasks(HttpCase):
    def test_pages_show_everything_once_newest_first(self):
        ids = [f"p{i}" for i in range(25)]
        for task_id in ids:
            self.ok("POST", "/api/v1/tasks", {"task": "echo", "args": [1], "id": task_id},
                    prefer="wait=60")
        self.shared.hold("page-held", "high")
        seen, cursor = [], ""
        while cursor is not None:
            page = self.ok("GET", f"/api/v1/tasks?limit=7&name=echo&cursor={cursor}")
            self.assertLessEqual(len(page["tasks"]), 7)
            self.assertGreaterEqual(page["total"], 25)
            seen += [task["task_id"] for task in page["tasks"]]
            cursor = page["next"]
        self.assertEqual(len(seen), len(set(seen)))
        self.assertEqual([task_id for task_id in seen if task_id in ids], ids[::-1])
        first = self.ok("GET", "/api/v1/tasks?limit=1")["tasks"][0]
        self.assertEqual(first["task_id"], "page-held")
        for query, there in (("status=running", True), ("status=success", False),
                             ("priority=high", True), ("priority=low", False),
                             ("name=sleep&status=running", True), ("name=slee", False)):
            wait_until(lambda: there == ("page-held" in [
                task["task_id"] for task in
                self.ok("GET", "/api/v1/tasks?" + query)["tasks"]]), query)
        self.ok("DELETE", "/api/v1/tasks/page-held")
        for query, field in (("status=x", "status"), ("priority=x", "priority"),
                             ("limit=0", "limit"), ("limit=x", "limit"), ("cursor=x", "cursor"),
                             ("cursor=1-" + "g" * 32, "cursor")):
            self.assertEqual(self.refused(422, "GET", "/api/v1/tasks?" + query)["field"], field)

    def test_a_result_alone(self):
        self.ok("POST", "/api/v1/tasks", {"task": "echo", "args": [[1, 2.0]], "id": "r1"},
                prefer="wait=60")
        self.assertEqual(self.ask("GET", "/api/v1/tasks/r1/result").body, b"[1, 2.0]")
        self.ok("POST", "/api/v1/tasks", {"task": "fail", "args": ["no paper"], "id": "r2"},
                prefer="wait=60")
        problem = self.refused(409, "GET", "/api/v1/tasks/r2/result")
        self.assertEqual((problem["type"], problem["detail"]),
                         ("urn:fastworker:failed-task", "no paper"))
        self.shared.hold("r3")
        answer = self.ask("GET", "/api/v1/tasks/r3/result")
        self.assertEqual((answer.status, answer.headers["retry-after"]), (202, "1"))
        self.ok("DELETE", "/api/v1/tasks/r3")
        wait_until(lambda: self.ask("GET", "/api/v1/tasks/r3/result").status == 409, "an end")
        self.assertEqual(self.refused(404, "GET", "/api/v1/tasks/r4/result")["type"],
                         "urn:fastworker:unknown-task")

    def test_cancelling_says_what_it_found(self):
        self.ok("POST", "/api/v1/queues/low:pause")
        self.ok("POST", "/api/v1/tasks", {"task": "add", "id": "c1", "priority": "low"}, status=202)
        told = self.ok("DELETE", "/api/v1/tasks/c1")
        self.assertEqual(told, {"task_id": "c1", "cancelled": True, "was": "queued"})
        self.ok("POST", "/api/v1/queues/low:resume")
        self.shared.hold("c2")
        wait_until(lambda: self.shared.status("c2") == "running", "running")
        self.assertEqual(self.ok("DELETE", "/api/v1/tasks/c2")["was"], "running")
        wait_until(lambda: self.shared.status("c2") == "cancelled", "cancelled")
        self.assertEqual(self.refused(409, "DELETE", "/api/v1/tasks/c2")["type"],
                         "urn:fastworker:task-is-over")
        self.refused(404, "DELETE", "/api/v1/tasks/nobody")
        self.refused(404, "DELETE", "/api/v1/tasks/" + "n" * 300)

    def test_cancelling_by_filter(self):
        self.ok("POST", "/api/v1/queues/low:pause")
        for i in range(3):
            self.ok("POST", "/api/v1/tasks",
                    {"task": "add", "id": f"w{i}", "priority": "low" if i else "normal",
                     "options": {"group": "some"}, "countdown": 0 if i else 600}, status=202)
        where = {"where": {"group": "some"}, "dry_run": True}
        told = self.ok("POST", "/api/v1/tasks:cancel", where)
        found = {"matched": 3, "cancelled": {"queued": 2, "scheduled": 1, "retrying": 0},
                 "asked": 0, "late": 0, "dry_run": True}
        self.assertEqual(told, found)
        self.assertEqual(self.shared.status("w1"), "queued")
        self.assertEqual(self.ok("POST", "/api/v1/tasks:cancel", {"where": {"group": "some"}}),
                         {**found, "dry_run": False})
        for i in range(3):
            self.assertEqual(self.shared.status(f"w{i}"), "cancelled")
        self.ok("POST", "/api/v1/queues/low:resume")
        for body, field in (({}, "where"), ({"where": {}}, "where"),
                            ({"where": {"group": "g"}, "dry_run": 1}, "dry_run")):
            self.assertEqual(self.refused(422, "POST", "/api/v1/tasks:cancel", body)["field"],
                             field)

    def test_running_again(self):
        self.ok("POST", "/api/v1/tasks", {
            "task": "fail", "id": "d1", "max_retries": 1, "retry_delay": 0}, prefer="wait=60")
        answer = self.ask("POST", "/api/v1/tasks/d1:retry")
        self.assertEqual((answer.status, answer.headers["location"], answer.json),
                         (202, "/api/v1/tasks/d1", {"task_id": "d1", "retrying": True}))
        self.assertEqual(self.ok("GET", "/api/v1/tasks/d1?wait=60")["attempt"], 4)
        self.refused(404, "POST", "/api/v1/tasks/nobody:retry")
        self.assertEqual(self.ok("POST", "/api/tasks/d1/retry"),
                         {"task_id": "d1", "retrying": True})
        self.ok("GET", "/api/v1/tasks/d1?wait=60")
        self.assertEqual(self.ok("POST", "/api/tasks/nobody/retry", status=404),
                         {"error": "Task nobody not found"})
        self.ok("POST", "/api/v1/tasks", {"task": "add", "args": [1, 1], "id": "d2"},
                prefer="wait=60")
        self.refused(409, "POST", "/api/v1/tasks/d2:retry")
        self.assertEqual(self.ok("POST", "/api/tasks/d2/retry", status=400),
                         {"error": "Task is not in a retryable state"})


    def test_what_is_kept_beside(self):
        self.ok("POST", "/api/v1/tasks", {"task": "fail", "args": ["no paper"], "id": "k1",
                                          "max_retries": 1, "retry_delay": 0}, prefer="wait=60")
        self.assertNotIn("args", self.ok("GET", "/api/v1/tasks/k1"))
        task = self.ok("GET", "/api/v1/tasks/k1?full=true")
        self.assertEqual((task["args"], task["kwargs"]), (["no paper"], {}))
        self.assertEqual([(a["attempt"], a["error"]) for a in task["attempts"]],
                         [(1, "no paper"), (2, "no paper")])
        for attempt in task["attempts"]:
            self.assertGreaterEqual(attempt["ended_unix"], attempt["began_unix"])
            self.assertIn("thread", attempt)
        self.assertEqual(task["thread"], task["attempts"][-1]["thread"])
        self.shared.hold("k2")
        self.assertIn("args", self.ok("GET", "/api/v1/tasks/k2?full=true"))
        self.assertNotIn("args", self.ok("GET", "/api/v1/tasks/k2?full=false"))
        self.ok("DELETE", "/api/v1/tasks/k2")
        self.ok("POST", "/api/v1/tasks", {"task": "add", "args": [1, 1], "id": "k3"},
                prefer="wait=60")
        self.assertNotIn("args", self.ok("GET", "/api/v1/tasks/k3?full=true&wait=60"))
        self.refused(400, "GET", "/api/v1/tasks/k3?full=yes")


class Kept(HttpCase):
    flags = ("--keep-args", "all", "--keep-args-max", "20")

    def test_arguments_of_all_that_are_short(self):
        for args, kept in (([1, 2], True), (["x" * 20, ""], False)):
            self.ok("POST", "/api/v1/tasks", {"task": "add", "args": args, "id": f"a{kept}"},
                    prefer="wait=60")
            task = self.ok("GET", f"/api/v1/tasks/a{kept}?full=true")
            self.assertEqual(task.get("args"), args if kept else None)
            self.assertIn("thread", task)


class Dead(HttpCase):
    def bury(self, task_id, words="no paper", priority="normal"):
        self.ok("POST", "/api/v1/tasks", {
            "task": "fail", "args": [words], "id": task_id, "priority": priority,
            "max_retries": 1, "retry_delay": 0}, prefer="wait=60")

    def test_the_dead_are_listed_retried_and_purged(self):
        for i in range(5):
            self.bury(f"x{i}")
        self.bury("ink", "no ink", "high")
        page = self.ok("GET", "/api/v1/dead?limit=4")
        self.assertEqual((page["total"], [task["task_id"] for task in page["tasks"]]),
                         (6, ["ink", "x4", "x3", "x2"]))
        rest = self.ok("GET", "/api/v1/dead?limit=4&cursor=" + page["next"])
        self.assertEqual(([task["task_id"] for task in rest["tasks"]], rest["next"]),
                         (["x1", "x0"], None))
        for query, total in (("error=ink", 1), ("priority=high", 1), ("name=fail", 6),
                             ("name=add", 0)):
            self.assertEqual(self.ok("GET", "/api/v1/dead?" + query)["total"], total, query)
        one = self.ok("GET", "/api/v1/dead/ink")
        self.assertEqual((one["args"], one["attempts"], one["error"]), (["no ink"], 2, "no ink"))
        self.refused(404, "GET", "/api/v1/dead/nobody")
        for body, field in (({}, "body"), ({"dry_run": True}, "body"), ({"all": False}, "all"),
                            ({"task_ids": 1}, "task_ids"), ({"nome": 1}, "nome"),
                            ({"older_than": -1}, "older_than"), ({"limit": 0}, "limit"),
                            ({"priority": "x"}, "priority")):
            self.assertEqual(self.refused(422, "POST", "/api/v1/dead:purge", body)["field"], field)
        told = self.ok("POST", "/api/v1/dead:purge", {"error": "paper", "dry_run": True})
        self.assertEqual(told, {"matched": 5, "purged": 0, "dry_run": True})
        told = self.ok("POST", "/api/v1/dead:purge", {"task_ids": ["x0", "x1", "no"]})
        self.assertEqual(told, {"matched": 3, "purged": 2, "dry_run": False})
        told = self.ok("POST", "/api/v1/dead:retry", {"error": "paper", "limit": 1})
        self.assertEqual(told, {"matched": 3, "retried": 1, "dry_run": False})
        self.assertEqual(self.ok("GET", "/api/v1/tasks/x4?wait=60")["attempt"], 4)
        self.assertEqual(self.ok("POST", "/api/v1/dead:purge", {"older_than": 1000})["purged"], 0)
        self.assertEqual(self.ok("POST", "/api/v1/dead:purge", {"all": True})["matched"], 4)
        self.assertEqual(self.ok("GET", "/api/v1/dead")["total"], 0)


if __name__ == "__main__":
    main()

"""GET /api/v1/tasks/{id}: what became of a task, and waiting for its end.

Covers app/http/long_poll.c and app/http/http_tasks.c. SPDX-License-Identifier: Apache-2.0
"""
import http.client
import json
import re
import urllib.error

from control_plane_test import Case
from plane import LONG, main, wait_until


class LongPoll(Case):
    def ask(self, plane, path):
        """Sends a request and does not wait for its answer."""
        connection = http.client.HTTPConnection("127.0.0.1", plane.gui, timeout=LONG)
        self.addCleanup(connection.close)
        connection.request("GET", path)
        return connection

    def answer(self, connection):
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    def test_a_finished_task_is_told_at_once(self):
        plane = self.plane()
        plane.run("submit", "add", "2", "3", "--id", "sum", "--priority", "high")
        task = plane.json("/api/v1/tasks/sum?wait=60")
        self.assertEqual(
            {k: task[k] for k in ("task_id", "name", "priority", "status", "attempt", "result",
                                  "error")},
            {"task_id": "sum", "name": "add", "priority": "high", "status": "success",
             "attempt": 1, "result": 5, "error": None})
        for name in ("created_at", "started_at", "completed_at"):
            self.assertRegex(task[name], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
        plane.run("submit", "fail", "no paper", "--id", "f")
        task = plane.json("/api/v1/tasks/f")
        self.assertEqual((task["status"], task["result"], task["error"]),
                         ("failure", None, "no paper"))
        plane.run("submit", "echo", "1", "--json")
        uuid = plane.json("/api/tasks?limit=1000")["tasks"]
        uuid = [t["task_id"] for t in uuid if re.match(r"^[0-9a-f]{8}-", t["task_id"])][0]
        self.assertEqual(plane.json("/api/v1/tasks/" + uuid)["task_id"], uuid)

    def test_unknown_and_expired_differ(self):
        plane = self.plane("--result-cache-size", "2")
        for i in range(4):
            plane.run("submit", "echo", str(i), "--id", f"t{i}")
        for path, code, kind in (("nobody?wait=60", 404, "unknown-task"),
                                 ("t0?wait=60", 410, "expired-task"),
                                 ("t0?wait=soon", 400, "bad-request")):
            with self.assertRaises(urllib.error.HTTPError) as caught:
                plane.get("/api/v1/tasks/" + path)
            problem = json.loads(caught.exception.read())
            self.assertEqual(caught.exception.code, code)
            self.assertEqual((problem["type"], problem["status"]), ("urn:fastworker:" + kind, code))
            self.assertEqual(caught.exception.headers["content-type"], "application/problem+json")
            caught.exception.close()

    def test_the_end_of_a_task_wakes_those_who_wait_for_it(self):
        plane = self.plane()
        plane.hold("one")
        plane.hold("other")
        ones = [self.ask(plane, "/api/v1/tasks/one?wait=60") for _ in range(3)]
        other = self.ask(plane, "/api/v1/tasks/other?wait=60")
        command = plane.json("/api/v1/tasks/one?wait=0.001")
        self.assertIn(command["status"], ("running", "pending", "queued"))
        plane.run("cancel", "--task-id", "one")
        for connection in ones:
            status, task = self.answer(connection)
            self.assertEqual((status, task["task_id"], task["status"]), (200, "one", "cancelled"))
        # Still waits: its connection has no answer, and the server is not blocked.
        other.sock.setblocking(False)
        with self.assertRaises(BlockingIOError):
            other.sock.recv(1)
        other.sock.settimeout(LONG)
        plane.run("cancel", "--task-id", "other")
        self.assertEqual(self.answer(other)[1]["status"], "cancelled")

    def test_time_over_tells_the_state(self):
        plane = self.plane("--threads", "1")
        plane.hold("held")
        wait_until(lambda: plane.status("held") == "running", "running")
        plane.run("submit", "add", "1", "2", "--non-blocking", "--id", "behind")
        task = plane.json("/api/v1/tasks/held?wait=100ms")
        self.assertEqual((task["status"], task["completed_at"], task["name"], task["attempt"]),
                         ("running", None, "sleep", 1))
        self.assertIsNotNone(task["started_at"])
        task = plane.json("/api/v1/tasks/behind?wait=100ms")
        self.assertIn(task["status"], ("pending", "queued"))
        self.assertIsNone(task["started_at"])

    def test_results_that_are_not_kept_are_told_to_who_waits(self):
        plane = self.plane("--result-cache-size", "0")
        plane.hold("held")
        asked = self.ask(plane, "/api/v1/tasks/held?wait=60")
        # Behind it on the one web thread: so the other one is parked by now.
        plane.get("/livez")
        plane.run("cancel", "--task-id", "held")
        status, task = self.answer(asked)
        self.assertIn((status, task.get("status")), ((200, "cancelled"),))
        self.assertEqual((task["name"], task["error"]), ("sleep", "Task cancelled"))

    def test_clients_that_leave_and_a_program_that_ends(self):
        plane = self.plane()
        plane.hold("held")
        for _ in range(40):
            self.ask(plane, "/api/v1/tasks/held?wait=60").close()
        plane.run("submit", "sleep", "1", "--id", "short", "--non-blocking")
        asked = self.ask(plane, "/api/v1/tasks/short?wait=60")
        # Behind it on the one web thread: so the other one is parked by now.
        plane.get("/livez")
        plane.run("cancel", "--task-id", "held")
        plane.process.terminate()
        self.assertEqual(self.answer(asked)[1]["status"], "success")
        self.assertEqual(plane.process.wait(LONG), 0)


if __name__ == "__main__":
    main()

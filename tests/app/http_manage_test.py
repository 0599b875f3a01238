"""/api/v1: queues, limits, schedules, workers, scale.

Covers app/http/http_manage.c, app/http/http_parts.c. SPDX-License-Identifier: Apache-2.0
"""
from http_case import HttpCase
from plane import main


class Manage(HttpCase):
    def test_queues_are_paused_and_resumed(self):
        queues = self.ok("GET", "/api/v1/queues")
        self.assertEqual([queue["priority"] for queue in queues["queues"]],
                         ["critical", "high", "normal", "low"])
        self.assertEqual(self.ok("POST", "/api/v1/queues/high:pause"),
                         {"priority": "high", "paused": True, "resumes_in": None})
        told = self.ok("POST", "/api/v1/queues/all:pause?for=5m")
        self.assertTrue(299 < told["resumes_in"] <= 300, told)
        self.ok("POST", "/api/v1/tasks", {"task": "add", "args": [1, 2], "id": "q",
                                          "priority": "high"}, status=202)
        queues = self.ok("GET", "/api/v1/queues")
        self.assertEqual((queues["paused"], queues["queues"][1]["paused"],
                          queues["queues"][1]["depth"]), (True, True, 1))
        scale = self.ok("GET", "/api/v1/scale")
        self.assertEqual((scale["queued"], scale["held"], scale["wanted_slots"]), (1, 1, 0))
        self.ok("POST", "/api/v1/queues/all:resume")
        self.assertEqual(self.ok("GET", "/api/v1/tasks/q?wait=60")["result"], 3)
        self.refused(404, "POST", "/api/v1/queues/urgent:pause")
        for word in ("", "soon", "-1", "0", "%00"):
            self.refused(400 if word == "%00" else 422, "POST",
                         "/api/v1/queues/low:pause?for=" + word)

    def test_limits_are_put_and_taken_away(self):
        self.assertEqual(self.ok("PUT", "/api/v1/limits/sleep", {"max_running": 2, "rate": 5})
                         ["max_running"], 2)
        limit = self.ok("GET", "/api/v1/limits/sleep")
        self.assertEqual((limit["task"], limit["max_running"], limit["rate"]), ("sleep", 2, 5.0))
        self.assertIn(limit, self.ok("GET", "/api/v1/limits")["limits"])
        self.refused(422, "PUT", "/api/v1/limits/sleep", {"task": "echo", "rate": 7})
        self.refused(404, "GET", "/api/v1/limits/echo")
        self.assertEqual(self.ok("GET", "/api/v1/limits/sleep")["rate"], 5.0)
        self.refused(422, "PUT", "/api/v1/limits/sleep", {"rate": "many"})
        self.refused(400, "PUT", "/api/v1/limits/sleep", [])
        self.ok("DELETE", "/api/v1/limits/sleep")
        self.refused(404, "GET", "/api/v1/limits/sleep")
        self.assertTrue(self.ok("POST", "/api/v1/limits/echo:pause?for=1h")["paused"])
        self.assertFalse(self.ok("POST", "/api/v1/limits/echo:resume")["paused"])

    def test_schedules_are_put_run_and_deleted(self):
        path = "/api/v1/schedules/every%2Fnight"
        plan = {"task": "add", "args": [1, 2], "when": "0 3 * * *", "tz": "UTC"}
        answer = self.ask("PUT", path, plan)
        self.assertEqual((answer.status, answer.headers["location"]), (201, path))
        self.assertEqual(self.ok("PUT", path, plan)["outcome"], "unchanged")
        schedule = self.ok("GET", path)
        self.assertEqual((schedule["name"], schedule["task"], schedule["runs"]),
                         ("every/night", "add", []))
        self.assertEqual(len(self.ok("GET", "/api/v1/schedules")["schedules"]), 1)
        told = self.ok("POST", path + ":trigger")
        self.assertEqual(self.ok("GET", f"/api/v1/tasks/{told['task_id']}?wait=60")["result"], 3)
        self.assertEqual(self.ok("POST", path + ":pause")["outcome"], "paused")
        self.assertEqual(self.ok("POST", path + ":resume")["outcome"], "resumed")
        told = self.ok("POST", path + ":backfill", {"from": "2026-01-01T00:00:00",
                                                    "to": "2026-01-03T23:00:00"})
        self.assertEqual(told["runs"], 3)
        self.refused(422, "POST", path + ":backfill")
        self.assertEqual(self.refused(422, "PUT", path, {**plan, "when": "x"})["field"], "when")
        self.assertEqual(self.ok("DELETE", path)["outcome"], "deleted")
        for method, tail in (("GET", ""), ("DELETE", ""), ("POST", ":pause"), ("POST", ":trigger")):
            self.refused(404, method, path + tail)

    def test_workers(self):
        self.assertEqual(self.ok("GET", "/api/v1/workers"), {"workers": []})
        self.refused(404, "GET", "/api/v1/workers/nobody")
        self.refused(404, "POST", "/api/v1/workers/nobody:drain")
        self.refused(404, "POST", "/api/v1/workers/nobody:resume")
        self.refused(404, "POST", "/api/v1/workers/" + "w" * 300 + ":drain")
        self.refused(405, "POST", "/api/v1/workers/nobody")


if __name__ == "__main__":
    main()

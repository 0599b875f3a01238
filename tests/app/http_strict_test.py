"""/api/v1: what is misspelt is refused by name, and nothing is done.

Covers app/http/http_parts.c, and the bodies of app/http/http_*.c. SPDX-License-Identifier:
Apache-2.0
"""
from http_case import HttpCase
from plane import main


class Strict(HttpCase):
    def wrong(self, path, body, field, method="POST"):
        problem = self.refused(422, method, "/api/v1/" + path, body)
        self.assertEqual(problem.get("field"), field, problem)
        return problem["detail"]

    def test_a_misspelt_member_is_named_with_the_nearest(self):
        said = self.wrong("tasks:cancel", {"where": {"name": "sleep"}, "dryrun": True}, "dryrun")
        self.assertEqual(said, "'dryrun' is no member here, did you mean 'dry_run'?; "
                               "known: where dry_run")
        self.wrong("tasks:batch", {"tasks": [{"task": "add"}], "mode": 1}, "mode")
        self.wrong("dead:retry", {"all": True, "dryrun": True}, "dryrun")
        self.wrong("dead:purge", {"all": True, "dryrun": True}, "dryrun")
        # Cut in the middle of a character, the answer is text all the same.
        long = '{"a%s": 1}' % ("\u00e9" * 60)
        problem = self.refused(422, "POST", "/api/v1/tasks:cancel", long.encode())
        self.assertTrue(problem["field"].startswith("a\u00e9\u00e9"), problem)

    def test_nothing_is_cancelled_by_what_was_to_be_a_dry_run(self):
        self.ok("POST", "/api/v1/queues/low:pause")
        self.ok("POST", "/api/v1/tasks", {"task": "echo", "id": "stays", "priority": "low"},
                status=202)
        self.wrong("tasks:cancel", {"where": {"priority": "low"}, "dryrun": True}, "dryrun")
        self.assertEqual(self.ok("GET", "/api/v1/tasks/stays")["status"], "queued")
        self.wrong("tasks/stays:retry", {"now": True}, "now")
        self.ok("POST", "/api/v1/queues/low:resume")

    def test_pauses_take_their_time_in_the_address(self):
        for path in ("queues/low:pause", "limits/add:pause"):
            self.assertIn("?for=5m", self.wrong(path, {"for": "5s"}, "for"))
            self.wrong(path, {"fr": "5s"}, "fr")
        self.wrong("queues/low:resume", {"in": "5s"}, "in")
        self.assertFalse(self.ok("GET", "/api/v1/queues")["queues"][3]["paused"])

    def test_a_misspelt_parameter_is_named_with_those_that_there_are(self):
        for method, path, field in (
                ("POST", "queues/low:pause?fr=5m", "fr"),
                ("POST", "queues/low:resume?for=5m", "for"),
                ("GET", "tasks?group=g&older=5&nmae=x", "group"),
                ("GET", "tasks?name=add&nmae=x", "nmae"),
                ("GET", "tasks/one?wiat=5", "wiat"), ("GET", "dead?status=failure", "status"),
                ("DELETE", "tasks/one?dry_run=true", "dry_run"), ("GET", "scale?x", "x"),
                ("GET", "stats/history?second=5", "second"), ("GET", "events?onyl=stats", "onyl")):
            problem = self.refused(400, method, "/api/v1/" + path)
            self.assertEqual(problem["field"], field, path)
        said = self.refused(400, "POST", "/api/v1/queues/low:pause?fr=5m")["detail"]
        self.assertEqual(said, "'fr' is no parameter here; known: for")
        self.assertFalse(self.ok("GET", "/api/v1/queues")["queues"][3]["paused"])
        # Upstream's paths take what upstream's clients say, as upstream does.
        self.ok("GET", "/api/status?_=1")
        self.assertEqual(self.ask("GET", "/?x=1").status, 200)

    def test_limits(self):
        path = "limits/strict"
        self.assertIn("'max_running'", self.wrong(path, {"maxrunning": 2}, "maxrunning", "PUT"))
        self.wrong(path, {"task": "echo", "max_running": 2}, "task", "PUT")
        self.wrong(path, {"burst": 5}, "burst", "PUT")
        self.wrong(path, {"per_key_burst": 5}, "burst", "PUT")
        self.wrong(path, {"key_rate": 1, "per_key_rate": 2}, None, "PUT")
        self.refused(404, "GET", "/api/v1/" + path)
        for names in (("key_max_running", "key_rate", "key_burst"),
                      ("per_key_running", "per_key_rate", "per_key_burst")):
            limit = self.ok("PUT", "/api/v1/" + path, dict(zip(names, (1, 2, 3))))
            self.assertEqual((limit["key_max_running"], limit["key_rate"], limit["key_burst"]),
                             (1, 2.0, 3))
            self.ok("DELETE", "/api/v1/" + path)
        self.ok("PUT", "/api/v1/" + path, {"rate": 5})
        self.assertEqual(self.ok("PUT", "/api/v1/" + path, {"burst": 7})["burst"], 7)
        self.ok("PUT", "/api/v1/" + path, {"rate": 0, "burst": 7})

    def test_schedules(self):
        plan = {"task": "add", "when": "0 3 * * *", "tz": "UTC"}
        self.wrong("schedules/h1", {**plan, "name": "h2"}, "name", "PUT")
        self.assertIn("'timeout'", self.wrong("schedules/h1", {**plan, "timout": 1}, "timout",
                                              "PUT"))
        self.wrong("schedules/h1", {**plan, "action": "workers"}, "action", "PUT")
        self.assertEqual(self.ok("GET", "/api/v1/schedules")["schedules"], [])
        self.ok("PUT", "/api/v1/schedules/h1", {**plan, "name": "h1"}, status=201)
        times = {"from": "2026-01-01T00:00:00", "to": "2026-01-03T23:00:00"}
        self.wrong("schedules/h1:backfill", {**times, "dry_run": True}, "dry_run")
        self.wrong("schedules/h1:pause", {"for": "5m"}, "for")
        self.wrong("schedules/h1:trigger", {"name": "h2"}, "name")
        one = self.ok("GET", "/api/v1/schedules/h1")
        self.assertEqual((one["state"], one["runs"]), ("active", []))
        self.wrong("workers/w:drain", {"worker": "v"}, "worker")

    def test_the_dead_are_edited_only_with_something(self):
        self.ok("POST", "/api/v1/tasks", {"task": "fail", "id": "dead", "max_retries": 1,
                                          "retry_delay": 0, "kwargs": {"error": "none"}},
                status=202)
        self.assertEqual(self.ok("GET", "/api/v1/tasks/dead?wait=60")["status"], "failure")
        self.assertIn("'args'", self.wrong("dead/dead:edit", {"argss": []}, "argss"))
        self.assertIn("nothing is to be changed", self.wrong("dead/dead:edit", {}, None))
        self.wrong("dead/dead:edit", {"task_id": "another", "args": []}, "task_id")
        self.ok("POST", "/api/v1/dead/dead:edit", {"args": [2]})
        self.assertEqual(self.ok("GET", "/api/v1/dead/dead")["args"], [2])

    def test_one_id_is_not_given_to_two_tasks_of_a_batch(self):
        one = {"task": "add", "args": [1, 2], "id": "twice"}
        for other in ({"task": "echo"}, {"args": [1, 3]}, {"kwargs": {"x": 1}}):
            problem = self.refused(409, "POST", "/api/v1/tasks:batch",
                                   [one, {"task": "echo", "id": "third"}, {**one, **other}])
            self.assertIn("twice", problem["detail"])
        self.refused(404, "GET", "/api/v1/tasks/twice")
        self.ok("POST", "/api/v1/tasks:batch", [one, one], status=202)

    def test_values_that_cannot_be(self):
        for address in ("ftp://x", "notaurl", "tcp://x", "http://", "tcp://:5"):
            self.wrong("tasks", {"task": "add", "callback": {"address": address}}, "callback")
        self.wrong("tasks", {"task": "add", "callback": {"address": "tcp://a:1", "date": {}}},
                   "callback")
        self.wrong("tasks", {"task": "add", "eta": "2030-02-30T00:00:00"}, "eta")
        plan = {"task": "add", "when": "0 3 * * *", "tz": "UTC"}
        for name in ("timeout", "jitter", "catchup_window", "retry_delay"):
            self.wrong("schedules/times", {**plan, name: "5 moons"}, name, "PUT")
            self.ok("PUT", "/api/v1/schedules/times", {**plan, name: "5m"},
                    status=201 if name == "timeout" else 200)
        self.ok("DELETE", "/api/v1/schedules/times")

    def test_workers_over_http(self):
        said = self.wrong("worker/poll", {"worker": "w", "tsks": ["add"]}, "tsks")
        self.assertIn("'tasks'", said)
        self.assertIn("'result'", self.wrong("worker/none:complete", {"reslt": 5}, "reslt"))
        self.wrong("worker/none:fail", {"error": "x", "retry": 5}, "retry")
        self.wrong("worker/none:release", {"error": "x"}, "error")
        self.wrong("worker/none:beat", {"done": 1}, "done")
        self.wrong("worker/none:beat", {"progress": {"done": 1, "of": 2}}, "of")
        self.wrong("worker/none:beat", {"progress": [None, None]}, "progress")


if __name__ == "__main__":
    main()

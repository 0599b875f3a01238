"""/api/v1/worker: tasks for who asks over HTTP, leases, and the workers of docs/examples.

Covers app/workers/poller.c and app/http/http_worker.c. SPDX-License-Identifier: Apache-2.0
"""
import http.client
import json
import os
import subprocess

from control_plane_test import Case
from plane import LONG, main, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
EXAMPLES = os.path.join(HERE, "..", "..", "docs", "examples", "http_worker")


class Worker(Case):
    def setUp(self):
        super().setUp()
        self.cp = self.plane("--no-local")
        self.addCleanup(self.cp.process.stderr.close)

    def begin(self, path, **body):
        connection = http.client.HTTPConnection("127.0.0.1", self.cp.gui, timeout=LONG)
        self.addCleanup(connection.close)
        connection.request("POST", "/api/v1/worker/" + path, json.dumps(body),
                           {"content-type": "application/json"})
        return connection

    def answer(self, connection, status=200):
        answer = connection.getresponse()
        body = json.loads(answer.read())
        self.assertEqual(answer.status, status, body)
        return body

    def post(self, path, status=200, **body):
        return self.answer(self.begin(path, **body), status)

    def poll(self, worker="w1", tasks=("add",), **more):
        return self.post("poll", worker=worker, tasks=list(tasks), **more)["tasks"]

    def submit(self, *words):
        done = self.cp.run("submit", *words, "--non-blocking", "-q")
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def ended(self, task_id):
        return self.cp.json(f"/api/v1/tasks/{task_id}?wait=60")

    def workers(self):
        return {w["id"]: w for w in self.cp.json("/api/workers")["workers"]}


class Leases(Worker):
    def test_a_task_there_and_back(self):
        task_id = self.submit("add", "2", "3", "--priority", "high", "--timeout", "60",
                              "--options", '{"headers": {"traceparent": "00-1"}}')
        task, = self.poll(wait=60)
        self.assertEqual({k: task[k] for k in task if k != "lease"},
                         {"id": task_id, "name": "add", "args": [2, 3], "kwargs": {},
                          "priority": "high", "attempt": 1, "timeout": 60.0,
                          "headers": {"traceparent": "00-1"}})
        self.assertEqual(self.cp.json("/api/v1/tasks/" + task_id)["status"], "running")
        self.assertEqual(self.post(task["lease"] + ":complete", result=[5, {"a": None}]),
                         {"ok": True})
        end = self.ended(task_id)
        self.assertEqual((end["status"], end["result"]), ("success", [5, {"a": None}]))
        problem = self.post(task["lease"] + ":complete", 409, result=6)
        self.assertEqual(problem["type"], "urn:fastworker:lease-is-over")
        self.assertEqual(self.ended(task_id)["result"], [5, {"a": None}])

    def test_a_poll_waits_for_what_comes(self):
        waiting = self.begin("poll", worker="w1", tasks=["add"], wait=60)
        wait_until(lambda: "w1" in self.workers(), "it is shown")
        task_id = self.submit("add", "1", "2")
        task, = self.answer(waiting)["tasks"]
        self.assertEqual(task["id"], task_id)
        self.assertEqual(self.poll(wait=0), [])
        self.post(task["lease"] + ":fail", error="no paper")
        end = self.ended(task_id)
        self.assertEqual((end["status"], end["error"]), ("failure", "no paper"))

    def test_the_later_of_two_polls_counts(self):
        first = self.begin("poll", worker="w1", tasks=["add"], wait=60)
        wait_until(lambda: "w1" in self.workers(), "it is shown")
        second = self.begin("poll", worker="w1", tasks=["add"], wait=60)
        self.assertEqual(self.answer(first)["tasks"], [])
        self.submit("add", "1", "2")
        task, = self.answer(second)["tasks"]
        self.post(task["lease"] + ":complete", result=3)

    def test_never_more_than_max_in_hand(self):
        ids = {self.submit("add", str(i), "1") for i in range(5)}
        first = self.poll(max=2, wait=60)
        self.assertEqual(len(first), 2)
        self.assertEqual(self.poll(max=2, wait=0), [])
        self.post(first[0]["lease"] + ":complete", result=0)
        second = self.poll(max=2, wait=60)
        self.assertEqual(len(second), 1)
        for task in first[1:] + second:
            self.post(task["lease"] + ":complete", result=0)
        third = self.poll(max=2, wait=60)
        self.assertEqual({task["id"] for task in first + second + third}, ids)
        problem = self.post("poll", 409, worker="w1", tasks=["echo"], max=2)
        self.assertIn("nothing in hand", problem["detail"])
        for task in third:
            self.post(task["lease"] + ":complete", result=0)
        self.submit("echo", "x")
        self.assertEqual([t["name"] for t in self.poll(tasks=["echo"], max=9, wait=60)], ["echo"])

    def test_released_and_taken_by_another(self):
        task_id = self.submit("add", "1", "2")
        task, = self.poll("w1", wait=60)
        self.post(task["lease"] + ":release")
        again, = self.poll("w2", wait=60)
        self.assertEqual((again["id"], again["attempt"]), (task_id, 1))
        self.assertNotEqual(again["lease"], task["lease"])
        self.post(task["lease"] + ":complete", 409, result=0)
        self.post(again["lease"] + ":complete", result=3)
        self.assertEqual(self.ended(task_id)["result"], 3)

    def test_a_lease_that_is_not_renewed_lapses(self):
        task_id = self.submit("add", "1", "2")
        task, = self.poll("w1", wait=60, lease=1)
        again, = self.poll("w2", wait=60)
        self.assertEqual((again["id"], again["attempt"]), (task_id, 2))
        self.post(task["lease"] + ":beat", 409)
        self.post(task["lease"] + ":complete", 409, result="late")
        self.assertEqual(self.post(again["lease"] + ":beat"), {"cancel": False, "lease": 30.0})
        self.post(again["lease"] + ":complete", result=3)
        self.assertEqual(self.ended(task_id)["result"], 3)

    def test_a_beat_tells_of_a_cancel(self):
        task_id = self.submit("add", "1", "2")
        task, = self.poll(wait=60)
        self.assertEqual(self.cp.run("cancel", task_id).returncode, 0)
        self.assertTrue(self.post(task["lease"] + ":beat")["cancel"])
        self.post(task["lease"] + ":complete", result=3)
        self.assertEqual(self.ended(task_id)["status"], "cancelled")

    def test_a_failure_is_tried_again(self):
        done = self.cp.run("submit", "--stdin", "--non-blocking", "--json", stdin=json.dumps(
            {"task": "add", "args": [1, 2], "id": "again", "max_retries": 1}) + "\n")
        self.assertEqual(done.returncode, 0, done.stderr)
        task, = self.poll(wait=60)
        self.post(task["lease"] + ":fail", error="once")
        wait_until(lambda: self.cp.json("/api/v1/tasks/again")["status"] == "retrying",
                   "it waits for its next run")

    def test_a_failure_says_what_shall_follow(self):
        for task_id in ("soon", "never"):
            done = self.cp.run("submit", "--stdin", "--non-blocking", "--json", stdin=json.dumps(
                {"task": "add", "args": [1, 2], "id": task_id, "max_retries": 3}) + "\n")
            self.assertEqual(done.returncode, 0, done.stderr)
            task, = self.poll(wait=60)
            self.assertEqual(task["id"], task_id)
            self.post(task["lease"] + ":fail", 422, error="x", retry_ms=-1)
            self.post(task["lease"] + ":fail", 422, error="x", final=1)
            if task_id == "never":
                self.post(task["lease"] + ":fail", error="wrong for ever", final=True)
                continue
            self.post(task["lease"] + ":fail", error="not yet", retry_ms=1)
            task, = self.poll(wait=60)  # its own delay is a minute
            self.assertEqual((task["id"], task["attempt"]), ("soon", 2))
            self.post(task["lease"] + ":complete", result=3)
        self.assertEqual(self.ended("soon")["result"], 3)
        end = self.ended("never")
        self.assertEqual((end["status"], end["error"]), ("failure", "wrong for ever"))

    def test_drained_and_resumed(self):
        self.poll(wait=0)
        self.assertEqual(self.cp.run("drain", "w1").returncode, 0)
        self.submit("add", "1", "2")
        self.assertEqual(self.poll(wait=0), [])
        self.assertEqual(self.cp.run("resume", "w1").returncode, 0)
        task, = self.poll(wait=60)
        self.post(task["lease"] + ":complete", result=3)

    def test_what_makes_no_sense(self):
        for body, field in (({}, "worker"), ({"worker": ""}, "worker"),
                            ({"worker": "a:b"}, "worker"),
                            ({"worker": "w", "tasks": "add"}, "tasks"),
                            ({"worker": "w", "tasks": [1]}, "tasks"),
                            ({"worker": "w", "max": 0}, "max"),
                            ({"worker": "w", "max": 257}, "max"),
                            ({"worker": "w", "wait": -1}, "wait"),
                            ({"worker": "w", "lease": "x"}, "lease")):
            self.assertEqual(self.post("poll", 422, **body)["field"], field, body)
        for lease in ("x", "1-2-3", "00000000-1-0000000000000001", "%00", "a" * 300):
            self.post(lease + ":beat", 400 if lease == "%00" else 409)
        self.submit("add", "1", "2")
        task, = self.poll(wait=60)
        self.assertEqual(self.post(task["lease"] + ":fail", 422)["field"], "error")
        self.post(task["lease"] + ":complete", result=3)

    def test_the_end_answers_who_waits(self):
        waiting = self.begin("poll", worker="w1", tasks=["add"], wait=60)
        wait_until(lambda: "w1" in self.workers(), "it is shown")
        self.assertEqual(self.cp.end(), 0)
        self.assertIn(waiting.getresponse().status, (200, 503))


class Examples(Worker):
    def example(self, *command):
        child = subprocess.Popen(command, cwd=EXAMPLES, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, env={
                                     **os.environ,
                                     "FASTWORKER_URL": f"http://127.0.0.1:{self.cp.gui}"})

        def end():
            child.kill()
            child.communicate()
        self.addCleanup(end)

    def check(self, name, args, status, end):
        task_id = self.submit(name, "--json-args", json.dumps(args))
        got = self.ended(task_id)
        self.assertEqual(got["status"], status, got)
        self.assertEqual(got["result"] if status == "success" else got["error"], end)

    def test_python(self):
        self.example("python3", "worker.py")
        self.check("py.add", [2, 3], "success", 5)
        self.check("py.upper", ["größe"], "success", "GRÖSSE")
        self.check("py.add", [1, "a"], "failure",
                   "TypeError: unsupported operand type(s) for +: 'int' and 'str'")

    def test_node(self):
        self.example("node", "worker.mjs")
        for i in range(20):
            self.check("node.add", [i, 3], "success", i + 3)
        self.check("node.reverse", ["añb"], "success", "bña")

    def test_shell(self):
        self.example("sh", "worker.sh")
        self.check("sh.wc", ["three short words"], "success", 3)


if __name__ == "__main__":
    main()

"""A full queue where submissions wait for room, or lower ones give way, through the real program.

Covers app/life/queue_line.c. Usage: queue_line_test.py PROGRAM SAMPLES_MODULE
SPDX-License-Identifier: Apache-2.0
"""

import concurrent.futures
import json
import subprocess
import unittest
import urllib.error
import urllib.request

from plane import LONG, PROGRAM, SAMPLES, free_block, main, wait_until

REFUSED = 75
ROOM = 40


class Case(unittest.TestCase):
    def start(self, *words):
        first = free_block()
        self.base, self.gui = f"tcp://127.0.0.1:{first}", first + 9
        self.process = subprocess.Popen(
            [PROGRAM, "control-plane", "--base-address", self.base, "--discovery-address",
             f"tcp://127.0.0.1:{first + 6}", "--gui-port", str(self.gui), "--threads", "1",
             "--queue-max", str(ROOM), "--task-modules", SAMPLES, *words],
            stderr=subprocess.DEVNULL)
        self.addCleanup(self.process.wait)
        self.addCleanup(self.process.kill)
        wait_until(lambda: self.run_command("ping", "-q").returncode == 0, "a control plane")
        self.http("POST", "/api/v1/tasks", {"task": "sleep", "args": [600], "id": "first"})
        wait_until(lambda: self.status("first") == "running", "a busy thread")

    def command(self, *words):
        return [PROGRAM, *map(str, words), "--control-plane-address", self.base]

    def run_command(self, *words):
        return subprocess.run(self.command(*words), capture_output=True, text=True, timeout=LONG,
                              check=False)

    def http(self, method, path, body=None):
        """=> (status, object)."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.gui}{path}", method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=LONG) as answer:
                return answer.status, json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def status(self, task_id):
        return self.http("GET", f"/api/v1/tasks/{task_id}")[1].get("status")

    def metric(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.gui}/metrics", timeout=LONG) as answer:
            for text in answer.read().decode().splitlines():
                if text.startswith(name + " "):
                    return float(text.split()[-1])
        return 0

    def fill(self, priority="normal", delayed=False):
        """Fills what is left, each by itself."""
        more = {"countdown": 600} if delayed else {}
        tasks = [{"task": "sleep", "args": [600], "id": f"fill-{i}", "priority": priority, **more}
                 for i in range(1, ROOM)]
        self.assertEqual(self.http("POST", "/api/v1/tasks:batch", tasks)[0], 202)

    def waiting(self, count):
        wait_until(lambda: self.metric("fastworker_queue_line") == count, f"{count} that wait")


class Block(Case):
    def test_each_way_waits_for_room(self):
        self.start("--queue-full", "block", "--queue-wait", "1h")
        self.fill(delayed=True)
        one = {"task": "add", "args": [5, 3], "id": "one"}
        many = [{"task": "add", "args": [5, 3], "id": f"many-{i}"} for i in range(3)]
        with concurrent.futures.ThreadPoolExecutor() as pool:
            asked = [pool.submit(self.http, "POST", "/api/v1/tasks", one)]
            self.waiting(1)
            asked.append(pool.submit(self.http, "POST", "/api/v1/tasks:batch", many))
            self.waiting(2)
            told = pool.submit(self.run_command, "submit", "add", 5, 3, "--non-blocking",
                               "--id", "told")
            self.waiting(3)
            # A higher one is not behind them, but finds no room either.
            high = pool.submit(self.run_command, "submit", "add", 5, 3, "--non-blocking",
                               "--priority", "critical", "--id", "high")
            self.waiting(4)
            self.assertFalse(any(one.done() for one in (*asked, told, high)))
            for i in range(1, 10):
                self.assertEqual(self.run_command("cancel", f"fill-{i}").returncode, 0)
            for i, answer in enumerate(asked):
                status, body = answer.result(LONG)
                self.assertEqual(status, 202, body)
                self.assertEqual(body.get("task_id", body.get("task_ids")),
                                 one["id"] if i == 0 else [task["id"] for task in many])
            for done in (told.result(LONG), high.result(LONG)):
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.waiting(0)
        self.assertEqual(self.metric('fastworker_queue_line_total{outcome="accepted"}'), 4)
        self.assertEqual(self.run_command("cancel", "first").returncode, 0)
        for task_id in ("one", "many-0", "many-2", "told", "high"):
            wait_until(lambda i=task_id: self.status(i) == "success", task_id)

    def test_who_waits_too_long_is_refused(self):
        self.start("--queue-full", "block", "--queue-wait", "20ms")
        self.fill(delayed=True)
        status, body = self.http("POST", "/api/v1/tasks", {"task": "add", "args": [5, 3]})
        self.assertEqual(status, 429, body)
        for way in ([], ["--non-blocking"]):
            done = self.run_command("submit", "add", 5, 3, *way)
            self.assertEqual(done.returncode, REFUSED, done.stdout + done.stderr)
        self.assertEqual(self.metric('fastworker_queue_line_total{outcome="refused"}'), 3)

    def test_who_goes_away_is_forgotten(self):
        self.start("--queue-full", "block", "--queue-wait", "1h")
        self.fill(delayed=True)
        with subprocess.Popen(self.command("submit", "add", 5, 3, "--non-blocking", "--id", "gone"),
                              stdout=subprocess.DEVNULL) as child:
            self.waiting(1)
            child.kill()
        self.waiting(0)
        self.assertEqual(self.metric('fastworker_queue_line_total{outcome="gone"}'), 1)
        self.assertEqual(self.http("GET", "/api/v1/tasks/gone")[0], 404)

    def test_who_waits_when_the_program_ends_is_told(self):
        self.start("--queue-full", "block", "--queue-wait", "1h", "--shutdown-timeout", "0")
        self.fill(delayed=True)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            asked = pool.submit(self.run_command, "submit", "add", 5, 3)
            self.waiting(1)
            self.process.terminate()
            done = asked.result(LONG)
            self.assertIn("closed", done.stdout + done.stderr)
            self.assertNotEqual(done.returncode, 0)
        self.assertEqual(self.process.wait(LONG), 0)


class ShedLow(Case):
    def check(self, *pause):
        self.start("--queue-full", "shed-low", "--queue-wait", "1h")
        if pause:
            self.assertEqual(self.run_command("pause", *pause).returncode, 0)
        self.fill("low")
        # Nothing is below a low one.
        status, body = self.http("POST", "/api/v1/tasks",
                                 {"task": "add", "args": [5, 3], "priority": "low"})
        self.assertEqual(status, 429, body)
        status, body = self.http("POST", "/api/v1/tasks",
                                 {"task": "add", "args": [5, 3], "id": "over-http"})
        self.assertEqual(status, 202, body)
        done = self.run_command("submit", "add", 5, 3, "--non-blocking", "--priority", "high",
                                "--id", "told")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        shed = self.metric("fastworker_tasks_shed_total")
        self.assertGreaterEqual(shed, 2)
        # The oldest gave way; each is known to have failed, and among the dead.
        status, body = self.http("GET", "/api/v1/tasks/fill-1")
        self.assertEqual((status, body["status"]), (200, "failure"), body)
        self.assertIn("gave way", body["error"])
        states = [self.status(f"fill-{i}") for i in range(1, ROOM)]
        self.assertEqual(states.count("failure"), shed)
        self.assertEqual(states.count("queued"), ROOM - 1 - shed)
        self.assertEqual(self.metric("fastworker_tasks_dead"), shed)

    def test_the_lowest_give_way(self):
        self.check()

    def test_the_lowest_give_way_while_they_are_paused(self):
        self.check("--priority", "low")

    def test_the_lowest_give_way_while_their_name_is_paused(self):
        self.check("--task", "sleep")


if __name__ == "__main__":
    main()

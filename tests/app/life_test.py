"""The life of a task in the real program, run by a thread, in isolation, and by a subworker: how
far it is, what its failed runs said, what a cancel finds and what a deadline does.

running.c, progress.c, attempts.c, retry.c. Usage: life_test.py PROGRAM SAMPLES_MODULE; the module
life lies beside the samples. Pains 5 and 11 of other queues' users are here by their numbers.
SPDX-License-Identifier: Apache-2.0
"""

import json
import os
import signal
import subprocess
import tempfile
import unittest
import urllib.request

from plane import LONG, PROGRAM, SAMPLES, free_block, main, wait_until

LIFE = os.path.join(os.path.dirname(SAMPLES), "life.so")


class Plane:
    """A control plane, and a subworker where it runs nothing itself."""

    def __init__(self, *flags, subworker=False):
        first = free_block()
        self.base = f"tcp://127.0.0.1:{first}"
        self.web = f"http://127.0.0.1:{first + 12}"
        common = ["--discovery-address", f"tcp://127.0.0.1:{first + 8}", "--task-modules",
                  SAMPLES, LIFE, "--threads", "4", *flags]
        self.log = tempfile.TemporaryFile("w+")
        self.processes = []
        self.begin("control-plane", "--base-address", self.base, "--gui-port", str(first + 12),
                   *(["--no-local"] if subworker else []), *common)
        wait_until(lambda: "event=ready" in self.logged() or self.processes[0].poll(), "ready")
        if subworker:
            self.begin("subworker", "--control-plane-address", self.base, *common)
            wait_until(lambda: "event=worker.up" in self.logged(), "the subworker is up")

    def begin(self, *words):
        self.processes.append(subprocess.Popen([PROGRAM, *words], stdout=self.log,
                                               stderr=self.log))

    def logged(self):
        with open(f"/proc/{os.getpid()}/fd/{self.log.fileno()}", encoding="utf-8") as log:
            return log.read()

    def run(self, *words):
        return subprocess.run([PROGRAM, words[0], "--control-plane-address", self.base,
                               *words[1:]], capture_output=True, text=True, timeout=LONG,
                              check=False)

    def submit(self, *words):
        return json.loads(self.run("submit", *words, "--json").stdout)

    def begin_task(self, name, ident, *words):
        done = self.run("submit", name, *words, "--id", ident, "--non-blocking")
        assert done.returncode == 0, done.stderr

    def http(self, path):
        with urllib.request.urlopen(self.web + path, timeout=LONG) as answer:
            return json.load(answer)

    def task(self, ident):
        return self.http("/api/v1/tasks/" + ident)

    def status(self, ident):
        return json.loads(self.run("status", ident, "--json").stdout)

    def wait_for(self, ident, state):
        wait_until(lambda: self.status(ident)["status"] == state, f"{ident} is {state}")

    def metric(self, name):
        with urllib.request.urlopen(self.web + "/metrics", timeout=LONG) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(name + " "):
                    return float(line.split()[1])
        raise AssertionError(name + " is not there")

    def close(self):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGKILL)
            process.wait(LONG)
        self.log.close()


class Life:
    """The same for each way to run a task."""

    flags, subworker = (), False

    @classmethod
    def setUpClass(cls):
        cls.plane = Plane(*cls.flags, subworker=cls.subworker)
        cls.addClassCleanup(cls.plane.close)
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)

    def file(self, name):
        return os.path.join(self.folder.name, name)

    def touch(self, name):
        with open(self.file(name), "w", encoding="utf-8"):
            pass

    def test_progress_is_seen_while_it_runs(self):
        plane = self.plane
        plane.begin_task("report", "walk", self.file("walked"))
        wanted = {"done": 7, "total": 10, "note": "seven äpfel"}
        wait_until(lambda: plane.status("walk").get("progress") == wanted, "all of it is told")
        self.assertEqual(plane.task("walk")["progress"], wanted)
        self.assertIn("Progress: 7 of 10 (70 %), seven äpfel\n", plane.run("status", "walk").stdout)
        self.touch("walked")
        plane.wait_for("walk", "success")
        self.assertNotIn("progress", plane.task("walk"))

    def test_errors_of_attempts(self):
        plane = self.plane
        self.assertEqual(plane.submit("flaky", "3")["result"], 3)
        answer = plane.submit("flaky_long", "--id", "hopeless")
        self.assertEqual(answer["status"], "failure")
        self.assertEqual(answer["error"], "run 12 of flaky_long")
        dead = [t for t in json.loads(plane.run("dead", "--json").stdout)["tasks"]
                if t["task_id"] == "hopeless"]
        self.assertEqual([(a["attempt"], a["error"]) for a in dead[0]["attempt_errors"]],
                         [(i, f"run {i} of flaky_long") for i in range(5, 13)])

    def test_a_run_says_what_follows(self):
        plane = self.plane
        self.assertEqual(plane.submit("soon")["result"], 2)
        answer = plane.submit("final", "--id", "final")
        self.assertEqual((answer["status"], answer["error"]), ("failure", "never"))
        self.assertEqual(plane.task("final")["attempt"], 1)
        plane.begin_task("later", "later")
        plane.wait_for("later", "retrying")
        task = plane.task("later")
        self.assertEqual([(a["attempt"], a["error"]) for a in task["attempts"]], [(1, "not today")])
        self.assertEqual(plane.run("cancel", "--task-id", "later").returncode, 0)

    def test_headers_and_hooks(self):
        plane = self.plane
        options = json.dumps({"headers": {"traceparent": "00-ab-cd-01"}})
        self.assertEqual(plane.submit("header", "--options", options)["result"], "00-ab-cd-01")
        options = json.dumps({"headers": {"x-refuse": "Sunday"}})
        answer = plane.submit("header", "--options", options)
        self.assertEqual((answer["status"], answer["error"]), ("failure", "refused: Sunday"))

    def test_the_deadline_wakes_who_polls(self):
        answer = self.plane.submit("polls", "--timeout", "0.2", "--max-retries", "0")
        self.assertEqual((answer["status"], answer["error"]),
                         ("failure", "Task timed out after 0.2s"))

    def test_pain_5_cancel_in_each_state(self):
        """Scheduled, queued, running (listening, polling, deaf), retrying, over."""
        plane = self.plane
        plane.begin_task("echo", "scheduled", "1", "--countdown", "3600")
        plane.wait_for("scheduled", "scheduled")
        self.assertEqual(plane.run("pause", "--task", "echo").returncode, 0)
        plane.begin_task("echo", "queued", "1")
        plane.wait_for("queued", "queued")
        plane.begin_task("report", "listens")
        plane.begin_task("polls", "polls")
        for ident in ("listens", "polls"):
            wait_until(lambda i=ident: plane.status(i).get("progress"), ident + " runs")
        plane.begin_task("deaf_until", "deaf", self.file("heard"))
        plane.wait_for("deaf", "running")
        plane.begin_task("later", "retrying")
        plane.wait_for("retrying", "retrying")
        idents = ("scheduled", "queued", "listens", "polls", "deaf", "retrying")
        for ident in idents:
            done = plane.run("cancel", "--task-id", ident)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.touch("heard")
        for ident in idents:
            plane.wait_for(ident, "cancelled")
        self.assertEqual(plane.run("unpause", "--task", "echo").returncode, 0)
        self.assertEqual(plane.submit("echo", "after")["result"], "after")
        # What has ended stays as it ended; nothing became a success afterwards.
        for ident in idents:
            self.assertNotEqual(plane.run("cancel", "--task-id", ident).returncode, 0)
            task = plane.task(ident)
            self.assertEqual((task["status"], task["result"]), ("cancelled", None))
        plane.submit("echo", "over", "--id", "over")
        self.assertNotEqual(plane.run("cancel", "--task-id", "over").returncode, 0)
        self.assertEqual(plane.status("over")["status"], "success")


class ByAThread(Life, unittest.TestCase):
    def test_pain_11_a_task_that_loops_for_ever(self):
        """Its caller is answered in time, the others go on, and the gauge says it."""
        plane = self.plane
        self.assertEqual(plane.metric("fastworker_stuck_threads"), 0)
        answer = plane.submit("deaf_until", self.file("freed"), "--timeout", "0.1")
        self.assertEqual((answer["status"], answer["error"]),
                         ("failure", "Task timed out after 0.1s"))
        self.assertEqual(plane.metric("fastworker_stuck_threads"), 1)
        for i in range(20):
            self.assertEqual(plane.submit("echo", str(i))["result"], i)
        self.touch("freed")
        wait_until(lambda: plane.metric("fastworker_stuck_threads") == 0, "the thread is free")

    def test_options_of_the_module_are_in_force(self):
        plane = self.plane
        limits = {one["task"]: one for one in
                  json.loads(plane.run("limits", "--json").stdout)["limits"]}
        self.assertEqual((limits["narrow"]["max_running"], limits["narrow"]["rate"]), (1, 50.0))
        schedules = {one["name"]: one for one in
                     json.loads(plane.run("schedule", "ls", "--json").stdout)["schedules"]}
        self.assertEqual([schedules["on_time"][key] for key in ("tz", "overlap", "catchup")],
                         ["Europe/Berlin", "allow", "one"])


class Isolated(Life, unittest.TestCase):
    flags = ("--isolate", "all")


class BySubworker(Life, unittest.TestCase):
    subworker = True


class BySubworkerIsolated(Life, unittest.TestCase):
    flags, subworker = ("--isolate", "all"), True


if __name__ == "__main__":
    main()

"""Limits and pauses through the real program: commands, management port, metrics.

Covers app/manage/limits.c, app/commands/limits.c. Usage: limits_test.py PROGRAM SAMPLES_MODULE
SPDX-License-Identifier: Apache-2.0
"""

import json
import os
import subprocess
import unittest
import urllib.request

from plane import LONG, PROGRAM, SAMPLES, free_block, main, wait_until

DONE, OTHER, USAGE, UNKNOWN = 0, 1, 2, 4


class Limits(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        first = free_block()
        cls.base, cls.gui = f"tcp://127.0.0.1:{first}", first + 9
        cls.process = subprocess.Popen(
            [PROGRAM, "control-plane", "--base-address", cls.base, "--discovery-address",
             f"tcp://127.0.0.1:{first + 6}", "--gui-port", str(cls.gui), "--threads", "4",
             "--shutdown-timeout", "1d", "--task-modules", SAMPLES], stderr=subprocess.DEVNULL)
        cls.addClassCleanup(cls.process.wait)
        cls.addClassCleanup(cls.process.kill)
        wait_until(lambda: cls.run_command("ping", "-q").returncode == 0, "a control plane")

    @classmethod
    def run_command(cls, *words):
        return subprocess.run([PROGRAM, *map(str, words), "--control-plane-address", cls.base],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=LONG, check=False)

    def ok(self, *words):
        done = self.run_command(*words)
        self.assertEqual(done.returncode, DONE, done.stdout + done.stderr)
        return done.stdout

    def json(self, *words):
        return json.loads(self.ok(*words, "--json"))

    def limit_of(self, task):
        found = [one for one in self.json("limits")["limits"] if one["task"] == task]
        return found[0] if found else None

    def queue(self, priority):
        return [one for one in self.json("limits")["queues"] if one["priority"] == priority][0]

    def submit(self, *words):
        self.ok("submit", *words, "--non-blocking")

    def status(self, task_id):
        return json.loads(self.run_command("status", task_id, "--json").stdout)["status"]

    def metric(self, line):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.gui}/metrics", timeout=LONG) as answer:
            for text in answer.read().decode().splitlines():
                if text.startswith(line + " "):
                    return float(text.split()[-1])
        raise AssertionError("no metric " + line)

    def test_limited_tasks_step_aside(self):
        answer = self.json("limits", "set", "sleep", "--max-running", 1)
        self.assertEqual((answer["task"], answer["max_running"], answer["rate"]), ("sleep", 1, 0))
        ids = [f"sleep-{os.getpid()}-{i}" for i in range(3)]
        for task_id in ids:
            self.submit("sleep", 600, "--id", task_id)
        self.assertEqual(json.loads(self.ok("submit", "add", 5, 3, "--json"))["result"], 8)
        wait_until(lambda: self.limit_of("sleep")["held"], "held tasks")
        view = self.limit_of("sleep")
        self.assertEqual((view["waiting"], view["running"]), (2, 1))
        self.assertEqual(self.metric('fastworker_tasks{state="held"}'), 2)
        self.assertGreaterEqual(self.metric('fastworker_tasks{state="queued"}'), 2)
        self.assertRegex(self.ok("limits"), r"sleep +1 +- +2 +1 +held")
        # The one in the middle is cancelled while it is held, then the others one by one.
        self.ok("cancel", ids[1])
        self.assertEqual(self.status(ids[1]), "cancelled")
        self.assertNotEqual(self.status(ids[2]), "running")
        self.ok("cancel", ids[0])
        wait_until(lambda: self.status(ids[2]) == "running", "its turn")
        self.ok("cancel", ids[2])
        self.ok("limits", "set", "sleep", "--max-running", 0)
        self.assertIsNone(self.limit_of("sleep"))

    def test_tasks_of_a_key_run_one_by_one_and_keys_beside_each_other(self):
        answer = self.json("limits", "set", "sleep", "--per-key-running", 1)
        self.assertEqual((answer["key_max_running"], answer["key_rate"]), (1, 0))
        ids = [f"key-{os.getpid()}-{i}" for i in range(4)]
        for task_id, key in zip(ids, ("a", "a", "b", "\u00e9")):
            self.submit("sleep", 600, "--id", task_id, "--options", json.dumps({"key": key}))
        wait_until(lambda: [self.status(one) for one in ids].count("running") == 3, "three keys")
        self.assertEqual(self.status(ids[1]), "queued")
        view = self.limit_of("sleep")
        self.assertEqual((view["keys"], view["waiting"], view["running"]), (3, 1, 3))
        self.assertRegex(self.ok("limits"), r"each key: 1 at once; 3 keys")
        self.ok("cancel", ids[0])
        wait_until(lambda: self.status(ids[1]) == "running", "its turn")
        for task_id in ids[1:]:
            self.ok("cancel", task_id)
        wait_until(lambda: self.limit_of("sleep")["keys"] == 0, "no keys")
        answer = self.json("limits", "set", "sleep", "--per-key-running", 0,
                           "--per-key-rate", "300/m")
        self.assertEqual((answer["key_max_running"], answer["key_rate"]), (0, 5))
        self.ok("limits", "set", "sleep", "--per-key-rate", 0)
        self.assertIsNone(self.limit_of("sleep"))
        self.assertEqual(self.run_command("limits", "set", "x", "--per-key-rate", "5/y").returncode,
                         USAGE)

    def test_a_limit_holds_over_all_workers(self):
        """Three places: the own pool and two subworkers."""
        workers = [subprocess.Popen(
            [PROGRAM, "subworker", "--control-plane-address", self.base, "--threads", "2",
             "--task-modules", SAMPLES, "--worker-id", f"limited-{i}"],
            stderr=subprocess.DEVNULL) for i in range(2)]
        try:
            wait_until(lambda: len([w for w in self.json("workers")["workers"]
                                    if w["state"] == "active"]) == 2, "two subworkers")
            self.ok("limits", "set", "sleep", "--max-running", 3)
            ids = [f"spread-{os.getpid()}-{i}" for i in range(8)]
            for task_id in ids:
                self.submit("sleep", 600, "--id", task_id)
            wait_until(lambda: self.limit_of("sleep")["held"], "held tasks")
            self.assertEqual(self.limit_of("sleep")["running"], 3)
            wait_until(lambda: [self.status(one) for one in ids].count("running") == 3, "three")
            self.ok("limits", "set", "sleep", "--max-running", 6)
            wait_until(lambda: [self.status(one) for one in ids].count("running") == 6, "six")
            self.assertEqual(self.limit_of("sleep")["waiting"], 2)
            for task_id in ids:
                self.ok("cancel", task_id)
            wait_until(lambda: self.limit_of("sleep")["running"] == 0, "the end of all")
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()
            self.ok("limits", "set", "sleep", "--max-running", 0)

    def test_a_rate_lets_all_through_in_time(self):
        answer = self.json("limits", "set", "echo", "--rate", 200, "--burst", 2)
        self.assertEqual((answer["rate"], answer["burst"]), (200, 2))
        answer = self.json("limits", "set", "echo", "--max-running", 3)
        self.assertEqual((answer["rate"], answer["burst"], answer["max_running"]), (200, 2, 3))
        for i in range(6):
            self.assertEqual(json.loads(self.ok("submit", "echo", i, "--json"))["result"], i)
        self.ok("limits", "set", "echo", "--max-running", 0, "--rate", 0)
        self.assertIsNone(self.limit_of("echo"))

    def test_pauses_of_a_priority(self):
        self.assertEqual(self.ok("pause", "--priority", "low"), "priority low: paused\n")
        task_id = f"low-{os.getpid()}"
        self.submit("add", 1, 2, "--priority", "low", "--id", task_id)
        self.assertEqual(json.loads(self.ok("submit", "add", 5, 3, "--json"))["result"], 8)
        queue = wait_until(lambda: self.queue("low")["held"] and self.queue("low"), "held")
        self.assertEqual((queue["paused"], queue["resumes_in"], queue["held"]), (True, None, 1))
        self.assertEqual(self.metric('fastworker_queue_paused{priority="low"}'), 1)
        self.assertEqual(self.metric('fastworker_queue_paused{priority="high"}'), 0)
        self.assertRegex(self.ok("limits"), r"low +1 +1 +paused")
        self.assertEqual(self.ok("unpause", "--priority", "low"), "priority low: goes on\n")
        wait_until(lambda: self.status(task_id) == "success", "its end")
        self.assertEqual(self.metric('fastworker_queue_paused{priority="low"}'), 0)

    def test_a_pause_for_a_time_ends_by_itself(self):
        answer = self.json("pause", "--task", "sha256", "--for", "50ms")
        self.assertEqual((answer["task"], answer["paused"]), ("sha256", True))
        self.assertLessEqual(answer["resumes_in"], 0.05)
        self.ok("submit", "sha256", "x")
        wait_until(lambda: self.limit_of("sha256") is None, "the end of the pause")

    def test_to_unpause_all_ends_every_pause(self):
        self.ok("pause", "--task", "add")
        self.ok("pause", "--priority", "high", "--for", "2h")
        self.assertRegex(self.ok("pause", "--all", "--for", "1h"), "everything: paused for ")
        view = self.json("limits")
        self.assertTrue(view["paused"])
        self.assertGreater(view["resumes_in"], 3500)
        self.assertGreater(self.queue("high")["resumes_in"], 7000)
        self.assertIn("Everything is paused for", self.ok("limits"))
        task_id = f"all-{os.getpid()}"
        self.submit("add", 1, 2, "--priority", "high", "--id", task_id)
        self.assertNotEqual(self.status(task_id), "success")
        self.assertEqual(self.ok("unpause", "--all"), "everything: goes on\n")
        wait_until(lambda: self.status(task_id) == "success", "its end")
        self.assertFalse(self.json("limits")["paused"])

    def test_what_makes_no_sense(self):
        for words, ends in (
                (("limits", "set", "add"), USAGE),
                (("limits", "set"), USAGE),
                (("limits", "set", "add", "--rate", "fast"), USAGE),
                (("limits", "set", "add", "--rate", "1e99"), OTHER),
                (("limits", "set", "add", "--max-running", "1.5"), OTHER),
                (("limits", "set", "x" * 300, "--max-running", "1"), OTHER),
                (("limits", "nonsense"), USAGE),
                (("pause",), USAGE),
                (("pause", "--all", "--task", "add"), USAGE),
                (("pause", "--priority", "urgent"), OTHER),
                (("pause", "--all", "--for", "soon"), USAGE),
                (("pause", "--all", "--for", "9999d"), OTHER),
                (("unpause", "--task", "nobody-knows-it"), UNKNOWN)):
            done = self.run_command(*words)
            self.assertEqual(done.returncode, ends, (words, done.stdout, done.stderr))
            self.assertIn("fastworker", done.stderr)
        view = self.json("limits")
        self.assertFalse(view["paused"])
        self.assertEqual([one for one in view["limits"] if one["task"] == "add"], [])

    def test_zz_the_end_does_not_wait_for_what_is_paused(self):
        """The last of them; the limit of the end is a day."""
        self.ok("pause", "--all")
        self.submit("add", 1, 2)
        self.process.terminate()
        self.assertEqual(self.process.wait(timeout=LONG), 0)


if __name__ == "__main__":
    main()

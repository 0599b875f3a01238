"""The commands that speak to a control plane, one task at a time, against the real program.

submit.c, submit_request.c, status.c, cancel.c, ids.c, ping.c, connect.c, list.c.
Usage: commands_test.py PROGRAM SAMPLES_MODULE
SPDX-License-Identifier: Apache-2.0
"""

import json
import os
import subprocess
import time
import unittest

import plane
from plane import LONG, PROGRAM, SAMPLES, Plane, free_block, wait_until

DONE, OTHER, USAGE, FAILURE, UNKNOWN, LATE, CANCELLED, NOBODY = 0, 1, 2, 3, 4, 5, 6, 69


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.plane = Plane()
        cls.addClassCleanup(lambda: cls.plane.kill())

    def run_command(self, *words, env=None):
        return subprocess.run([PROGRAM, *map(str, words)], env={**self.plane.env, **(env or {})},
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=LONG, check=False)

    def value(self, *words):
        """The result of a submission, read as JSON."""
        done = self.run_command("submit", "--json", *words)
        self.assertEqual(done.returncode, DONE, done.stdout + done.stderr)
        return json.loads(done.stdout)["result"]

    def test_ways_to_give_arguments(self):
        self.assertEqual(self.value("add", "5", "3"), 8)
        self.assertEqual(self.value("--task-name", "add", "--args", "5", "-3"), 2)
        self.assertEqual(self.value("add", "--json-args", "[5, 4]"), 9)
        self.assertEqual(self.value("add", "x=5", "y=5"), 10)
        self.assertEqual(self.value("add", "--kwargs", '{"x": 5, "y": 6}'), 11)
        self.assertEqual(self.value("add", "5", "y=7"), 12)

    def test_what_is_printed(self):
        done = self.run_command("submit", "add", "5", "3", "-q")
        self.assertEqual((done.stdout, done.stderr), ("8\n", ""))
        done = self.run_command("submit", "add", "5", "3", "--non-blocking", "--json")
        self.assertEqual(json.loads(done.stdout)["status"], "queued")
        done = self.run_command("submit", "fail", "no paper", "--json")
        self.assertEqual(done.returncode, FAILURE)
        answer = json.loads(done.stdout)
        self.assertEqual((answer["status"], answer["error"]), ("failure", "no paper"))
        self.assertNotIn("result", answer)

    def test_the_same_id_is_the_same_task(self):
        task_id = f"same-{os.getpid()}"
        for words in (("1", "2"), ("3", "4")):
            done = self.run_command("submit", "add", *words, "--id", task_id, "--json")
            self.assertEqual(json.loads(done.stdout)["result"], 3, done.stderr)
        done = self.run_command("status", task_id, "--json")
        self.assertEqual(json.loads(done.stdout)["result"], 3)

    def test_waiting_has_an_end(self):
        task_id = f"long-{os.getpid()}"
        done = self.run_command("submit", "sleep", "600", "--wait", "100ms", "--id", task_id)
        self.assertEqual(done.returncode, LATE)
        self.assertIn(f"status --task-id {task_id}", done.stderr)
        done = self.run_command("status", task_id)
        self.assertEqual(done.returncode, LATE)
        self.assertIn("Task is currently being processed", done.stdout)
        done = self.run_command("cancel", task_id)
        self.assertEqual(done.returncode, DONE, done.stdout)
        self.assertEqual(done.stdout, f"Task {task_id} cancelled successfully\n")
        until = time.monotonic() + LONG
        while done.returncode != CANCELLED:
            self.assertLess(time.monotonic(), until, done.stdout)
            done = self.run_command("status", task_id, "nobody")
        self.assertIn("Task was cancelled: ", done.stdout)
        self.assertIn("Task ID nobody not found or expired.", done.stdout)

    def test_a_made_up_id_can_be_cancelled(self):
        done = self.run_command("submit", "sleep", "600", "--non-blocking", "-q")
        task_id = done.stdout.strip()
        done = self.run_command("cancel", "--task-id", task_id, "--json")
        self.assertEqual((done.returncode, json.loads(done.stdout)),
                         (DONE, {"task_id": task_id, "cancelled": True}))
        wait_until(lambda: self.run_command("status", task_id).returncode == CANCELLED, "over")
        done = self.run_command("cancel", "--task-id", task_id, "--json")
        self.assertEqual((done.returncode, json.loads(done.stdout)["cancelled"]), (UNKNOWN, False))

    def test_later(self):
        done = self.run_command("submit", "add", "1", "2", "--countdown", "1h", "--non-blocking",
                                "-q")
        state = self.run_command("status", "--json", done.stdout.strip())
        self.assertEqual((state.returncode, json.loads(state.stdout)["status"]),
                         (LATE, "scheduled"))
        self.assertEqual(self.value("add", "1", "2", "--eta", "2020-01-01T00:00:00"), 3)

    def test_wrong_usage(self):
        cases = [("submit",), ("submit", "--task-name"), ("submit", "add", "--priority", "urgent"),
                 ("submit", "add", "--kwargs", "[1]"), ("submit", "add", "--json-args", "{"),
                 ("submit", "add", "1", "--json-args", "[1]"), ("submit", "add", "--eta", "soon"),
                 ("submit", "add", "--countdown", "-1"), ("submit", "add", "--max-retries", "x"),
                 ("submit", "add", "x=1", "--kwargs", "{}"), ("submit", "--stdin", "--id", "x"),
                 ("submit", "add", "--countdown", "1", "--eta", "2030-01-01T00:00:00"),
                 ("submit", "add", "--id", "x" * 40), ("status",), ("cancel",), ("ping", "x"),
                 ("status", "--discovery-address", "nonsense://", "x"), ("status", "--frob", "x")]
        for words in cases:
            with self.subTest(words):
                done = self.run_command(*words)
                self.assertEqual((done.returncode, done.stdout), (USAGE, ""), done.stderr)
                self.assertTrue(done.stderr)

    def test_suggestions(self):
        done = self.run_command("submit", "--task-nmae", "add")
        self.assertIn("did you mean --task-name?", done.stderr)

    def test_ping(self):
        done = self.run_command("ping")
        self.assertEqual(done.returncode, DONE, done.stderr)
        self.assertIn(f"{self.plane.base} (native) answers in", done.stdout)
        answer = json.loads(self.run_command("ping", "--json").stdout)
        self.assertEqual((answer["address"], answer["protocol"]), (self.plane.base, "native"))

    def test_both_ways_to_speak(self):
        for env in ({"FASTWORKER_TRANSPORT": "compat"},
                    {"FASTWORKER_CONTROL_PLANE_ADDRESS": self.plane.base},
                    {"FASTWORKER_CONTROL_PLANE_ADDRESS": self.plane.base,
                     "FASTWORKER_TRANSPORT": "compat"}):
            done = self.run_command("submit", "add", "5", "3", "-q", env=env)
            self.assertEqual(done.stdout, "8\n", done.stderr)
            done = self.run_command("ping", env=env)
            way = "python" if "FASTWORKER_TRANSPORT" in env else "native"
            self.assertIn(f"({way})", done.stdout)

    def test_nobody_there(self):
        nowhere = f"tcp://127.0.0.1:{free_block()}"
        for words in (("submit", "add"), ("status", "x"), ("cancel", "x"), ("ping",)):
            done = self.run_command(*words, "--control-plane-address", nowhere)
            self.assertEqual((done.returncode, done.stdout), (NOBODY, ""), words)
            self.assertIn("connection refused", done.stderr)
            self.assertIn("fastworker control-plane", done.stderr)

    def test_statuses_as_in_python(self):
        for words in (("status", "nobody"), ("cancel", "nobody"), ("submit", "fail", "x")):
            done = self.run_command(*words, env={"FASTWORKER_CLI_COMPAT_EXIT": "1"})
            self.assertEqual(done.returncode, DONE)

    def test_settings_of_the_client(self):
        for name, value in (("FASTWORKER_SERIALIZATION_FORMAT", "PICKLE"),
                            ("FASTWORKER_TIMEOUT", "soon"), ("FASTWORKER_RETRIES", "many")):
            done = self.run_command("ping", env={name: value})
            self.assertEqual(done.returncode, USAGE)
            self.assertIn(name, done.stderr)

    def test_list(self):
        done = self.run_command("list", "--task-modules", SAMPLES)
        self.assertEqual(done.returncode, DONE, done.stderr)
        self.assertEqual(done.stdout.splitlines()[:2], ["Available tasks:", "  - add"])
        done = self.run_command("list", "--json", "--task-modules", SAMPLES)
        names = [json.loads(one)["name"] for one in done.stdout.splitlines()]
        self.assertIn("sleep", names)
        done = self.run_command("list", "--task-modules", "./absent.so")
        self.assertEqual(done.returncode, OTHER)
        self.assertIn("absent.so", done.stderr)

    def test_help_begins_with_examples_and_names_every_flag(self):
        for command in ("submit", "status", "cancel", "ping", "list"):
            done = self.run_command(command, "--help")
            self.assertEqual((done.returncode, done.stderr), (DONE, ""))
            self.assertIn("Examples:\n  fastworker " + command, done.stdout)
            self.assertIn("--json", done.stdout)


if __name__ == "__main__":
    plane.main()

"""A full queue through the real program: who is refused hears when to come again, and does.

Covers app/life/backpressure.c. Usage: backpressure_test.py PROGRAM SAMPLES_MODULE
SPDX-License-Identifier: Apache-2.0
"""

import json
import os
import subprocess
import unittest
import urllib.error
import urllib.request

from plane import LONG, PROGRAM, SAMPLES, free_block, main, wait_until

REFUSED = 75
ROOM = 40


class Full(unittest.TestCase):
    def setUp(self):
        first = free_block()
        self.base, self.gui = f"tcp://127.0.0.1:{first}", first + 9
        self.process = subprocess.Popen(
            [PROGRAM, "control-plane", "--base-address", self.base, "--discovery-address",
             f"tcp://127.0.0.1:{first + 6}", "--gui-port", str(self.gui), "--threads", "2",
             "--queue-max", str(ROOM), "--task-modules", SAMPLES], stderr=subprocess.DEVNULL)
        self.addCleanup(self.process.wait)
        self.addCleanup(self.process.kill)
        wait_until(lambda: self.run_command("ping", "-q").returncode == 0, "a control plane")

    def run_command(self, *words, lines=None):
        return subprocess.run([PROGRAM, *map(str, words), "--control-plane-address", self.base],
                              input=lines or "", capture_output=True, text=True, timeout=LONG,
                              check=False)

    def ended(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.gui}/metrics", timeout=LONG) as answer:
            return sum(float(text.split()[-1]) for text in answer.read().decode().splitlines()
                       if text.startswith("fastworker_tasks_finished_total{"))

    def fill(self):
        for i in range(ROOM):
            done = self.run_command("submit", "sleep", 600, "--non-blocking", "--id", f"fill-{i}")
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_who_is_refused_hears_when_to_come_again(self):
        self.fill()
        for way in ([], ["--non-blocking"]):
            done = self.run_command("submit", "add", 5, 3, *way)
            self.assertIn("try again in ", done.stdout + done.stderr)
            self.assertEqual(done.returncode, REFUSED, done.stdout + done.stderr)
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.gui}/api/v1/tasks", method="POST",
            data=json.dumps({"task": "add", "args": [5, 3]}).encode(),
            headers={"Content-Type": "application/json"})
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=LONG)
        self.assertEqual(caught.exception.code, 429)
        self.assertGreaterEqual(int(caught.exception.headers["Retry-After"]), 1)
        self.assertIn("try again in ", caught.exception.read().decode())
        # A run ends: room for one.
        self.assertEqual(self.run_command("cancel", "fill-0").returncode, 0)
        wait_until(lambda: self.run_command("submit", "add", 5, 3,
                                            "--non-blocking").returncode == 0, "room")

    def test_many_lines_go_through_a_small_queue(self):
        """Nothing is lost, and nothing runs twice: as many ends as lines, each under its own id."""
        lines = [{"task": "sleep", "args": [0.002], "id": f"line-{os.getpid()}-{i}"}
                 for i in range(10 * ROOM)]
        for turn, way in enumerate((["--non-blocking"], [])):
            for one in lines:
                one["id"] += "x"
            done = self.run_command("submit", "--stdin", "--json", *way,
                                    lines="".join(json.dumps(one) + "\n" for one in lines))
            self.assertEqual(done.returncode, 0, done.stderr)
            answers = [json.loads(line) for line in done.stdout.splitlines()]
            self.assertEqual([one["task_id"] for one in answers], [one["id"] for one in lines])
            self.assertEqual({one["status"] for one in answers},
                             {"queued"} if way else {"success"})
            wait_until(lambda n=turn + 1: self.ended() >= n * len(lines), "the end of all")
        self.assertEqual(self.ended(), 2 * len(lines))


if __name__ == "__main__":
    main()

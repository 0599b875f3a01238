"""Cancelling by name, priority, group, age and state through the real program.

Usage: cancel_where_test.py PROGRAM SAMPLES_MODULE SPDX-License-Identifier: Apache-2.0
"""

import json
import subprocess
import unittest

from plane import LONG, PROGRAM, SAMPLES, free_block, main, wait_until

DONE, OTHER, USAGE = 0, 1, 2


class CancelWhere(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        first = free_block()
        cls.base = f"tcp://127.0.0.1:{first}"
        cls.process = subprocess.Popen(
            [PROGRAM, "control-plane", "--no-gui", "--base-address", cls.base,
             "--discovery-address", f"tcp://127.0.0.1:{first + 6}", "--threads", "1",
             "--task-modules", SAMPLES], stderr=subprocess.DEVNULL)
        cls.addClassCleanup(cls.stop)
        wait_until(lambda: cls.command("ping", "-q").returncode == 0, "a control plane")

    @classmethod
    def stop(cls):
        cls.process.terminate()
        try:
            assert cls.process.wait(LONG) == 0
        finally:
            cls.process.kill()

    @classmethod
    def command(cls, *words, text=""):
        return subprocess.run([PROGRAM, *map(str, words), "--control-plane-address", cls.base],
                              input=text, capture_output=True, text=True, timeout=LONG,
                              check=False)

    def submit(self, *lines):
        done = self.command("submit", "--stdin", "--non-blocking", "--json",
                            text="".join(json.dumps(one) + "\n" for one in lines))
        self.assertEqual(done.returncode, DONE, done.stderr)
        return [json.loads(one)["task_id"] for one in done.stdout.splitlines()]

    def status(self, task_id):
        return json.loads(self.command("status", task_id, "--json").stdout)["status"]

    def cancel(self, *words):
        done = self.command("cancel", *words, "--json")
        self.assertEqual(done.returncode, DONE, done.stderr)
        return json.loads(done.stdout)

    def counts(self, answer):
        return {**answer["cancelled"], "asked": answer["asked"]}

    def test_each_state(self):
        running, = self.submit({"task": "sleep", "args": [600], "options": {"group": "g"}})
        wait_until(lambda: self.status(running) == "running", "a busy thread")
        mine = [{"task": "add", "args": [1, i], "options": {"group": "g"}} for i in range(3)]
        mine.append({"task": "add", "args": [1, 2], "countdown": 600, "options": {"group": "g"}})
        mine.append({"task": "add", "args": [1, 2], "options": {
            "group": "g", "on_failure": "skip", "then": {"task": "echo", "id": "behind-g"}}})
        ids = self.submit(*mine)
        other, = self.submit({"task": "add", "args": [1, 2], "options": {"group": "h"}})
        expected = {"queued": 4, "scheduled": 1, "retrying": 0, "asked": 1}
        dry = self.cancel("--group", "g", "--dry-run")
        self.assertEqual((dry["matched"], self.counts(dry)), (6, expected))
        self.assertEqual(self.status(ids[0]), "queued")
        told = self.cancel("--where", "group=g", "--yes")
        self.assertEqual((told["matched"], self.counts(told)), (6, expected))
        for one in (running, "behind-g", *ids):
            wait_until(lambda: self.status(one) == "cancelled", "the end of " + one)
        wait_until(lambda: self.status(other) == "success", "the end of the other")
        self.assertEqual(self.cancel("--group", "g", "--yes")["matched"], 0)

    def test_conditions_hold_together(self):
        running, = self.submit({"task": "sleep", "args": [600]})
        wait_until(lambda: self.status(running) == "running", "a busy thread")
        low, high, named = self.submit({"task": "add", "args": [1, 2], "priority": "low"},
                                       {"task": "add", "args": [1, 2], "priority": "high"},
                                       {"task": "echo", "args": [1], "priority": "low"})
        told = self.cancel("--where", "name=add,priority=low,status=queued,older=0", "--yes")
        self.assertEqual(told["matched"], 1)
        self.assertEqual([self.status(one) for one in (low, high, named)],
                         ["cancelled", "queued", "queued"])
        self.assertEqual(self.cancel("--where", "older=1h", "--yes")["matched"], 0)
        self.assertEqual(self.cancel("--where", "name=echo", "--yes")["cancelled"]["queued"], 1)
        retry, = self.submit({"task": "add", "args": ["a", 2], "max_retries": 1,
                              "priority": "critical"})
        text = self.command("cancel", "--where", "status=running", "--yes").stdout
        self.assertIn("asked to end: 1 running", text)
        wait_until(lambda: self.status(retry) == "retrying", "a retry")
        self.assertEqual(self.cancel("--where", "status=retrying", "--yes")["cancelled"],
                         {"queued": 0, "scheduled": 0, "retrying": 1})

    def test_wrong_words(self):
        for words, status, said in (
                (("--where", "name=add"), USAGE, "--yes"),
                (("--where", "name", "--yes"), USAGE, "NAME=VALUE"),
                (("--where", "older=soon", "--yes"), USAGE, "older="),
                (("--where", "nam=add", "--yes"), OTHER, "did you mean 'name'"),
                (("--where", "status=over", "--yes"), OTHER, "queued, scheduled"),
                (("--where", "priority=lowest", "--yes"), OTHER, "low, normal"),
                (("--where", "", "--yes"), OTHER, "at least one condition")):
            done = self.command("cancel", *words)
            self.assertEqual(done.returncode, status, done.stderr)
            self.assertIn(said, done.stderr)
        self.assertIn("--dry-run", self.command("cancel", "--where", "--help").stdout)


if __name__ == "__main__":
    main()

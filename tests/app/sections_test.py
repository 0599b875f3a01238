"""Sections of the configuration file in the real program: limits, defaults of tasks, schedules.

Covers app/config_apply.c, app/life/retry.c. SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import signal
import subprocess
import tempfile
import unittest

from control_plane_test import Case
from plane import LONG, PROGRAM, SAMPLES, main, wait_until


class Sections(Case):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "fastworker.conf")

    def write(self, text):
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(text)

    def start(self, text, *flags):
        self.write(text)
        plane = self.plane("--config", self.path, *flags)
        self.addCleanup(plane.process.stderr.close)
        return plane

    def reload(self, plane, text, event="reload"):
        self.write(text)
        plane.process.send_signal(signal.SIGHUP)
        while True:
            line = plane.process.stderr.readline()
            self.assertTrue(line, "the program ended: " + plane.log)
            plane.log += line
            if f"event={event} " in line:
                return line

    def schedules(self, plane):
        done = plane.run("schedule", "ls", "--json")
        return {one["name"]: one for one in json.loads(done.stdout)["schedules"]}

    def limits(self, plane):
        done = plane.run("limits", "--json")
        return {one["task"]: one for one in json.loads(done.stdout)["limits"]}

    def submit(self, plane, *words):
        return json.loads(plane.run("submit", *words, "--json").stdout)

    def test_defaults_of_a_task(self):
        plane = self.start('[task "sleep"]\ntimeout = 200ms\n'
                           '[task "fail"]\nmax-retries = 2\nretry-delay = 0\n')
        self.assertIn("timed out after 0.2s", self.submit(plane, "sleep", "600")["error"])
        self.assertEqual(self.submit(plane, "sleep", "0.4", "--timeout", "500")["status"],
                         "success")
        self.assertEqual(self.submit(plane, "fail", "no paper", "--id", "f")["error"], "no paper")
        dead = json.loads(plane.run("dead", "--json").stdout)["tasks"]
        self.assertEqual([(one["task_id"], one["attempts"]) for one in dead], [("f", 3)])

    def test_limits(self):
        echo = '[task "echo"]\nrate = 100\nburst = 7\n'
        plane = self.start('[task "sleep"]\nmax-running = 1\n' + echo +
                           '[task "add"]\nper-key-running = 3\nper-key-rate = 2.5\n')
        limits = self.limits(plane)
        self.assertEqual((limits["add"]["key_max_running"], limits["add"]["key_rate"]), (3, 2.5))
        self.assertEqual((limits["sleep"]["max_running"], limits["echo"]["burst"]), (1, 7))
        plane.hold("first")
        plane.hold("second")
        wait_until(lambda: plane.status("first") == "running", "it runs")
        self.assertEqual(plane.status("second"), "queued")
        plane.run("limits", "set", "echo", "--rate", "50")
        self.reload(plane, '[task "sleep"]\nmax-running = 2\n' + echo)
        wait_until(lambda: plane.status("second") == "running", "there is room")
        self.assertEqual(self.limits(plane)["echo"]["rate"], 50, "what did not change stays")
        self.reload(plane, "")
        self.assertNotIn("sleep", {name for name, limit in self.limits(plane).items()
                                   if limit["max_running"]})

    def test_schedules_come_and_go_with_the_file(self):
        tick = '[schedule "tick"]\ntask = echo\nevery = 50ms\nargs = ["tick"]\npriority = low\n'
        late = '[schedule "late"]\ntask = echo\ncron = 0 3 1 1 *\ntz = Europe/Berlin\n'
        plane = self.start(tick + late)
        wait_until(lambda: self.schedules(plane)["tick"]["started"] >= 3, "it runs")
        found = self.schedules(plane)
        self.assertEqual((found["tick"]["source"], found["tick"]["priority"]), ("file", "low"))
        self.assertEqual(found["late"]["state"], "active")
        for _ in range(6):  # the log tells of ten reloads in ten seconds
            self.reload(plane, late + tick)
        found = self.schedules(plane)
        self.assertEqual(set(found), {"tick", "late"})
        self.reload(plane, late)
        found = self.schedules(plane)
        self.assertEqual((found["tick"]["state"], found["tick"]["next_unix"]), ("orphan", None))
        wait_until(lambda: self.schedules(plane)["tick"]["running"] == 0, "what ran has ended")
        started = self.schedules(plane)["tick"]["started"]
        self.reload(plane, late + '[schedule "other"]\ntask = echo\nevery = 50ms\n')
        wait_until(lambda: self.schedules(plane)["other"]["started"] >= 3, "times went by")
        self.assertEqual(self.schedules(plane)["tick"]["started"], started)
        self.reload(plane, tick)
        wait_until(lambda: self.schedules(plane)["tick"]["started"] > started, "it runs again")

    def test_jitter_delays_a_run(self):
        plane = self.start('[schedule "j"]\ntask = echo\nevery = 1h\njitter = 1d\n')
        run = wait_until(lambda: plane.metric('fastworker_tasks{state="scheduled"}'), "it waits")
        self.assertEqual(run, 1)

    def test_a_wrong_section_is_told_and_changes_nothing(self):
        good = '[schedule "tick"]\ntask = echo\nevery = 1h\n'
        plane = self.start(good)
        line = self.reload(plane, good + '[task "x"]\ntimout = 3\n', "reload.refused")
        self.assertIn("did you mean", line)
        self.assertEqual(self.schedules(plane)["tick"]["state"], "active")
        check = subprocess.run([PROGRAM, "config", "check", "-c", self.path], timeout=LONG,
                               capture_output=True, text=True, check=False)
        self.assertEqual(check.returncode, 78)
        self.assertIn(f"{self.path}:5: no key of a [task] 'timout'; did you mean 'timeout'?",
                      check.stderr)

    def test_what_is_given_is_shown(self):
        self.write('[task "a"]\nrate = 2.5\n')
        show = subprocess.run([PROGRAM, "config", "show", "-c", self.path], timeout=LONG,
                              capture_output=True, text=True, check=True).stdout
        self.assertIn('\n[task "a"]', show)
        self.assertIn("rate = 2.5\n", show)
        made = subprocess.run([PROGRAM, "config", "show", "--json", "-c", self.path], timeout=LONG,
                              capture_output=True, text=True, check=True).stdout
        self.assertEqual(json.loads(made)["sections"]["task"], {"a": {"rate": "2.5"}})


class Check(unittest.TestCase):
    """What would not start is told before; nothing is started for it."""

    def check(self, *words):
        done = subprocess.run([PROGRAM, "config", "check", *words], capture_output=True, text=True,
                              timeout=LONG, check=False)
        return done.returncode, done.stderr

    def test_what_would_not_start(self):
        for words, told in ((("--tz", "Mars/X"), "zone Mars/X"),
                            (("--affinity", "0,1023"), "no such CPU"),
                            (("--task-modules", "/nowhere.so"), "/nowhere.so"),
                            (("--no-local", "--task-modules", "/nowhere.so"), "/nowhere.so")):
            code, error = self.check(*words)
            self.assertEqual(code, 78, words)
            self.assertIn(told, error)
        self.assertEqual(self.check("--task-modules", SAMPLES), (0, ""))


if __name__ == "__main__":
    main()

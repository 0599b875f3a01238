"""`fastworker top` and `bench` against the real program: what they print, on a terminal and off it.

app/commands/top.c, app/commands/top_view.c, app/manage/overview.c, app/manage/thread_times.c,
app/commands/bench.c, app/commands/bench_load.c, app/commands/bench_plane.c,
app/commands/free_ports.c.
Usage: top_test.py PROGRAM SAMPLES_MODULE
SPDX-License-Identifier: Apache-2.0
"""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import unittest

import plane
from plane import LONG, PROGRAM, SAMPLES, Plane, free_block

DONE, OTHER, USAGE, FAILURE, NOBODY, TERMINATED = 0, 1, 2, 3, 69, 143
ESCAPE = re.compile(r"\x1b\[[?0-9;]*[a-zA-Z]")


class Terminal:
    """A program on a pseudo terminal of so many rows and columns."""

    def __init__(self, words, env, rows, columns):
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        self.child = subprocess.Popen([PROGRAM, *words], stdin=slave, stdout=slave, stderr=slave,
                                      env=env, start_new_session=True)
        self.usual = termios.tcgetattr(slave)
        self.slave = slave
        self.text = ""

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read_until(self, pattern):
        """Reads on until what came since the last call has the pattern; returns all of it."""
        while not re.search(pattern, self.text):
            ready, _, _ = select.select([self.master], [], [], LONG)
            if not ready:
                raise AssertionError("never: %r in %r" % (pattern, self.text[-2000:]))
            self.text += os.read(self.master, 65536).decode()
        text, self.text = self.text, ""
        return text

    def close(self):
        self.child.kill()
        self.child.wait()
        os.close(self.master)
        os.close(self.slave)


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.plane = Plane()
        cls.addClassCleanup(lambda: cls.plane.kill())

    def run_command(self, *words, env=None):
        return subprocess.run([PROGRAM, *words], env={**self.plane.env, **(env or {})},
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=LONG, check=False)

    def terminal(self, *words, rows=24, columns=80):
        terminal = Terminal(words, self.plane.env, rows, columns)
        self.addCleanup(terminal.close)
        return terminal


class Top(Case):
    def test_once_is_plain_text(self):
        for _ in range(3):
            self.assertEqual(self.run_command("submit", "add", "5", "3", "-q").stdout, "8\n")
        done = self.run_command("top", "--once", "--interval", "50ms")
        self.assertEqual((done.returncode, done.stderr), (DONE, ""))
        self.assertNotIn("\x1b", done.stdout)
        self.assertTrue(done.stdout.startswith("fastworker "), done.stdout)
        self.assertIn(self.plane.base, done.stdout)
        for word in ("critical", "high", "normal", "low", "TASK THREAD", "CPU TIME", "waiting"):
            self.assertIn(word, done.stdout)

    def test_counters_are_those_of_the_tasks(self):
        def tasks():
            done = self.run_command("top", "--once", "--json", "--interval", "50ms")
            self.assertEqual(done.returncode, DONE, done.stderr)
            return json.loads(done.stdout)["stats"]
        before = tasks()
        self.run_command("submit", "add", "5", "3", "-q")
        self.run_command("submit", "fail", "no paper", "-q")
        self.run_command("submit", "sleep", "600", "--priority", "high", "--non-blocking")
        self.run_command("submit", "add", "1", "1", "--countdown", "1h", "--non-blocking")
        after = tasks()
        for name, more in (("success", 1), ("failure", 1), ("admitted", 4), ("scheduled", 1),
                           ("live", 2)):
            self.assertEqual(after["tasks"][name] - before["tasks"][name], more, name)
        self.assertEqual([q["priority"] for q in after["queues"]],
                         ["critical", "high", "normal", "low"])
        self.assertEqual(len(after["threads"]), after["pool"]["threads"])
        self.assertGreater(after["cpu"]["seconds"], 0)
        self.assertIn("fw-task", [t["name"] for t in after["cpu"]["threads"]])
        self.assertGreaterEqual(after["up_seconds"], before["up_seconds"])
        for key in ("waits", "runs"):
            counted = [sum(n for q in one["queues"] for _, n in q[key]) for one in (before, after)]
            self.assertGreaterEqual(counted[1] - counted[0], 2, key)
        ran = sum(t["ran"] for t in after["threads"]) - sum(t["ran"] for t in before["threads"])
        self.assertGreaterEqual(ran, 2)

    def test_pauses_and_subworkers_are_shown(self):
        self.run_command("pause", "--priority", "low")
        self.addCleanup(self.run_command, "unpause", "--priority", "low")
        worker = subprocess.Popen(
            [PROGRAM, "subworker", "--worker-id", "shown", "--control-plane-address",
             self.plane.base, "--base-address", "tcp://127.0.0.1:0", "--discovery-address",
             self.plane.discovery, "--task-modules", SAMPLES, "--threads", "3"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(lambda: (worker.kill(), worker.wait()))
        plane.wait_until(lambda: "shown" in self.run_command("workers").stdout, "it is there")
        text = self.run_command("top", "--once", "--interval", "50ms").stdout
        self.assertRegex(text, r"(?m)^low .* paused$")
        self.assertRegex(text, r"(?m)^shown +active +3 ")

    def test_screen_fits_follows_and_goes_away(self):
        terminal = self.terminal("top", "--interval", "50ms", rows=12, columns=40)
        first = terminal.read_until(r"PRIORITY[^J]*\x1b\[J")
        self.assertIn("\x1b[?1049h", first)
        for frame in first.split("\x1b[H")[1:]:
            lines = re.split(r"\r+\n", ESCAPE.sub("", frame))
            self.assertLessEqual(len(lines), 12)
            self.assertLessEqual(max(map(len, lines)), 40)
        self.assertNotIn("CPU TIME", first)
        terminal.resize(60, 120)
        terminal.read_until("CPU TIME")
        os.write(terminal.master, b"q")
        terminal.read_until(r"\x1b\[\?25h\x1b\[\?1049l")
        self.assertEqual(terminal.child.wait(LONG), DONE)
        self.assertEqual(termios.tcgetattr(terminal.slave), terminal.usual)

    def test_signals_put_the_terminal_back(self):
        for number, status in ((signal.SIGTERM, TERMINATED), (signal.SIGINT, DONE)):
            terminal = self.terminal("top", "-i", "10")
            terminal.read_until("PRIORITY")
            terminal.child.send_signal(number)
            terminal.read_until(r"\x1b\[\?1049l")
            self.assertEqual(terminal.child.wait(LONG), status)

    def test_ends_with_the_control_plane(self):
        mine = Plane()
        self.addCleanup(mine.kill)
        terminal = Terminal(["top", "-i", "50ms"], mine.env, 24, 80)
        self.addCleanup(terminal.close)
        terminal.read_until("PRIORITY")
        mine.child.kill()
        terminal.read_until(r"\x1b\[\?1049l")
        # OTHER: a question was on its way.
        self.assertIn(terminal.child.wait(LONG), (OTHER, NOBODY))

    def test_wrong_usage(self):
        for words in (("x",), ("--interval", "soon"), ("--interval", "0"), ("--interval", "2h")):
            done = self.run_command("top", *words)
            self.assertEqual((done.returncode, done.stdout), (USAGE, ""), words)


class Bench(Case):
    def test_of_its_own(self):
        done = self.run_command("bench", "--seconds", "400ms", "--threads", "2")
        self.assertEqual((done.returncode, done.stderr), (DONE, ""))
        lines = done.stdout.splitlines()
        self.assertEqual(len(lines), 5, done.stdout)
        self.assertIn("(started for this)", lines[0])
        for line, title in zip(lines[1:], ("one at a time", "many at once", "acknowledged only",
                                           "at a steady rate")):
            self.assertRegex(line, r"^%s +\d+/s  p50 .* us  p99 .* us  CPU a task: " % title)

    def test_of_a_running_one_as_json(self):
        done = self.run_command("bench", "--json", "--control-plane-address", self.plane.base,
                                "--seconds", "400ms", "--in-flight", "100", "--rate", "500")
        self.assertEqual(done.returncode, DONE, done.stderr)
        answer = json.loads(done.stdout)
        self.assertEqual((answer["address"], answer["own"]), (self.plane.base, False))
        figures = {one["name"]: one for one in answer["figures"]}
        self.assertEqual(list(figures), ["one-at-a-time", "with-results", "acknowledged", "steady"])
        for one in figures.values():
            self.assertGreater(one["tasks"], 0)
            self.assertEqual(one["failed"], 0)
            self.assertLessEqual(one["p50_us"], one["p99_us"])
            self.assertGreater(one["control_plane_cpu_us"], 0)
        # However slow: what was due was sent, and nothing else.
        self.assertIn(figures["steady"]["tasks"], (50, 51))

    def test_failing_tasks_are_told(self):
        done = self.run_command("bench", "--control-plane-address", self.plane.base, "--seconds",
                                "200ms", "--task-name", "fail", "--in-flight", "10", "--rate",
                                "100")
        self.assertEqual(done.returncode, FAILURE)
        self.assertRegex(done.stdout, r"\d+ of \d+ tasks failed")

    def test_progress_on_a_terminal_only(self):
        terminal = self.terminal("bench", "--seconds", "3")
        text = terminal.read_until("at a steady rate")
        self.assertRegex(text, r"\r\[#*\.*\] +\d+ %")
        self.assertEqual(terminal.child.wait(LONG), DONE)

    def test_its_control_plane_ends_with_it(self):
        child = subprocess.Popen([PROGRAM, "bench", "--seconds", "1h"], stdout=subprocess.PIPE,
                                 stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(lambda: (child.kill(), child.wait(), child.stdout.close()))
        address = child.stdout.readline().split()[0]
        child.kill()
        child.wait()
        plane.wait_until(lambda: self.run_command(
            "ping", "-q", "--control-plane-address", address).returncode == NOBODY, "it is gone")

    def test_wrong_usage(self):
        for words in (("x",), ("--seconds", "0"), ("--in-flight", "0"), ("--rate", "x"),
                      ("--json-args", "{}"), ("--bytes", "3")):
            done = self.run_command("bench", *words)
            self.assertEqual((done.returncode, done.stdout), (USAGE, ""), words)
        done = self.run_command("bench", "--control-plane-address",
                                f"tcp://127.0.0.1:{free_block()}")
        self.assertEqual(done.returncode, NOBODY)


if __name__ == "__main__":
    plane.main()

"""Isolated tasks in the real program: a crash costs its task one attempt and nothing else.

isolation.c, isolated_command.c. Usage: isolation_test.py PROGRAM SAMPLES_MODULE; the module of
tasks that go wrong lies beside the samples. Where a sanitizer is, it turns a signal into an exit.
SPDX-License-Identifier: Apache-2.0
"""

import json
import os
import re
import signal
import subprocess
import tempfile
import unittest

from control_plane_test import Peer
from plane import LONG, PROGRAM, SAMPLES, free_block, line, main, wait_until

CRASHING = os.path.join(os.path.dirname(SAMPLES), "crashing.so")
SANITIZED = b"__asan_init" in open(PROGRAM, "rb").read() or \
    b"__tsan_init" in open(PROGRAM, "rb").read()
CRASH = r"killed by signal \d+ \(SIG[A-Z]+\)|exit status \d+"


class Plane:
    def __init__(self, *flags):
        first = free_block()
        self.base = f"tcp://127.0.0.1:{first}"
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [PROGRAM, "control-plane", "--no-gui", "--base-address", self.base,
             "--discovery-address", f"tcp://127.0.0.1:{first + 6}", "--threads", "4",
             "--task-modules", SAMPLES, CRASHING, *flags], stdout=self.log, stderr=self.log)
        wait_until(lambda: "event=ready" in self.logged() or self.process.poll(), "ready")

    def logged(self):
        with open(f"/proc/{os.getpid()}/fd/{self.log.fileno()}", encoding="utf-8") as log:
            return log.read()

    def run(self, *words, **more):
        return subprocess.run([PROGRAM, words[0], "--control-plane-address", self.base, *words[1:]],
                              capture_output=True, text=True, timeout=LONG, check=False, **more)

    def submit(self, *words):
        return json.loads(self.run("submit", *words, "--json").stdout)

    def stream(self, text):
        done = self.run("submit", "--stdin", "--json", input=text)
        return [json.loads(one) for one in done.stdout.splitlines() if one.startswith("{")]

    def children(self):
        """Process numbers of living children."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
                    state, parent = stat.read().rsplit(")", 1)[1].split()[:2]
            except OSError:
                continue
            if int(parent) == self.process.pid and state != "Z":
                found.append(int(pid))
        return found

    def end(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(LONG)
        return self.process.returncode

    def close(self):
        self.end(signal.SIGKILL)
        self.log.close()


def runs(pid):
    try:
        os.readlink(f"/proc/{pid}/exe")
        return True
    except OSError:
        return False


class Isolation(unittest.TestCase):
    def plane(self, *flags):
        plane = Plane(*flags)
        self.addCleanup(plane.close)
        return plane

    def test_crashes_among_good_tasks(self):
        plane = self.plane()
        bad = [("segv",), ("abort",), ("exit", 3), ("greedy",), ("segv",)]
        text, wrong = "", []
        for i in range(550):
            if i % 11 == 5:
                wrong.append(i)
                text += line(*bad[len(wrong) % 5])
            else:
                text += line(("safe_echo", "echo")[i % 2], i)
        answers = plane.stream(text)
        self.assertEqual(len(answers), 550)
        for i, answer in enumerate(answers):
            if i in wrong:
                self.assertEqual(answer["status"], "failure", answer)
                self.assertRegex(answer["error"], CRASH)
            else:
                self.assertEqual((answer["status"], answer["result"]), ("success", i))
        if not SANITIZED:
            errors = {re.sub(";.*", "", answers[i]["error"]) for i in wrong}
            self.assertEqual(errors, {"task crashed: killed by signal 11 (SIGSEGV)",
                                      "task crashed: killed by signal 6 (SIGABRT)",
                                      "task ended its process: exit status 3"})
        self.assertIsNone(plane.process.poll())
        self.assertEqual(plane.submit("add", "5", "3")["result"], 8)
        self.assertLessEqual(len(plane.children()), 4)
        self.assertEqual(plane.end(), 0)

    def test_a_crash_costs_one_attempt(self):
        plane = self.plane()
        peer = Peer(int(plane.base.rsplit(":", 1)[1]) + 2)
        self.addCleanup(peer.close)
        peer.send({"id": "second-try", "name": "first_time", "max_retries": 2, "retry_delay": 0})
        answer = peer.receive()
        self.assertEqual((answer["status"], answer["result"]), ("success", 2))
        self.assertIn("event=isolated.crash", plane.logged())

    def test_a_task_that_does_not_listen_is_ended_at_its_deadline(self):
        plane = self.plane()
        plane.submit("pid")
        answer = plane.submit("deaf", "--timeout", "0.2")
        self.assertEqual(answer["status"], "failure")
        self.assertIn("timed out", answer["error"])
        wait_until(lambda: plane.children() == [], "its process ended")
        self.assertEqual(plane.end(), 0)

    def test_a_cancel_ends_a_task_that_does_not_listen(self):
        plane = self.plane()
        plane.run("submit", "deaf", "--id", "deaf", "--non-blocking")
        wait_until(plane.children, "it runs")
        self.assertEqual(plane.run("cancel", "--task-id", "deaf").returncode, 0)
        wait_until(lambda: plane.children() == [], "its process ended")

    def test_what_is_isolated(self):
        plane = self.plane()
        self.assertEqual(plane.submit("own_pid")["result"], plane.process.pid)
        self.assertNotEqual(plane.submit("pid")["result"], plane.process.pid)
        plane = self.plane("--isolate", "all")
        self.assertNotEqual(plane.submit("own_pid")["result"], plane.process.pid)
        plane = self.plane("--isolate", "off")
        self.assertEqual(plane.submit("pid")["result"], plane.process.pid)
        listed = subprocess.run([PROGRAM, "list", "--task-modules", CRASHING], check=True,
                                capture_output=True, text=True).stdout
        self.assertIn("  - segv [isolated]\n", listed)
        self.assertIn("  - own_pid\n", listed)
        tree = subprocess.run([PROGRAM, "list", "--tree", "--task-modules", CRASHING], check=True,
                              capture_output=True, text=True).stdout
        self.assertIn(" segv [isolated]\n", tree)

    def test_a_subworker_outlives_a_crash(self):
        plane = self.plane("--local-subworkers", "1")
        subworker = plane.submit("own_pid")["result"]
        self.assertIn(subworker, plane.children())
        text = "".join(line(("segv", "safe_echo")[i % 2], *[i] * (i % 2)) for i in range(20))
        for i, answer in enumerate(plane.stream(text)):
            if i % 2:
                self.assertEqual((answer["status"], answer["result"]), ("success", i))
            else:
                self.assertEqual(answer["status"], "failure")
                self.assertRegex(answer["error"], CRASH)
        self.assertEqual(plane.submit("own_pid")["result"], subworker)
        self.assertEqual(plane.end(), 0)
        self.assertFalse(runs(subworker))

    def test_descriptors_of_the_parent_stay_there(self):
        plane = self.plane()
        told = plane.submit("descriptors")["result"]
        self.assertEqual(sorted(re.findall(r"(\d+)=", told)), ["0", "1", "2", "3"])
        self.assertIn("0=/dev/null ", told)
        self.assertIn("3=socket:", told)

    def test_nothing_is_left_behind_when_the_parent_is_killed(self):
        plane = self.plane()
        for _ in range(3):
            plane.run("submit", "deaf", "--non-blocking")
        children = wait_until(lambda: len(plane.children()) == 3 and plane.children(), "three run")
        plane.end(signal.SIGKILL)
        wait_until(lambda: not any(map(runs, children)), "they are gone")

    def test_nothing_is_left_behind_at_an_orderly_end(self):
        plane = self.plane("--shutdown-timeout", "1")
        idle = plane.submit("pid")["result"]
        plane.run("submit", "deaf", "--non-blocking")
        children = wait_until(plane.children, "it runs")
        self.assertEqual(plane.end(), 0)
        wait_until(lambda: not any(map(runs, [idle, *children])), "they are gone")

    def test_results_as_large_as_the_largest_message(self):
        plane = self.plane("--payload-max", "64M")
        size = 48 << 20
        answer = plane.submit("large", str(size))
        self.assertEqual((answer["status"], len(answer["result"])), ("success", size))

    def test_the_command_is_not_for_people(self):
        for words in ([], ["", SAMPLES]):
            done = subprocess.run([PROGRAM, "isolated", *words], capture_output=True, text=True,
                                  timeout=LONG, check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("started by fastworker itself", done.stderr)
        self.assertNotIn("isolated", subprocess.run([PROGRAM, "help"], capture_output=True,
                                                    text=True, check=True).stdout)


if __name__ == "__main__":
    main()

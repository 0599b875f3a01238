"""`fastworker submit --stdin` against the real program: order, refusals, interrupts, restarts.

submit_stdin.c, progress.c. Usage: stream_test.py PROGRAM SAMPLES_MODULE
SPDX-License-Identifier: Apache-2.0
"""

import json
import os
import pty
import select
import signal
import subprocess
import tempfile
import time
import unittest

import plane
from plane import LONG, PROGRAM, Plane, free_block, line


class Stream(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.plane = Plane()
        cls.addClassCleanup(lambda: cls.plane.kill())

    def submit(self, text, *options):
        done = subprocess.run([PROGRAM, "submit", "--stdin", *options], input=text, text=True,
                              capture_output=True, env=self.plane.env, timeout=LONG, check=False)
        return done, [json.loads(one) for one in done.stdout.splitlines() if one.startswith("{")]

    def open(self, *options, **more):
        child = subprocess.Popen([PROGRAM, "submit", "--stdin", "--json", *options],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, env=self.plane.env, bufsize=0, **more)
        self.addCleanup(lambda: (child.kill(), child.wait(), child.stdin.close(),
                                 child.stdout.close(), child.stderr.close()))
        return child

    def read_line(self, child):
        ready, _, _ = select.select([child.stdout], [], [], LONG)
        self.assertTrue(ready, "no line in time")
        return json.loads(child.stdout.readline())

    def test_results_keep_the_order_of_lines(self):
        # The first is the last to end.
        text = line("sleep", 0.3) + "".join(line("add", i, 1) for i in range(3000))
        done, answers = self.submit(text, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(answers), 3001)
        self.assertEqual([a["result"] for a in answers[1:]], list(range(1, 3001)))
        self.assertEqual({a["status"] for a in answers}, {"success"})

    def test_acknowledgements_keep_the_order_of_lines(self):
        text = "".join(line("add", i, 1, id=f"order-{os.getpid()}-{i}") for i in range(10000))
        done, answers = self.submit(text, "--json", "--non-blocking")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([a["task_id"] for a in answers],
                         [f"order-{os.getpid()}-{i}" for i in range(10000)])
        self.assertTrue({a["status"] for a in answers} <= {"queued", "success", "running"})

    def test_bad_lines_are_told_and_the_run_goes_on(self):
        text = (line("add", 1, 2) + "{broken\n\n" + '{"args": []}\n' +
                '{"task": "add", "agrs": []}\n' + line("fail", "no paper") +
                line("add", 3, 4).rstrip("\n"))
        done, answers = self.submit(text, "--json")
        self.assertEqual(done.returncode, 1)
        self.assertEqual([a.get("line") for a in answers], [None, 2, 4, 5, None, None])
        self.assertEqual([a["status"] for a in answers],
                         ["success", "error", "error", "error", "failure", "success"])
        self.assertIn("args", answers[3]["error"])
        self.assertEqual(answers[5]["result"], 7)
        self.assertIn("3 malformed", done.stderr)

    def test_plain_lines(self):
        done, _ = self.submit(line("add", 1, 2, id=f"plain-{os.getpid()}"))
        self.assertEqual(done.stdout, f"plain-{os.getpid()}\tsuccess\t3\n")

    def test_empty_input(self):
        done, answers = self.submit("", "--json")
        self.assertEqual((done.returncode, answers, done.stderr), (0, [], ""))

    def test_a_slow_producer_sees_each_answer_at_once(self):
        child = self.open()
        for i in range(20):
            child.stdin.write(line("add", i, i).encode())
            child.stdin.flush()
            self.assertEqual(self.read_line(child)["result"], 2 * i)
        child.stdin.close()
        self.assertEqual(child.wait(LONG), 0)

    def test_interrupted_once_it_finishes_what_it_has(self):
        child = self.open()
        child.stdin.write(b"".join(line("sleep", 0.2).encode() for _ in range(4)))
        child.stdin.write(line("add", 1, 2).encode())
        child.stdin.flush()
        self.assertEqual(self.read_line(child)["status"], "success")
        child.send_signal(signal.SIGINT)
        rest = child.stdout.read().decode().splitlines()
        self.assertEqual(child.wait(LONG), 130)
        self.assertEqual([json.loads(one)["status"] for one in rest], ["success"] * 4)
        said = child.stderr.read().decode()
        self.assertIn("interrupted after 5 lines: 5 succeeded", said)

    def test_interrupted_twice_it_ends_at_once(self):
        child = self.open()
        child.stdin.write(line("sleep", 600, id=f"long-{os.getpid()}").encode())
        child.stdin.flush()
        self.wait_for_state(f"long-{os.getpid()}", "running")
        child.send_signal(signal.SIGINT)
        os.set_blocking(child.stderr.fileno(), False)
        said = b""
        until = time.monotonic() + LONG
        while b"again: at once" not in said and time.monotonic() < until:
            select.select([child.stderr], [], [], 1)
            said += child.stderr.read() or b""
        self.assertIn(b"1 tasks in flight", said)
        child.send_signal(signal.SIGINT)
        self.assertEqual(child.wait(LONG), 130)

    def wait_for_state(self, task_id, state):
        until = time.monotonic() + LONG
        while True:
            done = subprocess.run([PROGRAM, "status", "--json", task_id], env=self.plane.env,
                                  capture_output=True, text=True, timeout=LONG, check=False)
            if done.stdout and json.loads(done.stdout)["status"] == state:
                return
            self.assertLess(time.monotonic(), until, done.stdout + done.stderr)

    def test_a_restart_in_the_middle_loses_no_line(self):
        other = Plane()
        self.addCleanup(lambda: other.kill())
        child = subprocess.Popen([PROGRAM, "submit", "--stdin", "--json"], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=other.env,
                                 bufsize=0)
        self.addCleanup(lambda: (child.kill(), child.wait(), child.stdin.close(),
                                 child.stdout.close(), child.stderr.close()))
        for i in range(5):
            child.stdin.write(line("add", i, 0).encode())
        child.stdin.flush()
        self.assertEqual([self.read_line(child)["result"] for _ in range(5)], list(range(5)))
        other.kill()
        for i in range(5, 300):
            child.stdin.write(line("add", i, 0).encode())
        child.stdin.flush()
        other.start()
        child.stdin.close()
        rest = [json.loads(one)["result"] for one in child.stdout.read().splitlines()]
        self.assertEqual(child.wait(LONG), 0, child.stderr.read())
        self.assertEqual(rest, list(range(5, 300)))

    def test_nobody_there(self):
        start = time.monotonic()
        done = subprocess.run([PROGRAM, "submit", "--stdin"], input="", text=True,
                              capture_output=True, timeout=LONG, check=False, env={
                                  **os.environ, "FASTWORKER_CONTROL_PLANE_ADDRESS":
                                  f"tcp://127.0.0.1:{free_block()}"})
        self.assertEqual(done.returncode, 69)
        self.assertIn("fastworker control-plane", done.stderr)
        self.assertLess(time.monotonic() - start, LONG)

    def test_progress_on_a_terminal_and_only_there(self):
        master, slave = pty.openpty()
        self.addCleanup(lambda: os.close(master))
        with tempfile.TemporaryFile() as source:
            source.write(b"".join(line("sleep", 0.05).encode() for _ in range(100)))
            source.seek(0)
            child = subprocess.Popen([PROGRAM, "submit", "--stdin", "--json"], stdin=source,
                                     stdout=subprocess.DEVNULL, stderr=slave, env=self.plane.env)
        os.close(slave)
        seen = b""
        try:
            while True:
                seen += os.read(master, 4096)
        except OSError:
            pass
        self.assertEqual(child.wait(LONG), 0)
        self.assertRegex(seen.decode(), r"\r\[#* *[#.]+\] +\d+ %  \d+ tasks, \d+/s")
        self.assertTrue(seen.endswith(b"\r\x1b[K"), seen[-80:])
        done, _ = self.submit(line("sleep", 1.5), "--json")
        self.assertEqual(done.stderr, "")


if __name__ == "__main__":
    plane.main()

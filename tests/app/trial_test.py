"""`fastworker run`: one task without a control plane, by the code of one, on a clock that is moved.

Covers app/trial/trial.c, app/trial/record.c, app/trial/run_command.c, app/trial/run_report.c,
app/life/observer.h, include/base/clock.c, and what engine/idle.c is for.
Nothing here waits for the hours it talks about: a clock that is not moved ends these tests by their
limit. SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import subprocess
import tempfile
import time
import unittest

from plane import LONG, PROGRAM, SAMPLES, main

LIFE = os.path.join(os.path.dirname(SAMPLES), "life.so")
HOUR = 3600


def run(*words, modules=SAMPLES, env=None):
    given = ["--task-modules", modules] if modules else []
    return subprocess.run([PROGRAM, "run", *words, *given], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=LONG, check=False,
                          env={**os.environ, **(env or {})})


def run_json(*words, **more):
    done = run(*words, "--json", **more)
    return done.returncode, json.loads(done.stdout)


class Run(unittest.TestCase):
    def test_the_result_is_on_standard_output(self):
        done = run("add", "5", "3")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "8\n", ""))
        done = run("--task-name", "echo", "--json-args", '[{"b": [1, null]}]')
        self.assertEqual((done.returncode, done.stdout), (0, "{'b': [1, None]}\n"))

    def test_a_value_that_json_changes_is_changed_here_too(self):
        """The case of celery#4008: what is tried is what is sent."""
        code, end = run_json("echo", "--json-args", '[{"1": "a", "1": "b"}]')
        self.assertEqual((code, end["result"]), (0, {"1": "b"}))
        done = run("echo", "--json-args", "[{1: 2}]")
        self.assertEqual(done.returncode, 2)
        self.assertIn("JSON", done.stderr)

    def test_arguments_that_do_not_fit(self):
        done = run("sha256", "a", "b")
        self.assertEqual((done.returncode, done.stdout), (3, ""))
        self.assertIn("sha256() takes", done.stderr)

    def test_a_name_that_nobody_knows(self):
        done = run("ad", "1", "2")
        self.assertEqual((done.returncode, done.stdout), (4, ""))
        self.assertIn("did you mean 'add'?", done.stderr)

    def test_a_module_that_is_none(self):
        done = run("add", "1", "2", modules="./no-such-module.so")
        self.assertEqual(done.returncode, 78)
        self.assertIn("no-such-module.so", done.stderr)

    def test_options_that_do_not_agree(self):
        done = run("add", "1", "2", "--options", '{"unique_for": 5}')
        self.assertEqual(done.returncode, 2)
        self.assertIn("'unique_for' needs 'unique'", done.stderr)


class VirtualTime(unittest.TestCase):
    def test_five_retries_of_an_hour_and_more_end_at_once(self):
        code, end = run_json("fail", "boom", "--max-retries", "5")
        self.assertEqual((code, end["status"], end["error"]), (3, "failure", "boom"))
        runs = end["attempts"]
        self.assertEqual([one["attempt"] for one in runs], [1, 2, 3, 4, 5, 6])
        self.assertEqual([one["error"] for one in runs], ["boom"] * 6)
        # The wire's delays: 60 s, doubled each time.
        for one, delay in zip(runs, (60, 120, 240, 480, 960)):
            self.assertLessEqual(one["again_after"], delay)
            self.assertGreater(one["again_after"], delay - 30)
        self.assertNotIn("again_after", runs[5])
        for one, after in zip(runs, runs[1:]):
            self.assertGreaterEqual(after["started"], one["ended"] + one["again_after"] - 1e-3)
        self.assertGreaterEqual(end["took"], 1860)

    def test_what_the_task_asks_for_goes_before_its_own_delay(self):
        code, end = run_json("soon", modules=LIFE)
        self.assertEqual((code, end["result"], len(end["attempts"])), (0, 2, 2))
        self.assertLess(end["attempts"][0]["again_after"], 1)
        code, end = run_json("later", modules=LIFE)
        self.assertEqual((code, len(end["attempts"])), (3, 2))
        self.assertGreaterEqual(end["attempts"][1]["started"], HOUR)

    def test_no_run_follows_a_final_failure(self):
        code, end = run_json("final", modules=LIFE)
        self.assertEqual((code, end["error"], len(end["attempts"])), (3, "never", 1))

    def test_the_jitter_of_a_module_is_in_force(self):
        code, end = run_json("flaky", modules=LIFE)
        self.assertEqual((code, len(end["attempts"])), (3, 3))

    def test_a_countdown_is_not_waited_for(self):
        code, end = run_json("add", "1", "2", "--countdown", "20h")
        self.assertEqual((code, end["result"]), (0, 3))
        self.assertGreaterEqual(end["attempts"][0]["started"], 20 * HOUR - 0.01)

    def test_what_expires_before_its_time_is_not_run(self):
        code, end = run_json("add", "1", "2", "--countdown", "20h", "--expires", "1h")
        self.assertEqual((code, end["attempts"]), (3, []))
        self.assertIn("expired", end["error"])
        self.assertLess(end["took"], 2 * HOUR)

    def test_real_time_is_waited_for(self):
        before = time.monotonic()
        code, end = run_json("flaky", "2", "--real-time", "--countdown", "0.3", modules=LIFE)
        self.assertEqual((code, end["result"]), (0, 2))
        self.assertGreaterEqual(time.monotonic() - before, 0.3)


class Runs(unittest.TestCase):
    def test_progress_is_told_in_full(self):
        code, end = run_json("report", "/", modules=LIFE)
        self.assertEqual((code, end["result"]), (0, "seen"))
        self.assertEqual([(one["done"], one["total"]) for one in end["progress"]],
                         [(i, 10) for i in range(1, 8)])
        self.assertEqual(end["progress"][6]["note"], "seven äpfel")
        done = run("report", "/", modules=LIFE)
        self.assertEqual(done.stdout, "seen\n")
        self.assertIn("7 of 10, seven äpfel", done.stderr)

    def test_time_limits_wake_who_polls_also_hours_later(self):
        code, end = run_json("polls", "--timeout", "0.1", "--countdown", "9h", modules=LIFE)
        self.assertEqual(code, 3)
        self.assertEqual(end["error"], "Task timed out after 0.1s")

    def test_hooks_come_first(self):
        code, end = run_json("header", "--options", '{"headers": {"x-refuse": "no"}}',
                             modules=LIFE)
        self.assertEqual((code, end["error"]), (3, "refused: no"))

    def test_isolated_ones_are_isolated(self):
        code, end = run_json("add", "1", "2", "--isolate", "all", "--countdown", "9h")
        self.assertEqual((code, end["result"]), (0, 3))
        code, end = run_json("polls", "--isolate", "all", "--countdown", "9h", "--timeout", "1",
                             modules=LIFE)
        self.assertEqual((code, end["status"]), (3, "failure"))
        self.assertIn("timed out", end["error"])

    def test_one_that_does_not_come_back_keeps_nobody(self):
        code, end = run_json("deaf_until", "/nowhere", "--timeout", "0.1", modules=LIFE)
        self.assertEqual((code, end["error"]), (3, "Task timed out after 0.1s"))

    def test_a_limit_of_real_time(self):
        code, end = run_json("deaf_until", "/nowhere", "--wait", "0.3", modules=LIFE)
        self.assertEqual((code, end["status"]), (5, "pending"))
        self.assertLessEqual(len(end["attempts"]), 1)
        for one in end["attempts"]:
            self.assertNotIn("ended", one)

    def test_programs(self):
        with tempfile.TemporaryDirectory() as folder:
            program = os.path.join(folder, "again.sh")
            config = os.path.join(folder, "fastworker.conf")
            with open(program, "w", encoding="utf-8") as file:
                file.write("#!/bin/sh\ncat >/dev/null\n"
                           f"if [ -e {folder}/seen ]; then echo '\"done\"'; exit 0; fi\n"
                           f"touch {folder}/seen\necho later >&2\nexit 75\n")
            os.chmod(program, 0o700)
            with open(config, "w", encoding="utf-8") as file:
                file.write(f'[task "again"]\nexec = {program}\n')
            code, end = run_json("again", "--config", config, modules=None,
                                 env={"FASTWORKER_PRIVILEGED_EXEC": "true"})
        self.assertEqual((code, end["result"]), (0, "done"))
        self.assertEqual(len(end["attempts"]), 2)
        self.assertIn("later", end["attempts"][0]["error"])


if __name__ == "__main__":
    main()

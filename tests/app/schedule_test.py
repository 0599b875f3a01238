"""Schedules with the real program: from modules, and put by the command.

Covers app/schedules/schedule_start.c, app/schedules/schedule_manage.c, app/commands/schedule.c.
SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import subprocess

from control_plane_test import Case
from plane import LONG, PROGRAM, SAMPLES, free_block, main, wait_until

FOLDER = os.path.dirname(SAMPLES)
TICKING = os.path.join(FOLDER, "ticking.so")


class Schedules(Case):
    def start(self, *flags):
        plane = self.plane(*flags)
        self.addCleanup(plane.process.stderr.close)
        return plane

    def ask(self, plane, *words, status=0):
        done = plane.run("schedule", *words, "--json")
        self.assertEqual(done.returncode, status, done.stderr)
        return json.loads(done.stdout) if status == 0 else done.stderr

    def one(self, plane, name):
        found, = self.ask(plane, "ls", name)["schedules"]
        return found

    def put(self, plane, name, when, *more):
        return self.ask(plane, "put", name, when, *more)["outcome"]

    def test_modules_bring_their_schedules(self):
        plane = self.start("--task-modules", f"{TICKING} {SAMPLES}")
        wait_until(lambda: self.one(plane, "mark")["started"] >= 5, "it is run by the clock")
        mark = wait_until(lambda: len(self.one(plane, "mark")["runs"]) >= 3
                          and self.one(plane, "mark"), "runs are kept")
        run = next(run for run in mark["runs"] if run["ended_unix"])
        self.assertEqual((run["status"], run["reason"], run["error"]),
                         ("success", "schedule", None))
        self.assertEqual(plane.status(run["task_id"]), "success")
        self.assertEqual(mark["source"], "module")
        wait_until(lambda: self.one(plane, "thrice")["state"] == "finished", "three have come")
        self.assertEqual(self.one(plane, "thrice")["started"], 3)
        self.assertEqual(self.one(plane, "never")["started"], 0)
        nightly = self.one(plane, "nightly")
        self.assertEqual((nightly["started"], nightly["tz"]), (0, "Europe/Berlin"))
        self.assertGreater(nightly["next_unix"], mark["next_unix"])
        self.assertGreater(plane.metric('fastworker_schedule_runs_total{schedule="mark",'
                                        'outcome="started"}'), 4)
        self.assertEqual(plane.metric('fastworker_schedules{state="active"}'), 2)
        self.assertIn("nightly", plane.run("schedule").stdout)
        self.assertEqual(plane.end(), 0, plane.log)

    def test_without_running_tasks_itself_it_has_them_as_well(self):
        plane = self.start("--task-modules", TICKING, "--no-local")
        mark = wait_until(lambda: self.one(plane, "mark")["skipped"] >= 2 and
                          self.one(plane, "mark"), "times are skipped while a run waits")
        self.assertEqual((mark["started"], mark["running"]), (1, 1))

    def test_a_bad_expression_ends_the_start(self):
        first = free_block()
        done = subprocess.run(
            [PROGRAM, "control-plane", "--no-gui", "--base-address", f"tcp://127.0.0.1:{first}",
             "--discovery-address", f"tcp://127.0.0.1:{first + 6}", "--task-modules",
             os.path.join(FOLDER, "misread.so")], capture_output=True, text=True, timeout=LONG)
        self.assertEqual(done.returncode, 78)
        self.assertIn("task hourless: when: hour", done.stderr)
        self.assertIn("25 is not in 0 to 23", done.stderr)

    def test_put_again_and_remove(self):
        plane = self.start()
        words = ("0 3 * * *", "echo", "hello", "--tz", "Asia/Tokyo", "--overlap", "queue_one")
        self.assertEqual(self.put(plane, "nightly", *words), "created")
        for _ in range(10):
            self.assertEqual(self.put(plane, "nightly", *words), "unchanged")
        self.assertEqual(self.put(plane, "nightly", "0 4 * * *", "echo", "hello"), "replaced")
        found = self.one(plane, "nightly")
        self.assertEqual((found["when"], found["overlap"], found["source"]),
                         ("0 4 * * *", "skip", "api"))
        self.assertEqual(len(self.ask(plane, "ls")["schedules"]), 1)
        self.assertEqual(self.ask(plane, "rm", "nightly")["outcome"], "deleted")
        self.assertIn("no schedule", self.ask(plane, "rm", "nightly", status=4))

    def test_what_is_wrong_is_said(self):
        plane = self.start()
        for words, said in ((("a", "0 25 * * *", "echo"), "when: hour"),
                            (("a", "@daily", "echo", "--tz", "No/Where"), "tz: zone No/Where"),
                            (("a", "@daily", "echo", "--overlap", "maybe"), "overlap: skip"),
                            (("a", "@daily", "echo", "--until", "soon"), "until: ")):
            self.assertIn(said, self.ask(plane, "put", *words, status=1))
        self.assertIn("NAME, WHEN and TASK", self.ask(plane, "put", "a", "@daily", status=2))

    def test_pause_trigger_resume(self):
        plane = self.start()
        self.put(plane, "echo", "@every 1h", "echo", "hello", "--paused")
        self.assertEqual(self.one(plane, "echo")["state"], "paused")
        answer = self.ask(plane, "trigger", "echo")
        self.assertEqual(answer["outcome"], "started")
        run = wait_until(lambda: [run for run in self.one(plane, "echo")["runs"]
                                  if run["ended_unix"]], "it has ended")[0]
        self.assertEqual((run["task_id"], run["reason"]), (answer["task_id"], "trigger"))
        self.assertIn("hello", plane.run("status", answer["task_id"]).stdout)
        self.assertEqual(self.one(plane, "echo")["started"], 1)
        self.ask(plane, "resume", "echo")
        self.assertEqual(self.one(plane, "echo")["state"], "active")
        self.ask(plane, "pause", "echo")
        self.assertEqual(self.one(plane, "echo")["state"], "paused")

    def cancel_run(self, plane, name):
        run = next(run for run in self.one(plane, name)["runs"] if not run["ended_unix"])
        plane.run("cancel", run["task_id"])
        return run["task_id"]

    def test_overlap_with_a_run_that_goes_on(self):
        plane = self.start()
        for overlap in ("skip", "queue_all", "cancel_old", "allow"):
            self.put(plane, overlap, "@every 100ms", "sleep", "600", "--overlap", overlap,
                     "--count", "4")
        wait_until(lambda: self.one(plane, "skip")["skipped"] >= 3, "three are skipped")
        self.assertEqual(self.one(plane, "skip")["started"], 1)
        wait_until(lambda: self.one(plane, "queue_all")["waiting"] == 3, "three wait")
        wait_until(lambda: self.one(plane, "allow")["running"] == 4, "four run at once")
        first = self.cancel_run(plane, "queue_all")
        found = wait_until(lambda: self.one(plane, "queue_all")["waiting"] == 2 and
                           self.one(plane, "queue_all"), "the next is taken")
        self.assertEqual(found["started"], 2)
        self.assertEqual([run["status"] for run in found["runs"] if run["task_id"] == first],
                         ["cancelled"])
        wait_until(lambda: [run["status"] for run in self.one(plane, "cancel_old")["runs"]
                            ].count("cancelled") >= 1, "the old one was cancelled")
        for name in ("skip", "queue_all", "cancel_old", "allow"):
            self.ask(plane, "rm", name)

    def test_backfill(self):
        plane = self.start()
        self.put(plane, "nightly", "0 3 * * *", "echo", "hello", "--tz", "UTC")
        answer = self.ask(plane, "backfill", "nightly", "2026-11-01", "2026-11-07T23:59")
        self.assertEqual(answer["runs"], 7)
        found = wait_until(lambda: len([run for run in self.one(plane, "nightly")["runs"]
                                        if run["status"] == "success"]) == 7 and
                           self.one(plane, "nightly"), "all seven ran")
        self.assertEqual({run["reason"] for run in found["runs"]}, {"backfill"})
        self.assertEqual(found["runs"][6]["planned_unix"], 1793502000)

    def test_a_task_that_nobody_knows(self):
        plane = self.start()
        self.put(plane, "lost", "@every 1h", "no_such_task")
        run = wait_until(lambda: self.one(plane, "lost")["runs"], "the run is over")[0]
        self.assertEqual(run["status"], "failure")


if __name__ == "__main__":
    main()

"""What users of other task queues complain about, by number (docs/PAINS.md): the cases that no
other test has. SPDX-License-Identifier: Apache-2.0
"""

import json
import os
import random

import harness
from harness import Case, task, wait_until


def submit_all(cp, tasks):
    answer = json.loads(harness.ask(cp.address(2), {"action": "batch_submit", "tasks": tasks}))
    assert len(answer["task_ids"]) == len(tasks), answer


class Order(Case):
    """6: priorities do what people think. One slot, everything waits before anything runs."""

    def run_in_order(self, *flags, counts):
        cp = self.plane("--concurrency", "1", "--threads", "1", *flags)
        gate = cp.begin(self.hold("gate", log="other", priority="critical"))
        self.wait_marks("+gate", name="other")
        asked = []
        for level, count in counts:
            asked += [cp.begin(task("mark", self.path("log"), level, priority=level))
                      for _ in range(count)]
            wait_until(lambda: cp.api("queues")["total_queued"] == len(asked), "all are queued")
        self.open_gate()
        gate.answer()
        for request in asked:
            self.assertEqual(request.answer()["status"], "success")
        return [mark[1:] for mark in self.marks()]

    def test_pain_06_a_critical_one_is_next(self):
        order = self.run_in_order(counts=[("low", 100), ("critical", 1)])
        self.assertEqual(order, ["critical"] + 100 * ["low"])

    def test_pain_06_weighted_shares(self):
        levels = ("low", "normal", "high", "critical")
        order = self.run_in_order("--priority-policy", "weighted", "--batch", "1",
                                  counts=[(level, 160) for level in levels])
        # As long as all four have something: the first 160 / 16 * 29 of them.
        first = order[:280]
        for level, weight in zip(reversed(levels), (16, 8, 4, 1)):
            share = first.count(level) / len(first)
            self.assertAlmostEqual(share, weight / 29, delta=0.05, msg=f"{level} of {order}")


class ShortAndLong(Case):
    """7: short tasks behind a long one."""

    def test_pain_07_a_thousand_short_ones_pass_a_long_one(self):
        cp = self.plane("--no-local", modules=())
        for i in range(4):
            self.subworker(cp, f"sw{i}", threads=1)
        long = cp.begin(self.hold("long"))
        self.wait_marks("+long")
        short = [task("spend", self.path("short"), f"s{i}", 0.001) for i in range(1000)]
        submit_all(cp, short)
        for message in short:
            self.assertEqual(cp.finished(message["id"])["status"], "success")
        self.assertFalse(long.has_answer())
        self.open_gate()
        self.assert_success(long.answer(), "long")


class States(Case):
    """4: nothing runs for ever that nobody runs. 14: what is not known is said to be unknown."""

    def test_pain_04_the_sum_of_states_holds_after_kills(self):
        """FW_KILLS subworkers, killed at random moments while tasks flow."""
        seed = int(os.environ.get("FW_SEED", random.randrange(10 ** 6)))
        rounds = int(os.environ.get("FW_KILLS", 6))
        print(f"FW_SEED={seed}")
        dice = random.Random(seed)
        cp = self.plane("--no-local", "--losses-max", "254", modules=())
        self.subworker(cp, "steady", threads=1)
        tasks = [task("spend", self.path("log"), f"t{i}", dice.choice((0, 0, 0, 0.002)),
                      priority=dice.choice(harness.PRIORITIES)) for i in range(300 * rounds)]
        given = 0
        for number in range(rounds):
            part = tasks[given:given + 300]
            given += len(part)
            submit_all(cp, part)
            victim = self.subworker(cp, f"victim{number}")
            done = cp.metric("fastworker_tasks_finished_total")
            wait_until(lambda: cp.metric("fastworker_tasks_finished_total") >
                       done + dice.randrange(100), "some more have ended")
            victim.kill()
        for message in tasks:
            self.assertEqual(cp.finished(message["id"])["status"], "success")
        for state in ("queued", "scheduled", "running"):
            wait_until(lambda: cp.metric("fastworker_tasks", state=state) == 0, f"none is {state}")
        self.assertEqual(cp.metric("fastworker_tasks_submitted_total"), len(tasks))
        self.assertEqual(cp.metric("fastworker_tasks_finished_total"), len(tasks))
        self.assertEqual(cp.metric("fastworker_tasks_in_hand"), 0)

    def test_pain_14_unknown_waiting_and_expired_are_three_answers(self):
        cp = self.plane("--result-cache-size", "1", "--result-cache-shards", "1")
        waiting = self.hold("waiting")
        asked = cp.begin(waiting)
        self.wait_marks("+waiting")
        first = task("add", 1, 2)
        self.assert_success(cp.submit(first), 3)
        self.assert_success(cp.run("add", 2, 3), 5)
        ends = {}
        for name, task_id in (("never sent", "never-sent"), ("expired", first["id"]),
                              ("live", waiting["id"])):
            done = self.run_program("status", task_id, "--control-plane-address", cp.address(0))
            ends[name] = (done.returncode, done.stdout + done.stderr)
        self.assertEqual(ends["never sent"][0], 4)
        self.assertEqual(ends["expired"][0], 4)
        self.assertIn("its result has expired", ends["expired"][1])
        self.assertIn("Nobody has submitted", ends["never sent"][1])
        self.assertIn("running", ends["live"][1].lower())
        self.open_gate()
        self.assert_success(asked.answer(), "waiting")


class Reloads(Case):
    """10: a redeploy makes no second schedule."""

    def test_pain_10_ten_puts_of_one_name_make_one_next_run(self):
        cp = self.plane()
        for minute in range(10):
            done = self.run_program("schedule", "put", "nightly", f"{minute} 3 * * *", "add", "1",
                                    "2", "--control-plane-address", cp.address(0))
            self.assertEqual(done.returncode, 0, done.stderr)
        listed = self.run_program("schedule", "ls", "--control-plane-address", cp.address(0))
        self.assertEqual(listed.stdout.count("nightly"), 1, listed.stdout)
        self.assertIn("9 3 * * *", listed.stdout)


class Endless(Case):
    """11: a time limit is kept whatever the task does."""

    def test_pain_11_one_that_loops_for_ever_is_answered_in_time(self):
        """On a thread, which cannot be ended: its caller is told, and the others go on."""
        cp = self.plane("--concurrency", "2", "--threads", "2")
        stuck = task("loop", self.path("log"), "stuck", timeout=1)
        asked = cp.begin(stuck)
        self.wait_marks("+stuck")
        self.assert_failure(asked.answer(), "Task timed out after 1.0s")
        others = [task("mark", self.path("others"), f"o{i}") for i in range(500)]
        submit_all(cp, others)
        for message in others:
            self.assertEqual(cp.finished(message["id"])["status"], "success")
        self.assert_failure(cp.finished(stuck["id"]), "Task timed out after 1.0s")
        self.assertEqual(self.marks().count("+stuck"), 1)

    def test_pain_11_in_a_process_of_its_own_its_slot_comes_back(self):
        """One slot only: all others need it."""
        cp = self.plane("--concurrency", "1", "--threads", "1", "--isolate", "all")
        asked = [cp.begin(task("loop", self.path("log"), f"stuck{i}", timeout=0.5))
                 for i in range(2)]
        behind = cp.begin(task("give_back", 7))
        for request in asked:
            self.assert_failure(request.answer(), "Task timed out after 0.5s")
        self.assert_success(behind.answer(), 7)


class Limited(Case):
    """12: a limit of one name stands in nobody else's way."""

    def test_pain_12_a_free_one_passes_a_thousand_limited_ones(self):
        cp = self.plane("--concurrency", "16", "--threads", "16")
        done = self.run_program("limits", "set", "hold", "--max-running", 8,
                                "--control-plane-address", cp.address(0))
        self.assertEqual(done.returncode, 0, done.stderr)
        limited = [self.hold(f"l{i}", priority="high") for i in range(1000)]
        submit_all(cp, limited)
        wait_until(lambda: len(self.marks()) == 8, "eight run")
        self.assert_success(cp.run("give_back", 7, priority="low"), 7)
        self.assertEqual(len(self.marks()), 8)
        self.open_gate()
        for message in limited:
            self.assertEqual(cp.finished(message["id"])["status"], "success")
        running = most = 0
        for line in self.marks():
            running += 1 if line[0] == "+" else -1
            most = max(most, running)
        self.assertEqual((most, running, len(self.marks())), (8, 0, 2000))


if __name__ == "__main__":
    harness.main()

"""Native subworkers under our control plane: tasks there and back, who gets what, in which order,
drain and give back. C-105, C-170, C-172.

Covers app/subworker.c, app/workers/workers.c, app/workers/unit.c, app/workers/work.c,
app/manage/manage.c, app/commands/workers.c, net/uplink.c, net/client_manage.c.
SPDX-License-Identifier: Apache-2.0
"""

import json
import signal

import harness
from harness import Case, ask, task, tcp, wait_until

NOT_FOUND = 4


class Away(Case):
    """A control plane that runs nothing itself."""

    def setUp(self):
        super().setUp()
        self.cp = self.plane("--no-local", modules=())

    def finished(self, *messages):
        return [self.cp.finished(message["id"]) for message in messages]

    def held(self, text, **fields):
        message = self.hold(text, **fields)
        return message, self.cp.begin(message)

    def test_C_170_tasks_flow_over_the_pipes(self):
        self.subworker(self.cp, "sw1")
        worker = self.cp.workers()["sw1"]
        self.assertTrue(worker["native"], worker)
        self.assertEqual(worker["slots"], 2)
        for level in harness.PRIORITIES:
            self.assert_success(self.cp.run("add", 2, 3, priority=level), 5)
        self.assert_failure(self.cp.run("fail_with", "no paper"), "no paper")
        value = {"a": [1, None, 1e308, "\u20ac\U0001f600"], "b": 2 ** 80}
        self.assert_success(self.cp.run("give_back", value), value)
        # A result is told before its slot is counted as free.
        wait_until(lambda: self.cp.workers()["sw1"]["ended"] == 6, "all have ended")
        self.assertEqual(self.cp.workers()["sw1"]["given"], 6)

    def test_found_by_discovery(self):
        self.subworker(self.cp, "sw1", discovery=True)
        self.assert_success(self.cp.run("add", 2, 3), 5)

    def test_large_arguments_and_results(self):
        self.subworker(self.cp, "sw1")
        text = "x" * 900_000
        self.assert_success(self.cp.run("give_back", text), text)

    def test_waits_for_who_knows_the_name(self):
        asked = self.cp.begin(task("add", 20, 22))
        self.subworker(self.cp, "idle", modules=())
        wait_until(lambda: self.cp.api("queues")["total_queued"] == 1, "the task waits")
        self.assertFalse(asked.has_answer())
        self.subworker(self.cp, "sw1")
        self.assert_success(asked.answer(), 42)

    def test_all_are_used(self):
        for name in ("sw1", "sw2", "sw3"):
            self.subworker(self.cp, name, threads=1)
        asked = [self.held(f"t{i}")[1] for i in range(3)]
        self.wait_marks("+t0", "+t1", "+t2")
        self.assertEqual([w["load"] for w in self.cp.workers().values()], [1, 1, 1])
        self.open_gate()
        for request in asked:
            self.assertEqual(request.answer()["status"], "success")

    def test_shares_follow_slots(self):
        self.subworker(self.cp, "one", threads=1)
        self.subworker(self.cp, "three", threads=3)
        for i in range(4):
            self.held(f"t{i}")
        self.wait_marks("+t0", "+t1", "+t2", "+t3")
        self.assertEqual({n: w["load"] for n, w in self.cp.workers().items()},
                         {"one": 1, "three": 3})
        self.open_gate()

    def test_strict_priority_over_all(self):
        """With one slot anywhere, a waiting critical task is next."""
        self.subworker(self.cp, "sw1", threads=1)
        self.subworker(self.cp, "sw2", threads=1)
        first = [self.held("a", gate="gate-a"), self.held("b", gate="gate-b")]
        self.wait_marks("+a", "+b")
        low = [task("mark", self.path("order"), f"low{i}", priority="low") for i in range(20)]
        asked = [self.cp.begin(message) for message in low]
        wait_until(lambda: self.cp.api("queues")["total_queued"] == 20, "they wait")
        asked.append(self.cp.begin(task("mark", self.path("order"), "urgent",
                                        priority="critical")))
        wait_until(lambda: self.cp.api("queues")["total_queued"] == 21, "it waits")
        self.open_gate("gate-b")
        for request in asked:
            self.assertEqual(request.answer()["status"], "success")
        self.assertEqual(self.marks("order")[0], "=urgent")
        self.open_gate("gate-a")
        for _, request in first:
            request.answer()

    def test_C_084_a_result_is_stored_and_asked_for_again(self):
        self.subworker(self.cp, "sw1")
        message = task("count_file", self.path("runs"))
        self.assert_success(self.cp.submit(message))
        self.assert_success(self.cp.submit(message))
        self.assertEqual(self.cp.finished(message["id"])["status"], "success")
        with open(self.path("runs"), encoding="ascii") as runs:
            self.assertEqual(runs.read(), ".")

    def test_cancel_waiting_and_running(self):
        self.subworker(self.cp, "sw1", threads=1)
        running, asked = self.held("run")
        self.wait_marks("+run")
        waiting, asked_too = self.held("wait")
        wait_until(lambda: self.cp.api("queues")["total_queued"] == 1, "it waits")
        self.assertTrue(self.cp.cancel(waiting["id"])["cancelled"])
        self.assertEqual(asked_too.answer()["status"], "cancelled")
        self.assertTrue(self.cp.cancel(running["id"])["cancelled"])
        self.assertEqual(asked.answer()["status"], "cancelled")
        self.wait_marks("-run")  # it was told, and ended itself; the gate is still closed
        self.assertNotIn("+wait", self.marks())
        self.assert_success(self.cp.run("add", 1, 1), 2)

    def test_limit_of_a_run(self):
        self.subworker(self.cp, "sw1", threads=1)
        result = self.cp.submit(self.hold("long", timeout=0.2))
        self.assert_failure(result, "Task timed out after 0.2s")
        self.wait_marks("-long")
        self.assert_success(self.cp.run("add", 1, 1), 2)

    def test_retries_and_callback_stay_here(self):
        self.subworker(self.cp, "sw1")
        result = self.cp.submit(task("flaky", self.path("runs"), 2, max_retries=3,
                                     retry_delay=0.01))
        self.assert_success(result, 3)

    def test_many(self):
        self.subworker(self.cp, "sw1")
        self.subworker(self.cp, "sw2")
        tasks = [task("add", i, 1) for i in range(2000)]
        answer = json.loads(ask(self.cp.address(2), {"action": "batch_submit", "tasks": tasks}))
        self.assertTrue(answer["batch_accepted"], answer)
        for i, result in enumerate(self.finished(*tasks)):
            self.assert_success(result, i + 1)
        wait_until(lambda: sum(w["ended"] for w in self.cp.workers().values()) == 2000, "all ended")
        shares = [w["ended"] for w in self.cp.workers().values()]
        self.assertTrue(all(share > 0 for share in shares), shares)

    def test_short_ones_do_not_wait_behind_a_long_one(self):
        """What was sent ahead to a worker that is then kept busy comes back to others."""
        self.subworker(self.cp, "sw1", threads=1)
        for i in range(300):  # it learns that tasks are short, and sends ahead
            self.assert_success(self.cp.run("add", i, 1), i + 1)
        blocker, blocked = self.held("long")
        tasks = [task("mark", self.path("short"), f"s{i}") for i in range(50)]
        ask(self.cp.address(2), {"action": "batch_submit", "tasks": tasks})
        self.wait_marks("+long")
        self.subworker(self.cp, "sw2", threads=1)
        for result in self.finished(*tasks):
            self.assertEqual(result["status"], "success")
        self.assertFalse(blocked.has_answer())
        self.assertEqual(len(self.marks("short")), 50)
        self.open_gate()
        self.assertEqual(self.cp.finished(blocker["id"])["status"], "success")


class Both(Case):
    def test_local_and_away(self):
        cp = self.plane("--threads", "1")
        self.subworker(cp, "sw1", threads=1)
        asked = [cp.begin(self.hold(name)) for name in ("a", "b")]
        self.wait_marks("+a", "+b")
        self.assertEqual(cp.workers()["sw1"]["load"], 1)
        self.open_gate()
        for request in asked:
            self.assertEqual(request.answer()["status"], "success")

    def test_names_that_only_one_side_knows(self):
        cp = self.plane("--threads", "1", modules=(harness.SAMPLES,))
        self.subworker(cp, "sw1", modules=(harness.COUNTING,))
        self.assert_success(cp.run("add", 1, 2), 3)
        self.assert_success(cp.run("give_back", 7), 7)
        # Somebody may come who knows it (unknown_test.py).
        unknown = cp.begin(task("nowhere"))
        wait_until(lambda: "task.unknown" in cp.text(), "it is noticed")
        self.assertFalse(unknown.has_answer())

    def test_a_new_one_helps_with_a_backlog(self):
        cp = self.plane("--threads", "1")
        running = cp.begin(self.hold("long"))
        self.wait_marks("+long")
        tasks = [task("add", i, 1) for i in range(500)]
        ask(cp.address(2), {"action": "batch_submit", "tasks": tasks})
        wait_until(lambda: cp.api("queues")["total_queued"] == 500, "they wait")
        self.subworker(cp, "sw1", threads=1)
        for i, message in enumerate(tasks):
            self.assert_success(cp.finished(message["id"]), i + 1)
        self.assertFalse(running.has_answer())
        self.open_gate()
        running.answer()


class Leaving(Case):
    def setUp(self):
        super().setUp()
        self.cp = self.plane("--no-local", modules=())

    def command(self, *arguments):
        return self.run_program(*arguments, "--control-plane-address", tcp(self.cp.ports.base))

    def test_drain_and_resume_by_command(self):
        self.subworker(self.cp, "sw1", threads=1)
        done = self.command("drain", "sw1")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.cp.wait_worker("sw1", "draining")
        asked = self.cp.begin(task("add", 1, 2))
        wait_until(lambda: self.cp.api("queues")["total_queued"] == 1, "the task waits")
        listed = json.loads(self.command("workers", "--json").stdout)["workers"]
        self.assertEqual([(w["id"], w["state"]) for w in listed], [("sw1", "draining")])
        self.assertFalse(asked.has_answer())
        self.assertEqual(self.command("resume", "sw1").returncode, 0)
        self.assert_success(asked.answer(), 3)
        self.assertIn("sw1", self.command("workers").stdout)
        self.assertEqual(self.command("drain", "nobody").returncode, NOT_FOUND)

    def test_SIGTERM_finishes_and_gives_back(self):
        leaver = self.subworker(self.cp, "sw1", "--shutdown-timeout", "20", threads=1)
        running = self.cp.begin(self.hold("long"))
        self.wait_marks("+long")
        others = [self.cp.begin(task("add", i, 1)) for i in range(5)]
        leaver.send(signal.SIGTERM)
        self.cp.wait_worker("sw1", "draining")
        self.subworker(self.cp, "sw2", threads=1)
        for i, request in enumerate(others):
            self.assert_success(request.answer(), i + 1)
        self.open_gate()
        self.assertEqual(running.answer()["status"], "success")
        self.assertEqual(leaver.wait(), 0)
        self.assertEqual(self.marks(), ["+long", "-long"])
        self.assertEqual(self.cp.workers()["sw1"]["lost"], 0)

    def test_what_does_not_end_in_time_is_run_by_another(self):
        leaver = self.subworker(self.cp, "sw1", "--shutdown-timeout", "100ms", threads=1)
        asked = self.cp.begin(self.hold("long"))
        self.wait_marks("+long")
        leaver.send(signal.SIGTERM)
        self.assertEqual(leaver.wait(), 0)
        self.subworker(self.cp, "sw2", threads=1)
        wait_until(lambda: self.marks().count("+long") == 2, "it runs again")
        self.open_gate()
        self.assertEqual(asked.answer()["status"], "success")


if __name__ == "__main__":
    harness.main()

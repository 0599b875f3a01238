"""Subworkers that die, stop, or are cut off: what they had in hand is finished by others, nothing
is lost and nothing told twice. Control plane restart; tasks that kill.

Covers app/local_subworkers.c, app/commands/dead.c, app/commands/manage.c.

SPDX-License-Identifier: Apache-2.0
"""

import json
import os
import signal

import harness
from harness import Case, ask, task, tcp, wait_until

IN_HAND = 1000


class Base(Case):
    def setUp(self):
        super().setUp()
        self.cp = self.plane("--no-local", modules=())

    def submit_all(self, tasks):
        for at in range(0, len(tasks), 500):
            answer = json.loads(ask(self.cp.address(2), {"action": "batch_submit",
                                                         "tasks": tasks[at:at + 500]}))
            self.assertTrue(answer["batch_accepted"], answer)

    def command(self, *arguments):
        return self.run_program(*arguments, "--control-plane-address", tcp(self.cp.ports.base))

    def in_hand(self, worker_id):
        return self.cp.workers()[worker_id]["load"]


class Losses(Base):
    def test_SIGKILL_with_a_thousand_in_hand(self):
        self.cp.kill()
        self.cp = self.plane("--no-local", "--prefetch", "500", modules=())
        victim = self.subworker(self.cp, "victim", threads=2)
        gate = self.path("gate")
        tasks = [task("hold", self.path("log"), f"t{i}", gate) for i in range(IN_HAND)]
        self.submit_all(tasks)
        wait_until(lambda: self.in_hand("victim") == IN_HAND, "all are in its hands")
        heirs = [self.subworker(self.cp, f"heir{i}", threads=2) for i in range(2)]
        asked = self.cp.begin(tasks[0])
        victim.kill()
        self.open_gate()
        self.assert_success(asked.answer(), "t0")
        for message in tasks:
            self.assert_success(self.cp.finished(message["id"]), message["args"][1])
        runs = [mark for mark in self.marks() if mark.startswith("-")]
        self.assertEqual(sorted(runs), sorted(f"-t{i}" for i in range(IN_HAND)))
        self.assertEqual(self.cp.metric("fastworker_tasks_finished_total", status="success"),
                         IN_HAND)
        self.assertFalse(any(heir.has_ended() for heir in heirs))

    def test_SIGKILL_under_load(self):
        """Killed again and again while tasks flow; each one counted outside."""
        tasks = [task("mark", self.path("log"), f"t{i}") for i in range(3000)]
        steady = self.subworker(self.cp, "steady")
        self.submit_all(tasks)
        for round_number in range(5):
            victim = self.subworker(self.cp, f"victim{round_number}")
            victim.kill()
        for message in tasks:
            self.assertEqual(self.cp.finished(message["id"])["status"], "success")
        self.assertEqual(set(self.marks()), {f"=t{i}" for i in range(3000)})
        self.assertEqual(self.cp.metric("fastworker_tasks_finished_total", status="success"), 3000)
        self.assertFalse(steady.has_ended())

    def test_stopped_and_gone_on(self):
        """Its late results are recognised by their leases."""
        sleeper = self.subworker(self.cp, "sleeper", threads=1)
        message = self.hold("held")
        asked = self.cp.begin(message)
        self.wait_marks("+held")
        sleeper.send(signal.SIGSTOP)
        try:
            self.subworker(self.cp, "heir", threads=1)
            wait_until(lambda: self.marks().count("+held") == 2, "another one runs it")
            self.open_gate()
            self.assert_success(asked.answer(), "held")
        finally:
            sleeper.send(signal.SIGCONT)
        wait_until(lambda: self.marks().count("-held") == 2, "the first one ends as well")
        self.cp.wait_worker("sleeper")
        self.assertEqual(self.cp.metric("fastworker_tasks_finished_total", status="success"), 1)
        self.assert_success(self.cp.run("add", 1, 2), 3)

    def test_control_plane_restart(self):
        self.subworker(self.cp, "sw1")
        self.cp.kill()
        self.cp = self.keep(harness.Plane("--no-local", ports=self.cp.ports, modules=()))
        self.cp.wait_worker("sw1")
        self.assert_success(self.cp.run("add", 1, 2), 3)

    def test_who_only_waited_is_not_given_up(self):
        """Workers go away again and again with the same tasks in hand: only the one that ran each
        time is given up."""
        self.cp.kill()
        self.cp = self.plane("--no-local", "--prefetch", "100", modules=())
        gate = self.path("gate")
        tasks = [task("hold", self.path("log"), f"t{i}", gate) for i in range(20)]
        self.submit_all(tasks)
        first = self.cp.begin(tasks[0])
        rounds = 0
        # One round more than three, where a worker was gone before it could say that it began.
        while not first.has_answer() and rounds < 20:
            begun = self.marks().count("+t0")
            victim = self.subworker(self.cp, f"victim{rounds}", threads=1)
            wait_until(lambda: self.marks().count("+t0") > begun or first.has_answer(), "it runs")
            victim.kill()
            rounds += 1
        self.assertIn("worker", first.answer()["error"])
        self.assertGreaterEqual(rounds, 3)
        self.subworker(self.cp, "heir", threads=2)
        self.open_gate()
        for message in tasks[1:]:
            self.assert_success(self.cp.finished(message["id"]), message["args"][1])
        self.assertEqual(self.cp.metric("fastworker_tasks_dead_total"), 1)

    def test_a_task_that_kills_its_worker(self):
        """Three times, then it is given up; those that were beside it are unharmed."""
        def keep_one_alive():
            self.workers.append(self.subworker(self.cp, f"sw{len(self.workers)}", wait=False))

        self.workers = []
        keep_one_alive()
        self.cp.wait_worker("sw0")
        poison = self.cp.begin(task("kill_process", self.path("log"), "boom"))
        good = [task("mark", self.path("good"), f"g{i}") for i in range(200)]
        self.submit_all(good)
        wait_until(self.workers[0].has_ended, "the first one dies of it")
        keep_one_alive()
        result = poison.answer()
        self.assertEqual(result["status"], "failure", result)
        self.assertIn("SIGKILL", result["error"])
        self.assertEqual(self.marks().count("+boom"), 3)
        dead, = json.loads(self.command("dead", "--json").stdout)["tasks"]
        self.assertEqual((dead["name"], dead["losses"], dead["error"]),
                         ("kill_process", 3, result["error"]))
        self.assertIn("kill_process", self.command("dead").stdout)
        for message in good:
            self.assertEqual(self.cp.finished(message["id"])["status"], "success")
        self.assertFalse(self.workers[1].has_ended())


class Dead(Base):
    """Tasks that are given up, and run again."""

    def test_given_up_after_its_retries_and_run_again(self):
        self.subworker(self.cp, "sw1")
        message = task("flaky", self.path("runs"), 3, max_retries=1, retry_delay=0.01)
        self.assert_failure(self.cp.submit(message), "run 2 fails")
        once = task("fail_with", "only once")
        self.cp.submit(once)  # its only run: nothing was given up
        done = self.command("dead", "retry", message["id"], once["id"], "--json")
        self.assertEqual(json.loads(done.stdout),
                         {"done": [message["id"]], "unknown": [once["id"]]})
        self.assert_success(self.cp.finished(message["id"]), 4)
        self.assertEqual(json.loads(self.command("dead", "--json").stdout)["total"], 0)
        self.assertEqual(self.cp.metric("fastworker_tasks_dead_total"), 1)

    def test_forgotten(self):
        self.subworker(self.cp, "sw1")
        message = task("flaky", self.path("runs"), 9, max_retries=1, retry_delay=0.01)
        self.cp.submit(message)
        self.assertIn(message["id"], self.command("dead", "ls").stdout)
        self.assertIn("done", self.command("dead", "rm", message["id"]).stdout)
        self.assertIn("No dead tasks", self.command("dead").stdout)
        self.assertEqual(self.command("dead", "bury").returncode, 2)


class OwnSubworkers(Case):
    """--local-subworkers: the code of tasks runs in processes beside the control plane."""

    def local(self, cp, count):
        names = [f"control-plane-local-{i}" for i in range(count)]
        for name in names:
            cp.wait_worker(name)
        return names

    def test_run_tasks_and_come_back_when_killed(self):
        cp = self.plane("--local-subworkers", "2", "--threads", "2")
        self.local(cp, 2)
        first = cp.run("process_id")["result"]
        self.assertNotEqual(first, cp.pid)
        os.kill(first, signal.SIGKILL)
        asked = [cp.begin(task("add", i, 1)) for i in range(200)]
        for i, request in enumerate(asked):
            self.assert_success(request.answer(), i + 1)
        self.local(cp, 2)
        self.assertFalse(cp.has_ended())

    def test_they_know_the_token(self):
        with open(self.path("token"), "w", encoding="ascii") as stream:
            stream.write("a secret\n")
        cp = self.plane("--local-subworkers", "1", "--threads", "1", "--token-file",
                        self.path("token"), gui=False)
        wait_until(lambda: "event=worker.up" in cp.text(), "its subworker is up")
        self.assert_success(cp.run("add", 1, 2), 3)

    def test_a_task_that_kills_its_process(self):
        cp = self.plane("--local-subworkers", "1", "--threads", "1")
        self.local(cp, 1)
        result = cp.run("kill_process", self.path("log"), "boom")
        self.assertEqual(result["status"], "failure", result)
        self.assertIn("SIGKILL", result["error"])
        self.assertEqual(self.marks(), ["+boom"] * 3)
        self.assert_success(cp.run("add", 1, 2), 3)
        self.assert_failure(cp.run("nowhere"), "Task nowhere not found")

    def test_end_with_the_control_plane(self):
        cp = self.plane("--local-subworkers", "2", "--threads", "2")
        self.local(cp, 2)
        pids = {cp.run("process_id")["result"] for _ in range(20)}
        asked = cp.begin(self.hold("held"))
        self.wait_marks("+held")
        cp.send(signal.SIGTERM)
        self.open_gate()
        self.assert_success(asked.answer(), "held")
        self.assertEqual(cp.wait(), 0)
        for pid in pids:
            wait_until(lambda: not os.path.exists(f"/proc/{pid}"), "its subworkers end as well")


if __name__ == "__main__":
    harness.main()

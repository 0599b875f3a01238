"""Subworkers at the edges: two processes of one id, a control plane that ends while they are at
work, drains that meet beats and restarts, tasks that are given up.

Covers app/workers/unit.c, app/workers/workers.c, app/house.c, app/life/intake.c,
app/workers/work.c.
SPDX-License-Identifier: Apache-2.0
"""

import json
import signal
import time

import harness
from harness import Case, Subworker, task, tcp, wait_until

SILENCE = 6  # seconds after which either side gives the other one up


class Edge(Case):
    def setUp(self):
        super().setUp()
        self.cp = self.plane("--no-local", modules=())

    def command(self, *arguments):
        return self.run_program(*arguments, "--control-plane-address", tcp(self.cp.ports.base))

    def listed(self, worker_id):
        workers = json.loads(self.command("workers", "--json").stdout)["workers"]
        return next(w for w in workers if w["id"] == worker_id)

    def again(self, *flags, **options):
        self.cp.kill()
        self.cp = self.keep(harness.Plane("--no-local", *flags, ports=self.cp.ports, modules=(),
                                          **options))

    def test_a_control_plane_that_ends_goes_on_talking_to_them(self):
        self.again("--shutdown-timeout", "60")
        self.subworker(self.cp, "sw1", threads=1)
        asked = self.cp.begin(self.hold("long"))
        self.wait_marks("+long")
        self.cp.send(signal.SIGTERM)
        began = time.monotonic()
        wait_until(lambda: time.monotonic() - began > SILENCE + 2, "longer than a silence may last")
        self.open_gate()
        self.assert_success(asked.answer(), "long")
        self.assertEqual(self.cp.wait(), 0)
        self.assertEqual(self.cp.text().count("worker.down"), 1, self.cp.text())  # at its end

    def test_the_first_of_two_with_one_id_stays(self):
        first = self.subworker(self.cp, "same", threads=1)
        asked = self.cp.begin(self.hold("long"))
        self.wait_marks("+long")
        second = self.keep(Subworker(self.cp, "same", threads=1))
        wait_until(lambda: "another process of this id" in second.text(), "it is told why")
        self.open_gate()
        self.assert_success(asked.answer(), "long")
        self.assertEqual(self.marks(), ["+long", "-long"])
        self.assertEqual(self.cp.workers()["same"]["lost"], 0)
        first.kill()
        self.assert_success(self.cp.run("add", 1, 2), 3)  # the second one takes its place

    def test_a_beat_on_its_way_does_not_end_a_drain(self):
        worker = self.subworker(self.cp, "sw1", threads=1)
        self.assert_success(self.cp.run("add", 1, 2), 3)
        worker.send(signal.SIGSTOP)
        wait_until(lambda: self.listed("sw1")["seen_seconds"] > 2.1, "its next beat is due")
        self.assertEqual(self.command("drain", "sw1").returncode, 0)
        asked = self.cp.begin(task("mark", self.path("log"), "x"))
        worker.send(signal.SIGCONT)
        wait_until(lambda: self.listed("sw1")["seen_seconds"] < 2, "it beats")
        wait_until(lambda: "asked to take nothing new" in worker.text(), "it knows")
        self.cp.wait_worker("sw1", "draining")
        self.assertEqual(self.marks(), [])
        self.command("resume", "sw1")
        self.assert_success(asked.answer(), "x")

    def test_a_drain_outlives_the_control_plane(self):
        worker = self.subworker(self.cp, "sw1", threads=1)
        self.command("drain", "sw1")
        wait_until(lambda: "asked to take nothing new" in worker.text(), "it knows")
        self.again()
        self.cp.wait_worker("sw1", "draining")
        self.assertEqual(self.command("resume", "sw1").returncode, 0)
        wait_until(lambda: "asked to go on" in worker.text(), "it goes on")
        self.assert_success(self.cp.run("add", 1, 2), 3)

    def test_losses_are_no_retries(self):
        """What crashes is given up after so many losses, however many retries it has."""
        first = self.subworker(self.cp, "sw1")
        asked = self.cp.begin(task("kill_process", self.path("log"), "boom", max_retries=3,
                                   retry_delay=0.01))
        wait_until(first.has_ended, "the first one dies of it")
        self.subworker(self.cp, "sw2", wait=False)
        result = asked.answer()
        self.assertEqual(result["status"], "failure", result)
        self.assertIn("SIGKILL", result["error"])
        self.assertEqual(self.marks(), ["+boom"] * 3)

    def test_a_dead_task_for_which_there_is_no_room_stays_dead(self):
        self.again("--queue-max", "16")
        self.subworker(self.cp, "sw1", threads=1)
        message = task("flaky", self.path("runs"), 9, max_retries=1, retry_delay=0.01)
        self.cp.submit(message)
        full = [self.cp.begin(self.hold(f"h{i}")) for i in range(40)]
        wait_until(lambda: any(request.has_answer() for request in full), "the queue is full")
        done = self.command("dead", "retry", message["id"], "--json")
        self.assertEqual(json.loads(done.stdout), {"done": [], "unknown": [message["id"]]})
        dead, = json.loads(self.command("dead", "--json").stdout)["tasks"]
        self.assertEqual(dead["task_id"], message["id"])
        self.assert_failure(self.cp.finished(message["id"]), "run 2 fails")
        self.open_gate()

    def test_what_is_too_large_for_the_pipes_fails_alone(self):
        self.again("--payload-max", "4M")
        self.subworker(self.cp, "sw1", threads=2)
        asked = self.cp.begin(self.hold("beside"))
        self.wait_marks("+beside")
        result = self.cp.run("give_back", "x" * 2_000_000)
        self.assert_failure(result, "the arguments of 2000006 bytes are over the subworker's limit "
                                    "of 1048576")
        result = self.cp.run("fill", 5_000_000)
        self.assert_failure(result, "the result of 5000002 bytes is over the control plane's limit "
                                    "of 4194304")
        self.assert_success(self.cp.run("fill", 2_000_000), "x" * 2_000_000)
        self.open_gate()
        self.assert_success(asked.answer(), "beside")
        self.assertEqual(self.cp.workers()["sw1"]["lost"], 0)


if __name__ == "__main__":
    harness.main()

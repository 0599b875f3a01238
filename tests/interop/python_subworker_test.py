"""Real Python subworkers under our control plane: 0.1.1 as it is, and 0.3.0 by the subclass in
docs/examples. C-078, C-098 to C-100, C-173, and mixed pools.

Covers net/pylink.c.
SPDX-License-Identifier: Apache-2.0
"""

import json
import os
import signal
import sys

import harness
from harness import Case, Ports, Process, task, tcp, wait_until

OLD = os.path.join(os.path.dirname(os.path.dirname(sys.executable)), "old")
EXAMPLE = os.path.join(harness.ROOT, "docs/examples/python_subworker.py")


class PythonSubworker(Process):
    def __init__(self, plane, worker_id, version, *flags):
        self.ports = Ports()
        path = harness.HERE if version == "0.3.0" else OLD + os.pathsep + harness.HERE
        program = [EXAMPLE] if version == "0.3.0" else ["-m", "fastworker.cli", "subworker"]
        super().__init__(
            [sys.executable, *program, "--worker-id", worker_id,
             "--control-plane-address", tcp(plane.ports.base),
             "--base-address", tcp(self.ports.base),
             "--discovery-address", tcp(plane.ports.discovery),
             "--task-modules", "python_tasks", *flags],
            env={"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"})


class PythonCase(Case):
    def setUp(self):
        super().setUp()
        self.cp = self.plane("--no-local", modules=())

    def python(self, worker_id, version, *flags):
        worker = self.keep(PythonSubworker(self.cp, worker_id, version, *flags))
        self.cp.wait_worker(worker_id)
        return worker

    def held(self, text, gate="gate"):
        message = task("wait_for_file", self.path("log"), text, self.path(gate))
        return message, self.cp.begin(message)


class Absent(PythonCase):
    def test_one_that_is_not_there_is_not_asked_again(self):
        gone = {"subworker_id": "gone", "address": tcp(self.cp.ports.spare(0)), "status": "active"}
        answer = json.loads(harness.ask(self.cp.address(harness.REGISTRATION), gone))
        self.assertEqual(answer["status"], "registered")
        asked = self.cp.begin(task("add", 1, 2))
        self.cp.wait_worker("gone", "draining")
        self.assertFalse(asked.has_answer())
        self.python("py1", "0.1.1")
        self.assert_success(asked.answer(), 3)
        for i in range(20):
            self.assert_success(self.cp.run("add", i, 1), i + 1)
        self.assertLessEqual(self.cp.workers()["gone"]["given"], 2)
        harness.ask(self.cp.address(harness.REGISTRATION), {**gone, "heartbeat": True})
        self.cp.wait_worker("gone")  # it is there again, it says


class Each:
    version = None

    def test_runs_at_all_priorities(self):
        self.python("py1", self.version)
        for level in harness.PRIORITIES:
            self.assert_success(self.cp.run("add", 2, 3, priority=level), 5)
        self.assert_failure(self.cp.run("fail_with", "no paper"), "no paper")
        value = {"a": [1, None, 2.5, "\u20ac\U0001f600"], "b": 2 ** 80}
        self.assert_success(self.cp.run("give_back", value), value)
        self.assertFalse(self.cp.workers()["py1"]["native"])

    def test_one_at_a_time_unless_it_says_more(self):
        self.python("py1", self.version)
        first, asked = self.held("a")
        self.wait_marks("+a")
        asked_too = self.held("b")[1]
        wait_until(lambda: self.cp.api("queues")["total_queued"] == 1, "the second waits")
        self.assertEqual(self.marks(), ["+a"])
        self.open_gate()
        self.assert_success(asked.answer(), "a")
        self.assert_success(asked_too.answer(), "b")

    def test_C_078_cancel_is_recorded_though_it_ends_well(self):
        self.python("py1", self.version)
        message, asked = self.held("a")
        self.wait_marks("+a")
        self.assertTrue(self.cp.cancel(message["id"])["cancelled"])
        self.open_gate()
        self.assertEqual(asked.answer()["status"], "cancelled")
        self.assertEqual(self.cp.finished(message["id"])["status"], "cancelled")

    def test_killed_with_a_task_in_hand(self):
        victim = self.python("py1", self.version)
        asked = self.held("a")[1]
        self.wait_marks("+a")
        victim.kill()
        self.python("py2", self.version)
        wait_until(lambda: self.marks().count("+a") == 2, "another one runs it")
        self.open_gate()
        self.assert_success(asked.answer(), "a")

    def test_many(self):
        self.python("py1", self.version)
        tasks = [task("add", i, 1) for i in range(100)]
        asked = [self.cp.begin(message) for message in tasks]
        for i, request in enumerate(asked):
            self.assert_success(request.answer(), i + 1)


class Old(Each, PythonCase):
    version = "0.1.1"


class New(Each, PythonCase):
    version = "0.3.0"

    def test_declared_concurrency(self):
        self.python("py1", self.version, "--concurrency", "3")
        self.assertEqual(self.cp.workers()["py1"]["slots"], 3)
        asked = [self.held(name)[1] for name in "abc"]
        self.wait_marks("+a", "+b", "+c")
        self.open_gate()
        for request, name in zip(asked, "abc"):
            self.assert_success(request.answer(), name)

    def test_signs_off(self):
        worker = self.python("py1", self.version)
        worker.send(signal.SIGTERM)
        self.cp.wait_worker("py1", "draining")
        self.python("py2", self.version)
        self.assert_success(self.cp.run("add", 1, 2), 3)


class Mixed(PythonCase):
    def test_C_173_all_are_used_and_all_are_right(self):
        self.python("old", "0.1.1")
        self.python("new", "0.3.0")
        for name in ("sw1", "sw2"):
            self.subworker(self.cp, name, threads=1)
        asked = [self.cp.begin(task("add", i, 1)) for i in range(400)]
        for i, request in enumerate(asked):
            self.assert_success(request.answer(), i + 1)
        wait_until(lambda: sum(w["ended"] for w in self.cp.workers().values()) == 400, "all ended")
        shares = {name: worker["ended"] for name, worker in self.cp.workers().items()}
        self.assertTrue(all(shares.values()), shares)


if __name__ == "__main__":
    harness.main()

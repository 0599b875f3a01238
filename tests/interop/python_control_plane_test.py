"""The client of this project, by its command line, against Python control planes: a real one of
FastWorker 0.3.0, and one made up here that misbehaves on purpose: C-026, C-055, C-067, C-190 to
C-193.

SPDX-License-Identifier: Apache-2.0
"""

import json
import re
import signal
import threading

import harness
import pynng
from harness import Case, Ports, PythonPlane, ask, tcp, wait_until

LOST, NOBODY = 1, 69


class AgainstPython(Case):
    """One real control plane for all tests of a class: it takes a while to start."""

    @classmethod
    def setUpClass(cls):
        cls.cp = PythonPlane(harness.HERE, "python_tasks")
        cls.addClassCleanup(cls.cp.close)

    def command(self, *arguments, env=None, seconds=harness.LONG):
        return self.run_program(*arguments, seconds=seconds, env={
            "FASTWORKER_DISCOVERY_ADDRESS": tcp(self.cp.ports.discovery),
            "FASTWORKER_TIMEOUT": "10", **(env or {})})

    def submit(self, name, *arguments, options=(), **more):
        return self.command("submit", "--task-name", name, "--args", *arguments, *options, **more)

    def test_C_026_finds_it_and_gets_results(self):
        for priority in harness.PRIORITIES:
            done = self.submit("add", "5", "3", options=["--priority", priority])
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("Result: 8", done.stdout.splitlines())

    def test_failure_and_unknown_name(self):
        done = self.submit("fail_with", "no paper")
        self.assertEqual((done.returncode, done.stdout.splitlines()[-1]), (3, "Error: no paper"))
        done = self.submit("nope", "1")
        self.assertIn("Task nope not found", done.stdout)

    def test_status_and_cancel(self):
        done = self.submit("add", "5", "3")
        task_id = re.search(r"ID: (\S+)", done.stdout).group(1)
        said = self.command("status", "--task-id", task_id)
        self.assertEqual(said.returncode, 0, said.stderr)
        self.assertIn("Result: 8", said.stdout)
        self.assertNotEqual(self.command("status", "--task-id", "nobody").returncode, 0)
        self.assertNotEqual(self.command("cancel", "--task-id", task_id).returncode, 0)

    def test_C_067_countdown_is_sent_once_and_not_waited_for(self):
        done = self.submit("count_file", self.path("runs"), options=["--countdown", "2"])
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(self.marks("runs"), [])  # it came back before the task was due
        wait_until(lambda: self.marks("runs"), "it runs when it is due")
        # One that is due later has run, and the first is still alone.
        self.submit("count_file", self.path("later"), options=["--countdown", "3"])
        wait_until(lambda: self.marks("later"), "the later one runs")
        self.assertEqual(self.marks("runs"), ["."])

    def test_C_055_many_are_sent_as_singles(self):
        lines = [json.dumps({"task": "add", "args": [number, 1]}) for number in range(20)]
        with open(self.path("tasks"), "w", encoding="ascii") as stream:
            stream.write("\n".join(lines) + "\n")
        with open(self.path("tasks"), encoding="ascii") as stream:
            done = harness.subprocess.run(
                [harness.PROGRAM, "submit", "--stdin", "--json"], stdin=stream, text=True,
                capture_output=True, timeout=harness.LONG, check=False,
                env={**harness.os.environ, "FASTWORKER_DISCOVERY_ADDRESS":
                     tcp(self.cp.ports.discovery)})
        self.assertEqual(done.returncode, 0, done.stderr)
        for number in range(20):
            self.assertRegex(done.stdout, rf"\b{number + 1}\b")
        self.assertNotIn("Incorrect state", done.stdout)


class Frozen(Case):
    def bounded(self, plane, status=None):
        """Every command ends within its limit and says so."""
        for arguments in (("submit", "--task-name", "add", "--args", "1", "2", "--wait", "3"),
                          ("status", "--task-id", "x"), ("cancel", "--task-id", "x"), ("ping",)):
            done = self.run_program(*arguments, seconds=20, env={
                "FASTWORKER_DISCOVERY_ADDRESS": tcp(plane.ports.discovery),
                "FASTWORKER_TIMEOUT": "2", "FASTWORKER_RETRIES": "1"})
            self.assertNotEqual(done.returncode, 0, arguments)
            self.assertTrue(done.stderr, arguments)
            if status is not None:
                self.assertEqual(done.returncode, status, done.stderr)

    def test_C_193_stopped_frozen_absent(self):
        plane = self.keep(PythonPlane(harness.HERE, "python_tasks"))
        plane.send(signal.SIGSTOP)
        self.bounded(plane)
        plane.send(signal.SIGCONT)
        plane.kill()
        self.bounded(plane, NOBODY)

    def test_C_193_frozen_while_it_answers(self):
        plane = self.keep(PythonPlane(harness.HERE, "python_tasks"))
        client = self.keep(harness.Process(
            [harness.PROGRAM, "submit", "--task-name", "wait_for_file", "--args", self.path("log"),
             "held", self.path("gate"), "--wait", "4"], env={
                 "FASTWORKER_DISCOVERY_ADDRESS": tcp(plane.ports.discovery),
                 "FASTWORKER_TIMEOUT": "3", "FASTWORKER_RETRIES": "1"}))
        self.wait_marks("+held")
        plane.send(signal.SIGSTOP)
        self.assertNotEqual(client.wait(), 0)
        self.assertEqual(self.marks(), ["+held"])


class Actor:
    """A control plane made up here: answers a task by one function, a query by another."""

    def __init__(self, answer, answer_query):
        self.ports = Ports()
        self.answer = lambda offset, request: (answer_query if offset == 4 else answer)(request)
        self.lock = threading.Lock()
        self.open, self.most = [0] * 5, [0] * 5
        self.requests = []
        self.running = True
        self.bus = pynng.Bus0(listen=tcp(self.ports.discovery))
        self.sockets = [pynng.Rep0(listen=tcp(self.ports.base + i), recv_timeout=100)
                        for i in range(5)]
        self.threads = [threading.Thread(target=self.serve, args=(i, context))
                        for i, socket in enumerate(self.sockets)
                        for context in [socket.new_context() for _ in range(4)]]
        self.threads.append(threading.Thread(target=self.announce))
        for thread in self.threads:
            thread.start()

    def announce(self):
        wake = threading.Event()
        while self.running:
            for text in (b"\xff\xfe", b"nonsense", b"WORKER_ANNOUNCE", b"WORKER_ANNOUNCE:x",
                         b'{"action": "register", "service_id": "x"}',
                         f"WORKER_ANNOUNCE:actor:{tcp(self.ports.base)}".encode()):
                self.bus.send(text)
            wake.wait(0.1)

    def serve(self, offset, context):
        while self.running:
            try:
                request = json.loads(context.recv())
            except pynng.Timeout:
                continue
            except pynng.NNGException:
                return
            with self.lock:
                self.requests.append((offset, request))
                self.open[offset] += 1
                self.most[offset] = max(self.most[offset], self.open[offset])
            reply = json.dumps(self.answer(offset, request)).encode()
            with self.lock:
                self.open[offset] -= 1
            context.send(reply)

    def close(self):
        self.running = False
        for thread in self.threads:
            thread.join()
        for socket in [*self.sockets, self.bus]:
            socket.close()


def result_of(task_id, **fields):
    return {"task_id": task_id, "status": "success", "result": None, "error": None,
            "started_at": "2020-01-02 03:04:05", "completed_at": "2020-01-02 03:04:06",
            "callback": None, **fields}


class Misbehaving(Case):
    def act(self, answer, answer_query=lambda request: {"found": False, "error": "not found"}):
        actor = Actor(answer, answer_query)
        self.addCleanup(actor.close)
        return actor

    def submit(self, actor, wait=10):
        return self.run_program("submit", "--task-name", "add", "--args", "5", "3", "--wait", wait,
                                env={"FASTWORKER_DISCOVERY_ADDRESS": tcp(actor.ports.discovery),
                                     "FASTWORKER_TIMEOUT": "5"})

    def test_C_026_other_texts_on_the_bus_are_passed_over(self):
        actor = self.act(lambda request: result_of(request["id"], result=8))
        done = self.submit(actor)
        self.assertIn("Result: 8", done.stdout, done.stderr)
        self.assertEqual(len([r for r in actor.requests if r[0] < 4]), 1)

    def test_C_190_foreign_answer_is_dropped_and_the_own_one_found(self):
        own = []

        def answer(request):
            own.append(request["id"])
            return result_of("somebody-else", result=666)

        def answer_query(request):
            if request["task_id"] in own:
                return {"found": True, "result": result_of(own[0], result=8)}
            return {"found": False, "error": "not found"}
        actor = self.act(answer, answer_query)
        done = self.submit(actor)
        self.assertIn("Result: 8", done.stdout, done.stderr)
        self.assertNotIn("666", done.stdout)
        self.assertEqual(len([r for r in actor.requests if r[0] < 4]), 1)

    def test_C_192_lost_result_is_no_failure_of_the_task(self):
        actor = self.act(lambda request: result_of(
            request["id"], status="failure", error="Incorrect state", started_at=None,
            completed_at=None))
        done = self.submit(actor)
        self.assertNotIn(done.returncode, (0, 3), done.stdout)
        self.assertRegex((done.stdout + done.stderr).lower(), "lost")

    def test_C_191_one_open_request_per_port(self):
        barrier = threading.Event()

        def answer(request):
            barrier.wait(0.02)  # long enough for a second request to overlap, if there were one
            return result_of(request["id"], result=sum(request["args"]))
        actor = self.act(answer)
        with open(self.path("tasks"), "w+", encoding="ascii") as stream:
            for number in range(20):
                stream.write(json.dumps({"task": "add", "args": [number, 1]}) + "\n")
            stream.seek(0)
            done = harness.subprocess.run(
                [harness.PROGRAM, "submit", "--stdin", "--json"], stdin=stream, text=True,
                capture_output=True, timeout=harness.LONG, check=False,
                env={**harness.os.environ,
                     "FASTWORKER_DISCOVERY_ADDRESS": tcp(actor.ports.discovery)})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(actor.most[:4], [0, 0, 1, 0])

    def test_answers_that_are_nonsense(self):
        for reply in ([], 7, None, {}, {"task_id": 5}, {"status": "success"}):
            with self.subTest(reply):
                actor = self.act(lambda request, reply=reply: reply)
                done = self.submit(actor, wait=1)
                self.assertNotEqual(done.returncode, 0)
                self.assertGreaterEqual(done.returncode, 0)
                self.assertTrue(done.stderr or "Error" in done.stdout)


class Sanity(Case):
    def test_the_harness_reads_a_real_python_control_plane(self):
        plane = self.keep(PythonPlane(harness.HERE, "python_tasks"))
        answer = json.loads(ask(tcp(plane.ports.base + 2), harness.task("add", 5, 3)))
        self.assert_success(answer, 8)


if __name__ == "__main__":
    harness.main()

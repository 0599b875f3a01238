"""What the tests with real peers share: free ports, processes, requests, and waiting.

Nothing here waits for a time to pass; wait_until watches a condition, and is the only place that
lets time pass between two looks. Processes are ended by their own id, at the latest with the test.
SPDX-License-Identifier: Apache-2.0
"""

import asyncio
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request
import uuid

import pynng
from fastworker import Client
from fastworker.tasks.models import TaskResult

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from ports import free_block  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(HERE))
PROGRAM = os.environ.get("FASTWORKER_BIN", os.path.join(ROOT, "build/release/fastworker"))
SAMPLES = os.environ.get(
    "FW_SAMPLES", os.path.join(os.path.dirname(PROGRAM), "modules/samples.so"))
COUNTING = os.environ.get(
    "FW_COUNTING", os.path.join(os.path.dirname(PROGRAM), "modules/counting.so"))
PYTHON_PROGRAM = os.path.join(os.path.dirname(sys.executable), "fastworker")

PRIORITIES = ("critical", "high", "normal", "low")
QUERY, REGISTRATION = 4, 5
# A limit of waits, not a time that anything should take: sanitizers make it several times slower.
LONG = float(os.environ.get("FW_PATIENCE", "30"))


def wait_until(condition, what, seconds=LONG):
    """Looks at a condition until it is true and returns what it gave."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.01)


async def until(condition, what, seconds=LONG):
    """wait_until for use beside a Python client, whose loop goes on meanwhile."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        await asyncio.sleep(0.01)


class Ports:
    """Sixteen neighbouring free ports, for as long as this program runs."""

    def __init__(self):
        self.block = free_block()

    @property
    def discovery(self):
        return self.block

    @property
    def base(self):
        return self.block + 3

    @property
    def gui(self):
        return self.block + 10

    def spare(self, index):
        """Ports on which nobody listens, unless a test does."""
        assert index < 4
        return self.block + 12 + index


def tcp(port, host="127.0.0.1"):
    return f"tcp://{host}:{port}"


LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def die_with_parent():
    """In a child: no program outlives a test that was itself killed."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A program whose output goes to a file, ended by its own id."""

    def __init__(self, command, env=None, cwd=None):
        self.output = tempfile.TemporaryFile()
        self.child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})}, cwd=cwd, preexec_fn=die_with_parent)

    @property
    def pid(self):
        return self.child.pid

    def text(self):
        """What it has said so far."""
        size = os.fstat(self.output.fileno()).st_size
        return os.pread(self.output.fileno(), size, 0).decode("utf-8", "replace")

    def has_ended(self):
        return self.child.poll() is not None

    def send(self, number):
        self.child.send_signal(number)

    def wait(self, seconds=LONG):
        """Its exit status."""
        return self.child.wait(seconds)

    def kill(self):
        if not self.has_ended():
            self.child.kill()
            self.child.wait()

    def close(self):
        """The end: no more looks at what it said."""
        self.kill()
        self.output.close()


def ask(address, message, seconds=LONG):
    """One request on a fresh Req0, as the Python client does it; the raw bytes of the answer."""
    data = message if isinstance(message, bytes) else json.dumps(message).encode()
    limit = int(seconds * 1000)
    with pynng.Req0(recv_timeout=limit, send_timeout=limit, resend_time=-1) as requester:
        requester.dial(address, block=True)
        requester.send(data)
        return requester.recv()


class OpenRequest:
    """A request whose answer is read later, or never."""

    def __init__(self, address, message, seconds=LONG):
        data = message if isinstance(message, bytes) else json.dumps(message).encode()
        limit = int(seconds * 1000)
        self.socket = pynng.Req0(recv_timeout=limit, send_timeout=limit, resend_time=-1)
        self.socket.dial(address, block=True)
        self.socket.send(data)
        self._early = None

    def answer(self):
        with self.socket:
            return json.loads(self.socket.recv())

    def has_answer(self):
        """Whether the answer is there already; it is then kept for answer()."""
        if self._early:
            return True
        try:
            self._early = self.socket.recv(block=False)
        except pynng.TryAgain:
            return False
        self.answer = lambda: json.loads(self._early)
        self.socket.close()
        return True

    def drop(self):
        self.socket.close()


def task(name, *args, priority="normal", **fields):
    """A Task as it stands on the wire; kwargs and all else as fields. Without a retry_count it
    would be one of FastWorker 0.1 (protocol 23)."""
    return {"id": str(uuid.uuid4()), "name": name, "args": list(args), "kwargs": {},
            "priority": priority, "retry_count": 0, **fields}


class Plane(Process):
    """A control plane of this project on ports of its own."""

    def __init__(self, *flags, ports=None, env=None, modules=(SAMPLES, COUNTING), ready=True,
                 host="127.0.0.1", gui=True):
        self.ports = ports or Ports()
        command = [PROGRAM, "control-plane", "--base-address", tcp(self.ports.base, host),
                   "--discovery-address", tcp(self.ports.discovery, host)]
        command += ["--gui-port", str(self.ports.gui)] if gui else ["--no-gui"]
        command += ["--task-modules", *modules] if modules else []
        command += [] if host.startswith("127.") else ["--insecure-bind"]
        self.command = command + [str(flag) for flag in flags]
        self.env = env
        super().__init__(self.command, env)
        if ready:
            self.wait_ready()

    def wait_ready(self):
        def answers():
            if self.has_ended():
                raise AssertionError(f"ended with {self.child.returncode}: {self.text()}")
            try:
                return self.query("is anybody there?", seconds=1)
            except pynng.NNGException:
                return None
        wait_until(answers, "the control plane answers")

    def again(self, **changes):
        """A new process on the same ports; this one must have ended."""
        return Plane(ports=self.ports, env=self.env, **changes)

    def address(self, offset):
        return tcp(self.ports.base + offset)

    @property
    def discovery(self):
        return tcp(self.ports.discovery)

    def port_of(self, message):
        return PRIORITIES.index(message.get("priority", "normal"))

    def submit(self, message, port=None, seconds=LONG):
        """Sends a Task (a dict) and returns the TaskResult, checked against the Python model."""
        offset = self.port_of(message) if port is None else port
        answer = json.loads(ask(self.address(offset), message, seconds))
        TaskResult(**answer)
        return answer

    def run(self, name, *args, **fields):
        return self.submit(task(name, *args, **fields))

    def begin(self, message):
        return OpenRequest(self.address(self.port_of(message)), message)

    def query(self, task_id, seconds=LONG, **fields):
        return json.loads(ask(self.address(QUERY), {"task_id": task_id, **fields}, seconds))

    def cancel(self, task_id):
        return json.loads(ask(self.address(QUERY), {"action": "cancel", "task_id": task_id}))

    def finished(self, task_id, seconds=LONG):
        """The stored TaskResult, once there is one."""
        answer = wait_until(lambda: (a := self.query(task_id))["found"] and a,
                            f"{task_id} is finished", seconds)
        return answer["result"]

    def workers(self):
        """The subworkers as the dashboard has them, by id."""
        return {w["id"]: w for w in self.api("workers")["workers"] if not w["is_control_plane"]}

    def wait_worker(self, worker_id, state="active"):
        def there():
            try:
                worker = self.workers().get(worker_id)
            except urllib.error.URLError:  # the dashboard comes last
                return None
            return worker if worker and worker["state"] == state else None
        return wait_until(there, f"subworker {worker_id} is {state}")

    def http(self, path):
        address = f"http://127.0.0.1:{self.ports.gui}{path}"
        with urllib.request.urlopen(address, timeout=LONG) as got:
            return got.read().decode()

    def api(self, path):
        return json.loads(self.http("/api/" + path))

    def metric(self, name, **labels):
        """Sum of the samples of a metric that have these labels."""
        total = 0.0
        for line in self.http("/metrics").splitlines():
            head, _, value = line.rpartition(" ")
            if head.split("{")[0] == name and all(f'{k}="{v}"' in head for k, v in labels.items()):
                total += float(value)
        return total

    def client(self, **options):
        return Client(discovery_address=self.discovery, **options)

    def stop(self):
        """SIGTERM and the exit status."""
        self.send(signal.SIGTERM)
        return self.wait()


class Subworker(Process):
    """A subworker of this project; it finds its control plane by address."""

    def __init__(self, plane, worker_id, *flags, modules=(SAMPLES, COUNTING), env=None, threads=2,
                 discovery=False):
        self.id = worker_id
        command = [PROGRAM, "subworker", "--worker-id", worker_id, "--threads", str(threads)]
        command += (["--discovery-address", tcp(plane.ports.discovery)] if discovery else
                    ["--control-plane-address", tcp(plane.ports.base)])
        command += ["--task-modules", *modules] if modules else []
        super().__init__(command + [str(flag) for flag in flags], env)


class PythonPlane(Process):
    """A control plane of Python FastWorker 0.3.0. It never ends on SIGTERM, so it is killed."""

    def __init__(self, module_folder, module, ports=None, ready=True):
        self.ports = ports or Ports()
        super().__init__(
            [PYTHON_PROGRAM, "control-plane", "--base-address", tcp(self.ports.base),
             "--discovery-address", tcp(self.ports.discovery), "--subworker-port",
             str(self.ports.base + 5), "--no-gui", "--task-modules", module],
            env={"PYTHONPATH": module_folder, "PYTHONDONTWRITEBYTECODE": "1"})
        if ready:
            self.wait_ready()

    def wait_ready(self):
        def answers():
            if self.has_ended():
                raise AssertionError(self.text())
            try:
                return ask(tcp(self.ports.base + QUERY), {"task_id": "is anybody there?"}, 1)
            except pynng.NNGException:
                return None
        wait_until(answers, "the Python control plane answers")


class Case(unittest.TestCase):
    """A test with a folder of its own and processes that end with it."""

    maxDiff = 4000

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="fastworker-test-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def keep(self, process):
        """Ends the process with the test, and shows what it said if the test failed."""
        def end():
            process.kill()
            if getattr(self, "_outcome", None) and self._failed():
                print(process.text()[-3000:], file=sys.stderr)
            process.close()
        self.addCleanup(end)
        return process

    def _failed(self):
        result = self._outcome.result
        return any(test is self for test, _ in result.failures + result.errors)

    def plane(self, *flags, **options):
        return self.keep(Plane(*flags, **options))

    def subworker(self, plane, worker_id, *flags, wait=True, **options):
        worker = self.keep(Subworker(plane, worker_id, *flags, **options))
        if wait:
            plane.wait_worker(worker_id)
        return worker

    def path(self, name):
        return os.path.join(self.folder, name)

    def open_gate(self, name="gate"):
        with open(self.path(name), "w", encoding="ascii"):
            pass

    def marks(self, name="log"):
        """Lines that tasks have left."""
        try:
            with open(self.path(name), encoding="utf-8") as stream:
                return stream.read().split()
        except FileNotFoundError:
            return []

    def wait_marks(self, *wanted, name="log"):
        wait_until(lambda: set(wanted) <= set(self.marks(name)), f"marks {wanted}")

    def run_program(self, *arguments, env=None, seconds=LONG, program=PROGRAM):
        """A finished run of a program: returncode, stdout, stderr."""
        return subprocess.run([program, *map(str, arguments)], env={**os.environ, **(env or {})},
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=seconds, check=False)

    def hold(self, text, gate="gate", log="log", **fields):
        """A task that runs until its gate is open."""
        return task("hold", self.path(log), text, self.path(gate), **fields)

    def assert_success(self, result, value=None):
        self.assertEqual((result["status"], result["error"]), ("success", None), result)
        if value is not None:
            self.assertEqual(result["result"], value)

    def assert_failure(self, result, error):
        self.assertEqual((result["status"], result["error"]), ("failure", error), result)


class OnePlane(Case):
    """Tests that share one control plane: it serves them all, one after the other."""

    flags = ("--concurrency", "4")

    @classmethod
    def setUpClass(cls):
        cls.cp = Plane(*cls.flags)
        cls.addClassCleanup(cls.cp.close)

    def setUp(self):
        if self.cp.has_ended():
            self.fail("the control plane did not survive an earlier test")
        super().setUp()

    def tearDown(self):
        self.assertFalse(self.cp.has_ended(), self.cp.text()[-3000:])


def main():
    unittest.main(verbosity=2)

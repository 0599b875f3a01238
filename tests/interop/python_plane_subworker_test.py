"""Our subworker under a real Python control plane of 0.3.0: requests and answers only. C-101, C-103
to C-107, C-171; C-102 is in python_plane_subworker_long_test.py.

Covers net/uplink.c, net/uplink_say.c, net/uplink_seek.c.
SPDX-License-Identifier: Apache-2.0
"""

import asyncio
import json
import signal
import socket
import struct
import threading
import urllib.error
import urllib.request

import harness
from harness import Case, OpenRequest, Ports, Process, PythonPlane, ask, task, tcp, wait_until

SP_HELLO = 8
TASK_PORTS = 4


class PlaneWithStatus(PythonPlane):
    """With its dashboard, whose status route lists the subworkers."""

    def __init__(self, ports=None):
        self.ports = ports or Ports()
        Process.__init__(
            self,
            [harness.PYTHON_PROGRAM, "control-plane", "--base-address", tcp(self.ports.base),
             "--discovery-address", tcp(self.ports.discovery), "--subworker-port",
             str(self.ports.base + 5), "--gui-port", str(self.ports.gui), "--task-modules",
             "python_tasks"],
            env={"PYTHONPATH": harness.HERE, "PYTHONDONTWRITEBYTECODE": "1"})
        self.wait_ready()

    def workers(self):
        address = f"http://127.0.0.1:{self.ports.gui}/api/workers"
        with urllib.request.urlopen(address, timeout=harness.LONG) as got:
            listed = json.loads(got.read())["workers"]
        return {w["id"]: w for w in listed if not w["is_control_plane"]}

    def wait_worker(self, worker_id, status="active"):
        def there():
            try:
                worker = self.workers().get(worker_id)
            except urllib.error.URLError:
                return None
            return worker if worker and worker["status"] == status else None
        return wait_until(there, f"{worker_id} is {status}")

    def begin(self, message):
        port = self.ports.base + harness.PRIORITIES.index(message["priority"])
        return OpenRequest(tcp(port), message)

    def run(self, name, *args, **fields):
        return self.begin(task(name, *args, **fields)).answer()


class Wire:
    """Four ports in front of a subworker's, and what has passed through them."""

    def __init__(self, ports):
        self.base = ports.base + 8
        self.behind = None  # the subworker's base port
        self.lock = threading.Lock()
        self.passed = []  # (connection, direction, bytes)
        self.listeners = []
        for offset in range(TASK_PORTS):
            listener = socket.create_server(("127.0.0.1", self.base + offset))
            self.listeners.append(listener)
            threading.Thread(target=self.accept, args=(listener, offset), daemon=True).start()

    def accept(self, listener, offset):
        number = 0
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.behind + offset))
            number += 1
            for source, target, word in ((near, far, "asked"), (far, near, "told")):
                threading.Thread(target=self.carry, daemon=True,
                                 args=(source, target, (offset, number), word)).start()

    def carry(self, source, target, connection, word):
        try:
            while data := source.recv(65536):
                with self.lock:
                    self.passed.append((connection, word, data))
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def messages(self, word):
        """(connection, request id, JSON bytes) of every whole message in that direction."""
        with self.lock:
            passed = list(self.passed)
        streams = {}
        for connection, direction, data in passed:
            if direction == word:
                streams.setdefault(connection, bytearray()).extend(data)
        found = []
        for connection, data in streams.items():
            at = SP_HELLO
            while at + 8 <= len(data):
                length = struct.unpack_from(">Q", data, at)[0]
                if at + 8 + length > len(data):
                    break
                body = bytes(data[at + 8:at + 8 + length])
                found.append((connection, body[:4], body[4:]))
                at += 8 + length
        return found

    def close(self):
        for listener in self.listeners:
            listener.close()


class PythonPlaneCase(Case):
    def setUp(self):
        super().setUp()
        self.cp = self.keep(PlaneWithStatus())

    def sub(self, worker_id="sw1", *flags, **options):
        return self.subworker(self.cp, worker_id, *flags, **options)

    def behind_a_wire(self, **options):
        """A subworker whose ports are told as those of a wire."""
        wire = Wire(self.cp.ports)
        self.addCleanup(wire.close)
        wire.behind = Ports().base
        worker = self.sub("sw1", "--base-address", tcp(wire.behind), "--advertise-address",
                          tcp(wire.base), **options)
        return wire, worker


class UnderPython(PythonPlaneCase):
    def test_C_101_registers_and_runs(self):
        worker = self.sub()
        for level in harness.PRIORITIES:
            self.assert_success(self.cp.run("process_id", priority=level), worker.pid)
        self.assert_failure(self.cp.run("fail_with", "no paper"), "no paper")
        value = {"a": [1, None, 1e308, "\u20ac\U0001f600"], "b": 2 ** 80}
        self.assert_success(self.cp.run("give_back", value), value)
        self.assertIn("uplink.registered", worker.text())

    def test_C_101_found_by_discovery(self):
        worker = self.sub(discovery=True)
        self.assert_success(self.cp.run("process_id"), worker.pid)

    def test_C_103_sixteen_at_once_each_with_its_own_answer(self):
        wire, _ = self.behind_a_wire(threads=16)
        tasks = [self.hold(f"t{i}", priority=harness.PRIORITIES[i % 4]) for i in range(16)]
        asked = [self.cp.begin(message) for message in tasks]
        self.wait_marks(*[f"+t{i}" for i in range(16)])
        self.open_gate()
        wait_until(lambda: len(wire.messages("told")) == 16, "all are answered")
        requests = {(where, word): json.loads(body)["id"]
                    for where, word, body in wire.messages("asked")}
        answers = {(where, word): json.loads(body)["task_id"]
                   for where, word, body in wire.messages("told")}
        self.assertEqual(answers, requests)
        self.assertEqual(sorted(answers.values()), sorted(message["id"] for message in tasks))
        for request in asked:
            request.drop()  # who gets which of them is for the control plane

    def test_C_104_signs_off_and_finishes(self):
        leaver = self.sub("sw1", "--shutdown-timeout", "30", threads=1)
        running = self.cp.begin(self.hold("long"))
        self.wait_marks("+long")
        stayer = self.sub("sw2", threads=4)
        busy = self.cp.begin(self.hold("busy", priority="low"))
        wait_until(lambda: self.cp.workers()["sw2"]["load"] == 1, "both have as much to do")
        # Of two with the same load the one that came first is next: the leaver.
        leaver.send(signal.SIGTERM)
        self.cp.wait_worker("sw1", "inactive")
        self.assert_success(self.cp.run("process_id", priority="high"), stayer.pid)
        self.open_gate()
        self.assert_success(running.answer(), "long")
        busy.drop()
        self.assertEqual(leaver.wait(), 0)

    def test_C_105_idle_connections_do_not_disturb(self):
        base = Ports().base
        self.sub("sw1", "--base-address", tcp(base))
        idle = []
        for offset in range(TASK_PORTS):
            for _ in range(200):
                idle.append(socket.create_connection(("127.0.0.1", base + offset)))
                idle[-1].sendall(b"\0SP\0\0\x30\0\0")
        for connection in idle:
            self.addCleanup(connection.close)
        for i in range(20):
            level = harness.PRIORITIES[i % 4]
            self.assert_success(self.cp.run("add", i, 1, priority=level), i + 1)

    def test_C_106_the_answer_passes_unchanged(self):
        wire, _ = self.behind_a_wire()
        message = task("give_back", {"a": ["\u20ac", 1.5]})
        answer = ask(tcp(self.cp.ports.base + 2), message)
        self.assertEqual([body for _, _, body in wire.messages("told")], [bytes(answer)])

        async def submit():
            client = harness.Client(discovery_address=tcp(self.cp.ports.discovery))
            await client.start()
            try:
                await harness.until(lambda: client.workers, "it knows its control plane")
                return await client.submit_task("add", args=(40, 2))
            finally:
                client.stop()
        result = asyncio.run(submit())
        self.assertEqual((result.status, result.result, result.error), ("success", 42, None))
        self.assertLessEqual(result.started_at, result.completed_at)

    def test_C_107_registered_again_after_a_restart(self):
        worker = self.sub()
        self.cp.kill()
        wait_until(lambda: "uplink.seeking" in worker.text(), "the loss is noticed")
        self.cp = self.keep(PlaneWithStatus(self.cp.ports))
        self.cp.wait_worker("sw1")
        self.assert_success(self.cp.run("process_id"), worker.pid)

    def test_C_171_requests_only(self):
        worker = self.sub()
        self.assert_success(self.cp.run("process_id"), worker.pid)
        self.assertIn("uplink.registered", worker.text())
        self.assertNotIn("uplink.up", worker.text())


if __name__ == "__main__":
    harness.main()

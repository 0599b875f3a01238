"""Registrations as Python subworkers send them, word by word, and where tasks go after them. C-028,
C-090, C-092 to C-097, C-174.

Covers app/workers/workers.c, app/workers/unit.c, net/registry.c, net/message_query.c and
net/pylink.c.
SPDX-License-Identifier: Apache-2.0
"""

import json
import threading

import pynng

import harness
from harness import REGISTRATION, Case, Ports, ask, task, tcp, wait_until

TASK_PORTS = 4


def success(request, result=None):
    return {"task_id": request["id"], "status": "success", "result": result, "error": None,
            "started_at": "2020-01-02 03:04:05", "completed_at": "2020-01-02 03:04:06",
            "callback": None}


class Hand:
    """What a Python subworker is on the wire. answer gets (hand, request); None: no answer."""

    def __init__(self, plane, worker_id, answer=lambda hand, request: success(request, hand.id)):
        self.id = worker_id
        self.management = plane.address(REGISTRATION)
        self.ports = Ports()
        self.answer = answer
        self.gate = threading.Event()
        self.patience = harness.LONG
        self.lock = threading.Lock()
        self.open, self.most = [0] * TASK_PORTS, [0] * TASK_PORTS
        self.requests = []
        self.running = True
        self.sockets = [pynng.Rep0(listen=tcp(self.ports.base + i), recv_timeout=50)
                        for i in range(TASK_PORTS)]
        self.threads = [threading.Thread(target=self.serve, args=(i, context))
                        for i, one in enumerate(self.sockets)
                        for context in [one.new_context() for _ in range(2)]]
        for thread in self.threads:
            thread.start()

    def register(self, status="active", **fields):
        return json.loads(ask(self.management, {
            "subworker_id": self.id, "address": tcp(self.ports.base), "status": status, **fields}))

    def serve(self, offset, context):
        while self.running:
            try:
                request = json.loads(context.recv())
            except pynng.Timeout:
                continue
            except pynng.NNGException:
                return
            with self.lock:
                self.requests.append(request)
                self.open[offset] += 1
                self.most[offset] = max(self.most[offset], self.open[offset])
            reply = self.answer(self, request)
            with self.lock:
                self.open[offset] -= 1
            if reply is not None:
                context.send(json.dumps(reply).encode())

    def close(self):
        self.gate.set()
        self.running = False
        for thread in self.threads:
            thread.join()
        for one in self.sockets:
            one.close()


def wait_at_the_gate(hand, request):
    hand.gate.wait(hand.patience)
    return success(request, hand.id)


class WordsCase(Case):
    def setUp(self):
        super().setUp()
        self.cp = self.plane("--no-local", modules=())

    def hand(self, worker_id, *answer):
        hand = Hand(self.cp, worker_id, *answer)
        self.addCleanup(hand.close)
        return hand

    def say(self, message, port=None):
        return json.loads(ask(tcp(port) if port else self.cp.address(REGISTRATION), message))


class Words(WordsCase):
    def test_C_090_the_acknowledgement(self):
        hand = self.hand("py1")
        expected = {"status": "registered", "subworker_id": "py1"}
        self.assertEqual(hand.register(), expected)
        self.assertEqual(hand.register(heartbeat=True), expected)
        self.cp.wait_worker("py1")

    def test_C_093_bad_ones_are_answered(self):
        good = {"subworker_id": "py1", "address": "tcp://127.0.0.1:1", "status": "active"}
        for bad in ({}, {**good, "subworker_id": ""}, {**good, "subworker_id": None},
                    {**good, "subworker_id": "a:b"}, {**good, "address": ""},
                    {**good, "address": 5}, {**good, "address": "nonsense"},
                    {**good, "address": "tcp://127.0.0.1:65533"}, [], "text", 7, None):
            with self.subTest(bad):
                answer = self.say(bad)
                self.assertEqual(answer["status"], "error", answer)
                self.assertTrue(answer["error"])
        self.assertEqual([w for w in self.cp.workers().values() if w["state"] == "active"], [])

    def test_words_that_native_peers_get_wrong(self):
        good = {"subworker_id": "py1", "address": "tcp://127.0.0.1:1", "status": "active"}
        for native in (None, [], {}, {"v": "1"}, {"v": 1, "epoch": "e", "pull": "nonsense"},
                       {"v": 1, "epoch": "e", "pull": "tcp://127.0.0.1:1", "tasks": {"a": 1}},
                       {"v": 1, "epoch": "e", "pull": "tcp://127.0.0.1:1", "slots": -5},
                       {"v": 10 ** 30, "epoch": "e" * 300, "pull": "tcp://h:1", "tasks": [[[]]]}):
            with self.subTest(native):
                self.assertIn(self.say({**good, "native": native})["status"],
                              ("registered", "error"))
        self.assertFalse(self.cp.has_ended())

    def test_C_094_a_new_address_gets_the_next_task(self):
        first, second = self.hand("py1"), self.hand("py1")
        first.register()
        self.assert_success(self.cp.run("add"), "py1")
        self.assertEqual(len(first.requests), 1)
        second.register()
        self.assert_success(self.cp.run("add"), "py1")
        self.assertEqual((len(first.requests), len(second.requests)), (1, 1))

    def test_C_095_one_open_request_per_port(self):
        hand = self.hand("py1", wait_at_the_gate)
        hand.register(concurrency=4)
        asked = [self.cp.begin(task("add", i)) for i in range(8)]
        wait_until(lambda: len(hand.requests) == 4, "each port has one")
        wait_until(lambda: self.cp.api("queues")["total_queued"] == 4, "the others wait")
        hand.gate.set()
        for request in asked:
            self.assert_success(request.answer(), "py1")
        self.assertEqual(hand.most, [1, 1, 1, 1])

    def test_C_096_tasks_go_where_less_is_to_do(self):
        hands = [self.hand(name, wait_at_the_gate) for name in ("py1", "py2")]
        for hand in hands:
            hand.register()
        asked = [self.cp.begin(task("add", i)) for i in range(2)]
        wait_until(lambda: all(hand.requests for hand in hands), "each has one")
        for hand in hands:
            hand.gate.set()
        self.assertEqual({request.answer()["result"] for request in asked}, {"py1", "py2"})

    def test_C_097_gone_while_idle(self):
        dead, alive = self.hand("py1"), self.hand("py2")
        dead.register()
        self.assert_success(self.cp.run("add"), "py1")
        alive.register()
        dead.close()
        for _ in range(10):
            self.assert_success(self.cp.run("add"), "py2")
        self.assertEqual(len(alive.requests), 10)

    def test_signed_off_gets_nothing(self):
        leaver, stayer = self.hand("py1"), self.hand("py2")
        leaver.register()
        stayer.register()
        for status in ("inactive", "draining", "whatever"):
            leaver.register(status)
            for _ in range(4):
                self.assert_success(self.cp.run("add"), "py2")
        self.assertEqual(leaver.requests, [])

    def test_C_174_native_whose_pipes_are_blocked_gets_requests(self):
        """It finds that out by itself, and registers without them."""
        hand = self.hand("sw1")
        answer = hand.register(native={"v": 1, "epoch": "run-1", "slots": 2, "tasks": ["add"],
                                       "pull": tcp(hand.ports.spare(0))})
        self.assertEqual(answer["status"], "registered")
        self.assertEqual(sorted(answer["native"]), ["epoch", "impl", "results", "v"])
        asked = self.cp.begin(task("add"))
        hand.register()
        self.assert_success(asked.answer(), "sw1")
        self.assertFalse(self.cp.workers()["sw1"]["native"])

    def test_C_028_subworker_announces_nothing(self):
        ports = Ports()
        with pynng.Bus0(listen=tcp(ports.discovery), recv_timeout=100) as bus:
            found = self.keep(harness.Process(
                [harness.PROGRAM, "subworker", "--worker-id", "sw1", "--discovery-address",
                 tcp(ports.discovery), "--task-modules", harness.SAMPLES]))

            def announced():
                bus.send(f"WORKER_ANNOUNCE:plane:{tcp(self.cp.ports.base)}".encode())
                return self.cp.workers().get("sw1")
            wait_until(announced, "it has found us")
            with self.assertRaises(pynng.Timeout):
                bus.recv()
        self.assertFalse(found.has_ended())


class Local(Case):
    def test_tasks_wait_for_one_that_has_not_come_up(self):
        cp = self.plane("--threads", "1")
        answer = json.loads(ask(cp.address(REGISTRATION), {
            "subworker_id": "sw1", "address": "tcp://127.0.0.1:1", "status": "active",
            "native": {"v": 1, "epoch": "run-1", "slots": 1, "tasks": ["only_there"],
                       "pull": tcp(cp.ports.spare(0))}}))
        self.assertEqual(answer["status"], "registered")
        self.assertEqual(cp.workers()["sw1"]["state"], "stale")
        asked = cp.begin(task("only_there"))
        self.assert_success(cp.run("add", 1, 2), 3)
        self.assertFalse(asked.has_answer())


class Blocked(Case):
    def test_C_174_our_subworker_falls_back_to_requests(self):
        """What the control plane tells of its own host leads nowhere from here."""
        ports = Ports()
        cp = self.plane("--no-local", "--advertise-address", f"tcp://192.0.2.1:{ports.base}",
                        ports=ports, modules=())
        worker = self.subworker(cp, "sw1", wait=False)
        wait_until(lambda: "without pipes" in worker.text(), "it registers without them")
        for level in harness.PRIORITIES:
            self.assert_success(cp.run("process_id", priority=level), worker.pid)
        self.assertFalse(cp.workers()["sw1"]["native"])


class OtherPort(Case):
    def test_C_092_two_ports_for_registrations(self):
        ports = Ports()
        other = ports.spare(1)
        cp = self.plane("--no-local", "--subworker-port", other, ports=ports, modules=())
        for number, port in enumerate((other, ports.base + REGISTRATION)):
            answer = json.loads(ask(tcp(port), {"subworker_id": f"py{number}", "status": "active",
                                                "address": "tcp://127.0.0.1:1"}))
            self.assertEqual(answer, {"status": "registered", "subworker_id": f"py{number}"})
        self.assertEqual(sorted(cp.workers()), ["py0", "py1"])


if __name__ == "__main__":
    harness.main()

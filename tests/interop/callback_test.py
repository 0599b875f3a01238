"""Callbacks: C-110 to C-116, with Pair0 listeners of pynng.

SPDX-License-Identifier: Apache-2.0
"""

import asyncio
import json
import re
import socket

import harness
import pynng
from harness import OnePlane, task, tcp, wait_until

MEMBERS = {"task_id", "status", "result", "error", "started_at", "completed_at", "callback_data"}
STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?")


class Callback(OnePlane):
    flags = ("--concurrency", "4", "--threads", "4")

    def setUp(self):
        super().setUp()
        # A port of its own for each test: a notice whose listener hung up at once is sent again,
        # and would reach the next listener there.
        self.listener, self.address = self.listen()

    def listen(self):
        listener = pynng.Pair0(listen="tcp://127.0.0.1:0", recv_timeout=int(harness.LONG * 1000))
        self.addCleanup(listener.close)
        return listener, f"tcp://{listener.listeners[0].local_address}"

    def notice(self):
        return json.loads(self.listener.recv())

    def callback(self, **data):
        return {"address": self.address, "data": data or None}

    def test_C_110_seven_members(self):
        message = task("add", 5, 3, callback=self.callback(order=7, nested={"a": [None]}))
        answer = self.cp.submit(message)
        notice = self.notice()
        self.assertEqual(set(notice), MEMBERS)
        self.assertEqual(notice["task_id"], message["id"])
        self.assertEqual((notice["status"], notice["result"], notice["error"]),
                         ("success", 8, None))
        self.assertEqual(notice["callback_data"], {"order": 7, "nested": {"a": [None]}})
        for name in ("started_at", "completed_at"):
            self.assertTrue(STAMP.fullmatch(notice[name]), notice)
            self.assertEqual(notice[name][:19], answer[name].replace(" ", "T")[:19])

    def test_C_110_failure_and_no_data(self):
        self.cp.submit(task("fail_with", "no paper", callback=self.callback()))
        notice = self.notice()
        self.assertEqual((notice["status"], notice["result"], notice["error"]),
                         ("failure", None, "no paper"))
        self.assertIsNone(notice["callback_data"])

    def test_C_111_python_client_and_listener(self):

        async def submit():
            client = self.cp.client()
            await client.start()
            ids = []
            for number in range(5):
                ids.append(await client.delay_with_callback(
                    "add", self.address, number, 1, callback_data={"n": number}))
            await harness.until(lambda: all(client.get_status(i) != "pending" for i in ids), "all")
            client.stop()
            return ids
        ids = asyncio.run(submit())
        notices = [self.notice() for _ in ids]
        self.assertEqual({n["task_id"]: n["callback_data"]["n"] for n in notices},
                         {task_id: number for number, task_id in enumerate(ids)})

    def test_C_113_dead_address_does_not_delay_the_reply(self):
        for address in (tcp(self.cp.ports.spare(3)), "tcp://192.0.2.1:9", "ipc:///nowhere",
                        "nonsense", ""):
            with self.subTest(address):
                answer = self.cp.submit(task("add", 1, 2, callback={"address": address}), seconds=5)
                if answer["status"] == "failure":
                    self.assertIn("callback", answer["error"])  # refused, because it is none
                else:
                    self.assert_success(answer, 3)

    def test_C_114_twenty_at_once_to_one_address(self):
        messages = [self.hold(f"t{i}", callback=self.callback(n=i)) for i in range(20)]
        requests = [self.cp.begin(message) for message in messages]
        self.open_gate()
        for request in requests:
            self.assert_success(request.answer())
        notices = [self.notice() for _ in messages]
        self.assertEqual(sorted(notice["callback_data"]["n"] for notice in notices),
                         list(range(20)))

    def test_C_115_on_timeout_and_on_cancellation(self):
        self.cp.submit(self.hold("slow", timeout=0.2, callback=self.callback(why="timeout")))
        notice = self.notice()
        self.assertEqual((notice["status"], notice["error"], notice["callback_data"]),
                         ("failure", "Task timed out after 0.2s", {"why": "timeout"}))
        message = self.hold("stopped", callback=self.callback(why="cancel"))
        request = self.cp.begin(message)
        self.wait_marks("+stopped")
        self.cp.cancel(message["id"])
        self.assertEqual(request.answer()["status"], "cancelled")
        notice = self.notice()
        self.assertEqual((notice["status"], notice["callback_data"]),
                         ("cancelled", {"why": "cancel"}))

    def test_C_116_listener_that_never_reads(self):
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen(1)
            callback = {"address": tcp(silent.getsockname()[1])}
            for _ in range(50):
                message = task("give_back", "x" * 10_000, callback=callback)
                self.assert_success(self.cp.submit(message))
            self.cp.submit(task("add", 1, 2, callback=self.callback()))
            self.assertEqual(self.notice()["result"], 3)  # others get theirs meanwhile

    def test_large_payload_is_not_cut_off(self):
        text = "x" * 500_000
        self.cp.submit(task("give_back", text, callback=self.callback()))
        self.assertEqual(self.notice()["result"], text)

    def test_listener_that_comes_late_gets_it(self):
        before = self.cp.metric("fastworker_callbacks_total")
        late = tcp(self.cp.ports.spare(2))
        self.cp.submit(task("add", 1, 2, callback={"address": late}))
        with pynng.Pair0(listen=late, recv_timeout=int(harness.LONG * 1000)) as listener:
            self.assertEqual(json.loads(listener.recv())["result"], 3)
            wait_until(lambda: self.cp.metric("fastworker_callbacks_total") > before, "counted")


if __name__ == "__main__":
    harness.main()

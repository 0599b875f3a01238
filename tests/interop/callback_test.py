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

    def listen(self, index=0):
        """A listener on one of the spare ports."""
        listener = pynng.Pair0(listen=tcp(self.cp.ports.spare(index)),
                               recv_timeout=int(harness.LONG * 1000))
        self.addCleanup(listener.close)
        return listener

    def callback(self, index=0, **data):
        return {"address": tcp(self.cp.ports.spare(index)), "data": data or None}

    def test_C_110_seven_members(self):
        listener = self.listen()
        message = task("add", 5, 3, callback=self.callback(order=7, nested={"a": [None]}))
        answer = self.cp.submit(message)
        notice = json.loads(listener.recv())
        self.assertEqual(set(notice), MEMBERS)
        self.assertEqual(notice["task_id"], message["id"])
        self.assertEqual((notice["status"], notice["result"], notice["error"]),
                         ("success", 8, None))
        self.assertEqual(notice["callback_data"], {"order": 7, "nested": {"a": [None]}})
        for name in ("started_at", "completed_at"):
            self.assertTrue(STAMP.fullmatch(notice[name]), notice)
            self.assertEqual(notice[name][:19], answer[name].replace(" ", "T")[:19])

    def test_C_110_failure_and_no_data(self):
        listener = self.listen()
        self.cp.submit(task("fail_with", "no paper", callback=self.callback()))
        notice = json.loads(listener.recv())
        self.assertEqual((notice["status"], notice["result"], notice["error"]),
                         ("failure", None, "no paper"))
        self.assertIsNone(notice["callback_data"])

    def test_C_111_python_client_and_listener(self):
        listener = self.listen()

        async def submit():
            client = self.cp.client()
            await client.start()
            ids = []
            for number in range(5):
                ids.append(await client.delay_with_callback(
                    "add", tcp(self.cp.ports.spare(0)), number, 1, callback_data={"n": number}))
            await harness.until(lambda: all(client.get_status(i) != "pending" for i in ids), "all")
            client.stop()
            return ids
        ids = asyncio.run(submit())
        notices = [json.loads(listener.recv()) for _ in ids]
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
        listener = self.listen()
        messages = [self.hold(f"t{i}", callback=self.callback(n=i)) for i in range(20)]
        requests = [self.cp.begin(message) for message in messages]
        self.open_gate()
        for request in requests:
            self.assert_success(request.answer())
        notices = [json.loads(listener.recv()) for _ in messages]
        self.assertEqual(sorted(notice["callback_data"]["n"] for notice in notices),
                         list(range(20)))

    def test_C_115_on_timeout_and_on_cancellation(self):
        listener = self.listen()
        self.cp.submit(self.hold("slow", timeout=0.2, callback=self.callback(why="timeout")))
        notice = json.loads(listener.recv())
        self.assertEqual((notice["status"], notice["error"], notice["callback_data"]),
                         ("failure", "Task timed out after 0.2s", {"why": "timeout"}))
        message = self.hold("stopped", callback=self.callback(why="cancel"))
        request = self.cp.begin(message)
        self.wait_marks("+stopped")
        self.cp.cancel(message["id"])
        self.assertEqual(request.answer()["status"], "cancelled")
        notice = json.loads(listener.recv())
        self.assertEqual((notice["status"], notice["callback_data"]),
                         ("cancelled", {"why": "cancel"}))

    def test_C_116_listener_that_never_reads(self):
        with socket.socket() as silent:
            silent.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            silent.bind(("127.0.0.1", self.cp.ports.spare(1)))
            silent.listen(1)
            for _ in range(50):
                message = task("give_back", "x" * 10_000, callback=self.callback(1))
                self.assert_success(self.cp.submit(message))
            listener = self.listen()  # others get theirs meanwhile
            self.cp.submit(task("add", 1, 2, callback=self.callback(0)))
            self.assertEqual(json.loads(listener.recv())["result"], 3)

    def test_large_payload_is_not_cut_off(self):
        listener = self.listen()
        text = "x" * 500_000
        self.cp.submit(task("give_back", text, callback=self.callback()))
        self.assertEqual(json.loads(listener.recv())["result"], text)

    def test_listener_that_comes_late_gets_it(self):
        before = self.cp.metric("fastworker_callbacks_total")
        self.cp.submit(task("add", 1, 2, callback=self.callback(2)))
        listener = self.listen(2)
        notice = json.loads(listener.recv())
        self.assertEqual(notice["result"], 3)
        wait_until(lambda: self.cp.metric("fastworker_callbacks_total") > before, "it is counted")


if __name__ == "__main__":
    harness.main()

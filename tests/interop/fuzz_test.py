"""C-019: whatever bytes come, every port answers in the right shape or closes that connection.

The seed is printed and can be given again by FW_SEED. SPDX-License-Identifier: Apache-2.0
"""

import json
import os
import random
import socket
import struct

import frames_test
import harness
import pynng
from fastworker.tasks.models import TaskResult
from harness import QUERY, REGISTRATION, OnePlane, ask, task

SEED = int(os.environ.get("FW_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
ROUNDS = int(os.environ.get("FW_FUZZ_ROUNDS", "600"))
VALID = {
    "task": task("add", 1, 2, callback={"address": "tcp://127.0.0.1:9", "data": {"a": [1, None]}}),
    "batch": {"action": "batch_submit", "tasks": [task("add", 1, 2), task("nope")]},
    "query": {"task_id": "x"},
    "cancel": {"action": "cancel", "task_id": "x"},
    "registration": {"subworker_id": "", "address": "tcp://127.0.0.1:9", "status": "active"},
}


class Fuzz(OnePlane):
    def setUp(self):
        super().setUp()
        self.random = random.Random(SEED)
        print("FW_SEED =", SEED)

    def assert_alive(self):
        self.assertFalse(self.cp.has_ended(), self.cp.text()[-3000:])
        for priority in harness.PRIORITIES:
            self.assert_success(self.cp.run("add", 1, 2, priority=priority), 3)

    def check_answer(self, offset, data, answer):
        if answer[:1] == b"\x80":
            return  # a constant pickle: transport_test looks into it
        shown = (offset, data[:200], answer[:200])
        if data[:1] == frames_test.MAGIC:
            self.assertTrue(list(frames_test.records(answer)), shown)
            return  # damaged into the begin of a frame, and answered by one
        parsed = json.loads(answer)
        self.assertIsInstance(parsed, dict, shown)
        if offset == QUERY:
            self.assertTrue({"found", "cancelled", "error"} & set(parsed), shown)
        elif offset == REGISTRATION:
            self.assertIn(parsed["status"], ("error", "registered"), shown)
        elif "batch_accepted" in parsed:
            self.assertIsInstance(parsed["task_ids"], list, shown)
        else:
            TaskResult(**parsed)

    def test_C_019_fixed_texts_on_every_port(self):
        texts = [b"", b" ", b"[]", b"7", b"null", b'"x"', b"{", b"}", b"{}", b'{"id": 7}',
                 b"\xff\xfe",
                 b"\xef\xbb\xbf{}", b'{"name": "add", "args": [1,]}', b'{"name" "add"}', b"NaN",
                 b'{"name": "\\ud800"}', b'{"name": "add"}x', b'{"action": "batch_submit"}',
                 b'{"action": "batch_submit", "tasks": 7}', b'{"action": 5, "task_id": []}',
                 b'{"action": "batch_submit", "tasks": [7, []]}', b"\0" * 100, b"[" * 5000,
                 b'{"name": "' + b"n" * 100_000 + b'"}', b'{"task_id": "' + b"i" * 100_000 + b'"}',
                 b'{"id": "' + b"i" * 300 + b'", "name": "add", "args": [1, 2]}']
        for offset in range(6):
            for data in texts:
                with self.subTest(port=offset, data=data[:40]):
                    self.check_answer(offset, data, ask(self.cp.address(offset), data))
        self.assert_alive()

    def damaged(self):
        """A valid message with a few bytes changed, cut out, doubled, or cut off."""
        data = bytearray(json.dumps(self.random.choice(list(VALID.values()))).encode())
        for _ in range(self.random.randrange(1, 6)):
            place = self.random.randrange(len(data) or 1)
            action = self.random.randrange(5)
            if action == 0 and data:
                data[place % len(data)] = self.random.randrange(256)
            elif action == 1:
                del data[place:place + self.random.randrange(1, 8)]
            elif action == 2:
                data[place:place] = data[place:place + self.random.randrange(1, 40)]
            elif action == 3:
                del data[place:]
            else:
                data[place:place] = self.random.choice(
                    [b'"', b"\\", b"{", b"]", b"\\u", b"NaN", b"-", b"1e999", b"null", b"\x80"])
        return bytes(data)

    def test_C_019_damaged_messages_on_every_port(self):
        requesters = []
        for offset in range(6):
            requester = pynng.Req0(recv_timeout=int(harness.LONG * 1000), resend_time=-1)
            requester.dial(self.cp.address(offset), block=True)
            requesters.append(requester)
        for _ in range(ROUNDS):
            data = self.damaged()
            for offset, requester in enumerate(requesters):
                requester.send(data)
                self.check_answer(offset, data, requester.recv())
        for requester in requesters:
            requester.close()
        self.assert_alive()

    def raw_bytes(self):
        hello = b"\0SP\0\0\x30\0\0"
        body = struct.pack(">I", self.random.randrange(1 << 32)) + self.damaged()
        choice = self.random.randrange(6)
        if choice == 0:
            return self.random.randbytes(self.random.randrange(64))
        if choice == 1:
            return hello[:self.random.randrange(9)]
        if choice == 2:  # a length that does not fit
            length = self.random.choice([0, 3, 1 << 40, (1 << 64) - 1])
            return hello + struct.pack(">Q", length) + body
        if choice == 3:  # cut off in the middle
            whole = hello + struct.pack(">Q", len(body)) + body
            return whole[:self.random.randrange(len(whole))]
        if choice == 4:  # a request id that never ends
            words = b"\0\0\0\1" * self.random.randrange(1, 40)
            return hello + struct.pack(">Q", len(words)) + words
        return hello + struct.pack(">Q", len(body)) + body

    def test_C_019_raw_bytes_on_every_socket(self):
        ports = [self.cp.ports.base + i for i in range(6)]
        ports += [self.cp.ports.discovery, self.cp.ports.gui]
        for _ in range(ROUNDS):
            for port in ports:
                data = self.raw_bytes()
                with socket.create_connection(("127.0.0.1", port), timeout=harness.LONG) as raw:
                    try:
                        for start in range(0, len(data), 7):
                            raw.sendall(data[start:start + 7])
                        if self.random.random() < 0.5:
                            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                           struct.pack("ii", 1, 0))
                    except ConnectionError:
                        pass  # it may close on us at any time
        self.assert_alive()


if __name__ == "__main__":
    harness.main()

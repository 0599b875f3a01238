"""One REQ socket of SP over TCP, for tests that speak FastWorker's JSON themselves.

SPDX-License-Identifier: Apache-2.0
"""

import json
import socket
import struct

from plane import LONG


class Requests:
    """Requests to one port, one after the other."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=LONG)
        self.socket.sendall(b"\0SP\0\0\x30\0\0")
        self.read(8)
        self.number = 0

    def close(self):
        self.socket.close()

    def read(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise EOFError("the connection was closed")
            data += more
        return data

    def send(self, request):
        self.number += 1
        body = struct.pack(">I", 0x80000000 | self.number) + json.dumps(request).encode()
        self.socket.sendall(struct.pack(">Q", len(body)) + body)

    def answer(self):
        length, = struct.unpack(">Q", self.read(8))
        return json.loads(self.read(length)[4:])

    def ask(self, request):
        self.send(request)
        return self.answer()

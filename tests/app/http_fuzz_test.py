"""Requests that nobody should send: mutated methods, paths, headers and bodies, whole and torn.

Whatever comes, the program answers or hangs up, says nothing of files, and goes on.
FW_FUZZ_REQUESTS says how many (default 3000); the seed is printed.
SPDX-License-Identifier: Apache-2.0
"""
import os
import random
import re
import socket
import threading

from http_case import HttpCase
from plane import LONG, main

COUNT = int(os.environ.get("FW_FUZZ_REQUESTS", "3000"))
SEED = int(os.environ.get("FW_FUZZ_SEED", "0")) or random.randrange(1, 1 << 30)

METHODS = [b"GET", b"GET", b"HEAD", b"POST", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS",
           b"TRACE", b"get", b"", b"CONNECT", b"PRI", b"X" * 300]
PIECES = [b"..", b"%2e%2e", b"%2f", b"%00", b"%", b"%zz", b"//", b"/", b"\\", b":", b":retry",
          b":pause", b"{id}", b"?", b"?limit=", b"?cursor=1-", b"?wait=0", b"&", b"=", b"#",
          b"\xff", b"%ff", b"%c3%a9", b"a" * 300, b"etc/passwd",
          b"../../../../etc/passwd", b"@", b"*"]
HEADERS = [b"authorization: Bearer \xff", b"prefer: wait=0, wait=, wait", b"idempotency-key: \"\"",
           b"idempotency-key: " + b"k" * 400, b"content-type: application/json",
           b"content-type: application/x-ndjson", b"content-type: ;;;", b"origin: null",
           b"sec-fetch-site: cross-site", b"accept-encoding: gzip;q=0", b"if-none-match: *",
           b"last-event-id: 99999999999999999999", b"transfer-encoding: chunked", b"expect: x",
           b"content-length: -1", b"content-length: 5", b"host: evil", b": x", b"x",
           b"x: " + b"y" * 5000]
BODIES = [b"", b"{}", b"[]", b"null", b"{", b"[[[[[[[[", b"\x80\x04",
          b'{"task": "add", "args": [1, 2]}',
          b'[{"task": "add"}, {"task": 1}]', b'{"task": "echo", "options": {"key": "\xff"}}',
          b'{"task": "' + b"x" * 300 + b'"}', b'{"task_ids": [1, "x", {}]}', b'{"all": true}',
          b'{"when": "@every 1h", "task": "add"}', b'{"rate": 1e400}', b'{"max_running": -1}',
          b'{"worker": "a", "wait": 0}', b'{"error": "\\ud800"}', b"[" * 2000, b"1\n2\n3",
          b'{"from": 1e300, "to": "x"}', b'{"id": "\\u0000"}']


class Fuzz(HttpCase):
    flags = ("--shutdown-timeout", "1")

    def paths(self):
        document = self.ok("GET", "/api/openapi.json")
        # Streams go on for ever, and a poll waits.
        return [re.sub(r"\{[a-z]+\}", "x", path).encode() for path in document["paths"]
                if not path.endswith(("/events", "/poll"))] + [b"/", b"/app.js", b""]

    def request(self, chance, paths):
        path = chance.choice(paths)
        for _ in range(chance.choice((0, 0, 1, 2, 3))):
            at = chance.randrange(len(path) + 1)
            path = path[:at] + chance.choice(PIECES) + path[at + chance.choice((0, 0, 1)):]
        body = chance.choice(BODIES)
        headers = [b"host: localhost"] + chance.sample(HEADERS, chance.choice((0, 0, 1, 2, 4)))
        if chance.random() < 0.8:
            headers += [b"content-type: application/json",
                        b"content-length: " + str(len(body)).encode()]
        text = chance.choice(METHODS) + b" " + path + b" HTTP/1.1\r\n" + b"\r\n".join(headers)
        text += b"\r\nconnection: close\r\n\r\n" + body
        if chance.random() < 0.1:
            text = text[:chance.randrange(len(text) + 1)]
        if chance.random() < 0.1:
            at = chance.randrange(len(text) + 1)
            text = text[:at] + chance.randbytes(3) + text[at:]
        return text

    def answer(self, text):
        with socket.create_connection(("127.0.0.1", self.shared.gui), timeout=LONG) as one:
            try:
                one.sendall(text)
                one.shutdown(socket.SHUT_WR)
                got = b""
                while piece := one.recv(65536):
                    got += piece
            except ConnectionError:
                return b""
            return got

    def test_nothing_brings_it_down(self):
        print("seed", SEED)
        chance = random.Random(SEED)
        log = self.shared.process.stderr
        threading.Thread(target=lambda: any(False for _ in log), daemon=True).start()
        paths, statuses = self.paths(), set()
        for _ in range(COUNT):
            text = self.request(chance, paths)
            got = self.answer(text)
            self.assertIsNone(self.shared.process.poll(), text)
            self.assertNotIn(b"root:", got, text)
            if got:
                self.assertRegex(got, rb"^HTTP/1\.[01] [1-5]\d\d ", text)
                statuses.add(int(got[9:12]))
        self.assertNotIn(500, statuses)
        self.assertLessEqual({200, 400, 404, 405, 422}, statuses)
        self.assertEqual(self.ask("GET", "/livez").status, 200)
        self.shared.process.terminate()
        self.assertEqual(self.shared.process.wait(LONG), 0)


if __name__ == "__main__":
    main()

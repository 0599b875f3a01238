"""Compressed answers of the API: who gets them, and that they say the same. Covers web/compress.c
with the real program.

SPDX-License-Identifier: Apache-2.0
"""
import gzip
import http.client
import json

from http_case import HttpCase
from plane import LONG, main


class Gzip(HttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        tasks = [{"task": "add", "args": [i, 1], "id": f"gzip-{i}"} for i in range(100)]
        done = cls.shared.run("submit", "--stdin", stdin="\n".join(map(json.dumps, tasks)))
        assert done.returncode == 0, done.stderr

    def test_a_list_is_an_eighth(self):
        path = "/api/v1/tasks?limit=100"
        plain = self.ask("GET", path)
        self.assertIsNone(plain.headers["content-encoding"])
        self.assertEqual(plain.headers["vary"], "accept-encoding")
        small = self.ask("GET", path, accept_encoding="deflate, gzip;q=1.0, br")
        self.assertEqual(small.headers["content-encoding"], "gzip")
        self.assertEqual(small.headers["vary"], "accept-encoding")
        self.assertEqual(int(small.headers["content-length"]), len(small.body))
        self.assertEqual(gzip.decompress(small.body), plain.body)
        self.assertEqual(len(plain.json["tasks"]), 100)
        self.assertLess(len(small.body) * 4, len(plain.body))
        head = self.ask("HEAD", path, accept_encoding="gzip")
        self.assertEqual((head.headers["content-encoding"], head.body), ("gzip", b""))

    def test_who_does_not_want_it(self):
        for wish in ("identity", "br", "gzip;q=0"):
            answer = self.ask("GET", "/api/v1/tasks?limit=100", accept_encoding=wish)
            self.assertIsNone(answer.headers["content-encoding"], wish)
            self.assertEqual(len(answer.json["tasks"]), 100)

    def test_other_answers(self):
        metrics = self.ask("GET", "/metrics", accept_encoding="gzip")
        self.assertEqual(metrics.headers["content-encoding"], "gzip")
        self.assertIn(b"fastworker_", gzip.decompress(metrics.body))
        # Waited for: from another thread.
        task = {"task": "echo", "args": ["x" * 5000]}
        waited = self.ask("POST", "/api/v1/tasks", task, accept_encoding="gzip",
                          prefer="wait=60")
        self.assertEqual(waited.headers["content-encoding"], "gzip")
        self.assertEqual(json.loads(gzip.decompress(waited.body))["result"], "x" * 5000)
        # Too short for it to matter, and files that are kept in both forms.
        short = self.ask("GET", "/api/status", accept_encoding="gzip")
        self.assertEqual((short.headers["content-encoding"], short.headers["vary"]), (None, None))
        page = self.ask("GET", "/", accept_encoding="gzip")
        self.assertEqual(page.headers.get_all("vary"), ["accept-encoding"])
        self.assertIn(b"<html", gzip.decompress(page.body))

    def test_events_are_sent_as_they_come(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.shared.gui, timeout=LONG)
        connection.request("GET", "/api/v1/events", headers={"accept-encoding": "gzip"})
        answer = connection.getresponse()
        self.assertIsNone(answer.headers["content-encoding"])
        self.assertTrue(answer.readline().startswith(b"retry:"))
        answer.close()
        connection.close()


if __name__ == "__main__":
    main()

"""Who may do what over HTTP: keys and roles, pages of other origins, names, the audit log, limits.

Covers web/access.c with the real program. SPDX-License-Identifier: Apache-2.0
"""
import os
import signal

from http_case import HttpCase
from plane import main

KEYS = {"ADMIN": "adm", "SUBMIT": "sub", "WORKER": "wor", "READ": "rea"}


def bearer(name):
    return {"authorization": "Bearer " + KEYS[name]} if name else {}


class Roles(HttpCase):
    @classmethod
    def setUpClass(cls):
        for name, key in KEYS.items():
            os.environ["FASTWORKER_GUI_" + name.replace("ADMIN", "API") + "_KEY"] = key
        try:
            super().setUpClass()
        finally:
            for name in KEYS:
                del os.environ["FASTWORKER_GUI_" + name.replace("ADMIN", "API") + "_KEY"]

    def test_each_key_grants_its_role_and_no_other(self):
        table = [
            ("GET", "/api/status", None, {"READ", "SUBMIT", "ADMIN"}),
            ("GET", "/api/v1/tasks", None, {"READ", "SUBMIT", "ADMIN"}),
            ("GET", "/metrics", None, {"READ", "SUBMIT", "ADMIN"}),
            ("POST", "/api/v1/tasks", {"task": "add", "args": [1, 2]}, {"SUBMIT", "ADMIN"}),
            ("POST", "/api/v1/queues/low:resume", None, {"ADMIN"}),
            ("DELETE", "/api/v1/tasks/nobody", None, {"ADMIN"}),
            ("POST", "/api/v1/worker/nothing:beat", None, {"WORKER", "ADMIN"}),
        ]
        for method, path, body, who in table:
            for name in (None, *KEYS):
                with self.subTest(path=path, key=name):
                    status = self.ask(method, path, body, **bearer(name)).status
                    if name in who:
                        self.assertNotIn(status, (401, 403))
                    else:
                        self.assertEqual(status, 403 if name else 401)
        for path in ("/livez", "/readyz", "/", "/app.js", "/api/openapi.json"):
            self.assertEqual(self.ask("GET", path).status, 200, path)
        # A wrong key is told nothing of what there is.
        self.assertEqual(self.ask("POST", "/nowhere", authorization="Bearer x").status, 401)

    def test_actions_are_in_the_log(self):
        plane = self.plane()
        for i in range(30):
            self.ok("POST", f"/api/v1/queues/low:pause?for={i + 1}m", plane=plane)
        self.ask("DELETE", "/api/v1/tasks/no%0abody", plane=plane)
        self.ok("GET", "/api/v1/queues", plane=plane)
        plane.end(signal.SIGTERM)
        lines = [line for line in plane.log.splitlines() if "event=audit" in line]
        self.assertEqual(len(lines), 31, plane.log)
        self.assertRegex(lines[4], r"anybody 127\.0\.0\.1:\d+: POST "
                         r"/api/v1/queues/low:pause\?for=5m is 200")
        self.assertIn("no%0abody is 400", lines[30])

    def test_who_is_turned_away_is_in_the_log(self):
        os.environ["FASTWORKER_GUI_SUBMIT_KEY"] = "sub"
        try:
            plane = self.plane()
        finally:
            del os.environ["FASTWORKER_GUI_SUBMIT_KEY"]
        self.assertEqual(self.ask("POST", "/api/v1/queues/low:pause", plane=plane,
                                  **bearer("SUBMIT")).status, 403)
        plane.end(signal.SIGTERM)
        self.assertRegex(plane.log, r"event=web.refused msg=\"submit 127.0.0.1:\d+: POST "
                         r"/api/v1/queues/low:pause is 403")
        self.assertNotIn("Bearer", plane.log)


class Browsers(HttpCase):
    flags = ("--gui-cors-origin", "http://friend.example", "--gui-hosts", "tasks.lan",
             "--gui-body-max", "2K")

    def test_pages_of_others_change_nothing(self):
        path = "/api/v1/queues/low:resume"
        for headers, status in (
                ({}, 200),
                ({"sec_fetch_site": "same-origin"}, 200),
                ({"sec_fetch_site": "cross-site", "origin": "http://evil.example"}, 403),
                ({"sec_fetch_site": "same-site"}, 403),
                ({"origin": "http://evil.example"}, 403),
                ({"origin": "null"}, 403),
                ({"origin": f"http://127.0.0.1:{self.shared.gui}"}, 200),
                ({"origin": "http://friend.example"}, 200)):
            with self.subTest(headers=headers):
                self.assertEqual(self.ask("POST", path, **headers).status, status)
        # A form cannot be JSON.
        answer = self.ask("POST", "/api/v1/tasks", b'{"task": "add"}',
                          origin="http://friend.example",
                          content_type="application/x-www-form-urlencoded")
        self.assertEqual(answer.status, 415)

    def test_other_origins_read_what_they_may(self):
        answer = self.ask("GET", "/api/status", origin="http://friend.example")
        self.assertEqual(answer.headers["access-control-allow-origin"], "http://friend.example")
        answer = self.ask("GET", "/api/status", origin="http://evil.example")
        self.assertIsNone(answer.headers["access-control-allow-origin"])
        answer = self.ask("OPTIONS", "/api/v1/tasks", origin="http://friend.example")
        self.assertEqual((answer.status, answer.headers["access-control-allow-methods"]),
                         (200, "GET, HEAD, POST, OPTIONS"))
        self.assertIn("Idempotency-Key", answer.headers["access-control-allow-headers"])

    def test_names_that_lead_here_are_not_enough(self):
        for host, status in (("evil.example", 421), ("localhost:1", 200), ("tasks.lan", 200)):
            self.assertEqual(self.ask("GET", "/api/status", host=host).status, status, host)

    def test_every_answer_has_the_headers(self):
        for path in ("/", "/api/status", "/nowhere", "/api/v1/tasks/nobody"):
            headers = self.ask("GET", path).headers
            policy = headers["content-security-policy"]
            self.assertIn("default-src 'none'", policy)
            self.assertIn("frame-ancestors 'none'", policy)
            self.assertNotIn("unsafe", policy)
            self.assertEqual((headers["x-content-type-options"], headers["referrer-policy"]),
                             ("nosniff", "no-referrer"))
            self.assertIsNone(headers["server"])

    def test_what_is_too_large_is_refused(self):
        self.refused(413, "POST", "/api/v1/tasks:batch", b"[" + b" " * 3000 + b"]")
        self.assertEqual(self.ask("GET", "/" + "a" * 9000).status, 414)


if __name__ == "__main__":
    main()

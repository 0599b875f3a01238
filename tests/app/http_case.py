"""A control plane and its HTTP API, for tests of app/http_*.c.

SPDX-License-Identifier: Apache-2.0
"""
import http.client
import json

from control_plane_test import Case
from plane import LONG


class Answer:
    def __init__(self, answer):
        self.status, self.headers = answer.status, answer.headers
        self.body = answer.read()

    @property
    def json(self):
        return json.loads(self.body)


class HttpCase(Case):
    """Every class has one control plane for all its tests, with `flags`."""

    flags = ()

    @classmethod
    def setUpClass(cls):
        cls.shared = cls.plane(cls, *cls.flags)

    @classmethod
    def addCleanup(cls, function, *args):  # of the plane: when the class is through
        cls.addClassCleanup(function, *args)

    def ask(self, method, path, body=None, plane=None, **headers):
        """Headers are named with _ for -; a body that is no bytes is sent as JSON."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            headers.setdefault("content-type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", (plane or self.shared).gui,
                                                timeout=LONG)
        try:
            connection.request(method, path, body, headers)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def ok(self, *words, status=200, **more):
        answer = self.ask(*words, **more)
        self.assertEqual(answer.status, status, answer.body)
        return answer.json

    def refused(self, status, *words, **more):
        """The problem of an answer that has to be one."""
        answer = self.ask(*words, **more)
        self.assertEqual(answer.status, status, answer.body)
        self.assertEqual(answer.headers["content-type"], "application/problem+json")
        problem = answer.json
        self.assertEqual(problem["status"], status)
        self.assertRegex(problem["type"], "^urn:fastworker:[a-z-]+$")
        self.assertTrue(problem["title"])
        return problem

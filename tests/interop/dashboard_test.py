"""Upstream's HTTP routes, answered by a real Python control plane and by ours: what Python's
answers have, ours have too, of the same kind (C-130). SPDX-License-Identifier: Apache-2.0
"""
import json
import urllib.error
import urllib.request

import harness
import pynng
from harness import Case, Plane, Ports, Process, ask, task, tcp, wait_until

GETS = ("/api/status", "/api/workers", "/api/queues", "/api/cache", "/api/registered-tasks",
        "/api/tasks", "/api/tasks?limit=1&offset=0&status=success")
NORMAL = 2
# Times of the cache's own, which ours does not keep.
LEFT_OUT = {"cached_at", "last_accessed"}


class PythonDashboard(Process):
    def __init__(self):
        self.ports = Ports()
        super().__init__(
            [harness.PYTHON_PROGRAM, "control-plane", "--base-address", tcp(self.ports.base),
             "--discovery-address", tcp(self.ports.discovery), "--subworker-port",
             str(self.ports.base + 5), "--gui-port", str(self.ports.gui), "--task-modules",
             "python_tasks"],
            env={"PYTHONPATH": harness.HERE, "PYTHONDONTWRITEBYTECODE": "1"})


def fetch(ports, path, method="GET"):
    request = urllib.request.Request(f"http://127.0.0.1:{ports.gui}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=harness.LONG) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def kind(value):
    return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else \
        type(value).__name__


class Shapes(Case):
    @classmethod
    def setUpClass(cls):
        cls.python = PythonDashboard()
        cls.addClassCleanup(cls.python.close)
        cls.ours = Plane()
        cls.addClassCleanup(cls.ours.close)

        def is_up():
            try:
                return fetch(cls.python.ports, "/api/status")[0] == 200
            except OSError:
                return False
        wait_until(is_up, "the Python dashboard answers")
        for plane in (cls.python, cls.ours):
            wait_until(lambda ports=plane.ports: cls.has_run(ports), "a task runs")

    @staticmethod
    def has_run(ports):
        try:
            return ask(tcp(ports.base + NORMAL), task("add", 5, 3), 1)
        except pynng.NNGException:
            return None

    def covers(self, theirs, ours, where):
        """null is any kind: it depends on the moment."""
        if theirs is None or ours is None:
            return
        self.assertEqual(kind(ours), kind(theirs), where)
        if isinstance(theirs, dict):
            for name in theirs.keys() - LEFT_OUT:
                self.assertIn(name, ours, where)
                self.covers(theirs[name], ours[name], f"{where}.{name}")
        elif isinstance(theirs, list) and theirs and ours:
            self.covers(theirs[0], ours[0], where + "[0]")

    def test_C_130_gets_have_pythons_members(self):
        for path in GETS:
            theirs, ours = (fetch(cp.ports, path) for cp in (self.python, self.ours))
            self.assertEqual(ours[0], theirs[0], path)
            self.covers(theirs[1], ours[1], path)

    def test_actions_on_nobody(self):
        status, body = fetch(self.ours.ports, "/api/tasks/nobody/retry", "POST")
        self.assertEqual((status, body), fetch(self.python.ports, "/api/tasks/nobody/retry",
                                               "POST"))


if __name__ == "__main__":
    harness.main()

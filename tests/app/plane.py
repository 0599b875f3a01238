"""A control plane of one's own for tests of the command line.

Test programs are run as X_test.py PROGRAM SAMPLES_MODULE [TEST...] and need nothing but Python.
SPDX-License-Identifier: Apache-2.0
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from ports import free_block  # noqa: E402

PROGRAM, SAMPLES = (os.path.abspath(path) for path in sys.argv[1:3])
# A limit of waits, not a time that anything should take.
LONG = float(os.environ.get("FW_PATIENCE", "60"))


def wait_until(condition, what):
    """Looks at a condition until it is true and returns what it gave."""
    until = time.monotonic() + LONG
    while time.monotonic() < until:
        value = condition()
        if value:
            return value
        time.sleep(0.01)  # between two looks
    raise AssertionError("never: " + what)


def line(task, *args, **more):
    return json.dumps({"task": task, "args": list(args), **more}) + "\n"


class Plane:
    """A control plane of one's own."""

    def __init__(self):
        first = free_block()
        self.base, self.discovery = f"tcp://127.0.0.1:{first}", f"tcp://127.0.0.1:{first + 8}"
        self.env = {**os.environ, "FASTWORKER_DISCOVERY_ADDRESS": self.discovery}
        self.child = None
        self.start()

    def start(self):
        self.log = tempfile.TemporaryFile()
        self.child = subprocess.Popen(
            [PROGRAM, "control-plane", "--no-gui", "--base-address", self.base,
             "--discovery-address", self.discovery, "--task-modules", SAMPLES],
            stdout=self.log, stderr=self.log)
        until = time.monotonic() + LONG
        while subprocess.run([PROGRAM, "ping", "-q"], env=self.env, capture_output=True,
                             timeout=LONG, check=False).returncode != 0:
            if self.child.poll() is not None or time.monotonic() > until:
                raise AssertionError("the control plane does not come up")

    def kill(self):
        self.child.kill()
        self.child.wait()
        self.log.close()


def main():
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[3:]])

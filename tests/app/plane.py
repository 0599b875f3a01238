"""A control plane of one's own for tests of the command line.

Test programs are run as X_test.py PROGRAM SAMPLES_MODULE [TEST...] and need nothing but Python.
SPDX-License-Identifier: Apache-2.0
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM, SAMPLES = (os.path.abspath(path) for path in sys.argv[1:3])
# A limit of waits, not a time that anything should take.
LONG = float(os.environ.get("FW_PATIENCE", "60"))


def free_block(count):
    """The first of so many neighbouring free ports."""
    for first in range(31000 + os.getpid() % 97 * 16, 32700, 16):
        sockets = [socket.socket() for _ in range(count)]
        try:
            for i, one in enumerate(sockets):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                one.bind(("127.0.0.1", first + i))
            return first
        except OSError:
            continue
        finally:
            for one in sockets:
                one.close()
    raise AssertionError("no free ports")


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
        first = free_block(12)
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

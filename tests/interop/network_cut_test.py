"""Control plane and subworker in two network namespaces, and the cable between them is pulled: the
task that was there is run elsewhere, and work flows again when the cable is back.

Runs itself again in namespaces of its own (unshare), so it needs no privilege where users may make
them. FW_CUT_SECONDS: how long the cable stays out, at least (default: until the cut was noticed).
SPDX-License-Identifier: Apache-2.0
"""

import os
import subprocess
import sys
import time

import harness
from harness import Case, Process, Subworker, task, wait_until

INSIDE = "FW_IN_NAMESPACE"
OURS, THEIRS = "10.99.0.1", "10.99.0.2"


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Far(Subworker):
    """A subworker in the other namespace."""

    def __init__(self, plane, worker_id, namespace_pid):
        self.id = worker_id
        Process.__init__(self, [
            "nsenter", "-t", str(namespace_pid), "-n", harness.PROGRAM, "subworker",
            "--worker-id", worker_id, "--threads", "1", "--insecure-bind",
            "--base-address", f"tcp://{THEIRS}:{plane.ports.base + 9}",
            "--control-plane-address", f"tcp://{OURS}:{plane.ports.base}",
            "--task-modules", harness.SAMPLES, harness.COUNTING])


class Cut(Case):
    def setUp(self):
        super().setUp()
        other = subprocess.Popen(["unshare", "-n", "sleep", "3600"],
                                 preexec_fn=harness.die_with_parent)
        self.addCleanup(other.wait)
        self.addCleanup(other.kill)
        mine = os.readlink("/proc/self/ns/net")
        wait_until(lambda: os.readlink(f"/proc/{other.pid}/ns/net") != mine, "its namespace")
        ip("link", "add", "near", "type", "veth", "peer", "name", "far")
        self.addCleanup(lambda: subprocess.run(["ip", "link", "del", "near"], check=False))
        ip("link", "set", "far", "netns", str(other.pid))
        ip("addr", "add", f"{OURS}/24", "dev", "near")
        ip("link", "set", "near", "up")
        there = ["nsenter", "-t", str(other.pid), "-n", "ip"]
        for words in (["addr", "add", f"{THEIRS}/24", "dev", "far"], ["link", "set", "far", "up"],
                      ["link", "set", "lo", "up"]):
            subprocess.run(there + words, check=True)
        self.other = other
        self.cp = self.plane("--no-local", host="0.0.0.0", modules=())

    def test_work_goes_elsewhere_and_comes_back(self):
        self.keep(Far(self.cp, "far", self.other.pid))
        self.cp.wait_worker("far")
        asked = self.cp.begin(self.hold("held"))
        self.wait_marks("+held")
        began = time.monotonic()
        ip("link", "set", "near", "down")
        wait_until(lambda: self.cp.workers()["far"]["state"] != "active", "the cut is noticed")
        self.subworker(self.cp, "near", threads=1)
        wait_until(lambda: self.marks().count("+held") == 2, "another one runs it")
        self.open_gate()
        self.assert_success(asked.answer(), "held")
        wait_until(lambda: time.monotonic() - began > float(os.environ.get("FW_CUT_SECONDS", "0")),
                   "the cable stays out for a while", 3600)
        ip("link", "set", "near", "up")
        back = time.monotonic()
        self.cp.wait_worker("far")
        print(f"work flows again {time.monotonic() - back:.1f} s after the cable is back",
              file=sys.stderr)
        before = self.cp.workers()["far"]["ended"]
        for i in range(50):
            self.assert_success(self.cp.run("add", i, 1), i + 1)
        wait_until(lambda: self.cp.workers()["far"]["ended"] > before, "both are used")
        self.assertEqual(self.cp.metric("fastworker_tasks_finished_total", status="success"), 51)


def main():
    if os.environ.get(INSIDE):
        ip("link", "set", "lo", "up")
        harness.main()
        return
    probe = subprocess.run(["unshare", "-rn", "ip", "link", "add", "near", "type", "veth", "peer",
                            "name", "far"], capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        print(f"no network namespaces here: {probe.stderr.strip()}", file=sys.stderr)
        sys.exit(77)
    os.environ[INSIDE] = "1"
    os.execvp("unshare", ["unshare", "-rn", sys.executable, *sys.argv])


if __name__ == "__main__":
    main()

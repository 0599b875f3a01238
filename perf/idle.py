"""What a server costs that has nothing to do, over ten seconds: idle.py BUILD WHO

WHO: ours, without-dashboard, python-fastworker (the interpreter is its), or a server of
with_server.py. CPU time, how often a thread was woken, resident memory and threads, after a
second of rest. SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import os
import select
import sys
import tempfile

import with_server
from place import Plane, free_block, say

REST_S, TIME_S = 1, 10


def per_thread(pid):
    for thread in os.listdir("/proc/%d/task" % pid):
        with contextlib.suppress(OSError):
            yield "/proc/%d/task/%s/" % (pid, thread)


def look(pid):
    """CPU in ns, times a thread went to sleep, threads."""
    ran = sleeps = threads = 0
    for folder in per_thread(pid):
        with open(folder + "schedstat", encoding="ascii") as file:
            ran += int(file.read().split()[0])
        with open(folder + "status", encoding="ascii") as file:
            sleeps += next(int(line.split()[1]) for line in file
                           if line.startswith("voluntary_ctxt"))
        threads += 1
    return ran, sleeps, threads


def resident_mb(pid):
    with open("/proc/%d/statm" % pid, encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


def watch(who, pid):
    select.select([], [], [], REST_S)
    ran, sleeps, _ = look(pid)
    select.select([], [], [], TIME_S)
    ran_after, sleeps_after, threads = look(pid)
    say("idle", "cpu", who, (ran_after - ran) / 1e3 / TIME_S, "us/s")
    say("idle", "wake-ups", who, (sleeps_after - sleeps) / TIME_S, "wake-ups/s")
    say("idle", "resident", who, resident_mb(pid), "MB")
    say("idle", "threads", who, threads, "threads")


def main():
    build, who = sys.argv[1:3]
    if who in ("ours", "without-dashboard"):
        with Plane(build, dashboard=who == "ours") as plane:
            watch(who, plane.child.pid)
    elif who == "python-fastworker":
        import peer_python
        with tempfile.TemporaryDirectory(prefix="fastworker-perf-") as folder:
            plane = peer_python.start(folder, free_block())
            try:
                watch(who, plane.pid)
            finally:
                plane.kill()
                plane.wait()
    elif not with_server.program(who):
        print("perf: skipped, not there: " + who, file=sys.stderr)
    else:
        with with_server.running(who) as (_, pid):
            watch(who, pid)
    return 0


if __name__ == "__main__":
    sys.exit(main())

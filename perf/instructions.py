"""Instructions per task, counted by valgrind's callgrind: instructions.py BUILD CASE

    full-task       the engine alone: allocated, admitted, run by a task thread, reclaimed
    timers          the same with a delay: onto the wheel, off it when due
    echo            control plane: 64 bytes, many in flight, run there, result back
    acknowledged    control plane: the same, only acknowledged
    one-at-a-time   control plane: one call after the other
    subworker       echo through a subworker: the control plane's part and the subworker's

Each is counted twice, with few and with many tasks, and the difference is divided by the
difference: what starting and ending cost falls out. All threads count, user space only. Valgrind
runs one thread at a time, so waiting in loops is not in it. SPDX-License-Identifier: Apache-2.0
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

from place import Plane, say

FEW, MANY = 4000, 20000
CALLS_FEW, CALLS_MANY = 200, 1200


def valgrind(out):
    return ["valgrind", "-q", "--tool=callgrind", "--callgrind-out-file=" + out]


def total(path):
    with open(path, encoding="utf-8") as file:
        found = re.findall(r"^(?:summary|totals): (\d+)", file.read(), re.M)
    return int(found[-1])


def of_program(count_words):
    """A program that ends by itself."""
    with tempfile.TemporaryDirectory(prefix="fastworker-perf-") as folder:
        out = os.path.join(folder, "out")
        subprocess.run([*valgrind(out), *count_words], check=True, stdout=subprocess.DEVNULL)
        return total(out)


def of_plane(build, load, subworker=False):
    """(control plane, subworker or None) for one load."""
    with tempfile.TemporaryDirectory(prefix="fastworker-perf-") as folder:
        outs = [os.path.join(folder, name) for name in ("plane", "worker")]
        flags = ["--no-local"] if subworker else ["--threads", "1"]
        with Plane(build, *flags, before=valgrind(outs[0])) as plane:
            worker = None
            if subworker:
                worker = plane.subworker("--threads", "1", before=valgrind(outs[1]))
            plane.load(*load)
            if worker:
                plane.stop(worker)
            plane.stop(plane.child)
        return total(outs[0]), total(outs[1]) if subworker else None


def per_task(few, many, fewer, more):
    return (more - fewer) / (many - few)


def engine(build, name, *words):
    program = os.path.join(build, "perf", words[0])
    few, many = 20000, 100000
    counts = [of_program([program, *[w.format(n=n) for w in words[1:]]]) for n in (few, many)]
    say("instructions", name, "ours", per_task(few, many, *counts), "instructions")


def plane(build, name, case, subworker=False):
    few, many = (CALLS_FEW, CALLS_MANY) if case == "call" else (FEW, MANY)
    loads = [[case, "--in-flight", 1024, "--tasks", n] for n in (few, many)]
    counts = [of_plane(build, load, subworker) for load in loads]
    say("instructions", name + ("-control-plane" if subworker else ""), "ours",
        per_task(few, many, counts[0][0], counts[1][0]), "instructions")
    if subworker:
        say("instructions", name + "-worker", "ours",
            per_task(few, many, counts[0][1], counts[1][1]), "instructions")


CASES = {
    "full-task": lambda b: engine(b, "full-task", "task_bench", "1", "64", "{n}", "1"),
    "timers": lambda b: engine(b, "timers", "scale_bench", "delayed", "{n}"),
    "echo": lambda b: plane(b, "echo", "results"),
    "acknowledged": lambda b: plane(b, "acknowledged", "batched"),
    "one-at-a-time": lambda b: plane(b, "one-at-a-time", "call"),
    "subworker": lambda b: plane(b, "subworker", "results", True),
}


def main():
    if not shutil.which("valgrind"):
        print("perf: skipped, not there: valgrind", file=sys.stderr)
        return 0
    CASES[sys.argv[2]](sys.argv[1])
    return 0


if __name__ == "__main__":
    sys.exit(main())

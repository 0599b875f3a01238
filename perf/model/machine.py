#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What bounds the control plane on a machine with many cores: counted, and simulated.

    perf/model/machine.py [--cores 1,2,4,...] [--work NS] [--transfer NS] [--svg FILE]

A cache line that several cores write is a server with one place: whoever wants it waits for those
before, then for the transfer from the core that had it last, then holds it while its operation
goes on. Everything else of a task is private work. A third of the cores read requests and submit,
the others run tasks and end them; each core walks through its lines as the code does (LINES, with
the file that has them). The simulation is exact for this model, which leaves out: memory
bandwidth, the kernel's network stack, sleeping and waking, and the reordering that hides part of
a transfer. Transfers that nobody waits in line for (a task's own lines, from the core that submits
to the one that runs it) are counted and charged as private work.
"""
import argparse
import heapq
import random
import shutil
import subprocess
import sys

BATCH_IN = 64     # tasks of one read of a connection (perf e2e: 4096 in flight)
BATCH_OUT = 32    # --batch
PACK = 32         # engine/memory.h
SHARDS = 64       # cache/cache.c, 10,000 results and more
OPERATION = 6     # ns: an atomic operation on a line that is here (design: 5.8 to 7)

# name: (who visits it, tasks for each visit, ns that it is held beside the operation,
#        how many such lines there are, where)
LINES = {
    "ring: producers' position": ("submit", BATCH_IN, 0, 1, "engine/ring.h enq"),
    "memory: depot, taking": ("submit", PACK, 0, 1, "engine/memory.h depot"),
    "memory: quota, taking": ("submit", PACK, 0, 1, "engine/quota.h"),
    "ring: consumers' position": ("run", BATCH_OUT, 0, 1, "engine/ring.h deq"),
    "results: a shard's lock": ("run", 1, 90, SHARDS, "cache/shard.h lock, lists, table"),
    "answers: a connection's outbox": ("run", BATCH_OUT, 0, 8, "net/outbox.h, 8 connections"),
    "memory: depot, giving": ("run", PACK, 0, 1, "engine/memory.h depot"),
    "memory: quota, giving": ("run", PACK, 0, 1, "engine/quota.h"),
}
# Both sides of these are one line.
SAME = {"memory: depot, giving": "memory: depot, taking",
        "memory: quota, giving": "memory: quota, taking"}
# Lines that go from core to core once a task, without anybody waiting in line.
PRIVATE = {"the task's own lines (header 2, payload 1 and more)": 3.0,
           "its bucket of the index, there and back": 2.0,
           "its cell of the ring, 4 in a line": 0.25}


def transfers_per_task():
    """{line: transfers}, when every visit finds the line elsewhere: the worst case."""
    shared = {name: 1 / tasks for name, (_, tasks, _, _, _) in LINES.items()}
    return shared, dict(PRIVATE)


class Line:
    def __init__(self):
        self.free_at = 0.0
        self.owner = None
        self.busy = 0.0

    def visit(self, now, core, hold, transfer):
        """=> when the visitor goes on."""
        start = max(now, self.free_at)
        took = OPERATION + hold + (transfer if self.owner not in (None, core) else 0)
        self.owner = core
        self.busy += took
        self.free_at = start + took
        return self.free_at


def walk(role, lines, rng, private_ns, rounds):
    """The steps of one core: (line, hold) to visit, or (None, ns) of work. A round is BATCH_IN
    tasks; what is visited once for some tasks comes between them."""
    mine = [(name, every, hold) for name, (who, every, hold, _, _) in LINES.items() if who == role]
    for _ in range(rounds):
        for task in range(BATCH_IN):
            yield None, private_ns
            for name, every, hold in mine:
                if task % every == every - 1:
                    yield rng.choice(lines[name]), hold


def simulate(cores, work_ns, transfer_ns, tasks_per_core=1920, seed=1):
    """=> (tasks a second, {line: part of the time that it is busy}). A third of the cores submit
    and do a third of the private work, the others run tasks and do the rest; one core does all."""
    rng = random.Random(seed)
    lines = {name: [Line() for _ in range(count)] for name, (_, _, _, count, _) in LINES.items()}
    for name, other in SAME.items():
        lines[name] = lines[other]
    # Half of what moves without a queue is hidden behind other work.
    moved = sum(PRIVATE.values()) / 2 * (transfer_ns if cores > 1 else 0)
    cost = {"submit": (work_ns + moved) / 3, "run": (work_ns + moved) * 2 / 3}
    submitters = max(1, round(cores / 3)) if cores > 1 else 1
    count = {"submit": submitters, "run": max(1, cores - submitters)}
    rounds = max(2, tasks_per_core * cores // BATCH_IN)
    steps, events = [], []
    for role in ("submit", "run"):
        for i in range(count[role]):
            part = rounds // count[role] + (i < rounds % count[role])
            steps.append(walk(role, lines, rng, cost[role], part))
    if cores == 1:
        both, steps = steps, []
        steps.append(step for walker in both for step in walker)
    for core in range(len(steps)):
        heapq.heappush(events, (rng.random() * work_ns, core))
    end = 0.0
    while events:
        now, core = heapq.heappop(events)
        line, ns = next(steps[core], (None, None))
        if ns is None:
            continue
        end = line.visit(now, core, ns, transfer_ns) if line else now + ns
        heapq.heappush(events, (end, core))
    busy = {name: max(line.busy for line in group) / end for name, group in lines.items()
            if name not in SAME}
    return rounds * BATCH_IN / end * 1e9, busy


def bounds(transfer_ns):
    """Tasks a second that one line lets through when it moves at every visit."""
    found = {}
    for name, (_, tasks, hold, count, _) in LINES.items():
        visits = 1 / tasks
        if name in SAME:
            continue
        if name in SAME.values():
            visits *= 2
        found[name] = count / (visits * (OPERATION + hold + transfer_ns)) * 1e9
    return found


def print_counts(transfer_ns):
    shared, private = transfers_per_task()
    print("| line | transfers a task, at most | alone it bounds at | where |\n|---|---|---|---|")
    limits = bounds(transfer_ns)
    for name, part in shared.items():
        limit = "%.0f M/s" % (limits[name] / 1e6) if name in limits else "(as above)"
        print("| %s | 1/%.0f | %s | %s |" % (name, 1 / part, limit, LINES[name][4]))
    for name, part in private.items():
        print("| %s | %g | nothing: nobody waits | |" % (name, part))
    print("| **together** | **%.2f**, of them waited for in line: %.2f | | |"
          % (sum(shared.values()) + sum(private.values()), sum(shared.values())))


def print_curve(cores, works, transfer_ns):
    print("\n| cores | %s | busiest line, at %d ns |"
          % (" | ".join("%d ns of work" % work for work in works), works[0]))
    print("|---|" + "---|" * (len(works) + 1))
    points = []
    for count in cores:
        row = [simulate(count, work, transfer_ns) for work in works]
        name, part = max(row[0][1].items(), key=lambda pair: pair[1])
        print("| %d | %s | %s, %.0f %% |" % (
            count, " | ".join("%.2f M/s" % (rate / 1e6) for rate, _ in row), name, part * 100))
        points.append((count, [rate / 1e6 for rate, _ in row]))
    return points


def plot(path, points, works):
    if not shutil.which("gnuplot"):
        print("perf: skipped, not there: gnuplot", file=sys.stderr)
        return
    data = "\n".join("%d %s" % (count, " ".join("%g" % rate for rate in rates))
                     for count, rates in points)
    parts = ["$d using 1:%d with linespoints pt 7 ps 0.5 title '%d ns of work a task'"
             % (i + 2, work) for i, work in enumerate(works)]
    script = ("set terminal svg size 640,400 font 'sans,11'\nset output '%s'\nset logscale x 2\n"
              "set logscale y\nset grid\nset key left top\nset xlabel 'cores (simulated)'\n"
              "set ylabel 'million tasks a second'\n$d << EOD\n%s\nEOD\nplot %s\n"
              % (path, data, ", ".join(parts)))
    subprocess.run(["gnuplot"], input=script, text=True, check=True)
    with open(path, encoding="utf-8") as file:
        lines = [line.rstrip() for line in file]
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cores", default="1,2,4,8,16,32,64,128")
    parser.add_argument("--work", default="350,2000,10000", help="private ns a task, some")
    parser.add_argument("--transfer", type=float, default=80, help="ns from core to core")
    parser.add_argument("--svg")
    args = parser.parse_args()
    works = [int(word) for word in args.work.split(",")]
    print_counts(args.transfer)
    points = print_curve([int(word) for word in args.cores.split(",")], works, args.transfer)
    if args.svg:
        plot(args.svg, points, works)
    return 0


if __name__ == "__main__":
    sys.exit(main())

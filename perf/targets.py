"""What perf/report.py holds a result file against.

A goal is a ratio to peers that were measured in the same run (the best of those named), or a figure
of our own that may not be more or less. `wanted` is the goal, `stretch` what a broker that does
nothing else was seen to reach. Numbers are those of the project's plan.
SPDX-License-Identifier: Apache-2.0
"""
import dataclasses

import results

REDIS, GEARMAND = "redis", "gearmand -t 1"


@dataclasses.dataclass
class Goal:
    number: str
    what: str
    suite: str
    name: str
    wanted: float
    stretch: float
    peers: tuple = ()  # none: the figure itself
    most: bool = False  # the figure may not be more than that; otherwise not less
    divisor: str = ""  # the figure divided by this one of ours
    unit: str = ""


GOALS = [
    Goal("A1", "submit, one connection, one in flight", "wire", "kept-closed", 1, 1.4, (REDIS,)),
    Goal("A1", "the same, and run meanwhile", "wire", "submit-closed", 1, 1.4, (REDIS,)),
    Goal("A2", "submit, pipelined", "wire", "kept-pipelined", 1, 3, (REDIS,)),
    Goal("A2", "the same, and run meanwhile", "wire", "submit-pipelined", 1, 3, (REDIS,)),
    Goal("A2", "submit, 100 at once", "wire", "kept-batched", 1.5, 3, (REDIS,)),
    Goal("A2", "the same, and run meanwhile", "wire", "submit-batched", 1.5, 3, (REDIS,)),
    Goal("A2", "submit, 800 in flight", "wire", "kept-800", 1.5, 3, (REDIS,)),
    Goal("A4", "submit, 8 connections x 128", "wire", "submit-8x128", 2, 3, (REDIS,)),
    Goal("B1", "end to end in the control plane", "e2e", "throughput-local", 4, 4.5, (GEARMAND,)),
    Goal("B1", "the same", "e2e", "throughput-local", 10, 11, (REDIS,)),
    Goal("B3", "end to end through a subworker", "subworkers", "two-workers", 2, 4, (GEARMAND,)),
    Goal("B3", "the same", "subworkers", "two-workers", 5, 10, (REDIS,)),
    Goal("B4", "beside Python FastWorker", "wire", "closed-loop", 10, 10, ("python-fastworker",)),
    Goal("C1", "closed loop, p50", "wire", "closed-loop-p50", 1, 1.33, (REDIS, GEARMAND)),
    Goal("C1", "closed loop, p99", "wire", "closed-loop-p99", 1, 1.43, (REDIS, GEARMAND)),
    Goal("C2", "open loop of 10,000/s, p50", "e2e", "open-10000-p50", 1.25, 2, (REDIS, GEARMAND)),
    Goal("C2", "open loop of 10,000/s, p99", "e2e", "open-10000-p99", 1.67, 2.5,
         (REDIS, GEARMAND)),
    Goal("C3", "goodput when twice the peak is offered", "e2e", "overload-goodput", 0.8, 0.95,
         ("its own peak",)),
    Goal("C3", "until calls are quick again", "e2e", "overload-recovery", 1000, 500, most=True,
         unit="ms"),
    Goal("D1", "a critical task over 100,000 low ones, p50", "e2e", "critical-p50", 1.67, 2.2,
         (REDIS,)),
    Goal("D1", "the same, p99", "e2e", "critical-p99", 2, 2.9, (REDIS,)),
    Goal("E1", "bytes per queued task", "memory", "bytes-per-task", 200, 128, most=True),
    Goal("E3", "resident memory with nothing to do", "idle", "resident", 12, 6, most=True,
         unit="MB"),
    Goal("E4", "CPU of the control plane per task", "e2e", "throughput-local-cpu-server", 0.6,
         0.35, most=True, unit="us"),
    Goal("W1", "empty tasks from outside", "engine", "inject", 1.5, 2, ("moodycamel-spin",)),
    Goal("W1", "the same, 64 at once", "engine", "inject-bulk", 3, 4, ("moodycamel-spin",)),
    Goal("W2", "a tree of tasks", "engine", "tree", 2, 2.6, ("gomp",)),
    Goal("W2", "the same", "engine", "tree", 15, 22, ("tbb",)),
    Goal("F1", "full tasks a second, two threads", "engine", "full-task", 3e6, 4e6, unit="1/s"),
    Goal("F2", "instructions of a full task", "instructions", "full-task", 300, 250, most=True),
    Goal("S1", "1 M waiting beside 1,000: CPU to run one", "scale", "depth-1000000-run", 1.15, 1,
         most=True, divisor="depth-1000-run"),
    Goal("S2", "64 threads beside 2", "scale", "threads-64", 0.7, 0.9, divisor="threads-2"),
    Goal("G1", "results, read", "cache", "get", 1, 1.3, ("HyperClockCache",)),
    Goal("G2", "results, one write in 20", "cache", "mixed-95-5", 1, 1.2, ("HyperClockCache",)),
]


def reached(goal, figures):
    """The number that counts; None: it was not measured. figures: results.by_key of a file."""
    mine = figures.get((goal.suite, goal.name, results.OURS))
    if not mine:
        return None
    if goal.divisor:
        other = figures.get((goal.suite, goal.divisor, results.OURS))
        return mine["median"] / other["median"] if other and other["median"] else None
    if not goal.peers:
        return mine["median"]
    ratios = [results.ratio(mine, figures[(goal.suite, goal.name, who)])
              for who in goal.peers if (goal.suite, goal.name, who) in figures]
    return min((ratio for ratio in ratios if ratio), default=None)


def verdict(goal, value):
    for bound, word in ((goal.stretch, "stretch"), (goal.wanted, "reached")):
        if value <= bound if goal.most else value >= bound:
            return word
    return "missed"

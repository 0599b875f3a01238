"""What perf/run measures: suites of steps, a step is the commands of all contestants in turn.

A command's first words may be settings, NAME=VALUE. A program without a folder is of the build's
perf/. Programs print a JSON line a figure: {"suite", "name", "who", "value", "unit"}.
SPDX-License-Identifier: Apache-2.0
"""
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("FW_PERF_BUILD", os.path.join(ROOT, "build", "release"))
PYTHON = os.path.join(os.environ.get("FW_VENV", os.path.join(ROOT, ".venv")), "bin", "python")
# Celery and RQ come from Debian, for its own interpreter.
SYSTEM_PYTHON = "/usr/bin/python3"
PROGRAM = os.path.join(BUILD, "fastworker")
SAMPLES = os.path.join(BUILD, "modules", "samples.so")
BENCH = os.path.join(BUILD, "modules", "bench.so")


def here(name):
    return os.path.join(ROOT, "perf", name)


def built(name):
    return os.path.join(BUILD, "perf", name)


def python(name, *words):
    return [sys.executable, here(name), *map(str, words)]


def load(case, *more):
    """One case of the load generator, against a control plane of its own."""
    return ["client_load", case, "--spawn", PROGRAM, SAMPLES, *map(str, more)]


def kept(name, case, *more):
    """The same, and nothing runs: what a list in redis does."""
    return ["client_load", case, "--keep", PROGRAM, SAMPLES, "--name", name, *map(str, more)]


def redis_benchmark(case, name=None):
    return [here("peer_redis.py"), case, name or case]


def old_python():
    return [PYTHON, here("peer_python.py"), "call"]


def beside(server, *words):
    """A peer's program and its server."""
    return [sys.executable, here("with_server.py"), server, *map(str, words)]


def hiredis(case):
    return beside("redis", built("peers_redis"), case, "{port}")


# What talks to which server, and what it is called.
WIRES = {"redis": ("redis", "peers_resp"), "redis-streams": ("redis", "peers_resp"),
         "gearmand -t 1": ("gearmand", "peers_gearman"),
         "gearmand": ("gearmand-default", "peers_gearman"),
         "beanstalkd": ("beanstalkd", "peers_beanstalkd"), "nats": ("nats", "peers_nats")}


def wire(who, what, name, workers=1):
    server, program = WIRES[who]
    return beside(server, built(program), "{port}", what, name, who, workers)


def wires(what, name, workers=1, but=()):
    return [wire(who, what, name, workers) for who in WIRES if who not in but]


def broker(who):
    return [SYSTEM_PYTHON, here("peer_broker.py"), who]


def critical(who, backlog):
    return ["critical_load", who, PROGRAM, BENCH, str(backlog)]


def memory(who, server):
    return beside(server, sys.executable, here("peer_memory.py"), who, "{port}", "{pid}")


def subworkers(*words):
    return python("subworkers.py", BUILD, *words)


def cache(case, threads=2):
    return [["cache_bench", case, who, str(threads)]
            for who in ("ours", "HyperClockCache", "LRUCache", "GHashTable")]


def engine(case, *peers, threads=2):
    return [["engine_bench", case, who, str(threads)] for who in ("ours",) + peers]


def open_loop(rate):
    name = "open-%d" % rate
    return [load("open", "--rate", rate, "--name", name),
            *wires("open:%d" % rate, name, but=("gearmand",))]


def connections(count):
    name = "connections-%d" % count
    return [load("results", "--connections", count, "--name", name)]


def instructions(case):
    return [python("instructions.py", BUILD, case)]


PEERS = ["peers_redis", "peers_resp", "peers_gearman", "peers_beanstalkd", "peers_nats"]
PROGRAMS = ["client_load", "fastworker", "samples.so", "bench.so"]
# suite: (what it is, targets to build, steps); a step is the list of commands to be run in turn,
# ours first.
SUITES = {
    "engine": (
        "pieces of work in a process",
        ["engine_bench", "task_bench"],
        [
            engine("inject", "moodycamel-spin", "moodycamel-park", "tbb", "mutex"),
            engine("inject-bulk", "moodycamel-spin", "moodycamel-park", "tbb", "mutex"),
            engine("tree", "gomp", "moodycamel-spin", "moodycamel-park", "tbb", "mutex"),
            engine("wake", "mutex", "moodycamel-park", "tbb"),
            engine("critical", "mutex", "tbb"),
            [["task_bench"]],
        ],
    ),
    "ring": (
        "the ring of one priority",
        ["ring_bench"],
        [[["ring_bench", "ours"], ["ring_bench", "ck_ring"]]],
    ),
    "cache": (
        "finished results",
        ["cache_bench"],
        [cache(case, threads) for threads in (2, 1, 4)
         for case in ("get", "mixed-95-5", "mixed-50-50")] + [cache("put-10k"), cache("memory")],
    ),
    "wire": (
        "submissions over loopback TCP",
        PROGRAMS + PEERS,
        [
            [load("pipelined"), redis_benchmark("pipelined")],
            [load("many"), redis_benchmark("many")],
            [load("closed"), redis_benchmark("closed")],
            [kept("kept-pipelined", "pipelined"), redis_benchmark("pipelined", "kept-pipelined")],
            [kept("kept-batched", "many"), redis_benchmark("many", "kept-batched")],
            [kept("kept-800", "batched", "--in-flight", 800),
             redis_benchmark("many-8", "kept-800")],
            [kept("kept-closed", "closed"), redis_benchmark("closed", "kept-closed")],
            [load("spread")],
            [load("call"), old_python(), hiredis("closed"),
             *wires("call", "closed-loop", but=("redis",))],
        ],
    ),
    "e2e": (
        "tasks with their results",
        PROGRAMS + PEERS + ["critical_load", "overload_load"],
        [
            [load("results"), hiredis("stored"), *wires("results", "throughput-local",
                                                        but=("redis",))],
            *[connections(n) for n in (1, 2, 4, 8, 16, 32, 64)],
            open_loop(1000), open_loop(10000),
            [["overload_load", PROGRAM, SAMPLES]],
            [critical("ours", 100000), critical("without-backlog", 0), hiredis("critical")],
        ],
    ),
    "brokers": (
        "the queues of Python and Node, with results",
        PROGRAMS,
        [[load("results", "--in-flight", 500, "--name", "results"), broker("celery"),
          broker("rq"), broker("bullmq")],
         [load("call", "--name", "call"), broker("celery"), broker("rq"), broker("bullmq"),
          old_python()]],
    ),
    "subworkers": (
        "tasks through native subworkers",
        PROGRAMS + PEERS + ["dispatch_bench"],
        [
            [subworkers("results", 1), subworkers("results", 0), subworkers("results", 2),
             *wires("results", "two-workers", 2), subworkers("results", 4)],
            [subworkers("call", n) for n in (1, 0, 2, 4)],
            [subworkers("busy", 1000, 1), subworkers("busy", 1000, 0),
             subworkers("busy", 1000, 1, "off")],
            [subworkers("busy", 100, 1), subworkers("busy", 100, 0),
             subworkers("busy", 100, 1, "off")],
            [subworkers("kill", "ahead"), subworkers("kill", "running")],
            [["dispatch_bench", case, places, "1"]
             for case in ("decision", "backlog") for places in ("10", "10000")],
        ],
    ),
    "web": (
        "the dashboard's server",
        PROGRAMS + ["peers_microhttpd"],
        [
            [python("web.py", BUILD, "status", who) for who in ("ours", "libmicrohttpd")],
            [python("web.py", BUILD, "beside", who) for who in ("ours", "unwatched")],
        ],
    ),
    "dispatch": ("decisions: which task goes where", ["dispatch_bench"], [[["dispatch_bench"]]]),
    "memory": (
        "what a waiting task costs",
        PROGRAMS + ["memory_load"],
        [
            [["memory_load", PROGRAM, BENCH],
             memory("beanstalkd", "beanstalkd"), memory("redis-by-id", "redis"),
             memory("redis", "redis")],
        ],
    ),
    "idle": (
        "what a control plane costs that has nothing to do",
        PROGRAMS,
        [[python("idle.py", BUILD, who) for who in
          ("ours", "without-dashboard", "redis", "gearmand", "gearmand-default", "beanstalkd",
           "nats")] + [[PYTHON, here("idle.py"), BUILD, "python-fastworker"]]],
    ),
    "scale": (
        "a great many of everything",
        PROGRAMS + ["scale_bench", "scale_load", "dispatch_bench"],
        [
            [["scale_bench", "depth"]],
            [["scale_bench", "timers", "1000000"]],
            [["scale_bench", "lateness", "1000000"]],
            [["scale_load", "connections", "10000", PROGRAM, SAMPLES]],
            [["dispatch_bench", "decision", places, "1"] for places in ("10", "10000")],
            [["scale_bench", "threads"]],
        ],
    ),
    "tuning": (
        "one setting at a time",
        PROGRAMS,
        [[python("tuning.py", BUILD, name)] for name in
         ("threads", "ring-size", "spin", "steal", "batch")],
    ),
    "instructions": (
        "instructions per task, counted by valgrind: the same on a busy machine",
        PROGRAMS + ["task_bench", "scale_bench"],
        [instructions(case) for case in ("full-task", "timers", "echo", "acknowledged",
                                         "one-at-a-time", "subworker")],
    ),
}
# Suites that are planned; asking for one says so.
PLANNED = {"journal": "is planned: there is no journal to measure yet"}
# What a program calls a case, and what the suites call it.
NAMES = {"pipelined": "submit-pipelined", "many": "submit-batched", "results": "throughput-local",
         "call": "closed-loop", "closed": "submit-closed", "spread": "submit-8x128",
         "get-2t": "get", "mixed-95-5-2t": "mixed-95-5", "mixed-50-50-2t": "mixed-50-50"}


def shown(name):
    """results-p50 is throughput-local-p50."""
    for short, long in NAMES.items():
        if name == short or name.startswith(short + "-p") or name.startswith(short + "-cpu"):
            return long + name[len(short):]
    return name

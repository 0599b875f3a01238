"""Task queues that need a broker, doing what client_load does: peer_broker.py celery|rq|bullmq

A redis of its own without persistence, workers for two tasks at once as each system starts them
(celery: prefork; rq: two workers that do not fork; bullmq: one process, concurrency 2), echo of 64
bytes. Two loads: 500 in flight with results, for a fixed number of tasks, and one call at
a time. CPU time is of client, workers and redis from the first task to the last result.
Celery and RQ are of the interpreter that runs this; bullmq's folder of node_modules is in
FW_PERF_NODE. What is not installed is named, and left out with exit status 0.
SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import importlib.util
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time

import with_server

TASKS, CALLS, WINDOW, WARM_UP = 1500, 200, 500, 50
TEXT = "x" * 64
PATIENCE_S = 30
HERE = os.path.dirname(os.path.abspath(__file__))
CELERY = """from celery import Celery
app = Celery("bench_tasks", broker=%(url)r, backend=%(url)r)
app.conf.worker_prefetch_multiplier = 64

@app.task(name="echo")
def echo(text):
    return text
"""
RQ = "def echo(text):\n    return text\n"


def say(name, who, value, unit, **more):
    print(json.dumps({"suite": "peers", "name": name, "who": who, "value": value, "unit": unit,
                      **more}), flush=True)


def family(pid):
    """A process and everything below it."""
    with contextlib.suppress(OSError):
        with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as file:
            return [pid] + [one for child in file.read().split() for one in family(int(child))]
    return []


def spent_us(pids):
    total = 0
    for pid in {one for parent in pids for one in family(parent)}:
        with contextlib.suppress(OSError):
            total += with_server.cpu_us(pid)
    return total


def measure(who, call, many, pids):
    """call(): one task and its result; many(n): so many, with all results."""
    many(WARM_UP)
    before, start = spent_us(pids), time.perf_counter()
    many(TASKS)
    took, spent = time.perf_counter() - start, spent_us(pids) - before
    say("results", who, TASKS / took, "1/s")
    say("results-cpu-all", who, spent / TASKS, "us")
    samples = []
    for _ in range(CALLS):
        start = time.perf_counter()
        call()
        samples.append(time.perf_counter() - start)
    samples.sort()
    say("call", who, CALLS / sum(samples), "1/s")
    say("call-p50", who, samples[CALLS // 2] * 1e6, "us")
    say("call-p99", who, samples[CALLS * 99 // 100] * 1e6, "us")


def in_windows(send, end, count):
    """Keeps WINDOW in flight; send() gives what end() waits for."""
    flight = []
    for _ in range(count):
        if len(flight) == WINDOW:
            end(flight.pop(0))
        flight.append(send())
    for one in flight:
        end(one)


@contextlib.contextmanager
def workers(*commands, folder):
    children = []
    try:
        for command in commands:
            children.append(subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL,
                                             stdout=subprocess.DEVNULL,
                                             stderr=subprocess.DEVNULL))
        yield [child.pid for child in children]
    finally:
        for child in children:
            child.terminate()
        for child in children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(10)
            child.kill()
            child.wait()


def celery(folder, port, redis_pid):
    url = "redis://127.0.0.1:%d/0" % port
    with open(os.path.join(folder, "bench_tasks.py"), "w", encoding="utf-8") as file:
        file.write(CELERY % {"url": url})
    sys.path.insert(0, folder)
    import bench_tasks
    with workers([sys.executable, "-m", "celery", "-A", "bench_tasks", "worker", "-c", "2", "-P",
                  "prefork", "--without-gossip", "--without-mingle", "-l", "ERROR"],
                 folder=folder) as pids:
        def end(result):
            assert result.get(timeout=PATIENCE_S) == TEXT

        def send():
            return bench_tasks.echo.delay(TEXT)
        measure("celery", lambda: end(send()), lambda n: in_windows(send, end, n),
                [redis_pid, os.getpid(), *pids])


def rq(folder, port, redis_pid):
    import redis
    from rq import Queue
    with open(os.path.join(folder, "bench_tasks.py"), "w", encoding="utf-8") as file:
        file.write(RQ)
    sys.path.insert(0, folder)
    import bench_tasks
    url = "redis://127.0.0.1:%d/0" % port
    queue = Queue(connection=redis.Redis.from_url(url))
    command = [sys.executable, "-m", "rq.cli", "worker", "--url", url, "-w",
               "rq.worker.SimpleWorker", "--quiet", "default"]
    with workers(command, command, folder=folder) as pids:
        def end(job):
            """It has no other way than to look again."""
            until = time.monotonic() + PATIENCE_S
            while job.get_status() not in ("finished", "failed"):
                assert time.monotonic() < until
                select.select([], [], [], 0.0005)
            assert job.get_status() == "finished"

        def send():
            return queue.enqueue(bench_tasks.echo, TEXT)
        measure("rq", lambda: end(send()), lambda n: in_windows(send, end, n),
                [redis_pid, os.getpid(), *pids])


def bullmq(folder, port, redis_pid):
    script = os.path.join(HERE, "peer_bullmq.js")
    env = {**os.environ, "NODE_PATH": os.path.join(os.environ["FW_PERF_NODE"], "node_modules")}
    worker = subprocess.Popen(["node", script, "work", str(port)], env=env, cwd=folder,
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    client = subprocess.Popen(["node", script, "ask", str(port), str(WINDOW)], env=env, cwd=folder,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def many(count):
        client.stdin.write("%d\n" % count)
        client.stdin.flush()
        assert client.stdout.readline() == "%d\n" % count
    try:
        measure("bullmq", lambda: many(1), many, [redis_pid, worker.pid, client.pid])
    finally:
        for child in (client, worker):
            child.kill()
            child.wait()


def missing(who):
    if who == "bullmq":
        folder = os.environ.get("FW_PERF_NODE", "")
        if not shutil.which("node"):
            return "node"
        there = os.path.isdir(os.path.join(folder, "node_modules", "bullmq"))
        return None if there else "bullmq (npm install bullmq; FW_PERF_NODE=that folder)"
    return None if importlib.util.find_spec(who) else "python3-" + who


def main():
    who = sys.argv[1]
    lacks = "redis-server" if not with_server.program("redis") else missing(who)
    if lacks:
        print("perf: skipped, not there: " + lacks, file=sys.stderr)
        return 0
    with tempfile.TemporaryDirectory(prefix="fastworker-perf-") as folder, \
            with_server.running("redis") as (port, pid):
        {"celery": celery, "rq": rq, "bullmq": bullmq}[who](folder, port, pid)
        sys.stdout.flush()
    os._exit(0)  # Celery would still look for the broker's end of its results


if __name__ == "__main__":
    sys.exit(main())

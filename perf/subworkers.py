"""Tasks through native subworkers: subworkers.py BUILD results|call|busy|kill WORD...

    results N     echo of 64 bytes, 4096 in flight, results back to the client, through N
                  subworkers that share two threads (at least one each); 0: run locally
    call N        one task at a time
    busy US N     tasks that burn US microseconds, 64 in flight, through N subworkers of one thread;
                  with a third word, off, nothing is sent ahead
    kill WHAT     a subworker with 100 tasks in hand is killed; when has an idle one begun them?
                  WHAT is ahead (2 run, 98 were sent ahead) or running (100 threads)

The control plane, the subworkers and the client are processes of their own; CPU time is theirs
from first to last task, user and system. One JSON line a figure, as perf/run wants them.
SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

from place import Children, free_block

TASKS = 100
PATIENCE_S = 30
TICK_US = 1e6 / os.sysconf("SC_CLK_TCK")


def say(name, who, value, unit):
    print(json.dumps({"suite": "subworkers", "name": name, "who": who, "value": value,
                      "unit": unit}), flush=True)


def cpu_us(pid):
    """Of all threads, user and system."""
    with open("/proc/%d/stat" % pid, encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_US


class Place(Children):
    """A control plane and its subworkers, all of which end with it."""

    def __init__(self, build):
        super().__init__(build)
        self.block = free_block()
        self.base = "tcp://127.0.0.1:%d" % self.block
        self.modules = ",".join(os.path.join(build, "modules", name)
                                for name in ("samples.so", "bench.so"))

    def run(self, kind, *flags):
        return self.start([os.path.join(self.build, "fastworker"), kind, *flags, "--log-level",
                           "error", "--discovery-address",
                           "tcp://127.0.0.1:%d" % (self.block + 8)])

    def plane(self, *flags):
        return self.run("control-plane", "--no-gui", "--base-address", self.base, *flags)

    def subworker(self, name, threads):
        child = self.run("subworker", "--worker-id", name, "--control-plane-address", self.base,
                         "--base-address", "tcp://127.0.0.1:0", "--threads", str(threads),
                         "--task-modules", self.modules)
        self.wait_until(lambda: name in self.workers(), name + " is there")
        return child

    def workers(self):
        """Those that take tasks, by name."""
        done = subprocess.run([os.path.join(self.build, "fastworker"), "workers", "--json",
                               "--control-plane-address", self.base],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        listed = json.loads(done.stdout)["workers"] if done.returncode == 0 else []
        return {w["id"]: w for w in listed if w["state"] == "active"}

    def open(self, count, threads, prefetch="auto"):
        """The control plane and so many subworkers; with none it runs the tasks itself."""
        if count == 0:
            plane = self.plane("--task-modules", self.modules, "--threads", str(threads))
            return plane, []
        plane = self.plane("--no-local", "--prefetch", prefetch)
        return plane, [self.subworker("sw%d" % i, threads) for i in range(count)]

    def client(self, *words):
        return [os.path.join(self.build, "perf", "client_load"), *words, "--address", self.base]

    def load(self, *words):
        """The lines of a client, by name."""
        done = subprocess.run(self.client(*words), stdout=subprocess.PIPE, text=True, check=True)
        return {line["name"]: line for line in map(json.loads, done.stdout.splitlines())}


def who_is(count):
    return {0: "local", 1: "ours"}.get(count, "%d-subworkers" % count)


NAMES = {"results": "echo", "call": "one-at-a-time"}


def echo(build, case, count):
    names = [(NAMES[case], who_is(count))]
    if case == "results" and count == 2:
        names.append(("two-workers", "ours"))  # the same run, beside the peers
    with Place(build) as place:
        plane, workers = place.open(count, max(1, 2 // max(1, count)))
        place.load(case, "--seconds", "0.3")
        pids = [plane.pid] + [worker.pid for worker in workers]
        before = [cpu_us(pid) for pid in pids]
        lines = place.load(case)
        spent = [cpu_us(pid) - was for pid, was in zip(pids, before)]
    tasks = lines[case]["tasks"]
    for name, who in names:
        for line in lines.values():
            say(line["name"].replace(case, name), who, line["value"], line["unit"])
        say(name + "-cpu-server", who, spent[0] / tasks, "us")
        if workers:
            say(name + "-cpu-workers", who, sum(spent[1:]) / tasks, "us")
        say(name + "-cpu-all", who, sum(spent) / tasks, "us")


def busy(build, us, count, prefetch="auto"):
    with Place(build) as place:
        place.open(count, 1, prefetch)
        words = ["results", "--task", "spin", "--args", "[%d]" % us, "--in-flight", "64"]
        place.load(*words, "--seconds", "0.3")
        rate = place.load(*words)["results"]["value"]
    who = who_is(count) if prefetch == "auto" else "without-prefetch"
    say("busy-%d-us" % us, who, rate * us / 1e4, "% of a slot")


def stamps(log):
    try:
        with open(log, encoding="ascii") as lines:
            return [int(line.split()[1]) for line in lines]
    except FileNotFoundError:
        return []


def killed(build, what):
    threads, prefetch = (TASKS, "off") if what == "running" else (2, str(TASKS // 2 - 1))
    with tempfile.TemporaryDirectory(prefix="fastworker-perf-") as folder, Place(build) as place:
        log, gate = os.path.join(folder, "log"), os.path.join(folder, "gate")
        with open(gate, "w", encoding="ascii"):
            pass
        place.plane("--no-local", "--prefetch", prefetch)
        first = place.subworker("first", threads)
        submit = subprocess.Popen(
            place.client("once", "--task", "stamp", "--args", json.dumps([log, gate]),
                         "--in-flight", str(TASKS)), stdout=subprocess.DEVNULL)
        place.children.append(submit)
        place.wait_until(lambda: place.workers()["first"]["in_hand"] == TASKS,
                         "all are in hand")
        begun = min(threads, TASKS)
        place.wait_until(lambda: len(stamps(log)) == begun, "they run")
        place.subworker("second", 2)
        # It can end nothing from here on, although the gate goes before it does.
        first.send_signal(signal.SIGSTOP)
        os.unlink(gate)
        killed_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        first.kill()
        submit.wait(PATIENCE_S)
        again = sorted(stamps(log)[begun:])
    if len(again) != TASKS:
        raise RuntimeError("%d of %d were begun again" % (len(again), TASKS))
    say("kill-%s-first" % what, "ours", (again[0] - killed_ns) / 1e6, "ms")
    say("kill-%s-last" % what, "ours", (again[-1] - killed_ns) / 1e6, "ms")


def main():
    build, case, *words = sys.argv[1:]
    if case in ("results", "call"):
        echo(build, case, int(words[0]))
    elif case == "busy":
        busy(build, int(words[0]), int(words[1]), *words[2:])
    elif case == "kill":
        killed(build, words[0])
    else:
        print("subworkers.py: no case " + case, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The dashboard's server: web.py BUILD status|beside WHO.

    status WHO    GET /api/status by wrk over 16 connections: ours, or libmicrohttpd answering with
                  the same bytes from memory
    beside WHO    what an open dashboard costs: echo of 64 bytes with results, 4096 in flight, while
                  nobody looks (unwatched), or (ours) one page is open (its event stream, and the
                  lists that it reads every second) and /metrics is read every second

One JSON line a figure, as perf/run wants them. SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.request

from subworkers import Place, cpu_us

SECONDS = 3
# What a page reads once a second, and a scraper.
LISTS = ("/api/v1/stats", "/api/v1/queues", "/api/v1/workers", "/metrics")


def say(name, who, value, unit):
    print(json.dumps({"suite": "web", "name": name, "who": who, "value": value, "unit": unit}),
          flush=True)


def get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return answer.read()


@contextlib.contextmanager
def dashboard(build):
    """A control plane with its dashboard: itself, the port, the process id."""
    with Place(build) as place:
        port = place.block + 6
        child = place.run("control-plane", "--base-address", place.base, "--gui-port", str(port),
                            "--task-modules", place.modules, "--threads", "2")

        def is_there():
            with contextlib.suppress(OSError):
                return get(port, "/readyz")
            return False
        place.wait_until(is_there, "the dashboard answers")
        yield place, port, child.pid


@contextlib.contextmanager
def microhttpd(build, body):
    with tempfile.NamedTemporaryFile() as file:
        file.write(body)
        file.flush()
        with subprocess.Popen([os.path.join(build, "perf", "peers_microhttpd"), file.name],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
            yield int(child.stdout.readline()), child.pid
            child.stdin.close()


def wrk(port, pid, who):
    before = cpu_us(pid)
    done = subprocess.run(["wrk", "-t1", "-c16", f"-d{SECONDS}s", "--latency",
                           f"http://127.0.0.1:{port}/api/status"],
                          stdout=subprocess.PIPE, text=True, check=True).stdout
    requests = int(re.search(r"(\d+) requests in", done).group(1))
    say("status", who, float(re.search(r"Requests/sec:\s*([\d.]+)", done).group(1)), "1/s")
    say("status-cpu-server", who, (cpu_us(pid) - before) / requests, "us")


def status(build, who):
    if not shutil.which("wrk"):
        print("perf: skipped, not there: wrk", file=sys.stderr)
        return
    with dashboard(build) as (_, port, pid):
        body = get(port, "/api/status")
        if who == "ours":
            wrk(port, pid, who)
    if who != "ours":
        with microhttpd(build, body) as (port, pid):
            wrk(port, pid, who)


class Looker:
    """One open page and one scraper."""

    def __init__(self, port):
        self.port, self.over, self.events = port, threading.Event(), 0
        self.stream = urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/events?only=stats",
                                             timeout=60)
        # The listener sits in a read: it ends with the process.
        self.threads = [threading.Thread(target=work, daemon=True)
                        for work in (self.listen, self.read)]
        for thread in self.threads:
            thread.start()

    def listen(self):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            for line in self.stream:
                self.events += line.startswith(b"data:")

    def read(self):
        while not self.over.wait(1):
            for path in LISTS:
                with contextlib.suppress(OSError):
                    get(self.port, path)

    def close(self):
        self.over.set()
        self.threads[1].join()


def beside(build, who):
    with dashboard(build) as (place, port, pid):
        place.load("results", "--seconds", "0.3")
        looker = Looker(port) if who == "ours" else None
        before = cpu_us(pid)
        line = place.load("results", "--seconds", str(SECONDS))["results"]
        say("beside-cpu-server", who, (cpu_us(pid) - before) / line["tasks"], "us")
        say("beside-rate", who, line["value"], "1/s")
        if looker:
            looker.close()
            if looker.events == 0:
                raise RuntimeError("no event came")


def main():
    build, case, who = sys.argv[1:]
    {"status": status, "beside": beside}[case](build, who)
    return 0


if __name__ == "__main__":
    sys.exit(main())

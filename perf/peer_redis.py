#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Redis lists doing what client_load does: LPUSH of 64 bytes, by redis's own load generator.

    perf/peer_redis.py closed|pipelined|many|many-8 [NAME]

closed: one in flight; pipelined: 128 in flight on one connection; many: 100 values in one LPUSH,
one of these in flight; many-8: eight of these. NAME: what the figures are called.
A server of its own on a free port, without persistence, ended by its id.
"""
import csv
import io
import json
import select
import shutil
import socket
import subprocess
import sys
import time

COUNTS = {"closed": 30000, "pipelined": 1500000, "many": 30000, "many-8": 30000}


def start():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        ["redis-server", "--port", str(port), "--save", "", "--appendonly", "no"],
        stdout=subprocess.DEVNULL)
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return server, port
        except OSError:
            select.select([], [], [], 0.01)  # between two looks
    raise SystemExit("redis-server does not come up")


def figure(name, value, unit):
    print(json.dumps({"suite": "client", "name": name, "who": "redis", "value": value,
                      "unit": unit}))


def main():
    case = sys.argv[1]
    name = sys.argv[2] if len(sys.argv) > 2 else case
    if not shutil.which("redis-server") or not shutil.which("redis-benchmark"):
        print("peer_redis: skipped, redis-server is not installed", file=sys.stderr)
        return 0
    value = "x" * 64
    words = {"closed": ["lpush", "q", value], "pipelined": ["-P", "128", "lpush", "q", value],
             "many": ["-P", "1", "lpush", "q"] + [value] * 100,
             "many-8": ["-P", "8", "lpush", "q"] + [value] * 100}[case]
    server, port = start()
    try:
        done = subprocess.run(
            ["redis-benchmark", "-p", str(port), "-c", "1", "-n", str(COUNTS[case]), "--csv",
             *words],
            check=True, capture_output=True, text=True)
    finally:
        server.kill()
        server.wait()
    row = list(csv.reader(io.StringIO(done.stdout)))[-1]
    figure(name, float(row[1]) * (100 if case.startswith("many") else 1), "1/s")
    if case == "closed":
        figure(name + "-p50", float(row[4]) * 1e3, "us")
        figure(name + "-p99", float(row[6]) * 1e3, "us")
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Python FastWorker 0.3.0, control plane and client as they are: one add(5, 3) after the other.

    perf/peer_python.py call [CALLS]

Runs in the environment that ./check makes (.venv, or FW_VENV). The control plane is a process of
its own on free ports, ended by its id with SIGKILL: it does not end by itself.
"""
import asyncio
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests"))
from ports import free_block  # noqa: E402

TASKS = "from fastworker import task\n\n@task\ndef add(a, b):\n    return a + b\n"


def start(folder, first):
    with open(os.path.join(folder, "bench_tasks.py"), "w", encoding="utf-8") as file:
        file.write(TASKS)
    program = os.path.join(os.path.dirname(sys.executable), "fastworker")
    return subprocess.Popen(
        [program, "--log-level", "ERROR", "control-plane", "--no-gui", "--base-address",
         f"tcp://127.0.0.1:{first}", "--subworker-port", str(first + 5), "--discovery-address",
         f"tcp://127.0.0.1:{first + 6}", "--task-modules", "bench_tasks"],
        env={**os.environ, "PYTHONPATH": folder}, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)


async def measure(first, calls):
    from fastworker import Client
    client = Client(discovery_address=f"tcp://127.0.0.1:{first + 6}")
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", first + 6)).close()
            break
        except OSError:
            select.select([], [], [], 0.05)  # between two looks
    await client.start()
    samples = []
    for i in range(calls):
        begun = time.perf_counter()
        result = await client.submit_task("add", (5, 3))
        samples.append(time.perf_counter() - begun)
        if result.result != 8:
            raise SystemExit(f"peer_python: call {i}: {result}")
    client.stop()
    return sorted(samples)


def main():
    calls = int(sys.argv[2]) if len(sys.argv) > 2 else 300
    first = free_block()
    with tempfile.TemporaryDirectory() as folder:
        plane = start(folder, first)
        try:
            samples = asyncio.run(measure(first, calls))
        finally:
            os.kill(plane.pid, signal.SIGKILL)
            plane.wait()
    for name, value, unit in (("call", calls / sum(samples), "1/s"),
                              ("call-p50", samples[calls // 2] * 1e6, "us"),
                              ("call-p99", samples[calls * 99 // 100] * 1e6, "us")):
        print(json.dumps({"suite": "client", "name": name, "who": "python-fastworker",
                          "value": value, "unit": unit}))


if __name__ == "__main__":
    main()

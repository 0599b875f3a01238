#!/usr/bin/env python3
"""Event streams under many listeners: events.py PROGRAM SAMPLES_MODULE [CLIENTS]

Starts a control plane, lets so many clients (1000) listen to /api/v1/events while a client submits
three tasks a second (about ten events a second with the figures), and says what the web thread
took of a core over ten seconds. SPDX-License-Identifier: Apache-2.0
"""

import asyncio
import os
import resource
import subprocess
import sys
import time

FIRST = 21900  # ports
MEASURED_S = 10
HEAD = b"GET /api/v1/events HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"


def start(program, samples):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 16384)), hard))
    return subprocess.Popen(
        [program, "control-plane", "--base-address", f"tcp://127.0.0.1:{FIRST + 3}",
         "--discovery-address", f"tcp://127.0.0.1:{FIRST}", "--gui-port", str(FIRST + 10),
         "--task-modules", samples], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def web_seconds(pid):
    """CPU seconds of the web thread so far."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/stat", encoding="ascii") as stream:
            name, _, rest = stream.read().rpartition(")")
        if name.endswith("(fw-web"):
            fields = rest.split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    raise SystemExit("there is no web thread")


async def listen(counts):
    reader, writer = await asyncio.open_connection("127.0.0.1", FIRST + 10)
    writer.write(HEAD)
    while data := await reader.read(1 << 16):
        counts["events"] += data.count(b"\ndata:")
    counts["cut"] += 1


async def submit(program):
    """Three tasks a second, until it is cancelled."""
    child = await asyncio.create_subprocess_exec(
        program, "submit", "--stdin", "--json", "--non-blocking", "--control-plane-address",
        f"tcp://127.0.0.1:{FIRST + 3}", stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL)
    never = asyncio.Event()
    while True:
        child.stdin.write(b'{"task": "add", "args": [1, 2]}\n')
        await asyncio.wait([asyncio.ensure_future(never.wait())], timeout=1 / 3)


async def measure(program, pid, clients):
    counts = {"events": 0, "cut": 0}
    jobs = [asyncio.create_task(listen(counts)) for _ in range(clients)]
    jobs.append(asyncio.create_task(submit(program)))
    await asyncio.wait(jobs, timeout=8)
    begun, cpu, events = time.monotonic(), web_seconds(pid), counts["events"]
    await asyncio.wait(jobs, timeout=MEASURED_S)
    passed = time.monotonic() - begun
    share = (web_seconds(pid) - cpu) / passed
    each = (counts["events"] - events) / clients / passed
    print(f"{clients} clients, {counts['cut']} cut, {each:.1f} events/s each: "
          f"{100 * share:.1f} % of a core")
    for job in jobs:
        job.cancel()


def main():
    program, samples = (os.path.abspath(path) for path in sys.argv[1:3])
    child = start(program, samples)
    try:
        until = time.monotonic() + 30
        ping = [program, "ping", "-q", "--control-plane-address", f"tcp://127.0.0.1:{FIRST + 3}"]
        while subprocess.run(ping, capture_output=True, check=False).returncode != 0:
            if time.monotonic() > until:
                raise SystemExit("the control plane does not come up")
        asyncio.run(measure(program, child.pid, int(sys.argv[3]) if len(sys.argv) > 3 else 1000))
    finally:
        child.kill()
        child.wait()


if __name__ == "__main__":
    main()

"""Runs a program beside a peer's server: with_server.py SERVER PROGRAM [ARG...]

SERVER is redis, gearmand (one thread), gearmand-default, nats (JetStream) or beanstalkd. It
has a free loopback port and ends, by its id, with the program. In the words {port} and {pid} are
the server's. To a figure that says of how many tasks it is, lines NAME-cpu-server and
NAME-cpu-all are added: CPU time for each, of the server, and of server, client and workers (those
the program has waited for).
What is not installed is named, and left out with exit status 0.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time

# What each is started with; nothing is written to disk.
COMMANDS = {
    "redis": ["redis-server", "--port", "{port}", "--bind", "127.0.0.1", "--save", "",
              "--appendonly", "no"],
    "gearmand": ["gearmand", "-t", "1", "-p", "{port}", "-L", "127.0.0.1", "-l", "stderr"],
    "gearmand-default": ["gearmand", "-p", "{port}", "-L", "127.0.0.1", "-l", "stderr"],
    "nats": ["nats-server", "-a", "127.0.0.1", "-p", "{port}", "-js", "-sd", "."],
    "beanstalkd": ["beanstalkd", "-l", "127.0.0.1", "-p", "{port}"],
}
# Debian puts some servers where only root looks.
PATHS = "/usr/local/bin:/usr/bin:/usr/local/sbin:/usr/sbin"


def program(name):
    """The path of a server's program, or None where it is not installed."""
    return shutil.which(COMMANDS[name][0]) or shutil.which(COMMANDS[name][0], path=PATHS)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def await_port(port, child):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and child.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(0.02)
    raise RuntimeError("%s does not listen" % child.args[0])


@contextlib.contextmanager
def running(name):
    """A server for the length of a with block: its port and its process id."""
    port = free_port()
    words = [word.format(port=port) for word in COMMANDS[name][1:]]
    with tempfile.TemporaryDirectory(prefix="fastworker-perf-") as folder:
        child = subprocess.Popen([program(name)] + words, cwd=folder, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            await_port(port, child)
            yield port, child.pid
        finally:
            child.kill()
            child.wait()


def cpu_us(pid):
    """Of all threads, user and system."""
    with open("/proc/%d/stat" % pid, encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1e6 / os.sysconf("SC_CLK_TCK")


def children_us():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1e6


def tell(text, server_us, others_us):
    """A program's lines, and what was spent on their tasks."""
    sys.stdout.write(text)
    for line in text.splitlines():
        figure = json.loads(line) if line.startswith("{") else {}
        if "tasks" not in figure:
            continue
        for name, spent in (("-cpu-server", server_us), ("-cpu-all", server_us + others_us)):
            print(json.dumps({"suite": figure["suite"], "name": figure["name"] + name,
                              "who": figure["who"], "value": spent / figure["tasks"],
                              "unit": "us"}))


def main():
    name, words = sys.argv[1], sys.argv[2:]
    missing = not program(name) and name or not shutil.which(words[0]) and words[0]
    if missing:
        print("perf: skipped, not there: " + missing, file=sys.stderr)
        return 0
    with running(name) as (port, pid):
        done = subprocess.run([word.format(port=port, pid=pid) for word in words],
                              stdout=subprocess.PIPE, text=True, check=False)
        tell(done.stdout, cpu_us(pid), children_us())
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())

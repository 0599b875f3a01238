"""Facts of the machine and of what was measured on it: without them a figure says nothing.

SPDX-License-Identifier: Apache-2.0
"""
import os
import platform
import re
import subprocess


def read(path, otherwise=""):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return otherwise


def first(pattern, text):
    found = re.search(pattern, text, re.M)
    return found.group(1).strip() if found else None


def said_by(*words):
    """The first line of what a program prints; None: it is not there."""
    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.splitlines()[0] if done.returncode == 0 and done.stdout else None


def package(name):
    return said_by("dpkg-query", "-W", "-f", "${Version}", name)


PEERS = ("libtbb-dev", "libconcurrentqueue-dev", "libck-dev", "librocksdb-dev", "libglib2.0-dev",
         "redis-server", "gearman-job-server", "beanstalkd", "nats-server", "python3-celery",
         "python3-rq", "libnng1", "liburcu8")


def facts(root, build):
    cpu = read("/proc/cpuinfo")
    cache = read(os.path.join(build, "CMakeCache.txt"))
    compiler = first(r"^CMAKE_C_COMPILER:[A-Z]+=(.*)$", cache) or "cc"
    return {
        "cpu": first(r"^model name\s*:(.*)$", cpu) or platform.machine(),
        "cpus": os.cpu_count(),
        "usable_cpus": len(os.sched_getaffinity(0)),
        "hypervisor": " hypervisor" in (first(r"^flags\s*:(.*)$", cpu) or ""),
        "memory_mb": int(first(r"^MemTotal:\s*(\d+)", read("/proc/meminfo")) or 0) // 1024,
        "kernel": platform.release(),
        "system": first(r'^PRETTY_NAME="(.*)"$', read("/etc/os-release")),
        "governor": read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").strip() or None,
        "load_before": os.getloadavg()[0],
        "compiler": said_by(compiler, "--version"),
        "build_type": first(r"^CMAKE_BUILD_TYPE:[A-Z]+=(.*)$", cache),
        "commit": said_by("git", "-C", root, "rev-parse", "--short=12", "HEAD"),
        "changed": said_by("git", "-C", root, "status", "--porcelain", "-uno") is not None,
        "packages": {name: version for name in PEERS if (version := package(name))},
    }

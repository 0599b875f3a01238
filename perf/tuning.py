"""One setting of the control plane at a time, over its values: tuning.py BUILD SETTING

For each value a control plane of its own: tasks a second with 4096 in flight (-rate), CPU time of
the control plane for each of them (-cpu), p50 and p99 of one call at a time (-p50, -p99), and of
tasks that burn 100 us, 64 in flight, how much of two CPUs they got (-busy).
SPDX-License-Identifier: Apache-2.0
"""
import sys

from place import Plane, say
from with_server import cpu_us

VALUES = {
    "threads": (1, 2, 4, 8, 64),
    "ring-size": (64, 512, 4096, 65536),
    "batch": (1, 8, 32, 128),
    "spin": ("off", "adaptive", 100, 1000, 10000),
    "steal": ("half", "one", "off"),
}
SECONDS = 1.5


def number(value):
    return "".join(c for c in str(value) if c.isdigit()) or str(value)


def measure(build, setting, value):
    def tell(what, figure, unit):
        say("tuning", "%s-%s-%s" % (setting, number(value), what), "ours", figure, unit)
    flags = ["--" + setting, str(value)]
    if setting != "threads":
        flags += ["--threads", "2"]
    with Plane(build, *flags, modules=("samples.so", "bench.so")) as plane:
        plane.load("results", "--seconds", 0.3)
        before = cpu_us(plane.child.pid)
        lines = plane.load("results", "--seconds", SECONDS)
        spent = cpu_us(plane.child.pid) - before
        tell("rate", lines["results"]["value"], "1/s")
        tell("cpu", spent / lines["results"]["tasks"], "us")
        lines = plane.load("call", "--seconds", SECONDS)
        for what in ("p50", "p99"):
            tell(what, lines["call-" + what]["value"], "us")
        lines = plane.load("results", "--task", "spin", "--args", "[100]", "--in-flight", 64,
                           "--seconds", SECONDS)
        tell("busy", lines["results"]["value"] * 100 / 1e4 / 2, "% of two CPUs")


def main():
    build, setting = sys.argv[1:3]
    for value in VALUES[setting]:
        measure(build, setting, value)
    return 0


if __name__ == "__main__":
    sys.exit(main())

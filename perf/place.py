"""A control plane of one's own for the length of a measurement, with settings of one's own.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests"))
from ports import free_block  # noqa: E402

PATIENCE_S = 60


def say(suite, name, who, value, unit, **more):
    print(json.dumps({"suite": suite, "name": name, "who": who, "value": value, "unit": unit,
                      **more}), flush=True)


class Children:
    """Programs that end with it. Used by `with`."""

    def __init__(self, build):
        self.build = build
        self.children = []

    def start(self, words):
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=sys.stderr)
        self.children.append(child)
        return child

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for child in reversed(self.children):
            child.kill()
            child.wait()

    def wait_until(self, condition, what):
        """While what was started last goes on."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.children[-1].wait(0.02)
                raise RuntimeError("%s has ended" % self.children[-1].args[:3])
            if time.monotonic() > deadline:
                raise RuntimeError("not within %d s: %s" % (PATIENCE_S, what))


class Plane(Children):
    """before: words to start the program with, such as valgrind's."""

    def __init__(self, build, *flags, before=(), dashboard=False, modules=("samples.so",)):
        super().__init__(build)
        block = free_block()
        self.base = "tcp://127.0.0.1:%d" % block
        self.discovery = "tcp://127.0.0.1:%d" % (block + 8)
        self.modules = ",".join(os.path.join(build, "modules", name) for name in modules)
        web = ["--gui-port", str(block + 14)] if dashboard else ["--no-gui"]
        local = [] if "--no-local" in flags else ["--task-modules", self.modules]
        self.words = [*before, os.path.join(build, "fastworker"), "control-plane", *web,
                      "--base-address", self.base, "--discovery-address", self.discovery,
                      "--log-level", "error", *local, *flags]

    def __enter__(self):
        self.child = self.start(self.words)
        self.wait_until(lambda: self.command("ping", "-q").returncode == 0, "it answers")
        return self

    def command(self, *words):
        return subprocess.run([os.path.join(self.build, "fastworker"), *words,
                               "--control-plane-address", self.base], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, check=False)

    def subworker(self, *flags, before=(), name="sw"):
        child = self.start([*before, os.path.join(self.build, "fastworker"), "subworker",
                            "--worker-id", name, "--control-plane-address", self.base,
                            "--base-address", "tcp://127.0.0.1:0", "--discovery-address",
                            self.discovery, "--task-modules", self.modules, "--log-level", "error",
                            *flags])
        self.wait_until(lambda: '"%s"' % name in self.command("workers", "--json").stdout,
                        "the subworker is there")
        return child

    def load(self, *words):
        """The lines of a client, by name."""
        done = subprocess.run([os.path.join(self.build, "perf", "client_load"), *map(str, words),
                               "--address", self.base], stdout=subprocess.PIPE, text=True,
                              check=True)
        return {line["name"]: line for line in map(json.loads, done.stdout.splitlines())}

    def stop(self, child):
        """Lets it end by itself, as valgrind wants it."""
        child.terminate()
        child.wait(PATIENCE_S)

#!/usr/bin/env python3
"""Runs the browser tests: run.py PROGRAM SAMPLES_MODULE [PATTERN]

Needs node, npm and Chromium; what package.json names is installed once, by npm, into
FW_BROWSER_CACHE or build/browser at the root of the source. Without one of them the tests are
skipped (exit status 77), or fail when FW_REQUIRE_VENV is set, as it is in ./check.
FW_SCREENSHOTS=FOLDER keeps pictures.
SPDX-License-Identifier: Apache-2.0
"""

import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
sys.path.insert(0, os.path.join(ROOT, "tests"))
import ports  # noqa: E402
SKIPPED = 77


def give_up(text):
    print(f"browser tests: {text}", file=sys.stderr)
    sys.exit(1 if os.environ.get("FW_REQUIRE_VENV") else SKIPPED)


def install(cache):
    """The packages in the cache, of the versions that package.json names."""
    wanted = os.path.join(HERE, "package.json")
    stamp = os.path.join(cache, "package.json")
    with open(wanted, "rb") as stream:
        text = stream.read()
    if os.path.exists(stamp) and os.path.isdir(os.path.join(cache, "node_modules", "axe-core")):
        with open(stamp, "rb") as stream:
            if stream.read() == text:
                return
    os.makedirs(cache, exist_ok=True)
    shutil.copyfile(wanted, stamp)
    done = subprocess.run(
        ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"],
        cwd=cache, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        os.remove(stamp)
        give_up(f"npm install failed: {done.stderr[-1500:]}")


def reserve_ports(wanted):
    """First ports of so many blocks, kept until the tests end."""
    blocks = []
    for _ in range(wanted):
        first, lock = ports.take_block()
        os.set_inheritable(lock, True)
        blocks.append(str(first))
    return " ".join(blocks)


def main():
    program, samples = (os.path.abspath(path) for path in sys.argv[1:3])
    chromium = os.environ.get("FW_CHROMIUM") or shutil.which("chromium") or \
        shutil.which("chromium-browser") or shutil.which("google-chrome")
    for name, found in (("node", shutil.which("node")), ("npm", shutil.which("npm")),
                        ("Chromium", chromium)):
        if not found:
            give_up(f"there is no {name}")
    cache = os.environ.get("FW_BROWSER_CACHE") or os.path.join(ROOT, "build", "browser")
    install(cache)
    os.environ.update(FASTWORKER_BIN=program, FW_SAMPLES=samples, FW_CHROMIUM=chromium,
                      FW_BROWSER_CACHE=cache, FW_PORTS=reserve_ports(4))
    if len(sys.argv) > 3:
        os.environ["FW_PATTERN"] = sys.argv[3]
    os.execvp("node", ["node", os.path.join(HERE, "browser_test.mjs")])


if __name__ == "__main__":
    main()

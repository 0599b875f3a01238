#!/usr/bin/env python3
"""Runs one test program of this folder with the Python that has FastWorker: run.py NAME [TEST...]

The environment is FW_VENV, or .venv at the root of the source, as ./check makes it. Without one the
tests are skipped (exit status 77), or fail when FW_REQUIRE_VENV is set, as it is in ./check.
SPDX-License-Identifier: Apache-2.0
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SKIPPED = 77


def main():
    root = os.path.dirname(os.path.dirname(HERE))
    venv = os.environ.get("FW_VENV") or os.path.join(root, ".venv")
    python = os.path.join(venv, "bin", "python")
    if not os.path.exists(python):
        print(f"{venv} has no Python with fastworker==0.3.0 and pynng: ./check makes one, "
              "or set FW_VENV", file=sys.stderr)
        sys.exit(1 if os.environ.get("FW_REQUIRE_VENV") else SKIPPED)
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    program = os.path.join(HERE, sys.argv[1] + ".py")
    os.execv(python, [python, program, *sys.argv[2:]])


if __name__ == "__main__":
    main()

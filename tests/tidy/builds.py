"""Rules that ask a compiler: header (each compiles alone) and symbols (all start with fw_).

SPDX-License-Identifier: Apache-2.0
"""

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

from tree import Finding

WARNINGS = ["-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only"]
# Symbols that sanitizers add.
FROM_TOOLS = ("__asan", "__odr_asan", "__tsan", "__ubsan", "__sancov", "_fini", "_init")


def compilers():
    """(compiler for C, compiler for C++); None where there is none."""
    c = shutil.which("gcc") or shutil.which("clang") or shutil.which("cc")
    cpp = shutil.which("g++") or shutil.which("clang++") or shutil.which("clang")
    return c, cpp


def rule_header(tree):
    headers = [s for s in tree.c_files() if s.path.endswith(".h") and not s.is_test]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for found in pool.map(lambda source: list(check_header(tree, source)), headers):
            yield from found


def check_header(tree, source):
    c, cpp = compilers()
    public = source.path.startswith(("include/fastworker/", "include/fastworker.h"))
    if c is None or (public and cpp is None):
        yield Finding(source.path, 1, "header", "no compiler for C and C++ here", "install one")
        return
    ways = [([c, "-x", "c", "-std=gnu11", "-D_GNU_SOURCE"], "C11")]
    if public:
        ways = [([c, "-x", "c", "-std=c11"], "C11"), ([cpp, "-x", "c++", "-std=c++11"], "C++11")]
    for command, language in ways:
        complaint = compile_alone(tree, source, command)
        if complaint:
            yield Finding(source.path, 1, "header", f"does not compile alone as {language}: "
                          f"{complaint}", "include what it uses")


def compile_alone(tree, source, command):
    """None, or the first thing the compiler says about a file that has only this include."""
    name = source.path[len("include/"):] if source.path.startswith("include/") else source.path
    program = f'#include "{name}"\nextern int fw_tidy_nothing;\n'
    done = subprocess.run(
        command + WARNINGS + ["-I", tree.full("include"), "-I", tree.root, "-"],
        input=program, capture_output=True, text=True, check=False, cwd=tree.root,
    )
    if done.returncode == 0:
        return None
    said = [line for line in done.stderr.splitlines() if "error" in line] or [done.stderr.strip()]
    return said[0].replace(tree.root + os.sep, "")


def rule_symbols(tree):
    if tree.build is None:
        return
    for folder, folders, files in os.walk(tree.build):
        folders[:] = sorted(f for f in folders if f not in ("tests", "perf", "CMakeFiles"))
        for name in sorted(files):
            if name.startswith("libfw_") and name.endswith(".a"):
                yield from archive_symbols(tree, os.path.join(folder, name))


def archive_symbols(tree, path):
    shown = os.path.relpath(path, tree.build)
    out = subprocess.run(["nm", "-g", "--defined-only", path], capture_output=True, text=True,
                         check=False).stdout
    member = ""
    for line in out.splitlines():
        words = line.split()
        if line.endswith(":"):
            member = line[:-1]
        elif len(words) == 3 and not words[2].startswith(("fw_", "fastworker_") + FROM_TOOLS):
            yield Finding(shown, 1, "symbols", f"{member} exports {words[2]}",
                          "make it static, or begin its name with fw_")

"""Rules about the repository: hygiene, twin (each file has its test), changelog.

SPDX-License-Identifier: Apache-2.0
"""

import os
import re

from tree import Finding

SIZE_MAX = 512 * 1024
HERE = "tests/tidy/"  # the checker and its tests name what they forbid

MACHINE_PATH = re.compile(r"(?<![\w.$}/:~-])/(?:home|work|root|Users|tmp)/[A-Za-z0-9_]")
REGISTRIES = re.compile(
    r"\b(?:[\w-]+\.)*(?:pypi\.org|pythonhosted\.org|debian\.org/debian|deb\.debian\.org"
    r"|security\.debian\.org|archive\.ubuntu\.com|registry\.npmjs\.org|crates\.io"
    r"|proxy\.golang\.org|rubygems\.org|repo\.maven\.apache\.org|registry-1\.docker\.io)\b"
)
ROOM_FOLDERS = ("include/base", "engine", "cache", "net", "web", "app", "modules")


def rule_hygiene(tree):
    for source in tree:
        if len(source.data) > SIZE_MAX:
            yield Finding(source.path, 1, "hygiene", f"{len(source.data)} bytes",
                          "generate it, or make it smaller than 512 KiB")
        yield from _executable(tree, source)
        if source.is_binary or not source.data:
            continue
        if not source.text.endswith("\n"):
            yield Finding(source.path, len(source.lines), "hygiene", "no line end at the end",
                          "end the last line")
        for number, line in enumerate(source.lines, 1):
            if line != line.rstrip():
                yield Finding(source.path, number, "hygiene", "white space at the end of the line",
                              "remove it")
            if not source.path.startswith(HERE):
                yield from _machine(source, number, line)


def _executable(tree, source):
    executable = os.access(tree.full(source.path), os.X_OK) and \
        os.stat(tree.full(source.path)).st_mode & 0o111
    if executable and not source.data.startswith(b"#!"):
        yield Finding(source.path, 1, "hygiene", "executable, but not a script",
                      "chmod -x, or begin it with #!")


def _machine(source, number, line):
    match = MACHINE_PATH.search(line)
    if match:
        yield Finding(source.path, number, "hygiene", f"path of one machine: {match.group()}...",
                      "use a path relative to the source, or mkdtemp below $TMPDIR")
    match = REGISTRIES.search(line)
    if match:
        yield Finding(source.path, number, "hygiene", f"registry host {match.group()}",
                      "let the user's own package tools decide where from")


def rule_twin(tree):
    tests = [s for s in tree if s.path.startswith("tests/") and "_test." in s.path]
    for source in tree.c_files():
        folder = next((f for f in ROOM_FOLDERS if source.path.startswith(f + "/")), None)
        if folder is None or not source.path.endswith(".c"):
            continue
        own = [t for t in tests if t.stem == source.stem + "_test"]
        named = [t for t in tests if names(t, source.path)]
        if not own and not named:
            room = os.path.basename(folder)
            yield Finding(source.path, 1, "twin", "has no test",
                          f"write tests/{room}/{source.stem}_test.c, or name {source.path} in the "
                          "first comment of the test that covers it")


def names(test, path):
    """Whether a test's first lines name a file, by its path or by its name."""
    head = "\n".join(test.lines[:5])
    if test.comments and test.comments[0].first <= 5:
        head += test.comments[0].text
    name = re.escape(os.path.basename(path))
    return path in head or re.search(rf"(?<![\w/]){name}\b", head) is not None


def rule_changelog(tree):
    build = tree.get("CMakeLists.txt")
    match = build and re.search(r"project\(\s*\w+\s+VERSION\s+([\d.]+)", build.text)
    if not match:
        return
    version = match.group(1)
    changes = tree.get("CHANGELOG.md") or tree.get("docs/CHANGELOG.md")
    if changes is None or not re.search(rf"^#+\s*\[?v?{re.escape(version)}\b", changes.text, re.M):
        yield Finding(changes.path if changes else "CHANGELOG.md", 1, "changelog",
                      f"no heading for version {version}", f"write '## {version}' and what is new")

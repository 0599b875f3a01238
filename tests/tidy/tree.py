"""The tree as the tidy test sees it: files, their text, and their text without comments.

SPDX-License-Identifier: Apache-2.0
"""

import os
import re
import subprocess
from dataclasses import dataclass, field
from functools import cached_property

C_SUFFIXES = (".c", ".h", ".cc", ".cpp", ".hpp")


@dataclass(frozen=True, order=True)
class Finding:
    """One violation: where it is, which rule, what is wrong, and what to write instead."""

    path: str
    line: int
    rule: str
    what: str
    instead: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.rule}: {self.what}; {self.instead}"


@dataclass
class Comment:
    """A comment, or line comments on adjacent lines: its lines (from 1) and its text."""

    first: int
    last: int
    text: str


TOKENS = re.compile(
    r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL
)


def blank(text):
    """The text with every character but line ends made a space."""
    return re.sub(r"[^\n]", " ", text)


@dataclass
class Source:
    """One file. Its name is relative to the root, with forward slashes."""

    root: str
    path: str
    data: bytes = field(repr=False, default=b"")

    @property
    def is_c(self):
        return self.path.endswith(C_SUFFIXES)

    @property
    def is_python(self):
        return self.path.endswith(".py") or self.data[:64].startswith(b"#!/usr/bin/env python")

    @property
    def is_test(self):
        """Also measurements, which follow the same relaxed rules."""
        return self.path.startswith(("tests/", "perf/"))

    @property
    def is_binary(self):
        return b"\0" in self.data

    @property
    def stem(self):
        return os.path.splitext(os.path.basename(self.path))[0]

    @cached_property
    def text(self):
        return self.data.decode("utf-8", "replace")

    @cached_property
    def lines(self):
        return self.text.split("\n")

    @cached_property
    def code(self):
        """C text with comments and the insides of literals made blank; columns and lines stay."""

        def cut(match):
            token = match.group()
            if token[0] == "/":
                return blank(token)
            return token[0] + blank(token[1:-1]) + token[-1]

        return TOKENS.sub(cut, self.text)

    @cached_property
    def code_lines(self):
        return self.code.split("\n")

    @cached_property
    def comments(self):
        found = []
        for match in TOKENS.finditer(self.text):
            if match.group()[0] != "/":
                continue
            first = self.text.count("\n", 0, match.start()) + 1
            last = first + match.group().count("\n")
            if match.group().startswith("//") and found and found[-1].last == first - 1:
                found[-1].last = last
                found[-1].text += "\n" + match.group()
            else:
                found.append(Comment(first, last, match.group()))
        return found

    def line_of(self, offset):
        return self.text.count("\n", 0, offset) + 1


class Tree:
    """All files of a checkout: tracked ones and new ones that are not ignored."""

    def __init__(self, root, build=None):
        self.root = os.path.abspath(root)
        self.build = build
        self.sources = {}
        for path in self._names():
            full = os.path.join(self.root, path)
            if os.path.isfile(full) and not os.path.islink(full):
                with open(full, "rb") as stream:
                    self.sources[path] = Source(self.root, path, stream.read())

    def _names(self):
        if os.path.exists(os.path.join(self.root, ".git")):
            out = subprocess.run(
                ["git", "-c", f"safe.directory={self.root}", "ls-files", "-z", "--cached",
                 "--others", "--exclude-standard"],
                cwd=self.root, check=True, capture_output=True,
            ).stdout
            return sorted({name for name in out.decode().split("\0") if name})
        names = []
        for folder, folders, files in os.walk(self.root):
            folders[:] = [f for f in folders if f not in ("build", ".git", ".venv", "__pycache__")]
            names += [os.path.relpath(os.path.join(folder, f), self.root) for f in files]
        return sorted(names)

    def __iter__(self):
        return iter(self.sources.values())

    def c_files(self):
        return [source for source in self if source.is_c]

    def get(self, path):
        return self.sources.get(path)

    def full(self, path):
        return os.path.join(self.root, path)

"""Rules about includes: layer (who may know whom) and owner (one home for each library).

SPDX-License-Identifier: Apache-2.0
"""

import os
import re

from tree import Finding

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')


class Rooms:
    """The table of rooms.txt."""

    def __init__(self, text):
        self.rooms = {}
        self.libraries = []
        for line in text.splitlines():
            line = line.split("#", 1)[0].strip()
            if not line:
                continue
            head, _, tail = line.partition(":")
            kind, name = head.split()
            if kind == "room":
                self.rooms[name] = tail.split()
            elif kind == "library":
                self.libraries.append((name, tail.split()))
            else:
                raise ValueError(f"rooms.txt: {line}")

    def room_of(self, path):
        """The longest folder of the table that holds the path, or None."""
        fitting = [room for room in self.rooms if path.startswith(room + "/")]
        return max(fitting, key=len, default=None)


def within(path, places):
    """Whether a path is one of the places, or below one that ends in a slash."""
    for place in places:
        if path == place or (place.endswith("/") and path.startswith(place)):
            return True
    return False


def includes(source):
    """(line number, header as written, quoted) for each #include of a file."""
    for number, line in enumerate(source.lines, 1):
        match = INCLUDE.match(line)
        # A directive inside a comment is blank in the code view.
        if match and "#" in source.code_lines[number - 1]:
            yield number, match.group(2), match.group(1) == '"'


def resolve(tree, source, header, quoted):
    """The file of the tree that a header names, or None for a header of the system."""
    places = [os.path.dirname(source.path)] if quoted else []
    for place in places + ["include", ""]:
        path = os.path.normpath(os.path.join(place, header))
        if tree.get(path):
            return path
    return None


def rule_layer(tree, rooms):
    for source in tree.c_files():
        room = rooms.room_of(source.path)
        if room is None:
            yield Finding(source.path, 1, "layer", "belongs to no room",
                          "move it into a room, or name its folder in tests/tidy/rooms.txt")
            continue
        allowed = rooms.rooms[room]
        if "*" in allowed:
            continue
        for number, header, quoted in includes(source):
            path = resolve(tree, source, header, quoted)
            if path is None or rooms.room_of(path) == room or within(path, allowed):
                continue
            # A room's inner folders are its own, as far as it is the outer one that looks in.
            if path.startswith(room + "/"):
                continue
            yield Finding(source.path, number, "layer", f"{room} may not include {path}",
                          f"it may include {' '.join(allowed)}; take what you need as a function "
                          "handed in at creation")


def rule_owner(tree, rooms):
    for source in tree.c_files():
        if source.path.startswith("tests/"):
            continue
        for number, header, quoted in includes(source):
            if resolve(tree, source, header, quoted):
                continue
            for prefix, owners in rooms.libraries:
                if header.startswith(prefix) and not within(source.path, owners):
                    yield Finding(source.path, number, "owner", f"<{header}> has another owner",
                                  f"only {' '.join(owners)} may include it; use what that offers")

#!/usr/bin/env python3
"""The tidy test: the house rules of docs/STYLE.md, held against every file of the tree.

Prints each violation as file:line: rule: what is wrong; what to write instead. Exit status 1 when
there is one. SPDX-License-Identifier: Apache-2.0
"""

import argparse
import os
import sys

import builds
import edges
import repository
import rooms
import shape
from tree import Tree

HERE = os.path.dirname(os.path.abspath(__file__))


def rules(table):
    """Every rule by name, as a function of the tree."""
    return {
        "layer": lambda tree: rooms.rule_layer(tree, table),
        "owner": lambda tree: rooms.rule_owner(tree, table),
        "atomic": edges.rule_atomic,
        "edge": edges.rule_edge,
        "header": builds.rule_header,
        "symbols": builds.rule_symbols,
        "size": shape.rule_size,
        "names": shape.rule_names,
        "words": shape.rule_words,
        "calls": shape.rule_calls,
        "hygiene": repository.rule_hygiene,
        "twin": repository.rule_twin,
        "changelog": repository.rule_changelog,
    }


def load_table(path=os.path.join(HERE, "rooms.txt")):
    with open(path, encoding="utf-8") as stream:
        return rooms.Rooms(stream.read())


def check(tree, table, only=None):
    """All findings, sorted by place."""
    found = []
    for name, rule in rules(table).items():
        if only is None or name in only:
            found += rule(tree)
    return sorted(found)


def main():
    parser = argparse.ArgumentParser(description="Check the house rules.")
    parser.add_argument("--root", default=os.path.join(HERE, "..", ".."))
    parser.add_argument("--build", help="build directory, for the rule about symbols")
    parser.add_argument("--rule", action="append", help="only this rule; may be repeated")
    parser.add_argument("--under", default="", help="report only files below this folder")
    arguments = parser.parse_args()
    unknown = set(arguments.rule or []) - set(rules(None))
    if unknown:
        parser.error(f"no such rule: {' '.join(sorted(unknown))}")
    tree = Tree(arguments.root, arguments.build)
    found = check(tree, load_table(), arguments.rule)
    found = [finding for finding in found if finding.path.startswith(arguments.under)]
    for finding in found:
        print(finding)
    print(f"tidy: {len(tree.sources)} files, {len(found)} findings", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

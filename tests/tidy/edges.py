"""Rules about memory order: atomic (one home for atomics) and edge (labels with two ends).

SPDX-License-Identifier: Apache-2.0
"""

import re

from tree import Finding

ATOMIC_HOME = "include/base/atomic.h"
FOREIGN = re.compile(
    r"\b(_Atomic|__atomic_\w+|__sync_\w+|ATOMIC_VAR_INIT|volatile"
    r"|atomic_(?:load|store|exchange|fetch|compare|init|thread)\w*)\b|<(?:stdatomic\.h|atomic)>"
)
ASSEMBLY = re.compile(r"\b(?:__asm__|asm)\s+(?:__volatile__|volatile)\b")
OPERATION = re.compile(
    r"\bfw_(load|store|swap|cas|add|sub|or|and|xor|fence)_(acquire|release|acq_rel|seq_cst)\s*\("
)
LABEL = re.compile(r"\[([a-z][a-z0-9_]*-[a-z0-9_-]+)\]\s*(acquire|release|acq_rel|seq_cst)\b")

# What the label of an operation may say: no more than the operation does.
SAYS = {
    "acquire": {"acquire"},
    "release": {"release"},
    "acq_rel": {"acquire", "release", "acq_rel"},
    "seq_cst": {"acquire", "release", "acq_rel", "seq_cst"},
}
BOTH = {"acquire", "release"}
NEAR = 3


def ends_of(order, word):
    """Which ends of an edge an operation is: an acq_rel is both whatever its label says; a seq_cst
    is what its label says, and both when that is seq_cst."""
    return BOTH if order == "acq_rel" or word in ("acq_rel", "seq_cst") else {word}


def rule_atomic(tree):
    for source in tree.c_files():
        if source.path == ATOMIC_HOME or not source.path.endswith((".c", ".h")):
            continue
        for number, line in enumerate(source.code_lines, 1):
            match = FOREIGN.search(ASSEMBLY.sub("", line))
            if match:
                yield Finding(source.path, number, "atomic",
                              f"{match.group()} outside {ATOMIC_HOME}",
                              "use the fw_ operations of base/atomic.h, named by their order")


def labels_near(source, line):
    """(label, word) of the comments that end at most NEAR lines above the line, or on it."""
    for comment in source.comments:
        if line - NEAR <= comment.last and comment.first <= line:
            for match in LABEL.finditer(comment.text):
                yield match.group(1), match.group(2)


def ordered_operations(source):
    """(line, order) of each ordered operation in the code of a file."""
    for match in OPERATION.finditer(source.code):
        yield source.line_of(match.start()), match.group(2)


def watched(tree):
    """Files in which edges carry labels: the program, not its tests."""
    return [s for s in tree.c_files() if s.path != ATOMIC_HOME and not s.is_test]


def rule_edge(tree):
    ends, places = {}, {}
    for source in watched(tree):
        for line, order in ordered_operations(source):
            labels = [(label, word) for label, word in labels_near(source, line)
                      if word in SAYS[order]]
            if not labels:
                yield Finding(source.path, line, "edge", f"{order} operation without a label",
                              f"write [{source.stem}-edge] {order}: and why, in the comment "
                              f"at most {NEAR} lines above")
            for label, word in labels:
                ends.setdefault(label, set()).update(ends_of(order, word))
                places.setdefault(label, (source.path, line))
        yield from _orphans(source)
    for label, seen in sorted(ends.items()):
        for missing in sorted(BOTH - seen):
            path, line = places[label]
            yield Finding(path, line, "edge", f"[{label}] has no {missing} end",
                          "label its other end, or order it: an edge needs both")


def _orphans(source):
    """Labels that stand above no operation of their order: what a weakened operation leaves."""
    operations = list(ordered_operations(source))
    for comment in source.comments[1:]:  # the first one is the file's idea and may speak of edges
        near = [order for line, order in operations
                if comment.first <= line <= comment.last + NEAR]
        for match in re.finditer(LABEL.pattern + ":", comment.text):
            if not any(match.group(2) in SAYS[order] for order in near):
                line = comment.first + comment.text.count("\n", 0, match.start())
                yield Finding(source.path, line, "edge",
                              f"[{match.group(1)}] {match.group(2)} stands above no such operation",
                              "order the operation as the label says, or move the label to it")

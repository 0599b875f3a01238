"""Compares base/json.c with Python's json module on made-up documents, whole and damaged.

Usage: json_compare.py PROGRAM [COUNT [SEED]]. What Python refuses we must refuse, what it accepts
we must accept and write back with equal meaning. Nesting beyond a thousand is left out.
SPDX-License-Identifier: Apache-2.0
"""

import json
import math
import random
import struct
import subprocess
import sys

CHARACTERS = 'ab"\\/\b\f\n\r\t\x00\x1f\x7f ~é€😀\ud800\udc00{}[]:,'
WHOLE = [0, -1, 2**31, -(2**63), 2**64, 2**80]
NUMBERS = WHOLE + [0.0, -0.0, 1.5, 1e16, 1e-5, 1e308, 5e-324, math.nan, math.inf, -math.inf]
PIECES = [b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"0", b"-", b".", b"e", b"N"]
PIECES += [b"\xed", b"\x80"]


def text(rng):
    return "".join(rng.choice(CHARACTERS) for _ in range(rng.choice([0, 1, 3, 15, 16, 17, 40])))


def number(rng):
    kind = rng.randrange(4)
    if kind == 0:
        return rng.choice(NUMBERS)
    if kind == 1:
        return rng.randrange(-(10**6), 10**6)
    if kind == 2:
        return math.ldexp(1.0, rng.randrange(-1070, 1020))
    return struct.unpack("<d", rng.randbytes(8))[0]


def value(rng, depth):
    kind = rng.randrange(9 if depth > 0 else 6)
    if kind < 2:
        return text(rng)
    if kind < 4:
        return number(rng)
    if kind < 6:
        return rng.choice([None, True, False])
    if kind == 6:
        return {text(rng): value(rng, depth - 1) for _ in range(rng.randrange(5))}
    return [value(rng, depth - 1) for _ in range(rng.randrange(5))]


def document(rng):
    separators = rng.choice([(", ", ": "), (",", ":"), (" ,\n", "\t:\r ")])
    ascii_only = rng.randrange(2) == 0
    dumped = json.dumps(value(rng, 5), ensure_ascii=ascii_only, separators=separators)
    return dumped.encode("utf-8", "surrogatepass")


def damage(rng, data):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            del data[at:]
        elif kind == 1:
            data[at : at + 1] = rng.choice(PIECES)
        elif kind == 2:
            data[at:at] = rng.randbytes(1)
        else:
            del data[at : at + 1]
    return bytes(data)


def normal(thing):
    """Equal meaning: lone surrogates are replaced, NaN equals NaN, integers differ from floats."""
    if isinstance(thing, str):
        pairs = thing.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return ("s", pairs)
    if isinstance(thing, float):
        return ("f", repr(thing))
    if isinstance(thing, bool) or thing is None:
        return ("c", thing)
    if isinstance(thing, int):
        return ("i", thing)
    if isinstance(thing, list):
        return ("a", [normal(x) for x in thing])
    return ("o", {normal(k)[1]: normal(v) for k, v in thing.items()})


def expected(data):
    try:
        return normal(json.loads(data.decode("utf-8")))
    except ValueError:
        return None


def as_python_writes(line):
    """Our text is what Python writes for the same value (it cannot repeat a key)."""
    repeated = []

    def members(pairs):
        if len(dict(pairs)) < len(pairs):
            repeated.append(pairs)
        return dict(pairs)

    again = json.dumps(json.loads(line, object_pairs_hook=members))
    return repeated or again.encode() == line


def main():
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 20000
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    rng = random.Random(seed)
    documents = []
    for i in range(count):
        data = document(rng)
        documents.append(damage(rng, data) if i % 2 else data)
    stream = b"".join(struct.pack("<I", len(d)) + d for d in documents)
    ran = subprocess.run([sys.argv[1]], input=stream, stdout=subprocess.PIPE, check=True)
    lines = ran.stdout.split(b"\n")
    good = 0
    for data, line in zip(documents, lines[:-1], strict=True):
        wanted = expected(data)
        got = None if line == b"invalid" else normal(json.loads(line.decode("ascii")))
        if got != wanted:
            sys.exit(f"seed {seed}: {data!r}\nours  : {line!r}\npython: {wanted!r}")
        if got is not None and not as_python_writes(line):
            sys.exit(f"seed {seed}: not as Python writes it: {line!r}")
        good += wanted is not None
    if not 0 < good < count:
        sys.exit("the documents are all of one kind")
    print(f"seed {seed}: {count} documents alike, {good} of them valid")


main()

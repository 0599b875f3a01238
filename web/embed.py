#!/usr/bin/env python3
"""Writes a C file that holds the dashboard's files: embed.py FOLDER OUT.

Each file below FOLDER becomes a row of fw_web_assets (web/assets.h): its path, its type, its bytes
as they are and compressed, and a tag made of them for each of the two. The same files always give
the same text. SPDX-License-Identifier: Apache-2.0
"""

import gzip
import hashlib
import os
import sys

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
PER_LINE = 24


def paths(folder):
    """Names below the folder with forward slashes, in a fixed order."""
    found = []
    for where, folders, files in os.walk(folder):
        folders.sort()
        found += [os.path.relpath(os.path.join(where, name), folder) for name in files]
    return sorted(name.replace(os.sep, "/") for name in found)


def array(name, data):
    rows = [data[i:i + PER_LINE] for i in range(0, len(data), PER_LINE)]
    lines = "\n".join("    " + "".join(f"{byte}," for byte in row) for row in rows)
    return f"static const unsigned char {name}[] = {{\n{lines}\n}};\n"


def main():
    folder, out = sys.argv[1:]
    arrays, table = [], []
    for number, path in enumerate(paths(folder)):
        with open(os.path.join(folder, path), "rb") as stream:
            plain = stream.read()
        small = gzip.compress(plain, 9, mtime=0)
        tag = hashlib.sha256(plain).hexdigest()[:16]
        kind = TYPES[os.path.splitext(path)[1]]
        arrays.append(array(f"plain_{number}", plain) + array(f"small_{number}", small))
        table.append(f'    {{.path = "/{path}",\n     .content_type = "{kind}",\n'
                     f'     .etag = "\\"{tag}\\"",\n     .bytes = plain_{number},\n'
                     f"     .len = sizeof plain_{number},\n"
                     f'     .gzip_etag = "\\"{tag}-gzip\\"",\n     .gzip_bytes = small_{number},\n'
                     f"     .gzip_len = sizeof small_{number}}},\n")
    text = ('#include "web/assets.h"\n' + "".join(arrays) +
            "const fw_web_asset fw_web_assets[] = {\n" + "".join(table) + "};\n"
            "const size_t fw_web_asset_count = sizeof fw_web_assets / sizeof fw_web_assets[0];\n")
    with open(out, "w", encoding="ascii") as stream:
        stream.write(text)


if __name__ == "__main__":
    main()

"""Rules about how code looks: size, names, words, calls.

SPDX-License-Identifier: Apache-2.0
"""

import ast
import re

from tree import Finding

LINE_MAX = 100
FILE_MAX = 500
FILE_MAX_TEST = 700
FUNCTION_MAX = 60
CODE_SUFFIXES = (
    ".c", ".h", ".cc", ".cpp", ".py", ".cmake", ".sh", ".js", "CMakeLists.txt"
)

EMPTY_NAMES = re.compile(r"(?:^|[/_.-])(utils?|common|helpers?|misc|managers?)(?=[/_.-]|$)", re.I)
EMPTY_NAMES_IN_C = re.compile(
    r"\bfw_(?:\w+_)?(?:utils?|common|helpers?|misc|managers?)(?:_\w+)?\s*\("
)
WORDS = re.compile(r"\b(TODO|FIXME|XXX)\b")

# Files of others, kept as they were released.
KEPT = ("web/assets/vendor/",)

BANNED = {
    "strcpy": "memcpy with a length that was checked",
    "strcat": "fw_buffer_text, or memcpy with a length that was checked",
    "stpcpy": "memcpy with a length that was checked",
    "sprintf": "snprintf, or fw_buffer_format",
    "vsprintf": "vsnprintf",
    "atoi": "strtol with all its checks, or fw_json_int",
    "atol": "strtol with all its checks, or fw_json_int",
    "atoll": "strtoll with all its checks, or fw_json_int",
    "atof": "strtod with all its checks, or fw_json_double",
    "strtok": "a loop over fw_span with memchr",
    "strtok_r": "a loop over fw_span with memchr",
    "gets": "fgets or getline",
}
BANNED_IN_TESTS = {
    "sleep": "wait for the condition itself",
    "usleep": "wait for the condition itself",
    "nanosleep": "wait for the condition itself",
    "clock_nanosleep": "wait for the condition itself",
    "thrd_sleep": "wait for the condition itself",
}
# The one place in the Python tests that may let time pass between two looks at a condition.
PYTHON_WAITING = ("tests/interop/harness.py", "tests/app/plane.py")


def rule_size(tree):
    for source in tree:
        if source.is_binary or source.path.startswith(KEPT):
            continue
        if not (source.path.endswith(CODE_SUFFIXES) or source.is_python):
            continue
        for number, line in enumerate(source.lines, 1):
            if len(line) > LINE_MAX:
                yield Finding(source.path, number, "size", f"line of {len(line)} columns",
                              f"break it at {LINE_MAX}")
        most = FILE_MAX_TEST if source.is_test else FILE_MAX
        count = source.text.count("\n")
        if count > most:
            yield Finding(source.path, count, "size", f"file of {count} lines",
                          f"split it by nouns, at most {most}")
        for number, name, length in functions(source):
            if length > FUNCTION_MAX:
                yield Finding(source.path, number, "size", f"{name} has {length} lines",
                              f"split it, at most {FUNCTION_MAX}")


def functions(source):
    """(line, name, lines) of each function. In C a function is what stands between a { and a } that
    are alone in column one, which is how clang-format writes it."""
    if source.is_python:
        for node in ast.walk(ast.parse(source.text, source.path)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield node.lineno, node.name, node.end_lineno - node.lineno + 1
        return
    if not source.is_c:
        return
    opened = None
    for number, line in enumerate(source.code_lines, 1):
        if line.rstrip() == "{":
            opened = number
        elif line.rstrip() == "}" and opened:
            yield opened, function_name(source, opened), number - opened + 1
            opened = None


def function_name(source, opened):
    head = " ".join(source.code_lines[max(0, opened - 6):opened - 1])
    names = re.findall(r"(\w+)\s*\(", head)
    return names[-1] if names else "function"


def rule_names(tree):
    for source in tree:
        match = EMPTY_NAMES.search(source.path)
        if match:
            yield Finding(source.path, 1, "names", f"'{match.group(1)}' says nothing",
                          "name the file after the noun it is about")
        if not source.is_c:
            continue
        for number, line in enumerate(source.code_lines, 1):
            match = EMPTY_NAMES_IN_C.search(line)
            if match:
                yield Finding(source.path, number, "names", f"'{match.group()[:-1]}' says nothing",
                              "name the function by noun and verb")


def rule_words(tree):
    for source in tree:
        if source.is_binary or source.path.startswith("tests/tidy/"):
            continue
        for number, line in enumerate(source.lines, 1):
            match = WORDS.search(line)
            if match:
                yield Finding(source.path, number, "words", match.group(),
                              "do it, or write down why it is so")


def rule_calls(tree):
    for source in tree:
        if source.is_c:
            yield from _c_calls(source)
        elif source.is_python and source.is_test and source.path not in PYTHON_WAITING:
            yield from _python_calls(source)


def _python_calls(source):
    for number, line in enumerate(source.lines, 1):
        if re.search(r"\b(?:time|asyncio)\.sleep\(", line):
            yield Finding(source.path, number, "calls", "sleep in a test",
                          "harness.wait_until, which watches the condition itself")


def _c_calls(source):
    banned = dict(BANNED)
    if source.path.startswith("tests/"):
        banned.update(BANNED_IN_TESTS)
    for match in re.finditer(r"(?<![\w.>])(\w+)\s*\(", source.code):
        name = match.group(1)
        if name in banned:
            yield Finding(source.path, source.line_of(match.start()), "calls", f"{name}()",
                          f"use {banned[name]}")

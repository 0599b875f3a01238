"""The documents that are made from the program are what the program makes.

SPDX-License-Identifier: Apache-2.0"""
import os
import re
import subprocess
import sys
import unittest

PROGRAM, ROOT = sys.argv[1], sys.argv[2]


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


class Documents(unittest.TestCase):
    def test_settings_are_the_table(self):
        made = subprocess.run([PROGRAM, "config", "document"], check=True, capture_output=True,
                              text=True).stdout
        self.assertIn(made, read("docs/SETTINGS.md"),
                      "docs/SETTINGS.md is behind the output of 'fastworker config document'")

    def test_default_file_is_accepted(self):
        text = subprocess.run([PROGRAM, "config", "dump-default"], check=True, capture_output=True,
                              text=True).stdout
        # Every key with its default switched on.
        text = re.sub(r"^# ([a-z-]+ = .*)$", r"\1", text, flags=re.M)
        path = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"fastworker-{os.getpid()}.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        try:
            done = subprocess.run([PROGRAM, "config", "check", "-c", path], capture_output=True,
                                  text=True)
        finally:
            os.unlink(path)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_metrics_in_the_code_are_documented(self):
        names = set(re.findall(r'"(fastworker_[a-z_]+)', read("app/http/metrics.c")))
        # "`a_bytes`, `_limit_bytes`" names two.
        documented = read("docs/METRICS.md")
        for name in sorted(names):
            tail = re.escape(name.split("_")[-1])
            self.assertTrue(name in documented or re.search(r"`_[a-z_]*" + tail + "`", documented),
                            f"docs/METRICS.md lacks {name}")

    def test_pains_name_tests_that_are_there(self):
        rows = re.findall(r"^\| (\d+) \|.*\|([^|]*)\|$", read("docs/PAINS.md"), flags=re.M)
        self.assertEqual([int(number) for number, _ in rows], list(range(1, 26)))
        for number, cell in rows:
            told = re.findall(r"`([^`]*)`", cell)
            self.assertTrue(told or "not yet" in cell, f"pain {number} names no test")
            for one in told:
                file, _, name = one.partition(": ")
                # What defines a test: in Python, in C, and in the browser's tests.
                form = {"py": rf"\bdef {re.escape(name)}\(", "mjs": rf'\btest\("{re.escape(name)}"',
                        "c": rf"^\w[\w *]*\b{re.escape(name)}\("}[file.rpartition(".")[2]]
                self.assertTrue(re.search(form, read(file), flags=re.M),
                                f"pain {number}: {file} has no {name}")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)

"""Tests of the tidy test: a clean tree has no findings, and each rule finds what was seeded for it.

Covers tidy.py, tree.py, rooms.py, edges.py, shape.py, builds.py and repository.py.
SPDX-License-Identifier: Apache-2.0
"""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import builds
import tidy
from tree import Tree

# A small world in which every rule has something to look at and nothing to say.
CLEAN = {
    "CMakeLists.txt": "project(fastworker VERSION 1.2.3 LANGUAGES C)\n",
    "CHANGELOG.md": "# Changes\n\n## 1.2.3\n\n* It stands.\n",
    "include/base/atomic.h": (
        "/* The home. */\n#include <stdatomic.h>\n#include <ck_pr.h>\n"
        "#define fw_load_acquire(p) atomic_load_explicit(p, memory_order_acquire)\n"
    ),
    "include/fastworker/types.h": "#include <stddef.h>\nint fw_version(size_t n);\n",
    "engine/engine.h": '#include "fastworker/types.h"\n',
    "engine/ring.c": (
        '/* A ring. volatile in words is fine. */\n#include "engine/engine.h"\n'
        '#include "base/atomic.h"\n'
        "int fw_ring_push(void)\n{\n"
        "    /* [ring-full] release: publishes the item. */\n"
        "    fw_store_release(&slot->turn, 1);\n}\n"
        "int fw_ring_pop(void)\n{\n"
        "    /* [ring-full] acquire: sees the item,\n     * which takes two lines. */\n"
        "    return fw_load_acquire(&slot->turn);\n}\n"
    ),
    "net/link.c": "#include <nng/nng.h>\n",
    "app/main.c": '#include "engine/engine.h"\n#include "app/commands/submit.h"\n',
    "app/commands/submit.h": '#include "fastworker/types.h"\n',
    "tests/engine/ring_test.c": '/* Tests ring. */\n#include <nng/nng.h>\n',
    "tests/net/link_test.c": "/* Tests link. */\n",
    "tests/app/main_test.c": "/* In its\n * first\n * comment,\n * a\n * long one: app/main.c */\n",
}


class Seeded(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.root)
        self.write(CLEAN)

    def write(self, files):
        for path, text in files.items():
            full = os.path.join(self.root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "wb") as stream:
                stream.write(text if isinstance(text, bytes) else text.encode())

    def findings(self, rule, files=None, build=None):
        self.write(files or {})
        return tidy.check(Tree(self.root, build), tidy.load_table(), [rule])

    def assert_one(self, rule, path, line, files, part=""):
        """Exactly one finding, at this place, that says this part and offers something instead."""
        found = self.findings(rule, files)
        self.assertEqual([(f.path, f.line) for f in found], [(path, line)], found)
        self.assertEqual(found[0].rule, rule)
        self.assertIn(part, str(found[0]))
        self.assertTrue(found[0].instead)

    def assert_none(self, rule, files):
        self.assertEqual(self.findings(rule, files), [])


class CleanTree(Seeded):
    def test_every_rule_is_silent(self):
        for rule in tidy.rules(None):
            if rule != "header":  # needs real headers of libraries
                self.assertEqual(self.findings(rule), [], rule)

    def test_program_answers_by_exit_status(self):
        command = [sys.executable, os.path.join(tidy.HERE, "tidy.py"), "--root", self.root,
                   "--rule", "words"]
        self.assertEqual(subprocess.run(command, capture_output=True, check=False).returncode, 0)
        self.write({"engine/ring.h": "/* TODO */\n"})
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertTrue(done.stdout.startswith("engine/ring.h:1: words: TODO"), done.stdout)


class Layer(Seeded):
    def test_room_includes_another_room(self):
        self.write({"cache/cache.h": "\n"})
        self.assert_one("layer", "engine/a.c", 2, {"engine/a.c": '\n#include "cache/cache.h"\n'},
                        "engine may not include cache/cache.h")

    def test_room_reaches_up_by_relative_path(self):
        self.write({"app/config.h": "\n"})
        self.assert_one("layer", "net/a.c", 1, {"net/a.c": '#include "../app/config.h"\n'})

    def test_angle_brackets_do_not_hide(self):
        self.write({"cache/cache.h": "\n"})
        self.assert_one("layer", "web/a.c", 1, {"web/a.c": "#include <cache/cache.h>\n"})

    def test_base_knows_no_public_header_but_types(self):
        self.write({"include/fastworker/client.h": "\n"})
        self.assert_one("layer", "include/base/a.h", 1,
                        {"include/base/a.h": '#include "fastworker/client.h"\n'})

    def test_app_opens_doors_only(self):
        self.write({"engine/ring.h": "\n"})
        self.assert_one("layer", "app/a.c", 1, {"app/a.c": '#include "engine/ring.h"\n'})

    def test_commands_know_public_headers_only(self):
        self.assert_one("layer", "app/commands/a.c", 1,
                        {"app/commands/a.c": '#include "engine/engine.h"\n'})
        self.write({"app/config.h": "\n"})
        self.assert_one("layer", "app/commands/a.c", 1,
                        {"app/commands/a.c": '#include "app/config.h"\n'})

    def test_folder_without_room(self):
        self.assert_one("layer", "attic/a.c", 1, {"attic/a.c": "\n"}, "belongs to no room")

    def test_include_in_a_comment_is_no_include(self):
        self.write({"cache/cache.h": "\n"})
        self.assert_none("layer", {"engine/a.c": '/*\n#include "cache/cache.h"\n*/\n'})


class Owner(Seeded):
    def test_each_library_stays_at_home(self):
        for header, place in (("nng/nng.h", "app/a.c"), ("urcu.h", "cache/a.c"),
                              ("urcu/urcu-bp.h", "include/base/rcu.h"), ("h2o.h", "net/a.c"),
                              ("ck_ring.h", "engine/a.c")):
            with self.subTest(header):
                self.assert_one("owner", place, 1, {place: f"#include <{header}>\n"}, header)
                os.remove(os.path.join(self.root, place))

    def test_homes_and_tests_are_free(self):
        self.assert_none("owner", {"perf/a.c": "#include <ck_ring.h>\n",
                                   "include/base/rcu.c": "#include <urcu-bp.h>\n",
                                   "tests/web/a.c": "#include <h2o.h>\n"})


class Atomic(Seeded):
    def test_spellings(self):
        for text in ("#include <stdatomic.h>", "static _Atomic int a;", "static volatile int a;",
                     "__atomic_store_n(&a, 1, 0);", "__sync_synchronize();",
                     "atomic_thread_fence(1);"):
            with self.subTest(text):
                self.assert_one("atomic", "net/a.c", 2, {"net/a.c": "\n" + text + "\n"})

    def test_words_and_assembly_are_free(self):
        self.assert_none("atomic", {
            "net/a.c": '/* volatile */\nchar *s = "_Atomic";\n__asm__ volatile("" ::: "memory");\n'
        })


class Edge(Seeded):
    RELEASE = "/* file */\n/* [a-b] release: out. */\nfw_store_release(&x, 1);\n"
    ACQUIRE = "/* file */\n/* [a-b] acquire: in. */\nfw_load_acquire(&x);\n"

    def test_both_ends_in_different_files(self):
        self.assert_none("edge", {"net/a.c": self.RELEASE, "net/b.c": self.ACQUIRE})

    def test_no_label(self):
        self.assert_one("edge", "net/a.c", 3, {"net/a.c": "/* file */\n\nfw_fence_seq_cst();\n"},
                        "without a label")

    def test_label_too_far(self):
        found = self.findings("edge", {
            "net/b.c": self.ACQUIRE,
            "net/a.c": "/* file */\n/* [a-b] release: out. */\n\n\n\nfw_store_release(&x, 1);\n",
        })
        self.assertEqual([(f.path, f.line) for f in found],
                         [("net/a.c", 2), ("net/a.c", 6), ("net/b.c", 3)])

    def test_wrong_word(self):
        found = self.findings("edge", {"net/a.c": self.RELEASE.replace("] release", "] acquire")})
        self.assertTrue(any("without a label" in f.what and f.line == 3 for f in found), found)

    def test_one_end_only(self):
        self.assert_one("edge", "net/a.c", 3, {"net/a.c": self.RELEASE}, "no acquire end")
        self.assert_one("edge", "net/a.c", 3, {"net/a.c": self.ACQUIRE}, "no release end")

    def test_weakened_to_relaxed(self):
        weak = self.RELEASE.replace("store_release", "store_relaxed")
        found = self.findings("edge", {"net/a.c": weak, "net/b.c": self.ACQUIRE})
        self.assertEqual({f.what for f in found}, {
            "[a-b] release stands above no such operation", "[a-b] has no release end"})

    def test_one_of_two_releases_weakened(self):
        weak = self.RELEASE.replace("store_release", "store_relaxed")
        self.assert_one("edge", "net/c.c", 2, {
            "net/a.c": self.RELEASE, "net/b.c": self.ACQUIRE, "net/c.c": weak})

    def test_acq_rel_and_seq_cst_are_both_ends(self):
        self.assert_none("edge", {
            "net/a.c": "/* f */\n/* [a-c] acquire: drops. */\nfw_sub_acq_rel(&x, 1);\n",
            "net/b.c": "/* f */\n/* [a-d] seq_cst: order. */\nfw_fence_seq_cst();\n"})

    def test_seq_cst_operation_may_be_one_end_of_another_edge(self):
        both = ("/* f */\n/* [a-d] seq_cst: order.\n * [a-b] release: out. */\n"
                "fw_or_seq_cst(&x, 1);\n")
        self.assert_none("edge", {"net/a.c": both, "net/b.c": self.ACQUIRE})
        self.assert_one("edge", "net/a.c", 4, {"net/a.c": both, "net/b.c": "\n"},
                        "[a-b] has no acquire end")

    def test_functions_named_like_orders_are_no_operations(self):
        self.assert_none("edge", {"net/a.c": "/* f */\nfw_task_release(engine, task);\n"})


class Header(Seeded):
    def setUp(self):
        super().setUp()
        if None in builds.compilers():
            self.skipTest("no compiler for C and C++ here")
        os.remove(os.path.join(self.root, "include/base/atomic.h"))

    def test_alone(self):
        self.assert_none("header", {"net/a.h": "#include <stddef.h>\nvoid fw_a(size_t n);\n"})
        self.assert_one("header", "net/b.h", 1, {"net/b.h": "void fw_b(size_t n);\n"}, "C11")

    def test_public_headers_are_also_cpp(self):
        self.assert_one("header", "include/fastworker/a.h", 1,
                        {"include/fastworker/a.h": "void fw_a(int class);\n"}, "C++")

    def test_public_headers_are_plain_c11(self):
        found = self.findings("header", {"include/fastworker/a.h": "typeof(1) fw_a(void);\n"})
        self.assertIn("alone as C11", " ".join(f.what for f in found))


class Symbols(Seeded):
    def test_foreign_prefix(self):
        build = os.path.join(self.root, "build", "engine")
        os.makedirs(build)
        compiler = builds.compilers()[0]
        if compiler is None or shutil.which("ar") is None:
            self.skipTest("no compiler here")
        subprocess.run([compiler, "-x", "c", "-c", "-o", os.path.join(build, "a.o"), "-"],
                       input=b"int fw_a; int ring_push(void) { return 0; } static int b(void);\n"
                             b"static int b(void) { return 1; } int fw_c(void) { return b(); }\n",
                       check=True)
        subprocess.run(["ar", "rcs", os.path.join(build, "libfw_engine.a"),
                        os.path.join(build, "a.o")], check=True)
        found = self.findings("symbols", build=os.path.join(self.root, "build"))
        self.assertEqual([f.what for f in found], ["a.o exports ring_push"])


class Size(Seeded):
    def test_line(self):
        self.assert_none("size", {"net/a.c": "/*" + "é" * 96 + "*/\n"})
        self.assert_one("size", "net/a.c", 2, {"net/a.c": "\n/*" + "x" * 97 + "*/\n"}, "101")

    def test_file(self):
        self.assert_none("size", {"net/a.c": "\n" * 500, "tests/net/a.c": "\n" * 700})
        self.assert_one("size", "net/a.c", 501, {"net/a.c": "\n" * 501})
        os.remove(os.path.join(self.root, "net/a.c"))
        self.assert_one("size", "tests/net/a.c", 701, {"tests/net/a.c": "\n" * 701})

    def test_function(self):
        body = "    x();\n"
        self.assert_none("size", {"net/a.c": "int fw_a(void)\n{\n" + body * 58 + "}\n"})
        self.assert_one("size", "net/a.c", 2,
                        {"net/a.c": "int fw_a(void)\n{\n" + body * 59 + "}\n"}, "fw_a has 61")

    def test_python_function(self):
        self.assert_one("size", "tests/a.py", 1, {"tests/a.py": "def a():\n" + "    b()\n" * 60})


class Names(Seeded):
    def test_files(self):
        for path in ("net/util.c", "net/string_utils.h", "tests/net/helpers.c", "web/common/a.js",
                     "app/task_manager.c", "docs/misc.md"):
            with self.subTest(path):
                self.assert_one("names", path, 1, {path: "\n"})
                os.remove(os.path.join(self.root, path))

    def test_functions(self):
        self.assert_one("names", "net/a.c", 1, {"net/a.c": "int fw_net_helper(void);\n"})
        self.assert_none("names", {"net/a.c": "int fw_net_manage(void); /* commonly */\n"})


class Words(Seeded):
    def test_words(self):
        for word in ("TODO", "FIXME", "XXX"):
            with self.subTest(word):
                self.assert_one("words", "docs/a.md", 1, {"docs/a.md": f"{word}: later\n"}, word)
        self.assert_none("words", {"docs/a.md": "mkdtemp fw-XXXXXX\n"})


class Calls(Seeded):
    def test_banned(self):
        for name in ("strcpy", "strcat", "sprintf", "atoi", "atol", "strtok", "gets"):
            with self.subTest(name):
                self.assert_one("calls", "net/a.c", 2, {"net/a.c": f"\n    {name}(a);\n"}, name)

    def test_sleep_in_tests_only(self):
        for name in ("sleep", "usleep", "nanosleep"):
            with self.subTest(name):
                self.write({"modules/samples.c": f"{name}(1);\n"})
                self.assert_one("calls", "tests/net/a.c", 1, {"tests/net/a.c": f"{name}(1);\n"})

    def test_sleep_in_python_tests(self):
        self.assert_one("calls", "tests/interop/a.py", 2,
                        {"tests/interop/a.py": "import time\ntime.sleep(1)\n"})

    def test_mentions_are_free(self):
        self.assert_none("calls", {
            "net/a.c": '/* strcpy(a) */\nputs("sprintf(x)");\nsnprintf(a);\ns->gets(1);\n'})


class Hygiene(Seeded):
    def test_machine_paths(self):
        for path in ("/home/me/x", "/work/main", "/root/x", "/tmp/x", "/Users/me"):
            with self.subTest(path):
                self.assert_one("hygiene", "docs/a.md", 1, {"docs/a.md": f"see {path}\n"})
        self.assert_none("hygiene", {
            "docs/a.md": "https://example.org/home/me ${TMPDIR:-/tmp}/x src/work/x /usr/lib\n"})

    def test_registries(self):
        for host in ("pypi.org", "files.pythonhosted.org", "deb.debian.org", "crates.io"):
            with self.subTest(host):
                self.assert_one("hygiene", "check", 1, {"check": f"get https://{host}/x\n"}, host)

    def test_large_file(self):
        self.assert_one("hygiene", "web/a.bin", 1, {"web/a.bin": b"\0" * (512 * 1024 + 1)})

    def test_white_space(self):
        self.assert_one("hygiene", "docs/a.md", 1, {"docs/a.md": "x \n"})
        self.assert_one("hygiene", "docs/a.md", 2, {"docs/a.md": "x\ny\t\n"})
        self.assert_one("hygiene", "docs/a.md", 1, {"docs/a.md": "x\r\ny\n"})

    def test_final_line_end(self):
        self.assert_one("hygiene", "docs/a.md", 1, {"docs/a.md": "x"})

    def test_executable(self):
        self.write({"docs/a.md": "x\n", "run": "#!/bin/sh\n"})
        os.chmod(os.path.join(self.root, "run"), 0o755)
        self.assert_none("hygiene", {})
        os.chmod(os.path.join(self.root, "docs/a.md"), 0o755)
        self.assert_one("hygiene", "docs/a.md", 1, {}, "executable")


class Twin(Seeded):
    def test_no_test(self):
        self.assert_one("twin", "cache/shard.c", 1, {"cache/shard.c": "\n"},
                        "tests/cache/shard_test.c")

    def test_named_elsewhere(self):
        self.assert_none("twin", {"cache/shard.c": "\n",
                                  "tests/cache/cache_test.c": "/* Also of shard.c. */\n"})

    def test_named_too_late(self):
        self.assert_one("twin", "cache/shard.c", 1, {
            "cache/shard.c": "\n", "tests/cache/cache_test.c": "\n" * 6 + "/* shard.c */\n"})

    def test_a_part_of_a_name_is_no_name(self):
        self.assert_one("twin", "cache/shard.c", 1, {
            "cache/shard.c": "\n", "tests/cache/cache_test.c": "/* old_shard.c */\n"})


class Changelog(Seeded):
    def test_version_without_heading(self):
        self.assert_one("changelog", "CHANGELOG.md", 1,
                        {"CMakeLists.txt": "project(fastworker VERSION 1.2.4)\n"}, "1.2.4")

    def test_no_changelog(self):
        os.remove(os.path.join(self.root, "CHANGELOG.md"))
        self.assert_one("changelog", "CHANGELOG.md", 1, {})


class Listing(Seeded):
    def test_ignored_files_are_not_looked_at(self):
        subprocess.run(["git", "init", "-q", self.root], check=True)
        self.write({".gitignore": "/out/\n", "out/a.c": "// TODO\n", "new.c": "// TODO\n"})
        self.assertEqual([f.path for f in self.findings("words")], ["new.c"])


if __name__ == "__main__":
    unittest.main()

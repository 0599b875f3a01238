"""What docs/RECIPES.md and docs/COMPOSITION.md tell people to type, typed.

Covers app/commands/submit_options.c.

Usage: recipes_test.py PROGRAM SAMPLES_MODULE SPDX-License-Identifier: Apache-2.0
"""

import json
import os
import pathlib
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import unittest
import urllib.request

from plane import LONG, PROGRAM, SAMPLES, free_block, main, wait_until

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
ROWS = 3000


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


def marked(db):
    return db.execute("SELECT count(*) FROM outbox WHERE sent = 1").fetchone()[0]


class Recipes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.first = free_block()
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        os.symlink(PROGRAM, os.path.join(cls.folder.name, "fastworker"))
        cls.env = {**os.environ, "PATH": cls.folder.name + ":" + os.environ["PATH"],
                   "FASTWORKER_CONTROL_PLANE_ADDRESS": f"tcp://127.0.0.1:{cls.first}"}
        cls.process = subprocess.Popen(
            [PROGRAM, "control-plane", "--base-address", f"tcp://127.0.0.1:{cls.first}",
             "--discovery-address", f"tcp://127.0.0.1:{cls.first + 6}", "--threads", "4",
             "--gui-port", str(cls.first + 9), "--task-modules", SAMPLES],
            stderr=subprocess.DEVNULL)
        cls.addClassCleanup(cls.process.wait)
        cls.addClassCleanup(cls.process.kill)
        wait_until(lambda: cls.run_words("fastworker", "ping", "-q").returncode == 0,
                   "a control plane")

    @classmethod
    def run_words(cls, *words):
        return subprocess.run(words, env=cls.env, cwd=cls.folder.name, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=LONG, check=False)

    def script(self, text):
        done = self.run_words("sh", "-e", "-c", text)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def end(self, task_id):
        def look():
            now = json.loads(self.run_words("fastworker", "status", task_id, "--json").stdout)
            return now if now["status"] in ("success", "failure", "cancelled") else None
        return wait_until(look, "the end of " + task_id)

    def started(self, task):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.first + 9}/metrics",
                                    timeout=LONG) as answer:
            found = re.findall(rf'tasks_started_total{{task="{task}",priority="normal"}} (\d+)',
                               answer.read().decode())
        return int(found[0]) if found else 0

    def test_composition(self):
        after, group, unique = blocks("COMPOSITION.md", "sh")
        self.script(after)
        self.assertEqual(self.end("resize")["result"], "resized")
        self.script(group)
        self.assertEqual(self.end("report")["result"], "done")
        told = self.script(unique)
        self.assertIn('"task_id": "one"', told)
        self.run_words("fastworker", "cancel", "one")

    def test_flags_are_options(self):
        refused = self.run_words("fastworker", "submit", "add", "1", "2", "--after", "nobody,other",
                                 "--on-failure", "run")
        self.assertIn("there is no task 'nobody'", refused.stderr)
        told = json.loads(self.script(
            "fastworker submit add 1 2 --id flags --json --group g --key k --unique u "
            "--unique-for 1h --expires 5m --on-failure run --then '{\"task\": \"echo\", "
            "\"args\": [4]}' --options '{\"headers\": {\"a\": \"b\"}}'"))
        self.assertEqual(told["result"], 3)
        self.assertEqual(self.end("flags.then")["result"], 4)
        again = json.loads(self.script("fastworker submit add 5 6 --json --unique u"))
        self.assertEqual((again["task_id"], again["result"]), ("flags", 3))
        # It fails three times, and waits nothing in between: the default is a minute and more.
        failed = self.run_words("fastworker", "submit", "fail", "x", "--max-retries", "2", "--json",
                                "--retry-delay", "0", "--retry-backoff", "1",
                                "--retry-backoff-max", "1m", "--retry-jitter", "0.5")
        self.assertEqual(json.loads(failed.stdout)["status"], "failure")
        for words in (("--expires", "soon"), ("--then", "[]"), ("--retry-backoff", "x")):
            wrong = self.run_words("fastworker", "submit", "add", "1", "2", *words)
            self.assertEqual(wrong.returncode, 2)

    def test_outbox(self):
        """Pain 25: relays die at any moment, and each row is one task."""
        table, = blocks("RECIPES.md", "sql")
        relay, = blocks("RECIPES.md", "python")
        path = os.path.join(self.folder.name, "relay.py")
        base = os.path.join(self.folder.name, "outbox.db")
        pathlib.Path(path).write_text(relay)
        db = sqlite3.connect(base, timeout=LONG)
        self.addCleanup(db.close)
        db.executescript(table)
        with db:
            db.executemany("INSERT INTO outbox (task, args) VALUES ('sha256', ?)",
                           [(json.dumps([f"row {i}"]),) for i in range(ROWS)])
        with self.assertRaises(ZeroDivisionError), db:
            db.execute("INSERT INTO outbox (task) VALUES ('primes')")
            raise ZeroDivisionError
        before = self.started("sha256")
        killed = 0
        while marked(db) < ROWS:
            relays = [subprocess.Popen([sys.executable, path, base], env=self.env,
                                       start_new_session=True, stderr=subprocess.DEVNULL)
                      for _ in range(2)]
            for one in relays:
                enough = marked(db) + random.randrange(ROWS // 10)
                wait_until(lambda: one.poll() is not None or marked(db) > enough, "some rows more")
                if one.poll() is None:
                    killed += 1
                    os.killpg(one.pid, signal.SIGKILL)
                    one.wait()
        self.assertGreater(killed, 0)
        for row in (1, ROWS // 2, ROWS):
            self.assertEqual(self.end(f"outbox-{row}")["status"], "success")
        wait_until(lambda: self.started("sha256") - before >= ROWS, "all of them")
        self.assertEqual(self.started("sha256") - before, ROWS)
        self.assertEqual(self.started("primes"), 0)


if __name__ == "__main__":
    main()

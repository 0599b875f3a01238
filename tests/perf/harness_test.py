"""perf/check and perf/report.py with seeded result files, perf/run's words, perf/model.

Usage: harness_test.py ROOT
SPDX-License-Identifier: Apache-2.0
"""
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.abspath(sys.argv[1])
LONG = float(os.environ.get("FW_PATIENCE", "60"))


def figure(suite, name, value, who="ours", unit="instructions", spread=0.0):
    values = [value * (1 - spread), value, value * (1 + spread)]
    return {"suite": suite, "name": name, "who": who, "unit": unit, "values": values,
            "median": value, "low": values[0], "high": values[2]}


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def file(self, name, figures, skipped=()):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8") as out:
            json.dump({"format": 1, "machine": {"cpu": "none", "cpus": 2}, "started": "then",
                       "rounds": 3, "figures": figures, "skipped": list(skipped)}, out)
        return path

    def run_tool(self, tool, *words):
        return subprocess.run([sys.executable, os.path.join(ROOT, "perf", tool), *words],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=LONG, check=False)


class Check(Case):
    def compare(self, before, after, *words):
        return self.run_tool("check", self.file("a.json", before), self.file("b.json", after),
                             *words)

    def test_same_is_fine(self):
        one = [figure("instructions", "full-task", 300), figure("instructions", "put", 900)]
        done = self.compare(one, one)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        self.assertTrue(done.stdout.endswith("0 regressions\n"))

    def test_more_instructions_are_told(self):
        done = self.compare([figure("i", "full-task", 300), figure("i", "put", 900)],
                            [figure("i", "full-task", 312), figure("i", "put", 901)])
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"(?m)^worse +i +full-task .*\+4\.0 %$")
        self.assertRegex(done.stdout, r"(?m)^same +i +put ")
        self.assertTrue(done.stdout.endswith("1 regressions\n"))

    def test_tolerance(self):
        before, after = [figure("i", "a", 1000)], [figure("i", "a", 1040)]
        self.assertEqual(self.compare(before, after, "--tolerance", "5").returncode, 0)
        self.assertEqual(self.compare(before, after, "--tolerance", "3.9").returncode, 1)

    def test_what_was_seen_before_is_no_regression(self):
        done = self.compare([figure("i", "a", 1000, spread=0.1)], [figure("i", "a", 1050)])
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_fewer_are_better(self):
        done = self.compare([figure("i", "a", 1000)], [figure("i", "a", 800)])
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout, r"(?m)^better +i +a ")

    def test_gone_is_a_regression_and_new_is_not(self):
        done = self.compare([figure("i", "a", 1000)], [figure("i", "b", 1000)])
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"(?m)^gone +i +a$")
        self.assertRegex(done.stdout, r"(?m)^new +i +b ")

    def test_times_and_peers_do_not_decide(self):
        def seen(factor):
            return [figure("i", "a", 1000), figure("w", "submit", 1e6 / factor, unit="1/s"),
                    figure("w", "p50", 10 * factor, unit="us"),
                    figure("i", "a", 1000 * factor, who="redis")]
        done = self.compare(seen(1), seen(10), "--all")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertRegex(done.stdout, r"(?m)^note +w +submit ")
        self.assertNotIn("redis", done.stdout)

    def test_files_that_cannot_be_compared(self):
        good = self.file("good.json", [figure("i", "a", 1000)])
        rates = self.file("rates.json", [figure("w", "a", 1000, unit="1/s")])
        other = os.path.join(self.folder.name, "other.json")
        with open(other, "w", encoding="utf-8") as out:
            out.write('{"format": 99, "figures": []}')
        broken = os.path.join(self.folder.name, "broken.json")
        with open(broken, "w", encoding="utf-8") as out:
            out.write('{"format": 1, "fig')
        for words in ((good, other), (other, good), (broken, good), (good, "absent.json"),
                      (rates, good)):
            done = self.run_tool("check", *words)
            self.assertEqual(done.returncode, 2, words)
            self.assertTrue(done.stderr.startswith("perf/check: "), done.stderr)


class Report(Case):
    def test_table_ratios_and_what_is_missing(self):
        path = self.file("r.json", [
            figure("wire", "submit", 2e6, unit="1/s"),
            figure("wire", "submit", 1e6, who="redis", unit="1/s"),
            figure("wire", "call-p50", 100, unit="us"),
            figure("wire", "call-p50", 150, who="redis", unit="us"),
            figure("memory", "bytes-per-task", 190, unit="bytes"),
        ], [{"what": "nats-server", "why": "is not installed"}])
        done = self.run_tool("report.py", path, "--to", self.folder.name)
        no_curves = "" if shutil.which("gnuplot") else "perf: skipped, not there: gnuplot\n"
        self.assertEqual((done.returncode, done.stderr), (0, no_curves))
        with open(os.path.join(self.folder.name, "results.md"), encoding="utf-8") as file:
            text = file.read()
        self.assertRegex(text, r"(?m)^\| submit \| .*2 M.* \| redis \| .*1 M.* \| 2\.00 \|")
        self.assertRegex(text, r"(?m)^\| call-p50 .* \| 1\.50 \|")
        self.assertRegex(text, r"(?m)^\| bytes-per-task .*190")
        self.assertIn("nats-server: is not installed", text)
        self.assertEqual(text, text.strip() + "\n")

    def test_goals(self):
        """The best of the peers counts; more is better, or less; what was not measured says so."""
        path = self.file("r.json", [
            figure("wire", "closed-loop-p50", 100, unit="us"),
            figure("wire", "closed-loop-p50", 140, who="redis", unit="us"),
            figure("wire", "closed-loop-p50", 120, who="gearmand -t 1", unit="us"),
            figure("wire", "submit-closed", 3e4, unit="1/s"),
            figure("wire", "submit-closed", 4e4, who="redis", unit="1/s"),
            figure("memory", "bytes-per-task", 120, unit="bytes"),
            figure("scale", "depth-1000-run", 100, unit="ns"),
            figure("scale", "depth-1000000-run", 150, unit="ns"),
        ])
        self.run_tool("report.py", path, "--to", self.folder.name)
        with open(os.path.join(self.folder.name, "results.md"), encoding="utf-8") as file:
            text = file.read()
        self.assertRegex(text, r"(?m)^\| C1 \| .*p50 .*\| 1\.2 \| reached \|$")
        self.assertRegex(text, r"(?m)^\| A1 .*\| 0\.75 \| missed \|$")
        self.assertRegex(text, r"(?m)^\| E1 .*<= 200 .*\| 120 \| stretch \|$")
        self.assertRegex(text, r"(?m)^\| S1 .*\| 1\.5 \| missed \|$")
        self.assertRegex(text, r"(?m)^\| B4 .*\| not measured \|  \|$")

    def test_not_a_result_file(self):
        done = self.run_tool("report.py", os.path.join(ROOT, "CMakePresets.json"), "--to",
                             self.folder.name)
        self.assertEqual(done.returncode, 2)


class Model(unittest.TestCase):
    """perf/model/machine.py against what can be calculated."""

    @classmethod
    def setUpClass(cls):
        spec = importlib.util.spec_from_file_location(
            "machine_model", os.path.join(ROOT, "perf", "model", "machine.py"))
        cls.model = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(cls.model)

    def test_one_core_is_its_work(self):
        rate, _ = self.model.simulate(1, 10000, 80)
        self.assertAlmostEqual(rate * 10000e-9, 1, delta=0.02)

    def test_more_cores_are_never_less_until_a_line_is_full(self):
        rates = [self.model.simulate(n, 10000, 80)[0] for n in (3, 6, 12)]
        self.assertAlmostEqual(rates[1] / rates[0], 2, delta=0.2)
        self.assertAlmostEqual(rates[2] / rates[1], 2, delta=0.2)

    def test_a_full_line_is_the_bound(self):
        name = "results: a shard's lock"
        who, every, hold, _, where = self.model.LINES[name]
        usual = dict(self.model.LINES)
        self.addCleanup(self.model.LINES.update, usual)
        self.model.LINES[name] = (who, every, hold, 1, where)
        bound = self.model.bounds(80)[name]
        rate, busy = self.model.simulate(32, 350, 80)
        self.assertLessEqual(rate, bound * 1.01)
        self.assertGreater(rate, bound * 0.9)
        self.assertGreater(busy[name], 0.9)


class Run(Case):
    def test_list_names_every_suite_of_the_readme(self):
        done = self.run_tool("run", "--list")
        self.assertEqual(done.returncode, 0, done.stderr)
        suites = {line.split()[0] for line in done.stdout.splitlines()}
        with open(os.path.join(ROOT, "perf", "README.md"), encoding="utf-8") as file:
            described = {line.split("|")[1].strip() for line in file if line.startswith("| ")}
        self.assertEqual(suites - described, set())

    def test_unknown_suite(self):
        done = self.run_tool("run", "--suite", "nothing")
        self.assertEqual(done.returncode, 2)
        self.assertIn("nothing", done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)

"""The command line of this project against a control plane of this project: C-150 to C-155, C-159.

SPDX-License-Identifier: Apache-2.0
"""

import json
import re

import harness
from harness import COUNTING, SAMPLES, OnePlane, Ports, task, tcp

# The table of docs/COMMANDS.md.
DONE, OTHER, USAGE, FAILURE, UNKNOWN, LATE, CANCELLED, NOBODY, CONFIG = 0, 1, 2, 3, 4, 5, 6, 69, 78
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"

OPTIONS = {
    "control-plane": ["--worker-id", "--base-address", "--discovery-address", "--subworker-port",
                      "--result-cache-size", "--result-cache-ttl", "--task-modules", "--no-gui",
                      "--gui-host", "--gui-port", "--concurrency"],
    "submit": ["--task-name", "--args", "--priority", "--non-blocking", "--countdown",
               "--discovery-address"],
    "list": ["--task-modules", "--list-periodic", "--tree"],
    "cancel": ["--task-id", "--discovery-address"],
    "status": ["--task-id", "--discovery-address"],
}


class CommandLine(OnePlane):
    def run_command(self, *arguments, env=None):
        """A command that finds the control plane of this test by its environment."""
        return self.run_program(*arguments, env={
            "FASTWORKER_DISCOVERY_ADDRESS": self.cp.discovery, **(env or {})})

    def submit(self, name, *arguments, options=(), env=None):
        words = ["--args", *arguments] if arguments else []
        return self.run_command("submit", "--task-name", name, *words, *options, env=env)

    def id_in(self, text):
        return re.search(rf"Task submitted with ID: ({UUID})", text).group(1)

    def test_C_150_options_of_0_3_0_are_in_the_help(self):
        for command, options in OPTIONS.items():
            for arguments in ((command, "--help"), ("help", command)):
                done = self.run_program(*arguments)
                self.assertEqual(done.returncode, 0, done.stderr)
                for option in options:
                    self.assertIn(option, done.stdout, arguments)

    def test_C_150_usage_errors(self):
        cases = [("nonsense",), ("submit",), ("submit", "--task-name"), ("status",), ("cancel",),
                 ("submit", "--task-name", "add", "--priority", "urgent"),
                 ("submit", "--task-name", "add", "--nonsense"),
                 ("--log-level", "LOUD", "list"), ("submit", "--priority", "high"),
                 ("submit", "--task-name", "add", "--countdown", "soon")]
        for arguments in cases:
            with self.subTest(arguments):
                done = self.run_command(*arguments)
                self.assertEqual(done.returncode, USAGE, done.stderr)
                self.assertTrue(done.stderr)
                self.assertEqual(done.stdout, "")

    def test_C_150_wrong_values_of_settings(self):
        for option, value in (("--concurrency", "many"), ("--gui-port", "70000"),
                              ("--result-cache-ttl", "-1"), ("--base-address", "udp://x:1")):
            done = self.run_program("control-plane", "--no-gui", option, value)
            self.assertEqual(done.returncode, CONFIG, done.stderr)
            self.assertIn(option, done.stderr)
            self.assertIn(value, done.stderr)

    def test_C_150_no_command_is_help(self):
        done = self.run_program()
        self.assertEqual(done.returncode, 0)
        self.assertIn("control-plane", done.stdout)

    def test_C_151_exit_statuses(self):
        good, bad, held = task("add", 5, 3), task("fail_with", "x"), self.hold("held")
        self.cp.submit(good)
        self.cp.submit(bad)
        request = self.cp.begin(held)
        self.wait_marks("+held")
        cases = [(("status", "--task-id", good["id"]), DONE),
                 (("status", "--task-id", "nobody"), UNKNOWN),
                 (("cancel", "--task-id", good["id"]), UNKNOWN),
                 (("cancel", "--task-id", "nobody"), UNKNOWN),
                 (("cancel", "--task-id", held["id"]), DONE),
                 (("submit", "--task-name", "fail_with", "--args", "x"), FAILURE),
                 (("submit", "--task-name", "nope"), FAILURE),
                 (("ping",), DONE)]
        for arguments, status in cases:
            with self.subTest(arguments):
                done = self.run_command(*arguments)
                self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        self.assertEqual(request.answer()["status"], "cancelled")

    def test_C_151_exit_status_as_in_python(self):
        for arguments in (("status", "--task-id", "nobody"), ("cancel", "--task-id", "nobody"),
                          ("submit", "--task-name", "fail_with", "--args", "x")):
            done = self.run_command(*arguments, env={"FASTWORKER_CLI_COMPAT_EXIT": "1"})
            self.assertEqual(done.returncode, 0, arguments)

    def test_C_151_nobody_there(self):
        nowhere = {"FASTWORKER_DISCOVERY_ADDRESS": tcp(Ports().discovery),
                   "FASTWORKER_TIMEOUT": "1"}
        for arguments in (("submit", "--task-name", "add"), ("status", "--task-id", "x"),
                          ("cancel", "--task-id", "x"), ("ping",)):
            done = self.run_command(*arguments, env=nowhere)
            self.assertEqual(done.returncode, NOBODY, arguments)
            self.assertIn(nowhere["FASTWORKER_DISCOVERY_ADDRESS"], done.stderr)
            self.assertIn("control-plane", done.stderr)

    def test_C_152_arguments_become_what_python_makes_of_them(self):
        cases = [("5", "5"), ("5.0", "5.0"), ("true", "true"), ("FALSE", "false"), ("abc", '"abc"'),
                 ("1e5", "100000.0"), ("nan", "NaN"), ("inf", "Infinity"), ("1_000", "1000"),
                 (" 7 ", "7"), ("0x10", '"0x10"'), ("-3", "-3"), ('"Q1"', r'"\"Q1\""'),
                 ("[1,2]", '"[1,2]"'), ("None", '"None"'), ("", '""'), ("+5", "5")]
        for text, wanted in cases:
            with self.subTest(text):
                done = self.submit("give_back", text)
                self.assertEqual(done.returncode, 0, done.stderr)
                answer = harness.ask(self.cp.address(4), {"task_id": self.id_in(done.stdout)})
                value = json.loads(answer)["result"]["result"]
                self.assertEqual(json.dumps(value), json.dumps(json.loads(wanted)))

    def test_C_153_lines_of_submit(self):
        done = self.submit("add", "5", "3")
        lines = done.stdout.splitlines()
        self.assertTrue(re.fullmatch(f"Task submitted with ID: {UUID}", lines[0]), lines)
        self.assertEqual(lines[1], "Waiting for result...")
        self.assertTrue(lines[2].startswith("Task result: "), lines)
        self.assertEqual(lines[3], "Result: 8")
        self.assertEqual(len(lines), 4)
        done = self.submit("fail_with", "no paper")
        self.assertEqual(done.stdout.splitlines()[-1], "Error: no paper")

    def test_C_153_lines_of_non_blocking_submit(self):
        done = self.submit("add", "5", "3", options=["--non-blocking"])
        task_id = self.id_in(done.stdout)
        self.assertEqual(done.stdout, f"Task submitted with ID: {task_id}\nTask ID: {task_id}\n")
        self.assert_success(self.cp.finished(task_id), 8)

    def test_C_153_lines_of_status_and_cancel(self):
        good, bad = task("add", 5, 3), task("fail_with", "no paper")
        answer = self.cp.submit(good)
        self.cp.submit(bad)
        said = self.run_command("status", "--task-id", good["id"]).stdout.splitlines()
        self.assertEqual(said[:3], [f"Task ID: {good['id']}", "Status: success", "Result: 8"])
        self.assertEqual(said[3][:len("Started at: ") + 19],
                         "Started at: " + answer["started_at"].replace("T", " ")[:19])
        self.assertTrue(said[4].startswith("Completed at: "), said)
        said = self.run_command("status", "--task-id", bad["id"]).stdout.splitlines()
        self.assertEqual(said[1:3], ["Status: failure", "Error: no paper"])
        said = self.run_command("status", "--task-id", "nobody").stdout
        self.assertIn("Task ID nobody not found or expired.", said)
        said = self.run_command("cancel", "--task-id", good["id"]).stdout
        self.assertEqual(said, f"Task {good['id']} could not be cancelled "
                               "(not found or already terminal)\n")

    def test_C_153_lines_of_cancel(self):
        held = self.hold("held")
        request = self.cp.begin(held)
        self.wait_marks("+held")
        said = self.run_command("cancel", "--task-id", held["id"]).stdout
        self.assertEqual(said, f"Task {held['id']} cancelled successfully\n")
        self.assertEqual(request.answer()["status"], "cancelled")

    def test_C_154_option_wins_over_environment(self):
        nowhere = {"FASTWORKER_DISCOVERY_ADDRESS": tcp(Ports().discovery),
                   "FASTWORKER_TIMEOUT": "2"}
        done = self.submit("add", "5", "3", options=["--discovery-address", self.cp.discovery],
                           env=nowhere)
        self.assertIn("Result: 8", done.stdout)

    def test_C_154_environment_of_a_control_plane(self):
        ports = Ports()
        plane = self.keep(harness.Process([harness.PROGRAM, "control-plane"], env={
            "FASTWORKER_BASE_ADDRESS": tcp(ports.base), "FASTWORKER_WORKER_ID": "from-env",
            "FASTWORKER_DISCOVERY_ADDRESS": tcp(ports.discovery), "FASTWORKER_GUI_PORT":
            str(ports.gui), "FASTWORKER_TASK_MODULES": COUNTING,
            "FASTWORKER_RESULT_CACHE_SIZE": "77"}))
        plane.ports = ports
        harness.Plane.wait_ready(proxy := Proxy(plane))
        status = proxy.api("status")
        self.assertEqual(status["worker_id"], "from-env")
        self.assertEqual(status["cache"]["max_size"], 77)
        self.assert_success(proxy.run("give_back", 5), 5)

    def test_C_155_lists_of_modules(self):
        for words in ((SAMPLES, COUNTING), (f"{SAMPLES},{COUNTING}",)):
            done = self.run_program("list", "--task-modules", *words)
            self.assertEqual(done.returncode, 0, done.stderr)
            lines = done.stdout.splitlines()
            self.assertEqual(lines[0], "Available tasks:")
            for name in ("add", "echo", "give_back"):
                self.assertIn(f"  - {name}", lines)

    def test_C_155_missing_module_is_fatal(self):
        ports = Ports()
        for command in (("list", "--task-modules", "./absent.so"),
                        ("control-plane", "--no-gui", "--base-address", tcp(ports.base),
                         "--discovery-address", tcp(ports.discovery), "--task-modules",
                         "./absent.so")):
            done = self.run_program(*command)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("absent.so", done.stderr)

    def test_C_159_tree(self):
        done = self.run_program("list", "--tree", "--task-modules", COUNTING)
        lines = done.stdout.splitlines()
        self.assertEqual(lines[0], "Task tree:")
        self.assertIn("└── counting", lines[1])
        self.assertTrue(any(line.endswith("├── count_file") for line in lines), lines)
        done = self.run_program("list", "--list-periodic", "--task-modules", COUNTING)
        self.assertEqual(done.stdout, "No periodic tasks registered.\n")

    def test_all_priorities_and_delays(self):
        for priority in harness.PRIORITIES:
            done = self.submit("add", "5", "3", options=["--priority", priority])
            self.assertIn("Result: 8", done.stdout)
        done = self.submit("count_file", self.path("runs"), options=["--countdown", "1"])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.marks("runs"), ["."])


class Proxy:
    """The requests of Plane for a control plane that was started otherwise."""

    def __init__(self, process):
        self.process, self.ports = process, process.ports

    def __getattr__(self, name):
        member = getattr(harness.Plane, name, None)
        if member is None:
            return getattr(self.process, name)
        return member.__get__(self) if callable(member) else member.fget(self)


if __name__ == "__main__":
    harness.main()

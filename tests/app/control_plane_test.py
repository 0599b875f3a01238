"""The program as its users see it, from the command line and over HTTP, without Python FastWorker.

Covers app/main.c, app/house.c, app/control_plane.c, app/life/intake.c, app/life/ending.c,
app/life/questions.c, app/life/lifecycle.c, app/life/record.c, app/http/status.c, app/http/http.c,
app/http/http_upstream.c, app/http/metrics.c, app/settings/config_command.c.
SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import signal
import socket
import struct
import subprocess
import unittest
import urllib.error
import urllib.request

from plane import LONG, PROGRAM, SAMPLES, free_block, main, wait_until


STUBBORN = os.path.join(os.path.dirname(SAMPLES), "stubborn.so")


class Peer:
    """A REQ peer made of bytes, so that it can have many requests open."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=LONG)
        self.socket.sendall(b"\0SP\0\0\x30\0\0")
        self.file = self.socket.makefile("rb")
        self.file.read(8)
        self.next = 0x80000000

    def send(self, *messages):
        for message in messages:
            body = json.dumps(message).encode()
            self.next += 1
            self.socket.sendall(struct.pack(">QI", len(body) + 4, self.next) + body)

    def receive(self):
        size = struct.unpack(">Q", self.file.read(8))[0]
        return json.loads(self.file.read(size)[4:])

    def close(self):
        self.file.close()
        self.socket.close()


class Plane:
    def __init__(self, *flags):
        for tries in range(5):
            self.start(flags)
            if "event=ready" in self.log:
                return
            # Somebody else took a port between the look and the start: another block.
            if "in use" not in self.log or tries == 4:
                raise AssertionError("did not start: " + self.log)
            self.end()

    def start(self, flags):
        first = free_block()
        self.base, self.gui = f"tcp://127.0.0.1:{first}", first + 9
        self.process = subprocess.Popen(
            [PROGRAM, "control-plane", "--base-address", self.base, "--discovery-address",
             f"tcp://127.0.0.1:{first + 6}", "--gui-port", str(self.gui), "--task-modules", SAMPLES,
             *flags], stderr=subprocess.PIPE, text=True)
        self.log = ""
        while "event=ready" not in self.log:
            line = self.process.stderr.readline()
            if not line:
                return
            self.log += line

    def run(self, *words, stdin=None):
        return subprocess.run([PROGRAM, words[0], "--control-plane-address", self.base, *words[1:]],
                              capture_output=True, text=True, input=stdin, timeout=LONG)

    def status(self, task_id):
        return json.loads(self.run("status", "--task-id", task_id, "--json").stdout)["status"]

    def get(self, path, method="GET", headers=()):
        request = urllib.request.Request(f"http://127.0.0.1:{self.gui}{path}", method=method,
                                         headers=dict(headers))
        with urllib.request.urlopen(request, timeout=LONG) as answer:
            return answer.read().decode()

    def json(self, path, method="GET"):
        return json.loads(self.get(path, method))

    def metric(self, line):
        for text in self.get("/metrics").splitlines():
            if text.startswith(line + " "):
                return float(text.rsplit(" ", 1)[1])
        return 0.0

    def hold(self, task_id, priority="normal"):
        """A task that runs until it is cancelled."""
        done = self.run("submit", "sleep", "600", "--id", task_id, "--priority", priority,
                        "--non-blocking")
        assert done.returncode == 0, done.stderr

    def end(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.log += self.process.communicate(timeout=LONG)[1]
        return self.process.returncode


class Case(unittest.TestCase):
    def plane(self, *flags):
        plane = Plane(*flags)
        self.addCleanup(plane.end, signal.SIGKILL)
        return plane


class Api(Case):
    def test_status_has_upstreams_members(self):
        plane = self.plane()
        self.assertEqual(plane.run("submit", "add", "5", "3").returncode, 0)
        status = plane.json("/api/status")
        self.assertEqual(set(status), {
            "worker_id", "running", "base_address", "discovery_address", "uptime_seconds",
            "subworkers", "tasks", "cache", "timestamp"})
        # The answer leaves before the thread has counted the end.
        wait_until(lambda: plane.json("/api/status")["tasks"] ==
                   {"queued": 0, "active": 0, "cached_results": 1}, "one result, nothing running")
        self.assertEqual(status["cache"]["max_size"], 10000)
        self.assertGreater(plane.json("/api/status")["uptime_seconds"], status["uptime_seconds"])
        workers = plane.json("/api/workers")
        self.assertEqual(workers["count"], 1)
        self.assertTrue(workers["workers"][0]["is_control_plane"])
        names = [task["name"] for task in plane.json("/api/registered-tasks")["tasks"]]
        self.assertEqual(set(names), {"add", "echo", "sleep", "fail", "sha256", "primes"})

    def test_tasks_are_listed_filtered_and_paged(self):
        plane = self.plane()
        for i in range(5):
            plane.run("submit", "echo", str(i))
        plane.run("submit", "fail", "no paper", "--priority", "high")
        page = plane.json("/api/tasks?limit=2&offset=1")
        self.assertEqual((page["total"], len(page["tasks"])), (6, 2))
        failed = plane.json("/api/tasks?status=failure")
        self.assertEqual(failed["total"], 1)
        task = failed["tasks"][0]
        self.assertEqual((task["name"], task["error"], task["priority"], task["result"]),
                         ("fail", "no paper", "high", None))
        for query, total in (("name=echo", 5), ("priority=high", 1), ("priority=low", 0),
                             ("name=echo&status=failure", 0), ("name=fail&priority=high", 1)):
            self.assertEqual(plane.json("/api/tasks?" + query)["total"], total, query)
        self.assertEqual(plane.json("/api/tasks?offset=99")["tasks"], [])
        self.assertEqual(plane.json("/api/cache")["by_status"], {"success": 5, "failure": 1})

    def test_cancel_ends_a_running_task(self):
        plane = self.plane()
        plane.hold("held")
        wait_until(lambda: plane.status("held") == "running", "running")
        self.assertTrue(plane.json("/api/tasks/held/cancel", "POST")["cancelled"])
        wait_until(lambda: plane.status("held") == "cancelled", "cancelled")
        for path in ("/api/tasks/held/cancel", "/api/tasks/nobody/cancel"):
            with self.assertRaises(urllib.error.HTTPError) as caught:
                plane.get(path, "POST")
            self.assertEqual(caught.exception.code, 404)
            caught.exception.close()

    def test_queues_show_what_waits(self):
        plane = self.plane("--threads", "1")
        plane.hold("held", "low")
        wait_until(lambda: plane.status("held") == "running", "running")
        for _ in range(3):
            plane.run("submit", "add", "1", "2", "--priority", "high", "--non-blocking")
        queues = plane.json("/api/queues")
        self.assertEqual((queues["total_queued"], queues["queues"]["high"]["count"]), (3, 3))
        self.assertEqual(plane.metric('fastworker_queue_tasks{priority="high"}'), 3)
        plane.run("cancel", "--task-id", "held")
        wait_until(lambda: plane.json("/api/queues")["total_queued"] == 0, "drained")


class Life(Case):
    def test_priorities_are_strict_and_order_is_kept_within_one(self):
        plane = self.plane("--threads", "1")
        plane.hold("held")
        wait_until(lambda: plane.status("held") == "running", "running")
        lines = []
        for priority in ("low", "normal", "high", "critical"):
            for i in range(40):
                lines.append({"id": f"{priority}-{i}", "task": "echo", "args": [i],
                              "priority": priority})
        done = plane.run("submit", "--stdin", "--json", "--non-blocking",
                         stdin="".join(json.dumps(line) + "\n" for line in lines))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([json.loads(line)["task_id"] for line in done.stdout.splitlines()],
                         [line["id"] for line in lines])
        plane.run("cancel", "--task-id", "held")
        wait_until(lambda: plane.status("low-39") == "success", "all done")
        tasks = plane.json("/api/tasks?limit=500")["tasks"]
        started = {t["task_id"]: t["started_at"] for t in tasks if t["name"] == "echo"}
        wanted = [f"{p}-{i}" for p in ("critical", "high", "normal", "low") for i in range(40)]
        times = [started[task_id] for task_id in wanted]
        # Microseconds: neighbours may have the same one.
        self.assertEqual(times, sorted(times))

    def test_every_policy_runs_everything(self):
        for flags in (("--priority-policy", "weighted"),
                      ("--priority-policy", "aging", "--priority-aging", "50ms"),
                      ("--steal", "off"), ("--spin", "200", "--affinity", "compact"),
                      ("--ring-size", "4", "--batch", "1", "--threads", "3")):
            with self.subTest(flags):
                plane = self.plane("--no-gui", *flags)
                levels = ("low", "normal", "high", "critical")
                lines = [json.dumps({"task": "add", "args": [i, 1], "priority": levels[i % 4]})
                         for i in range(400)]
                done = plane.run("submit", "--stdin", "--json", stdin="\n".join(lines) + "\n")
                self.assertEqual(done.returncode, 0, done.stderr)
                results = [json.loads(line)["result"] for line in done.stdout.splitlines()]
                self.assertEqual(results, [i + 1 for i in range(400)])
                self.assertEqual(plane.end(), 0, plane.log)

    def test_a_full_queue_refuses_and_loses_nothing(self):
        plane = self.plane("--threads", "1", "--queue-max", "4")
        plane.hold("held")
        codes = [plane.run("submit", "add", str(i), "1", "--non-blocking", "--id",
                           f"t{i}").returncode for i in range(8)]
        self.assertIn(0, codes)
        self.assertIn(75, codes)
        plane.run("cancel", "--task-id", "held")
        for i, code in enumerate(codes):
            if code == 0:
                wait_until(lambda i=i: plane.status(f"t{i}") == "success", f"t{i}")
        self.assertGreaterEqual(plane.metric('fastworker_tasks_rejected_total{reason="full"}'), 1)

    def test_sigterm_finishes_what_runs_and_answers_what_waits(self):
        plane = self.plane("--threads", "1", "--no-gui")
        client = subprocess.Popen([PROGRAM, "submit", "--control-plane-address", plane.base,
                                   "--json", "--id", "short", "sleep", "1"],
                                  stdout=subprocess.PIPE, text=True)
        wait_until(lambda: plane.status("short") == "running", "running")
        self.assertEqual(plane.end(), 0, plane.log)
        self.assertEqual(json.loads(client.communicate(timeout=LONG)[0])["status"],
                         "success")

    def test_sigterm_ends_within_its_limit(self):
        plane = self.plane("--threads", "1", "--no-gui", "--shutdown-timeout", "1")
        plane.hold("stuck")
        plane.run("submit", "add", "1", "2", "--non-blocking", "--id", "behind")
        client = subprocess.Popen([PROGRAM, "status", "--control-plane-address", plane.base,
                                   "--json", "--task-id", "behind", "--wait", "60"],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        wait_until(lambda: plane.status("stuck") == "running", "running")
        self.assertEqual(plane.end(), 0, plane.log)
        self.assertIn("stop.limit", plane.log)
        client.communicate(timeout=LONG)

    def test_a_call_that_never_returns_does_not_keep_the_program(self):
        plane = self.plane("--no-gui", "--shutdown-timeout", "1", "--task-modules", STUBBORN)
        done = plane.run("submit", "stubborn", "600.0", "--timeout", "0.3", "--json")
        self.assertEqual(json.loads(done.stdout)["error"], "Task timed out after 0.3s")
        self.assertEqual(plane.end(), 0, plane.log)
        self.assertIn("does not come back", plane.log)

    def test_an_end_is_not_told_before_it_is_stored(self):
        plane = self.plane("--no-gui")
        port = int(plane.base.rsplit(":", 1)[1])
        submitter, asker = Peer(port + 2), Peer(port + 4)
        self.addCleanup(submitter.close)
        self.addCleanup(asker.close)
        for i in range(500):
            task_id = f"race-{i}"
            submitter.send({"id": task_id, "name": "add", "args": [2, 3], "retry_count": 0})
            asker.send(*[{"task_id": task_id, "native": {"v": 1}}] * 12)
            for _ in range(12):
                result = asker.receive().get("result")
                if result and result["status"] == "success":
                    self.assertEqual(result["result"], 5)
            self.assertEqual(submitter.receive()["result"], 5)

    def test_a_second_signal_ends_at_once(self):
        plane = self.plane("--threads", "1", "--no-gui", "--shutdown-timeout", "600")
        plane.hold("stuck")
        wait_until(lambda: plane.status("stuck") == "running", "running")
        plane.process.send_signal(signal.SIGTERM)
        while "event=stop " not in plane.log:
            plane.log += plane.process.stderr.readline()
        self.assertEqual(plane.end(), 143, plane.log)


class Config(Case):
    def program(self, *words, **environment):
        return subprocess.run([PROGRAM, *words], capture_output=True, text=True, timeout=LONG,
                              env={**os.environ, **environment})

    def test_show_says_where_a_value_is_from(self):
        done = self.program("config", "show", "--json", "--batch", "7", FASTWORKER_SPIN="off")
        shown = json.loads(done.stdout)
        self.assertEqual(shown["batch"], {"value": "7", "origin": "flag"})
        self.assertEqual(shown["spin"], {"value": "off", "origin": "environment"})
        self.assertEqual(shown["steal"], {"value": "half", "origin": "default"})

    def test_a_wrong_variable_is_named(self):
        done = self.program("control-plane", FASTWORKER_RING_SIZE="1000")
        self.assertEqual(done.returncode, 78)
        for part in ("FASTWORKER_RING_SIZE", "'1000'", "power of two"):
            self.assertIn(part, done.stderr)

    def test_misspelt_words_get_a_suggestion(self):
        done = self.program("sumbit")
        self.assertEqual(done.returncode, 2)
        self.assertIn("did you mean 'submit'", done.stderr)
        done = self.program("control-plane", "--thread", "2")
        self.assertEqual(done.returncode, 2)
        self.assertIn("did you mean '--threads'", done.stderr)

    def test_a_missing_module_is_fatal(self):
        done = self.program("control-plane", "--task-modules", "/nowhere/none.so")
        self.assertEqual(done.returncode, 78)
        self.assertIn("/nowhere/none.so", done.stderr)


if __name__ == "__main__":
    main()

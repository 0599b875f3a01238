"""Events: what a subscriber of the PUB port hears, and `fastworker events`.

Covers app/events/events.c, app/events/event_posts.c, app/commands/events.c, net/client_events.c.
SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import signal
import socket
import struct
import subprocess
import tempfile
import time
import urllib.request
import uuid

from control_plane_test import Case, Peer
from plane import LONG, PROGRAM, SAMPLES, main, wait_until

DISCOVERY_AFTER_BASE = 6  # as control_plane_test.Plane has it


def messages(port, own, peer):
    """SP messages of a listener, as bytes on a plain connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=LONG) as connection:
        connection.sendall(b"\0SP\0\0" + bytes([own]) + b"\0\0")
        with connection.makefile("rb") as file:
            assert file.read(8) == b"\0SP\0\0" + bytes([peer]) + b"\0\0"
            while True:
                size, = struct.unpack(">Q", file.read(8))
                yield file.read(size)


class Subscriber:
    def __init__(self, plane):
        discovery = int(plane.base.rsplit(":", 1)[1]) + DISCOVERY_AFTER_BASE
        bus = messages(discovery, 0x70, 0x70)
        caps = next(m for m in bus if m.startswith(b"FASTWORKER_CAPS:"))
        bus.close()
        pub = json.loads(caps.split(b":", 1)[1])["pub"]
        self.stream = messages(int(pub.rsplit(":", 1)[1]), 0x21, 0x20)
        next(self.stream)  # greeted: from here on everything is heard

    def next(self):
        until = time.monotonic() + LONG
        for message in self.stream:
            assert time.monotonic() < until, "no event"
            topic, text = message.split(b"\n", 1)
            if topic.startswith(b"fw1/event/"):
                event = json.loads(text)
                assert event["event"] == topic.decode()[len("fw1/event/"):], message
                return event
        return None

    def until(self, name, **members):
        """Events up to and with the one that is wanted."""
        heard = []
        until = time.monotonic() + LONG  # announcements come every second, so reading goes on
        while time.monotonic() < until:
            heard.append(self.next())
            if heard[-1]["event"] == name and all(heard[-1].get(key) == value
                                                  for key, value in members.items()):
                return heard
        raise AssertionError(f"never {name}, but {heard}")

    def close(self):
        self.stream.close()


class Events(Case):
    def subscriber(self, plane):
        subscriber = Subscriber(plane)
        self.addCleanup(subscriber.close)
        return subscriber

    def test_a_task_from_submission_to_success(self):
        plane = self.plane("--worker-id", "cp one")
        heard = self.subscriber(plane)
        plane.run("submit", "add", "5", "3", "--id", "sum", "--priority", "high")
        events = heard.until("task.succeeded")
        self.assertEqual([e["event"] for e in events],
                         ["task.submitted", "task.started", "task.succeeded"])
        for event in events:
            self.assertEqual((event["task_id"], event["task"], event["priority"]),
                             ("sum", "add", "high"))
            self.assertGreater(event["ts"], 1.7e9)
        numbers = [e["id"] for e in events]
        self.assertEqual(numbers, list(range(numbers[0], numbers[0] + 3)))
        self.assertEqual(events[1]["attempt"], 1)
        self.assertEqual(events[2]["attempt"], 1)
        self.assertEqual(events[1]["worker"], "cp one")
        self.assertEqual(events[2]["worker"], "cp one")
        self.assertGreaterEqual(events[2]["dur_ms"], 0)
        self.assertNotIn("error", events[2])
        # An id that the control plane makes up.
        plane.run("submit", "echo", "1")
        self.assertRegex(heard.until("task.succeeded")[-1]["task_id"], r"^[0-9a-f-]{36}$")

    def test_failure_retry_death_and_a_second_life(self):
        plane = self.plane()
        heard = self.subscriber(plane)
        peer = Peer(int(plane.base.rsplit(":", 1)[1]) + 2)
        self.addCleanup(peer.close)
        task_id = str(uuid.uuid4())
        peer.send({"id": task_id, "name": "fail", "args": ["no paper " + "ä" * 500],
                   "max_retries": 1, "retry_delay": 0.01, "native": {"v": 1, "reply": "accepted"}})
        events = heard.until("task.dead")
        self.assertEqual([e["event"] for e in events],
                         ["task.submitted", "task.started", "task.retried", "task.started",
                          "task.failed", "task.dead"])
        retried = events[2]
        self.assertEqual((retried["attempt"], events[3]["attempt"]), (1, 2))
        self.assertAlmostEqual(retried["delay_s"], 0.01, delta=0.01)
        for event in (retried, events[-1]):
            self.assertTrue(event["error"].startswith("no paper ää"))
            self.assertLessEqual(len(event["error"].encode()), 256)
        self.assertEqual(events[-1]["attempt"], 2)
        plane.run("dead", "retry", task_id)
        self.assertEqual(heard.until("task.submitted")[-1]["task_id"], task_id)

    def test_delay_cancel_unknown_names_and_limits(self):
        plane = self.plane()
        heard = self.subscriber(plane)
        plane.run("submit", "add", "1", "2", "--id", "later", "--countdown", "600",
                  "--non-blocking")
        scheduled = heard.until("task.scheduled")[-1]
        self.assertEqual(scheduled["task_id"], "later")
        self.assertTrue(590 < scheduled["delay_s"] <= 600)
        plane.run("cancel", "later")
        cancelled = heard.until("task.cancelled")[-1]
        self.assertEqual((cancelled["task_id"], cancelled["error"]), ("later", "Task cancelled"))
        self.assertNotIn("dur_ms", cancelled)
        plane.run("pause", "--task", "add", "--for", "5m")
        self.assertEqual(heard.until("queue.paused")[-1]["task"], "add")
        plane.run("unpause", "--all")
        self.assertIs(heard.until("queue.resumed")[-1]["all"], True)

    def test_schedules_and_subworkers(self):
        plane = self.plane()
        heard = self.subscriber(plane)
        plane.run("schedule", "put", "night", "@every 1h", "add", "1", "2")
        plane.run("schedule", "trigger", "night")
        ran = heard.until("schedule.ran")[-1]
        self.assertEqual((ran["schedule"], ran["task"]), ("night", "add"))
        self.assertEqual(heard.until("task.succeeded")[-1]["task_id"], ran["task_id"])
        log = tempfile.TemporaryFile()
        self.addCleanup(log.close)
        worker = subprocess.Popen(
            [PROGRAM, "subworker", "--worker-id", "sw1", "--control-plane-address", plane.base,
             "--task-modules", SAMPLES],
            stdout=log, stderr=log)
        self.addCleanup(worker.wait)
        self.addCleanup(worker.kill)
        self.assertEqual(heard.until("worker.joined")[-1]["worker"], "sw1")
        worker.kill()
        lost = heard.until("worker.lost")[-1]
        self.assertEqual(lost["worker"], "sw1")
        self.assertTrue(lost["error"])

    def test_work_elsewhere_names_the_worker(self):
        plane = self.plane("--no-local")
        heard = self.subscriber(plane)
        log = tempfile.TemporaryFile()
        self.addCleanup(log.close)
        worker = subprocess.Popen(
            [PROGRAM, "subworker", "--worker-id", "far", "--control-plane-address", plane.base,
             "--task-modules", SAMPLES],
            stdout=log, stderr=log)
        self.addCleanup(worker.wait)
        self.addCleanup(worker.kill)
        heard.until("worker.joined")
        plane.run("submit", "add", "5", "3", "--id", "sum")
        events = heard.until("task.succeeded")
        self.assertEqual([(e["event"], e.get("worker")) for e in events],
                         [("task.submitted", None), ("task.started", "far"),
                          ("task.succeeded", "far")])

    def test_work_over_http_names_the_worker(self):
        plane = self.plane("--no-local")
        heard = self.subscriber(plane)

        def post(path, **body):
            request = urllib.request.Request(
                f"http://127.0.0.1:{plane.gui}/api/v1/worker/{path}", method="POST",
                data=json.dumps(body).encode(), headers={"content-type": "application/json"})
            with urllib.request.urlopen(request, timeout=LONG) as answer:
                return json.loads(answer.read())
        plane.run("submit", "add", "5", "3", "--non-blocking")
        task, = post("poll", worker="w1", tasks=["add"], wait=60)["tasks"]
        post(task["lease"] + ":complete", result=8)
        events = heard.until("task.succeeded")
        self.assertEqual([(e["event"], e.get("worker")) for e in events
                          if e["event"].startswith("task.")],
                         [("task.submitted", None), ("task.started", "w1"),
                          ("task.succeeded", "w1")])

    def test_nobody_hears_nothing_is_told(self):
        plane = self.plane()
        plane.run("submit", "add", "5", "3")
        self.assertEqual(plane.metric("fastworker_events_listeners"), 0)
        heard = self.subscriber(plane)
        wait_until(lambda: plane.metric("fastworker_events_listeners") == 1, "a listener")
        plane.run("submit", "add", "5", "3")
        self.assertEqual(heard.until("task.succeeded")[-1]["id"], 3)
        wait_until(lambda: plane.metric("fastworker_events_told_total") == 3, "three told")
        self.assertEqual(plane.metric('fastworker_events_dropped_total{reason="ring"}'), 0)
        # It leaves: the next event finds out.
        heard.close()

        def unheard():
            plane.run("submit", "add", "5", "3")
            return plane.metric("fastworker_events_listeners") == 0
        wait_until(unheard, "nobody listens")

    def test_a_token_keeps_events_from_those_who_cannot_tell_it(self):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write("secret\n")
            file.flush()
            plane = self.plane("--token-file", file.name, "--token-exempt", "none")
            self.subscriber(plane)
            plane.run("submit", "add", "5", "3", "--token-file", file.name)
            self.assertEqual(plane.metric("fastworker_events_listeners"), 0)
            other = self.plane("--token-file", file.name)
            heard = self.subscriber(other)
            other.run("submit", "add", "5", "3", "--token-file", file.name)
            heard.until("task.succeeded")

    def test_the_dashboards_stream_has_them_too(self):
        plane = self.plane()
        stream = urllib.request.urlopen(f"http://127.0.0.1:{plane.gui}/api/v1/events", timeout=LONG)
        self.addCleanup(stream.close)
        stream.readline()  # it stands
        wait_until(lambda: plane.metric("fastworker_events_listeners") == 1, "a listener")
        plane.run("submit", "add", "5", "3", "--id", "sum")
        until = time.monotonic() + LONG
        for line in stream:
            self.assertLess(time.monotonic(), until)
            if line.startswith(b"data:") and b"task.succeeded" in line:
                break
        self.assertEqual(json.loads(line[5:])["task_id"], "sum")

    def test_a_flood_is_told_or_counted(self):
        plane = self.plane("--result-cache-size", "100")
        heard = self.subscriber(plane)
        lines = "".join(json.dumps({"task": "echo", "args": [i]}) + "\n" for i in range(20000))
        done = plane.run("submit", "--stdin", "--non-blocking", stdin=lines)
        self.assertEqual(done.returncode, 0, done.stderr)
        wait_until(lambda: sum(plane.metric(
            f'fastworker_events_{name}') for name in
            ("told_total", 'dropped_total{reason="ring"}')) >= 60000, "all accounted for")
        told = plane.metric("fastworker_events_told_total")
        missed = plane.metric('fastworker_events_dropped_total{reason="subscriber"}')
        self.assertGreater(heard.next()["id"], 0)
        self.assertLess(missed, told)


class Command(Case):
    def follow(self, plane, *flags):
        discovery = int(plane.base.rsplit(":", 1)[1]) + DISCOVERY_AFTER_BASE
        child = subprocess.Popen(
            [PROGRAM, "events", "--discovery-address", f"tcp://127.0.0.1:{discovery}", *flags],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.stderr.close)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        self.assertIn("listening", child.stderr.readline())
        return child

    def test_lines_for_people_and_a_clean_end(self):
        plane = self.plane()
        child = self.follow(plane)
        plane.run("submit", "fail", "two\nlines", "--id", "f")
        lines = [child.stdout.readline() for _ in range(3)]
        self.assertRegex(lines[0], r"^\d\d:\d\d:\d\d\.\d{3} task\.submitted task=fail id=f "
                                   r"prio=normal\n$")
        self.assertRegex(lines[2], r"task\.failed .*worker=control-plane ms=[0-9.]+ "
                                   r"error=two lines\n$")
        child.send_signal(signal.SIGINT)
        self.assertEqual(child.wait(LONG), 0)

    def test_json_pattern_and_count(self):
        plane = self.plane()
        child = self.follow(plane, "--json", "--name", "task.succ*", "-n", "2")
        other = self.follow(plane, "--json", "--name", "echo", "-n", "1")
        for word in ("add", "echo"):
            plane.run("submit", word, *(["1", "2"] if word == "add" else ["1"]))
        out, _ = child.communicate(timeout=LONG)
        self.assertEqual(child.returncode, 0)
        self.assertEqual([(e["event"], e["task"]) for e in map(json.loads, out.splitlines())],
                         [("task.succeeded", "add"), ("task.succeeded", "echo")])
        out, _ = other.communicate(timeout=LONG)
        self.assertEqual(json.loads(out)["event"], "task.submitted")

    def test_the_control_plane_ends(self):
        plane = self.plane()
        child = self.follow(plane)
        plane.end()
        self.assertEqual(child.wait(LONG), 69)

    def test_nobody_there_and_wrong_words(self):
        nobody = subprocess.run([PROGRAM, "events", "--discovery-address", "tcp://127.0.0.1:9"],
                                capture_output=True, text=True, timeout=LONG)
        self.assertEqual(nobody.returncode, 69, nobody.stderr)
        for flags in (["what"], ["-n", "0"], ["-n", "x"]):
            wrong = subprocess.run([PROGRAM, "events", *flags], capture_output=True, text=True,
                                   timeout=LONG)
            self.assertEqual(wrong.returncode, 2, flags)


if __name__ == "__main__":
    main()

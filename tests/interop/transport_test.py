"""Transport and encoding: C-001 to C-019 with unmodified Python peers and with raw sockets.

SPDX-License-Identifier: Apache-2.0
"""

import asyncio
import datetime
import json
import pickle
import random
import re
import socket
import struct
import time
import warnings

import harness
from fastworker.clients.client import Client
from fastworker.tasks.models import TaskPriority, TaskResult
from fastworker.tasks.serializer import SerializationFormat
from harness import QUERY, REGISTRATION, OnePlane, ask, task, tcp, wait_until

REQ0, PUB0, PAIR0, SURVEYOR0 = 0x30, 0x20, 0x10, 0x62
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def raw_connection(port):
    connection = socket.create_connection(("127.0.0.1", port), timeout=harness.LONG)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def hello(protocol):
    return b"\0SP\0" + struct.pack(">HH", protocol, 0)


def shake_hands(port, protocol=REQ0):
    """A connection after the SP handshake."""
    connection = raw_connection(port)
    connection.sendall(hello(protocol))
    answer = b""
    while len(answer) < 8:
        more = connection.recv(8 - len(answer))
        if not more:
            break
        answer += more
    return connection, answer


def is_closed(connection):
    """Waits for the other side to close."""
    try:
        while connection.recv(4096):
            pass
    except ConnectionError:
        pass
    return True


class Transport(OnePlane):
    flags = ("--concurrency", "2", "--threads", "2")

    def request_ports(self):
        return range(self.cp.ports.base, self.cp.ports.base + 6)

    def test_C_001_python_command_line_prints_the_result(self):
        done = self.run_program("--log-level", "ERROR", "submit", "--discovery-address",
                                self.cp.discovery, "--task-name", "add", "--args", "5", "3",
                                program=harness.PYTHON_PROGRAM)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("Result: 8", done.stdout.splitlines())

    def test_C_002_handshake_is_prompt_while_all_slots_are_busy(self):
        held = [self.cp.begin(self.hold(f"t{i}")) for i in range(4)]
        wait_until(lambda: len(self.marks()) == 2, "both slots are busy")
        for port in self.request_ports():
            times = []
            for _ in range(5):  # the best of five: the machine may be busy as well
                begun = time.monotonic()
                connection, answer = shake_hands(port)
                times.append(time.monotonic() - begun)
                connection.close()
                self.assertEqual(answer, hello(0x31))
            self.assertLess(min(times), 0.1)
        self.open_gate()
        for request in held:
            self.assert_success(request.answer())

    def test_C_003_wrong_protocol_number_closes_that_connection_only(self):
        good, _ = shake_hands(self.cp.ports.base + 2)
        for protocol in (PUB0, PAIR0, SURVEYOR0, 0x31, 0, 0xFFFF):
            for port in self.request_ports():
                connection, _ = shake_hands(port, protocol)
                self.assertTrue(is_closed(connection), hex(protocol))
                connection.close()
        body = struct.pack(">I", 0x80000001) + json.dumps(task("add", 1, 2)).encode()
        good.sendall(struct.pack(">Q", len(body)) + body)
        length = struct.unpack(">Q", good.recv(8, socket.MSG_WAITALL))[0]
        answer = good.recv(length, socket.MSG_WAITALL)
        self.assertEqual(answer[:4], body[:4])
        self.assertEqual(json.loads(answer[4:])["result"], 3)
        good.close()

    def test_C_004_fifty_concurrent_clients_each_get_their_own_result(self):
        async def submit_all():
            client = self.cp.client()
            await client.start()
            answers = await asyncio.gather(*[
                client.submit_task("after", (random.random() * 0.05, [number, "x" * number]))
                for number in range(50)])
            client.stop()
            return answers
        for number, result in enumerate(asyncio.run(submit_all())):
            self.assertEqual(result.status.value, "success", result)
            self.assertEqual(result.result, [number, "x" * number])

    def test_C_005_sixty_four_open_requests_do_not_stop_the_next(self):
        held = [self.cp.begin(self.hold(f"t{i}", gate="gate5", log="log5")) for i in range(64)]
        wait_until(lambda: len(self.marks("log5")) == 2, "both slots are busy")
        last = task("add", 1, 2)
        request = self.cp.begin(last)
        # It is known although it cannot start, so it can be cancelled, and that is its answer.
        wait_until(lambda: self.cp.cancel(last["id"])["cancelled"], "the 65th is known")
        self.assertEqual(request.answer()["status"], "cancelled")
        self.open_gate("gate5")
        for number, request in enumerate(held):
            self.assert_success(request.answer(), f"t{number}")

    def test_C_007_message_over_the_limit_is_refused_and_logged(self):
        plane = self.plane()  # of its own: a log line seen ten times is only counted
        for port in range(plane.ports.base, plane.ports.base + 6):
            connection, _ = shake_hands(port)
            connection.sendall(struct.pack(">Q", 1 << 40) + b"x" * 64)
            self.assertTrue(is_closed(connection))
            connection.close()
        wait_until(lambda: plane.text().count("event=net.closed") == 6,
                   "a line about each in the log")
        self.assert_success(plane.run("add", 1, 2), 3)

    def test_C_008_all_spellings_of_datetimes_are_read(self):
        for text in ("2020-01-02 03:04:05", "2020-01-02T03:04:05", "2020-01-02 03:04:05.1",
                     "2020-01-02 03:04:05.12", "2020-01-02 03:04:05.123",
                     "2020-01-02T03:04:05.123456", "2020-01-02T03:04:05Z",
                     "2020-01-02T03:04:05.5+02:00", "2020-01-02 03:04:05-03:30", "2020-01-02",
                     "2020-01-02 03:04", "1577934245", 1577934245, 1577934245000, 1577934245.5):
            with self.subTest(text):
                self.assert_success(self.cp.run("add", 1, 2, created_at=text, eta=text), 3)
        for text in ("yesterday", "2020-13-02 03:04:05", "2020-01-02 25:04:05", "", [], {}):
            with self.subTest(text):
                result = self.cp.run("add", 1, 2, eta=text)
                self.assertEqual(result["status"], "failure")
                self.assertIn("eta", result["error"])

    def test_C_009_datetimes_of_answers_are_naive_local_time(self):
        before = datetime.datetime.now()
        result = TaskResult(**self.cp.run("add", 1, 2))
        after = datetime.datetime.now()
        second = datetime.timedelta(seconds=1)
        for stamp in (result.started_at, result.completed_at):
            self.assertIsNone(stamp.tzinfo)
            self.assertTrue(before - second <= stamp <= after + second, stamp)

    def test_C_010_microsecond_of_zero(self):
        self.assert_success(self.cp.run("add", 1, 2, created_at="2020-01-02 03:04:05"), 3)
        self.assert_success(self.cp.run("add", 1, 2, created_at="2020-01-02 03:04:05.000000"), 3)

    def test_C_011_opaque_values_survive_byte_for_byte(self):
        for value in (str(2**80), "-" + "7" * 200, "1e308", "NaN", "Infinity", "-Infinity",
                      r'"\ud800"', r'"\ud83d\ude00"', '"\U0001F600"', "1.50", "1E+2", "-0.0",
                      r'"\u0000\/\b"', '{"a": 1, "a": 2, "": [ 1 ,2]}', '[[],{},"",null,true]'):
            with self.subTest(value):
                message = '{"id": "%s", "name": "give_back", "args": [%s]}' % (
                    "bytes " + str(hash(value)), value)
                answer = ask(self.cp.address(2), message.encode())
                self.assertIn(b'"success"', answer)
                self.assertIn(value.encode(), answer)
                stored = ask(self.cp.address(QUERY),
                             {"task_id": json.loads(message)["id"]})
                self.assertIn(value.encode(), stored)

    def test_C_011_python_client_reads_them_back(self):
        values = [2**80, 10**200 + 1, 1e308, "\ud800", "\U0001F600", {"ä": [None, True]}]

        async def submit_all():
            client = self.cp.client()
            await client.start()
            answers = [await client.submit_task("give_back", (value,)) for value in values]
            nan = await client.submit_task("give_back", (float("nan"),))
            client.stop()
            return answers, nan
        answers, nan = asyncio.run(submit_all())
        self.assertEqual([answer.result for answer in answers], values)
        self.assertNotEqual(nan.result, nan.result)

    def test_C_012_unknown_fields_are_ignored(self):
        callback = {"address": tcp(self.cp.ports.spare(3)), "data": None, "colour": "red"}
        message = task("add", 1, 2, colour="red", native_ish={"v": [1]}, callback=callback)
        self.assert_success(self.cp.submit(message), 3)
        answer = self.cp.query(message["id"], colour="red", limit=5)
        self.assertTrue(answer["found"])

    def test_C_013_absent_and_null_fields_take_their_defaults(self):
        least = json.loads(ask(self.cp.address(2), {"name": "time_left"}))
        self.assertEqual(least["status"], "success")
        self.assertTrue(UUID4.fullmatch(least["task_id"]), least)
        self.assertTrue(0 < least["result"] <= 300_000, least)
        nulls = dict.fromkeys(("started_at", "completed_at", "result", "error", "callback",
                               "timeout", "eta", "assigned_worker"))
        self.assert_success(self.cp.run("add", 1, 2, **nulls), 3)

    def test_C_014_deep_nesting(self):
        deep = b'{"name": "give_back", "args": [' + b"[" * 512 + b"]" * 512 + b"]}"
        answer = json.loads(ask(self.cp.address(2), deep))
        self.assertEqual(answer["status"], "success", answer)
        for brackets in (b"[", b'{"a":'):
            too_deep = b'{"name": "give_back", "args": [' + brackets * 100_000
            answer = json.loads(ask(self.cp.address(2), too_deep))
            self.assertEqual(answer["status"], "failure")
        self.assert_success(self.cp.run("add", 1, 2), 3)

    def test_C_015_enumerations_are_exact(self):
        for word in ("HIGH", "High", " high", "urgent", "", 1, None):
            with self.subTest(word):
                message = task("add", 1, 2)
                message["priority"] = word
                result = self.cp.submit(message, port=2)
                self.assertEqual(result["status"], "failure")
                self.assertIn("priority", result["error"])
                self.assertEqual(result["task_id"], message["id"])


class Pickle(OnePlane):
    def test_C_016_python_client_in_pickle_mode_reads_the_refusal(self):
        async def submit():
            client = Client(discovery_address=self.cp.discovery, retries=1,
                            serialization_format=SerializationFormat.PICKLE)
            await client.start()
            results = [await client.submit_task("add", (1, 2), priority=priority)
                       for priority in TaskPriority]
            found = await client.get_task_result("x")
            cancelled = await client.cancel_task("x")
            client.stop()
            return results, found, cancelled
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results, found, cancelled = asyncio.run(submit())
        for result in results:
            self.assertEqual(result.status.value, "failure")
            self.assertIn("pickle", result.error.lower())
            self.assertIn("FASTWORKER_SERIALIZATION_FORMAT=JSON", result.error)
        self.assertEqual((found, cancelled), (None, False))

    def test_C_016_every_port_answers_a_pickle_with_a_plain_dict(self):
        message = pickle.dumps({"name": "add", "task_id": "x", "subworker_id": "x"})
        for offset in range(6):
            answer = pickle.loads(ask(self.cp.address(offset), message))
            self.assertIn("pickle", answer["error"].lower(), offset)
            if offset < QUERY:
                self.assertEqual((answer["task_id"], answer["status"]), ("", "failure"))
            elif offset == QUERY:
                self.assertEqual((answer["found"], answer["cancelled"]), (False, False))
            elif offset == REGISTRATION:
                self.assertEqual(answer["status"], "error")
        wait_until(lambda: "pickle" in self.cp.text().lower(), "a line about it in the log")

    def test_C_017_pickle_as_own_format_is_refused_at_start(self):
        for value in ("PICKLE", "pickle", "YAML"):
            done = self.run_program("control-plane", "--no-gui",
                                    env={"FASTWORKER_SERIALIZATION_FORMAT": value})
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn("FASTWORKER_SERIALIZATION_FORMAT", done.stderr)

    def test_C_018_own_and_foreign_ids(self):
        for absent in ({}, {"id": ""}):
            made_up = json.loads(ask(self.cp.address(2), {"name": "add", "args": [1, 2], **absent}))
            self.assertTrue(UUID4.fullmatch(made_up["task_id"]), made_up)
            self.assertTrue(self.cp.query(made_up["task_id"])["found"])
        for text in ("7", "a b", "x:y/z", "ünïcödé \U0001F600",
                     "ABCDEF00-0000-4000-8000-00000000ABCD",
                     "\"\\\n", "x" * 255, "00000000-0000-0000-0000-000000000000"):
            with self.subTest(text):
                message = task("add", 1, 2)
                message["id"] = text
                self.assertEqual(self.cp.submit(message)["task_id"], text)
                found = self.cp.query(text)
                self.assertEqual(found["result"]["task_id"], text)

    def test_C_018_ids_that_differ_only_in_case_are_two(self):
        low, high = task("add", 1, 2), task("add", 3, 4)
        high["id"] = low["id"].upper()
        self.assertEqual(self.cp.submit(low)["result"], 3)
        self.assertEqual(self.cp.submit(high)["result"], 7)
        self.assertEqual(self.cp.query(low["id"])["result"]["result"], 3)


if __name__ == "__main__":
    harness.main()

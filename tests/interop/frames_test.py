"""A client written from docs/PROTOCOL.md alone: plain TCP, struct, nothing of ours.

SPDX-License-Identifier: Apache-2.0
"""

import socket
import struct
import uuid

import harness
from harness import OnePlane, QUERY

MAGIC = b"\xf7"
SUBMIT, ASK, PING, HELLO, ANSWER = 1, 2, 3, 4, 0x81
WANTS_RESULTS, ALL_OR_NONE = 1, 2
ACCEPTED, REFUSED, RESULT, PONG, GREETING = 1, 2, 3, 4, 5
QUEUED, SUCCESS, FAILURE, CANCELLED = 1, 5, 6, 8
EINVAL, EBIG, EUNKNOWN, EPROTO = 1, 5, 7, 11
NORMAL = 2


def frame(kind, count, body, flags=0, version=1):
    return MAGIC + struct.pack("<BBBI", version, kind, flags, count) + body


def extra(tag, content):
    return struct.pack("<I", tag | len(content) << 8) + content


def item(name, args, task_id=None, kwargs=b"", extras=b"", level=NORMAL):
    bits = level | (4 if task_id else 0) | (8 if kwargs else 0) | (16 if extras else 0)
    head = struct.pack("<BBHI", bits, 0, len(name), len(args)) + (task_id.bytes if task_id else b"")
    head += struct.pack("<I", len(kwargs)) if kwargs else b""
    head += struct.pack("<I", len(extras)) if extras else b""
    return head + name + args + kwargs + extras


def ask(what, task_id, wait_ms=0):
    text = b"" if isinstance(task_id, uuid.UUID) else task_id
    return struct.pack("<BBHI", what, len(text), 0, wait_ms) + (text or task_id.bytes)


def take(data, layout):
    size = struct.calcsize(layout)
    return struct.unpack(layout, data[:size]), data[size:]


def records(body):
    """The records of an ANSWER, as dictionaries."""
    (magic, version, kind, flags, count), body = take(body, "<cBBBI")
    assert (magic, version, kind, flags) == (MAGIC, 1, ANSWER, 0), body
    for _ in range(count):
        (request, place, kind, code), body = take(body, "<IHBB")
        record = {"request": request, "item": place, "kind": kind, "code": code}
        if kind == RESULT:
            (started, finished, size), body = take(body, "<qqI")
            sizes = [size]
            for bit in (0x10, 0x20):
                (more,), body = take(body, "<I") if code & bit else ((0,), body)
                sizes.append(more)
            parts = []
            for size in sizes:
                parts.append(body[:size])
                body = body[size:]
            record.update(status=code & 15, started=started, finished=finished, result=parts[0],
                          error=parts[1] if code & 0x10 else None)
        else:
            (number, second), body = take(body, "<HH")
            size = {ACCEPTED: 16 * number if code & 0x80 else 0, REFUSED: second}.get(kind, number)
            record.update(count=number, data=body[:size])
            body = body[size:]
        yield record
    assert body == b""


class Peer:
    """A REQ over TCP."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.sendall(bytes.fromhex("0053500000300000"))
        assert self._read(8) == bytes.fromhex("0053500000310000")
        self.last = 0x80000000

    def close(self):
        self.socket.close()

    def _read(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def send(self, *bodies):
        """Sends all in one write; returns the request ids."""
        ids, out = [], b""
        for body in bodies:
            self.last += 1
            ids.append(self.last)
            out += struct.pack(">QI", len(body) + 4, self.last) + body
        self.socket.sendall(out)
        return ids if len(ids) > 1 else ids[0]

    def hear(self):
        """The records of the next message."""
        (size, request), _ = take(self._read(12), ">QI")
        found = list(records(self._read(size - 4)))
        assert found[0]["request"] == request
        return found

    def gather(self, want):
        """Records until want of them have come, counting each item of a run."""
        found, count = [], 0
        while count < want:
            for record in self.hear():
                found.append(record)
                count += record["count"] if record["kind"] in (ACCEPTED, REFUSED) else 1
        assert count == want, found
        # An acceptance and its result may come in either order: here the former are first.
        return sorted(found, key=lambda record: record["kind"])


class Frames(OnePlane):
    def setUp(self):
        super().setUp()
        self.peer = self.dial(2)

    def dial(self, offset):
        peer = Peer(int(self.cp.address(offset).rsplit(":", 1)[1]))
        self.addCleanup(peer.close)
        return peer

    def test_the_documented_exchange(self):
        task_id = uuid.uuid4()
        request = self.peer.send(frame(SUBMIT, 1, item(b"add", b"[5, 3]", task_id), WANTS_RESULTS))
        accepted, result = self.peer.gather(2)
        self.assertEqual((accepted["kind"], accepted["code"], accepted["item"], accepted["count"]),
                         (ACCEPTED, QUEUED, 0, 1))
        self.assertEqual((result["kind"], result["status"], result["result"], result["error"]),
                         (RESULT, SUCCESS, b"8", None))
        self.assertEqual(accepted["request"], request)
        self.assertEqual(result["request"], request)
        self.assertGreaterEqual(result["finished"], result["started"])
        # The same task, seen by the JSON of others.
        self.assertEqual(self.cp.query(str(task_id))["result"]["result"], 8)

    def test_many_tasks_in_many_frames(self):
        requests = self.peer.send(*(
            frame(SUBMIT, 100, b"".join(item(b"add", b"[%d, %d]" % (f, i), uuid.uuid4())
                                        for i in range(100)), WANTS_RESULTS)
            for f in range(10)))
        found = self.peer.gather(2000)
        results = {(r["request"], r["item"]): r for r in found if r["kind"] == RESULT}
        self.assertEqual(len(results), 1000)
        for f, request in enumerate(requests):
            for i in range(100):
                self.assertEqual(results[request, i]["result"], b"%d" % (f + i))

    def test_made_up_and_text_ids(self):
        text = b"frame-" + uuid.uuid4().hex.encode()
        body = item(b"add", b"[1, 2]") + item(b"add", b"[3, 4]", extras=extra(1, text))
        self.peer.send(frame(SUBMIT, 2, body, WANTS_RESULTS))
        found = self.peer.gather(4)
        ids = [r["data"] for r in found if r["kind"] == ACCEPTED and r["code"] & 0x80]
        self.assertEqual(len(ids), 1)
        made_up = str(uuid.UUID(bytes=ids[0][:16]))
        self.assertEqual(self.cp.query(made_up)["result"]["result"], 3)
        self.assertEqual(self.cp.query(text.decode())["result"]["result"], 7)

    def test_a_known_id_starts_nothing(self):
        task_id = uuid.uuid4()
        self.peer.send(frame(SUBMIT, 1, item(b"add", b"[1, 2]", task_id), WANTS_RESULTS))
        self.peer.gather(2)
        self.peer.send(frame(SUBMIT, 1, item(b"add", b"[5, 5]", task_id), WANTS_RESULTS))
        self.assertEqual(self.peer.gather(2)[-1]["result"], b"3")

    def test_a_wrong_item_is_refused_alone_or_with_all(self):
        bad = item(b"add", b"{}", uuid.uuid4())
        one, two = uuid.uuid4(), uuid.uuid4()
        body = item(b"add", b"[1, 2]", one) + bad + item(b"add", b"[3, 4]", two)
        self.peer.send(frame(SUBMIT, 3, body, WANTS_RESULTS))
        found = self.peer.gather(5)
        refused = [r for r in found if r["kind"] == REFUSED]
        self.assertEqual([(r["item"], r["code"], r["count"]) for r in refused], [(1, EINVAL, 1)])
        self.assertIn(b"args", refused[0]["data"])
        three = uuid.uuid4()
        self.peer.send(frame(SUBMIT, 2, item(b"add", b"[1, 2]", three) + bad,
                             WANTS_RESULTS | ALL_OR_NONE))
        refused, = self.peer.gather(2)
        self.assertEqual((refused["kind"], refused["item"], refused["count"]), (REFUSED, 0, 2))
        self.peer.send(frame(ASK, 1, ask(0, three)))
        self.assertEqual(self.peer.gather(1)[0]["code"], EUNKNOWN)

    def test_a_wrong_option_says_so_to_all(self):
        bad = item(b"add", b"[1, 2]", uuid.uuid4(), extras=extra(7, b'{"uniqeu": "x"}'))
        for flags in (ALL_OR_NONE, WANTS_RESULTS | ALL_OR_NONE):
            self.peer.send(frame(SUBMIT, 2, item(b"add", b"[1, 2]", uuid.uuid4()) + bad, flags))
            refused, = self.peer.gather(2)
            self.assertEqual((refused["kind"], refused["item"], refused["count"], refused["code"]),
                             (REFUSED, 0, 2, EINVAL))
            self.assertIn(b"unique", refused["data"])

    def test_all_or_none_is_acknowledged_once(self):
        ids = [uuid.uuid4() for _ in range(50)]
        body = b"".join(item(b"add", b"[%d, 1]" % i, task_id) for i, task_id in enumerate(ids))
        self.peer.send(frame(SUBMIT, 50, body, ALL_OR_NONE))
        accepted, = self.peer.gather(50)
        self.assertEqual((accepted["kind"], accepted["item"], accepted["count"]), (ACCEPTED, 0, 50))
        self.peer.send(frame(ASK, 50, b"".join(ask(2, i, 20000) for i in ids)))
        found = {r["item"]: r["result"] for r in self.peer.gather(50)}
        self.assertEqual(found, {i: b"%d" % (i + 1) for i in range(50)})

    def test_failures_have_a_text(self):
        self.peer.send(frame(SUBMIT, 2, item(b"nope", b"", uuid.uuid4())
                             + item(b"add", b"[1]", uuid.uuid4()), WANTS_RESULTS))
        found = {r["item"]: r for r in self.peer.gather(4) if r["kind"] == RESULT}
        self.assertEqual((found[0]["status"], found[0]["error"]), (FAILURE, b"Task nope not found"))
        self.assertEqual(found[1]["status"], FAILURE)
        self.assertTrue(found[1]["error"])

    def test_get_wait_cancel(self):
        peer = self.dial(QUERY)
        task_id = uuid.uuid4()
        far = extra(2, struct.pack("<q", 4102444800 * 10**9))
        peer.send(frame(SUBMIT, 1, item(b"add", b"[1, 2]", task_id, extras=far)))
        self.assertEqual(peer.gather(1)[0]["kind"], ACCEPTED)
        peer.send(frame(ASK, 1, ask(0, task_id)))
        self.assertEqual(peer.gather(1)[0]["status"], 2)
        peer.send(frame(ASK, 1, ask(2, task_id, 10)))
        self.assertEqual(peer.gather(1)[0]["status"], 2)
        waiting = peer.send(frame(ASK, 1, ask(2, task_id, 30000)))
        peer.send(frame(ASK, 2, ask(1, task_id) + ask(1, b"nobody")))
        found = peer.gather(3)
        answers = {r["item"]: r for r in found if r["request"] != waiting}
        self.assertEqual((answers[0]["kind"], answers[1]["kind"]), (ACCEPTED, REFUSED))
        self.assertEqual(answers[1]["code"], EUNKNOWN)
        ended, = (r for r in found if r["request"] == waiting)
        self.assertEqual(ended["status"], CANCELLED)

    def test_ping_and_hello(self):
        self.peer.send(frame(PING, 0, b"tick"))
        pong, = self.peer.hear()
        self.assertEqual((pong["kind"], pong["data"]), (PONG, b"tick"))
        self.peer.send(frame(HELLO, 0, extra(1, b"test/1") + extra(99, b"later")))
        hello, = self.peer.hear()
        told, data = {}, hello["data"]
        while data:
            (word,), data = take(data, "<I")
            told[word & 255], data = data[:word >> 8], data[word >> 8:]
        self.assertEqual((hello["kind"], hello["code"]), (GREETING, 1))
        self.assertTrue(told[1].startswith(b"fastworker/"))
        self.assertEqual(told[5], struct.pack("<I", 1024))
        self.assertGreater(struct.unpack("<Q", told[4])[0], 0)

    def test_what_is_broken_is_refused_whole(self):
        good = item(b"add", b"[1, 2]", uuid.uuid4())
        for body, code in ((frame(SUBMIT, 2, good), EPROTO), (frame(SUBMIT, 1, good[:-1]), EPROTO),
                           (frame(SUBMIT, 1, good + b"x"), EPROTO), (frame(9, 1, good), EPROTO),
                           (frame(SUBMIT, 1, good, flags=4), EPROTO),
                           (frame(SUBMIT, 0, b""), EPROTO),
                           (frame(SUBMIT, 1, good, version=2), EPROTO), (b"\xf7", EPROTO),
                           (frame(SUBMIT, 1025, good * 1025), EBIG)):
            request = self.peer.send(body)
            refused, = self.peer.hear()
            self.assertEqual((refused["kind"], refused["code"], refused["request"]),
                             (REFUSED, code, request), body[:16])
            self.assertTrue(refused["data"])
        # The connection lives.
        self.peer.send(frame(PING, 0, b""))
        self.assertEqual(self.peer.hear()[0]["kind"], PONG)


if __name__ == "__main__":
    harness.main()

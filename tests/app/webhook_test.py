"""Notices over HTTP and HTTPS, to servers of Python's standard library.

Covers net/webhook.c, net/webhook_request.c, net/notice.c, app/life/webhooks.c.
SPDX-License-Identifier: Apache-2.0
"""
import http.server
import json
import os
import re
import socket
import ssl
import subprocess
import tempfile
import threading
import uuid

from control_plane_test import Case, Peer
from plane import LONG, PROGRAM, main, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
SECRET = "a secret of the test"


def documented_check():
    """The example of docs/WEBHOOKS.md."""
    with open(os.path.join(HERE, "../../docs/WEBHOOKS.md"), encoding="utf-8") as file:
        code = re.search(r"```python\n(.*?)```", file.read(), re.S).group(1)
    names = {}
    exec(code, names)  # pylint: disable=exec-used
    return names["is_ours"]


class Receiver:
    """Remembers what it is sent and answers as told: a list of (status, headers), then 204."""

    def __init__(self, *answers, context=None, gate=None):
        self.requests, self.answers, self.lock = [], list(answers), threading.Lock()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with receiver.lock:
                    receiver.requests.append((self.path, dict(self.headers), body))
                    status, headers = receiver.answers.pop(0) if receiver.answers else (204, {})
                if gate:
                    gate.wait(LONG)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def wait(self, count):
        wait_until(lambda: len(self.requests) >= count, f"{count} requests, but {self.requests}")
        return self.requests[:count]


class WebhookCase(Case):
    def receiver(self, *answers, **more):
        receiver = Receiver(*answers, **more)
        self.addCleanup(receiver.close)
        return receiver

    def allowing(self, *patterns, flags=(), secret=None):
        if secret:
            os.environ["FASTWORKER_WEBHOOK_SECRET"] = secret
        try:
            return self.plane("--callback-allow", " ".join(patterns), *flags)
        finally:
            os.environ.pop("FASTWORKER_WEBHOOK_SECRET", None)

    def submit(self, plane, url, *words, task=("add", "5", "3")):
        done = plane.run("submit", *task, *words, "--callback", url)
        self.assertNotIn(done.returncode, (2, 69), done.stderr)

    def outcome(self, plane, outcome, kind="http"):
        return plane.metric(f'fastworker_callbacks_total{{kind="{kind}",outcome="{outcome}"}}')

    def wait_for(self, plane, outcome, count=1, kind="http"):
        wait_until(lambda: self.outcome(plane, outcome, kind) >= count, f"{count} {outcome}")
        self.assertEqual(self.outcome(plane, outcome, kind), count)


class Webhook(WebhookCase):
    def test_what_is_sent_and_its_signature(self):
        receiver = self.receiver()
        plane = self.allowing("http://127.0.0.1:*", secret=SECRET)
        self.submit(plane, f"http://127.0.0.1:{receiver.port}/done?a=b", "--id", "sum")
        (path, headers, body), = receiver.wait(1)
        self.assertEqual(path, "/done?a=b")
        notice = json.loads(body)
        self.assertEqual(
            {k: notice[k] for k in ("event", "task", "task_id", "status", "result", "error",
                                    "callback_data")},
            {"event": "task.succeeded", "task": "add", "task_id": "sum", "status": "success",
             "result": 8, "error": None, "callback_data": None})
        self.assertRegex(notice["completed_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
        self.assertEqual(headers["Content-Type"], "application/json")
        self.assertEqual(headers["X-FastWorker-Event"], "task.succeeded")
        self.assertEqual(headers["X-FastWorker-Try"], "1")
        self.assertTrue(headers["User-Agent"].startswith("FastWorker/"))
        uuid.UUID(headers["X-FastWorker-Id"])
        is_ours = documented_check()
        signature = headers["X-FastWorker-Signature"]
        self.assertTrue(is_ours(SECRET, signature, body))
        self.assertFalse(is_ours(SECRET, signature, body + b" "))
        self.assertFalse(is_ours("another", signature, body))
        self.wait_for(plane, "sent")

    def test_the_other_ends_and_the_other_ways_in(self):
        receiver = self.receiver()
        plane = self.allowing("http://127.0.0.1:*")
        url = f"http://127.0.0.1:{receiver.port}/"
        self.submit(plane, url, task=("fail", "no paper"))
        plane.run("submit", "echo", "1", "--options", json.dumps({"webhook": url}))
        # As Python's clients say it.
        peer = Peer(int(plane.base.rsplit(":", 1)[1]) + 2)
        self.addCleanup(peer.close)
        peer.send({"id": str(uuid.uuid4()), "name": "add", "args": [1, 2],
                   "callback": {"address": url, "data": {"order": 7}}})
        peer.receive()
        plane.run("submit", "sleep", "600", "--id", "long", "--non-blocking", "--callback", url)
        plane.run("cancel", "long")
        notices = {n["task"]: n for n in (json.loads(r[2]) for r in receiver.wait(4))}
        self.assertEqual((notices["fail"]["event"], notices["fail"]["error"]),
                         ("task.failed", "no paper"))
        self.assertEqual(notices["echo"]["result"], 1)
        self.assertEqual(notices["add"]["callback_data"], {"order": 7})
        self.assertEqual((notices["sleep"]["event"], notices["sleep"]["status"]),
                         ("task.cancelled", "cancelled"))
        self.assertNotIn("X-FastWorker-Signature", receiver.requests[0][1])

    def test_tried_again_with_the_same_id(self):
        receiver = self.receiver((503, {}), (429, {"Retry-After": "1"}))
        plane = self.allowing("http://127.0.0.1:*", secret=SECRET)
        self.submit(plane, f"http://127.0.0.1:{receiver.port}/")
        requests = receiver.wait(3)
        self.wait_for(plane, "sent")
        self.assertEqual(self.outcome(plane, "retried"), 2)
        self.assertEqual(self.outcome(plane, "failed"), 0)
        self.assertEqual(len({r[1]["X-FastWorker-Id"] for r in requests}), 1)
        self.assertEqual(len({r[2] for r in requests}), 1)
        self.assertEqual([r[1]["X-FastWorker-Try"] for r in requests], ["1", "2", "3"])
        times = [int(r[1]["X-FastWorker-Signature"].split(",")[0][2:]) for r in requests]
        self.assertGreaterEqual(times[2] - times[1], 1)

    def test_given_up(self):
        receiver = self.receiver(*[(500, {})] * 10)
        plane = self.allowing("http://127.0.0.1:*", flags=("--webhook-tries", "2"))
        self.submit(plane, f"http://127.0.0.1:{receiver.port}/")
        self.wait_for(plane, "failed")
        self.assertEqual(len(receiver.requests), 2)
        # Nobody is there: a broken connection is no answer.
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.submit(plane, f"http://127.0.0.1:{free.getsockname()[1]}/")
            self.wait_for(plane, "failed", 2)
        self.assertEqual(self.outcome(plane, "retried"), 2)
        self.assertEqual(plane.metric("fastworker_webhooks_waiting"), 0)
        plane.end()
        self.assertIn("given up after 2 tries", plane.log)

    def test_a_refusal_is_not_repeated_and_a_redirect_not_followed(self):
        target = self.receiver()
        receiver = self.receiver((404, {}), (302, {"Location":
                                                   f"http://127.0.0.1:{target.port}/"}))
        plane = self.allowing("http://127.0.0.1:*")
        for failed in (1, 2):
            self.submit(plane, f"http://127.0.0.1:{receiver.port}/")
            self.wait_for(plane, "failed", failed)
        self.assertEqual((len(receiver.requests), len(target.requests)), (2, 0))
        self.assertEqual(self.outcome(plane, "retried"), 0)

    def test_only_what_is_allowed(self):
        receiver = self.receiver()
        port = receiver.port
        plane = self.allowing("http://*:*", "https://hooks.example.com")
        for forbidden in (f"https://127.0.0.1:{port}/", f"http://u:p@localhost:{port}/"):
            self.submit(plane, forbidden)
        self.wait_for(plane, "forbidden", 2)
        # A pattern with * does not lead into private networks, by number or by name.
        for failed, host in enumerate(("127.0.0.1", "localhost", "2130706433", "[::1]",
                                       "[::ffff:127.0.0.1]", "0.0.0.0"), 1):
            self.submit(plane, f"http://{host}:{port}/")
            self.wait_for(plane, "failed", failed)
        self.submit(plane, f"tcp://127.0.0.1:{port}")
        self.wait_for(plane, "forbidden", 1, "nng")
        self.assertEqual(receiver.requests, [])
        self.assertEqual(self.outcome(plane, "retried"), 0)
        plane.end()
        self.assertIn("private network", plane.log)
        self.assertIn("event=callback.forbidden", plane.log)

    def test_nothing_over_http_by_default(self):
        receiver = self.receiver()
        plane = self.plane()
        self.submit(plane, f"http://127.0.0.1:{receiver.port}/")
        self.wait_for(plane, "forbidden")
        self.submit(plane, "tcp://192.0.2.1:9")
        self.wait_for(plane, "forbidden", 1, "nng")
        self.assertEqual(receiver.requests, [])

    def test_a_wrong_pattern_is_refused_at_the_start(self):
        done = subprocess.run([PROGRAM, "control-plane", "--no-gui", "--callback-allow", "ftp://a"],
                              capture_output=True, text=True, timeout=LONG)
        self.assertEqual(done.returncode, 78)
        self.assertIn("callback-allow: 'ftp://a'", done.stderr)

    def test_a_slow_receiver_delays_nobody_else(self):
        gate = threading.Event()
        self.addCleanup(gate.set)
        slow, quick = self.receiver(gate=gate), self.receiver()
        plane = self.allowing("http://127.0.0.1:*")
        lines = "".join(json.dumps({"task": "echo", "args": [i], "callback":
                                    f"http://127.0.0.1:{slow.port}/"}) + "\n" for i in range(100))
        self.assertEqual(plane.run("submit", "--stdin", "--non-blocking", stdin=lines).returncode,
                         0)
        slow.wait(4)
        for i in range(20):
            self.submit(plane, f"http://127.0.0.1:{quick.port}/{i}")
        quick.wait(20)
        self.assertEqual(len(slow.requests), 4)  # at a time
        wait_until(lambda: plane.metric("fastworker_webhooks_waiting") == 100, "the others wait")
        gate.set()
        slow.wait(100)
        self.wait_for(plane, "sent", 120)

    def test_an_answer_that_does_not_come_is_limited(self):
        gate = threading.Event()
        self.addCleanup(gate.set)
        receiver = self.receiver(gate=gate)
        plane = self.allowing("http://127.0.0.1:*",
                              flags=("--webhook-timeout", "100ms", "--webhook-tries", "2"))
        self.submit(plane, f"http://127.0.0.1:{receiver.port}/")
        self.wait_for(plane, "failed")
        self.assertEqual(len(receiver.requests), 2)

    def test_the_end_of_the_program_does_not_wait_for_tries(self):
        receiver = self.receiver(*[(503, {"Retry-After": "600"})] * 10)
        plane = self.allowing("http://127.0.0.1:*")
        self.submit(plane, f"http://127.0.0.1:{receiver.port}/")
        self.wait_for(plane, "retried")
        self.assertEqual(plane.end(), 0)


class Tls(WebhookCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.certificate = os.path.join(cls.folder.name, "c.pem")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=receiver", "-addext",
             "subjectAltName=DNS:localhost", "-keyout", cls.certificate, "-out",
             cls.certificate + ".c"], check=True, capture_output=True)
        with open(cls.certificate + ".c", "rb") as one, open(cls.certificate, "ab") as all_of_it:
            all_of_it.write(one.read())
        cls.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        cls.context.load_cert_chain(cls.certificate)

    def test_a_certificate_that_is_believed(self):
        receiver = self.receiver(context=self.context)
        plane = self.allowing("https://localhost:*",
                              flags=("--webhook-ca", self.certificate + ".c"), secret=SECRET)
        self.submit(plane, f"https://localhost:{receiver.port}/")
        (_, headers, body), = receiver.wait(1)
        self.assertTrue(documented_check()(SECRET, headers["X-FastWorker-Signature"], body))
        self.wait_for(plane, "sent")

    def test_certificates_that_are_not(self):
        receiver = self.receiver(context=self.context)
        # The system's authorities do not know it; and it bears another name.
        plane = self.allowing("https://localhost:*")
        self.submit(plane, f"https://localhost:{receiver.port}/")
        self.wait_for(plane, "failed")
        other = self.allowing("https://127.0.0.1:*",
                              flags=("--webhook-ca", self.certificate + ".c"))
        self.submit(other, f"https://127.0.0.1:{receiver.port}/")
        self.wait_for(other, "failed")
        self.assertEqual(receiver.requests, [])
        self.assertEqual(self.outcome(other, "retried"), 0)


if __name__ == "__main__":
    main()

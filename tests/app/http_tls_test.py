"""The dashboard over https://: who is believed, what is agreed upon, events, new papers, and those
who hang up. Covers web/tls.c, web/watch.c and fw_http_renew with the real program.

SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import unittest

from control_plane_test import Case
from exposure_test import Papers, run
from plane import LONG, free_block, main, wait_until


EXAMPLES = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "examples", "http_worker")


class Secure(Case):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.papers = Papers(cls.folder.name)

    def path(self, name, ending="pem"):
        return self.papers.path(name, ending)

    def secure(self, *flags, name="server"):
        return self.plane("--gui-tls-cert", self.path(name), "--gui-tls-key",
                          self.path(name, "key"), *flags)

    def trust(self, ca="ca", mine=None):
        context = ssl.create_default_context(cafile=self.path(ca))
        if mine:
            context.load_cert_chain(self.path(mine), self.path(mine, "key"))
        return context

    def connect(self, plane, context=None):
        """A connection after its greeting; refused ones raise."""
        return (context or self.trust()).wrap_socket(
            socket.create_connection(("127.0.0.1", plane.gui), LONG), server_hostname="localhost")

    def ask(self, plane, path="/api/status", context=None, **headers):
        connection = http.client.HTTPSConnection("localhost", plane.gui, timeout=LONG,
                                                 context=context or self.trust())
        with contextlib.closing(connection):
            # By address: a system may take localhost for ::1 first.
            connection.sock = self.connect(plane, context)
            connection.request("GET", path, headers={name.replace("_", "-"): value
                                                     for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()

    def works(self, plane, **more):
        status, _, body = self.ask(plane, **more)
        self.assertEqual((status, "worker_id" in json.loads(body)), (200, True))


class Https(Secure):
    def test_the_page_and_the_api(self):
        plane = self.secure()
        self.assertIn(f"dashboard https://127.0.0.1:{plane.gui}", plane.log)
        self.works(plane)
        status, headers, body = self.ask(plane, "/", host="tasks.example", context=self.trust())
        self.assertEqual(status, 421)
        status, headers, body = self.ask(plane, "/", host="127.0.0.1")
        self.assertEqual((status, b"<html" in body), (200, True))
        self.assertEqual(headers["strict-transport-security"], "max-age=31536000")
        # Of this name others may have ports that are not ours.
        self.assertNotIn("strict-transport-security", self.ask(plane)[1])
        with self.connect(plane) as one:
            self.assertIn(one.version(), ("TLSv1.2", "TLSv1.3"))
        plane.end()
        self.assertNotIn("ERROR", plane.log)

    def test_plain_http_has_no_hsts_and_is_not_answered_here(self):
        self.assertNotIn("strict-transport-security",
                         http_headers(self.plane().gui, "127.0.0.1"))
        plane = self.secure()
        with socket.create_connection(("127.0.0.1", plane.gui), LONG) as one:
            one.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            self.assertNotIn(b"HTTP/1.1 200", read_all(one))
        self.works(plane)

    def test_who_is_believed(self):
        plane = self.secure()
        with self.assertRaises(ssl.SSLError):
            self.connect(plane, self.trust("other-ca"))
        far = self.secure(name="far")
        with self.assertRaises(ssl.SSLError):
            self.connect(far)
        self.works(plane)

    def test_http_2_is_not_agreed_upon(self):
        plane = self.secure()
        for offered, agreed in ((["h2", "http/1.1"], "http/1.1"), (["http/1.1"], "http/1.1"),
                                ([], None)):
            context = self.trust()
            if offered:
                context.set_alpn_protocols(offered)
            with self.connect(plane, context) as one:
                self.assertEqual(one.selected_alpn_protocol(), agreed)
        context = self.trust()
        context.set_alpn_protocols(["h2"])
        with self.assertRaises(ssl.SSLError):
            self.connect(plane, context)
        # Its first words by who has agreed upon nothing.
        with self.connect(plane) as one:
            one.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            self.assertTrue(read_all(one).startswith(b"HTTP/1.1 400"))

    def test_old_versions_are_refused(self):
        plane = self.secure()
        context = self.trust()
        with contextlib.suppress(ssl.SSLError, ValueError):
            context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        with self.assertRaises((ssl.SSLError, OSError)):
            self.connect(plane, context)
        context = self.trust()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        self.works(plane, context=context)

    def test_clients_with_certificates(self):
        plane = self.secure("--gui-tls-ca", self.path("ca"))
        self.works(plane, context=self.trust(mine="client"))
        for mine in (None, "stranger"):
            with self.assertRaises((ssl.SSLError, OSError, http.client.HTTPException)):
                self.ask(plane, context=self.trust(mine=mine))
        # Who comes back with a ticket.
        context = self.trust(mine="client")
        first = self.connect(plane, context)
        first.sendall(b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        read_all(first)
        session = first.session
        first.close()
        again = context.wrap_socket(socket.create_connection(("127.0.0.1", plane.gui), LONG),
                                    server_hostname="localhost", session=session)
        self.assertTrue(again.session_reused)
        again.sendall(b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        self.assertIn(b"200 OK", read_all(again))
        again.close()

    @unittest.skipUnless(shutil.which("curl"), "no curl")
    def test_curl(self):
        plane = self.secure()
        resolve = f"localhost:{plane.gui}:127.0.0.1"
        url = f"https://localhost:{plane.gui}/api/v1/tasks"
        words = ["curl", "-sS", "--resolve", resolve, "--max-time", str(int(LONG))]
        done = subprocess.run([*words, "--cacert", self.path("ca"), "-w", "\n%{http_version}",
                               "-H", "content-type: application/json", "-d",
                               '{"task": "add", "args": [1, 2]}', url],
                              capture_output=True, text=True, timeout=LONG)
        self.assertEqual(done.returncode, 0, done.stderr)
        body, version = done.stdout.rsplit("\n", 1)
        self.assertEqual((version, "task_id" in json.loads(body)), ("1.1", True))
        done = subprocess.run([*words, url], capture_output=True, text=True, timeout=LONG)
        self.assertEqual(done.returncode, 60, done.stderr)


class Waiting(Secure):
    def test_events(self):
        plane = self.secure()
        with self.connect(plane) as one:
            one.sendall(b"GET /api/v1/events?only=tasks HTTP/1.1\r\nhost: localhost\r\n\r\n")
            file = one.makefile("rb")
            wait_for_line(file, b"event: hello")
            over = threading.Event()

            def submit():
                while not over.is_set():
                    plane.run("submit", "add", "1", "2")
            thread = threading.Thread(target=submit)
            thread.start()
            try:
                wait_for_line(file, b"event: task")
            finally:
                over.set()
                thread.join()
            file.close()
        wait_until(lambda: listeners(self, plane) == 0, "nobody listens")

    def test_who_says_goodbye_is_not_sent_anything(self):
        plane = self.secure()
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = self.trust()
            context.minimum_version = context.maximum_version = version
            with self.connect(plane, context) as one:
                one.sendall(b"GET /api/v1/events?only=tasks HTTP/1.1\r\nhost: localhost\r\n\r\n")
                with one.makefile("rb") as file:
                    wait_for_line(file, b"event: hello")
                    for _ in range(3):  # data, an empty line, the end of the chunk
                        file.readline()
                # Reads until the other side is closed: a heartbeat would be out of place.
                try:
                    one.unwrap()
                except ssl.SSLError as error:
                    self.assertNotIn("APPLICATION_DATA", str(error))
                except OSError:
                    pass

    def test_long_poll_and_who_leaves_it(self):
        plane = self.secure()
        plane.hold("held")
        with self.connect(plane) as one:
            one.sendall(b"GET /api/v1/tasks/held?wait=60 HTTP/1.1\r\nhost: localhost\r\n\r\n")
        with self.connect(plane) as one:
            one.sendall(b"GET /api/v1/tasks/held?wait=60 HTTP/1.1\r\nhost: localhost\r\n"
                        b"connection: close\r\n\r\n")
            plane.run("cancel", "held")
            self.assertIn(b'"cancelled"', read_all(one))
        self.works(plane)

    def test_those_who_hang_up_do_no_harm(self):
        plane = self.secure()
        hello = client_hello()
        for i in range(0, len(hello) + 20, 7):
            for reset in (False, True):
                one = socket.create_connection(("127.0.0.1", plane.gui), LONG)
                if reset:
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                one.sendall(hello[:i])
                if i > len(hello):
                    one.recv(64 * (i - len(hello)))  # some of the server's part
                one.close()
        self.works(plane)
        # Slow ones, while others are served; then the end, with their greetings half over.
        slow = [socket.create_connection(("127.0.0.1", plane.gui), LONG) for _ in range(20)]
        for i, one in enumerate(slow):
            for at in range(i):
                one.sendall(hello[at:at + 1])
            self.works(plane)
        self.assertEqual(plane.end(signal.SIGTERM), 0, plane.log)
        for one in slow:
            one.close()


class Workers(Secure):
    def test_workers_over_http_believe_an_authority_of_ones_own(self):
        plane = self.secure("--no-local")
        address = {"FASTWORKER_URL": f"https://127.0.0.1:{plane.gui}"}
        for program, script, word, name, args, result in (
                ("python3", "worker.py", "SSL_CERT_FILE", "py.add", [2, 3], 5),
                ("node", "worker.mjs", "NODE_EXTRA_CA_CERTS", "node.add", [2, 4], 6),
                ("sh", "worker.sh", "CURL_CA_BUNDLE", "sh.wc", ["two words"], 2)):
            with self.subTest(script=script):
                if not shutil.which(program) or not shutil.which("jq"):
                    continue
                child = subprocess.Popen(
                    [program, os.path.join(EXAMPLES, script)], stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL, env={**os.environ, **address,
                                                    word: self.path("ca")})
                try:
                    done = plane.run("submit", name, "--json-args", json.dumps(args), "--json")
                    self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                    self.assertEqual(json.loads(done.stdout)["result"], result)
                finally:
                    child.kill()
                    child.wait()


class Files(Secure):
    def refused(self, words, *flags):
        first = free_block()
        done = run("control-plane", "--base-address", f"tcp://127.0.0.1:{first}",
                   "--discovery-address", f"tcp://127.0.0.1:{first + 8}", "--gui-port", "0",
                   *flags)
        self.assertEqual(done.returncode, 78, done.stderr)
        self.assertIn(words, done.stderr)

    def test_files_that_cannot_be_used(self):
        cert, key = self.path("server"), self.path("server", "key")
        self.refused("/nowhere.pem", "--gui-tls-cert", "/nowhere.pem")
        self.refused("key /nowhere.key", "--gui-tls-cert", cert, "--gui-tls-key", "/nowhere.key")
        self.refused("key values mismatch", "--gui-tls-cert", cert, "--gui-tls-key",
                     self.path("client", "key"))
        self.refused("authorities", "--gui-tls-cert", cert, "--gui-tls-key", key, "--gui-tls-ca",
                     key)
        self.refused("no certificate", "--gui-tls-key", key)
        self.refused("dashboard key", "--gui-tls-cert", cert)

    def test_a_hangup_reads_them_again(self):
        now, key = self.path("now"), self.path("now", "key")
        shutil.copy(self.path("server"), now)
        shutil.copy(self.path("server", "key"), key)
        plane = self.secure(name="now")
        old = self.connect(plane)
        before = old.getpeercert()["serialNumber"]
        self.papers.certificate("newer", "ca", "DNS:localhost")
        shutil.copy(self.path("newer"), now)
        # A certificate without its key changes nothing.
        plane.process.send_signal(signal.SIGHUP)
        wait_for_text(plane, "event=reload.certificate", "stays in force")
        with self.connect(plane) as one:
            self.assertEqual(one.getpeercert()["serialNumber"], before)
        shutil.copy(self.path("newer", "key"), key)
        plane.process.send_signal(signal.SIGHUP)
        wait_for_text(plane, "event=reload.certificate", "were read again")

        def is_new():
            with self.connect(plane) as one:
                return one.getpeercert()["serialNumber"] != before
        wait_until(is_new, "the new certificate is shown")
        # Who was there before goes on.
        old.sendall(b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        self.assertIn(b"200 OK", read_all(old))
        old.close()


def http_headers(port, host):
    connection = http.client.HTTPConnection(host, port, timeout=LONG)
    with contextlib.closing(connection):
        connection.request("GET", "/livez")
        return connection.getresponse().headers


def read_all(one):
    got = b""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while chunk := one.recv(65536):
            got += chunk
    return got


def wait_for_line(file, words):
    for line in file:
        if words in line:
            return
    raise AssertionError(f"never: {words}")


def wait_for_text(plane, *words):
    for line in plane.process.stderr:
        plane.log += line
        if all(word in line for word in words):
            return
    raise AssertionError(f"never: {words}: {plane.log}")


def listeners(case, plane):
    return json.loads(case.ask(plane, "/api/v1/stats")[2])["listeners"]


def client_hello():
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing).do_handshake()
    return outgoing.read()


if __name__ == "__main__":
    os.environ.pop("FASTWORKER_GUI_TLS_CERT", None)
    main()

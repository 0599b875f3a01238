"""Addresses that others reach, tokens and TLS through the real program: app/exposure.c, and what
the commands say of it.

SPDX-License-Identifier: Apache-2.0
"""

import json
import os
import socket
import subprocess
import tempfile
import unittest

from plane import LONG, PROGRAM, SAMPLES, free_block, main, wait_until

def openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True)


class Papers:
    """Authorities and certificates in a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.authority("ca")
        self.authority("other-ca")
        self.certificate("server", "ca", "DNS:localhost,IP:127.0.0.1")
        self.certificate("client", "ca", "DNS:client")
        self.certificate("stranger", "other-ca", "DNS:client")
        self.certificate("far", "ca", "DNS:elsewhere.example")

    def __getattr__(self, name):
        return os.path.join(self.folder, name.replace("_", "-") + ".pem")

    def path(self, name, ending="pem"):
        return os.path.join(self.folder, f"{name}.{ending}")

    def authority(self, name):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-days", "1", "-subj", f"/CN={name}", "-keyout", self.path(name, "key"), "-out",
                self.path(name))

    def certificate(self, name, by, names):
        with open(self.path(name, "ext"), "w", encoding="utf-8") as file:
            file.write(f"subjectAltName={names}\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                f"/CN={name}", "-keyout", self.path(name, "key"), "-out", self.path(name, "csr"))
        openssl("x509", "-req", "-days", "1", "-in", self.path(name, "csr"), "-CA", self.path(by),
                "-CAkey", self.path(by, "key"), "-CAcreateserial", "-extfile",
                self.path(name, "ext"), "-out", self.path(name))


class Server:
    """A control plane, or one that does not come up."""

    def __init__(self, *flags, scheme="tcp", host="127.0.0.1", discovery_host="127.0.0.1",
                 env=None):
        first = free_block()
        self.port = first
        self.base = f"{scheme}://127.0.0.1:{first}"
        self.discovery = f"tcp://127.0.0.1:{first + 8}"
        self.log = tempfile.TemporaryFile()
        gui = [] if "--gui-host" in flags else ["--no-gui"]
        self.child = subprocess.Popen(
            [PROGRAM, "control-plane", *gui, "--base-address", f"{scheme}://{host}:{first}",
             "--discovery-address", f"tcp://{discovery_host}:{first + 8}", "--task-modules",
             SAMPLES, *flags], stdout=self.log, stderr=self.log, env={**os.environ, **(env or {})})

    def text(self):
        self.log.seek(0)
        return self.log.read().decode()

    def wait_ready(self):
        wait_until(lambda: "event=ready" in self.text() or self.child.poll() is not None,
                   "the control plane is ready")
        if self.child.poll() is not None:
            raise AssertionError(self.text())
        return self

    def end(self):
        self.child.kill()
        self.child.wait()
        self.log.close()


def run(*words, env=None, timeout=LONG):
    return subprocess.run([PROGRAM, *words], capture_output=True, text=True, timeout=timeout,
                          check=False, env={**os.environ, **(env or {})})


def add(server, *flags, env=None, address=None):
    return run("submit", "add", "5", "3", "--control-plane-address", address or server.base, *flags,
               env=env)


class Case(unittest.TestCase):
    def serve(self, *flags, **more):
        server = Server(*flags, **more)
        self.addCleanup(server.end)
        return server.wait_ready()

    def expect(self, done, status, words=""):
        self.assertEqual(done.returncode, status, done.stderr + done.stdout)
        self.assertIn(words, done.stderr)


class Exposure(Case):
    def refused(self, *flags, **more):
        server = Server(*flags, **more)
        try:
            self.assertEqual(server.child.wait(LONG), 78, server.text())
            self.assertIn("FASTWORKER_TOKEN", server.text())
            self.assertIn("--insecure-bind", server.text())
        finally:
            server.end()

    def test_other_machines_need_a_token(self):
        self.refused(host="0.0.0.0")
        self.refused(host="[::]")
        self.refused(discovery_host="0.0.0.0")
        self.refused("--gui-host", "0.0.0.0", "--gui-port", "0")

    def test_which_may_be_set_or_waived(self):
        self.serve("--insecure-bind", host="0.0.0.0")
        self.serve(host="0.0.0.0", discovery_host="0.0.0.0", env={"FASTWORKER_TOKEN": "t"})
        self.serve("--gui-host", "0.0.0.0", "--gui-port", "0", env={"FASTWORKER_TOKEN": "t"})

    def test_a_subworker_likewise(self):
        done = run("subworker", "--base-address", "tcp://0.0.0.0:0", "--control-plane-address",
                   "tcp://127.0.0.1:9", "--task-modules", SAMPLES)
        self.assertEqual(done.returncode, 78, done.stderr)
        self.assertIn("--insecure-bind", done.stderr)

    def test_files_that_are_not_there(self):
        for flags, words in ((["--tls-cert", "/nowhere.pem"], "/nowhere.pem"),
                             ([], "needs a certificate"),
                             (["--token-file", "/nowhere"], "/nowhere")):
            server = Server(*flags, scheme="tls+tcp")
            try:
                self.assertEqual(server.child.wait(LONG), 78, server.text())
                self.assertIn(words, server.text())
            finally:
                server.end()
        done = run("control-plane", "--token", "secret")
        self.assertEqual(done.returncode, 2)


class Token(Case):
    def setUp(self):
        self.file = tempfile.NamedTemporaryFile("w", suffix=".token")
        self.addCleanup(self.file.close)
        self.file.write("open sesame\n")
        self.file.flush()
        self.server = self.serve("--token-file", self.file.name)

    def test_right_wrong_and_missing(self):
        self.expect(add(self.server, env={"FASTWORKER_TOKEN": "open sesame"}), 0)
        self.expect(add(self.server, env={"FASTWORKER_TOKEN_FILE": self.file.name}), 0)
        self.expect(add(self.server, "--token-file", self.file.name,
                        env={"FASTWORKER_TOKEN": "wrong"}), 0)
        self.expect(add(self.server), 77, "asks for a token (FASTWORKER_TOKEN)")
        self.expect(add(self.server, env={"FASTWORKER_TOKEN": "open sesam"}), 77, "token")
        self.expect(run("workers", "--control-plane-address", self.server.base,
                        env={"FASTWORKER_TOKEN": "open sesame"}), 0)
        self.assertNotIn("sesam", self.server.text())
        shown = run("config", "show", "--token-file", self.file.name)
        self.assertNotIn("sesam", shown.stdout)

    def test_subworkers_tell_it(self):
        flags = ["subworker", "--control-plane-address", self.server.base, "--worker-id", "helper",
                 "--task-modules", SAMPLES]
        log = tempfile.TemporaryFile()
        self.addCleanup(log.close)
        worker = subprocess.Popen([PROGRAM, *flags, "--token-file", self.file.name], stdout=log,
                                  stderr=log)
        self.addCleanup(worker.wait)
        self.addCleanup(worker.kill)

        def up():
            log.seek(0)
            return b"uplink.up" in log.read()
        wait_until(up, "the subworker is up")

    def test_all_json_or_none(self):
        for word, status in (("none", 77), ("loopback", 0), ("all-json", 0)):
            server = self.serve("--token-exempt", word, env={"FASTWORKER_TOKEN": "t"})
            done = add(server, env={"FASTWORKER_TRANSPORT": "compat"})
            if status == 0:
                self.expect(done, 0)
            else:
                self.assertNotEqual(done.returncode, 0)
                self.assertIn("asks for a token", done.stdout + done.stderr)


class Secure(Case):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.papers = Papers(cls.folder.name)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def secure(self, *flags, name="server", **more):
        return self.serve("--tls-cert", self.papers.path(name), "--tls-key",
                          self.papers.path(name, "key"), *flags, scheme="tls+tcp", **more)

    def test_who_believes_whom(self):
        server = self.secure()
        ca = ["--tls-ca", self.papers.ca]
        self.expect(add(server, *ca), 0)
        self.expect(add(server, env={"FASTWORKER_TLS_CA": self.papers.ca}), 0)
        self.expect(add(server, *ca, address=server.base.replace("127.0.0.1", "localhost")), 0)
        self.expect(add(server, "--tls-ca", self.papers.other_ca), 77, "issuer certificate")
        self.expect(add(server), 77, "certificate")
        self.expect(add(server, "--tls-verify", "none"), 0)
        self.expect(add(server, *ca, "--tls-verify", "perhaps"), 2, "perhaps")
        self.expect(add(server, "--tls-ca", "/nowhere.pem"), 2, "/nowhere.pem")
        # By discovery, where the address is announced.
        done = run("submit", "add", "1", "2", "--discovery-address", server.discovery, *ca)
        self.expect(done, 0)
        done = run("submit", "--json", "--stdin", "--control-plane-address", server.base, *ca)
        self.expect(done, 0)

    def test_a_certificate_for_another_host(self):
        server = self.secure(name="far")
        self.expect(add(server, "--tls-ca", self.papers.ca), 77, "mismatch")

    def test_mutual(self):
        server = self.secure("--tls-ca", self.papers.ca, "--tls-verify", "mutual")
        ca = ["--tls-ca", self.papers.ca]
        mine = ["--tls-cert", self.papers.client, "--tls-key", self.papers.path("client", "key")]
        self.expect(add(server, *ca, *mine), 0)
        self.expect(add(server, *ca), 77, "a certificate is asked for, and there is none")
        self.expect(add(server, *ca, "--tls-cert", self.papers.stranger, "--tls-key",
                        self.papers.path("stranger", "key")), 77, "unknown ca")
        self.expect(add(server, *ca, *mine), 0)

    def test_the_wrong_scheme_is_told(self):
        server = self.secure()
        plain = self.serve()
        self.expect(add(server, address=server.base.replace("tls+", "")), 76, "tls+tcp://")
        self.expect(add(plain, "--tls-ca", self.papers.ca, address="tls+" + plain.base), 76,
                    "does not speak TLS")
        self.expect(add(server, "--tls-ca", self.papers.ca), 0)
        self.expect(add(plain), 0)

    def test_with_a_token_and_a_subworker(self):
        token = {"FASTWORKER_TOKEN": "t", "FASTWORKER_TLS_CA": self.papers.ca}
        server = self.secure("--no-local", "--tls-ca", self.papers.ca,
                             env={"FASTWORKER_TOKEN": "t"})
        worker = subprocess.Popen(
            [PROGRAM, "subworker", "--control-plane-address", server.base, "--worker-id", "helper",
             "--base-address", "tls+tcp://127.0.0.1:0",
             "--task-modules", SAMPLES, "--tls-cert", self.papers.server, "--tls-key",
             self.papers.path("server", "key")],
            env={**os.environ, **token}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(worker.wait)
        self.addCleanup(worker.kill)
        self.expect(add(server, env=token), 0)
        workers = run("workers", "--json", "--control-plane-address", server.base, env=token)
        self.expect(workers, 0)
        self.assertIn("tls+tcp://", workers.stdout)
        self.assertEqual(json.loads(workers.stdout)[0]["id"] if workers.stdout.startswith("[")
                         else "helper", "helper")

    def test_those_who_hang_up_do_no_harm(self):
        server = self.secure()
        for i in range(100):
            one = socket.create_connection(("127.0.0.1", server.port + i % 6))
            if i % 3:
                one.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[:1 + i % 11])
            one.close()
        self.expect(add(server, "--tls-ca", self.papers.ca), 0)
        self.assertIsNone(server.child.poll())


if __name__ == "__main__":
    main()

"""The API against its own description, by Schemathesis: answers have the statuses, types and shapes
that web/assets/api/openapi.json says, what does not fit it is refused, and nothing brings the
program down.

Needs schemathesis in the Python environment FW_VENV. SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import subprocess
import tempfile
import threading
import unittest

from http_case import HttpCase
from plane import LONG, main

CHECKS = ("not_a_server_error,status_code_conformance,content_type_conformance,"
          "response_schema_conformance,response_headers_conformance,negative_data_rejection,"
          "unsupported_method,allow_header_conformance,ignored_auth")
# These answer when something happens, and have tests of their own.
LASTING = ("/api/events", "/api/v1/events", "/api/v1/worker/poll")
PROGRAM = os.path.join(os.environ.get("FW_VENV", ".venv"), "bin", "schemathesis")


class Schema(HttpCase):
    @classmethod
    def setUpClass(cls):
        if not os.path.exists(PROGRAM) and not os.environ.get("FW_REQUIRE_VENV"):
            raise unittest.SkipTest("no schemathesis in FW_VENV")
        for name in ("API", "READ"):
            os.environ[f"FASTWORKER_GUI_{name}_KEY"] = name
        try:
            super().setUpClass()
        finally:
            for name in ("API", "READ"):
                del os.environ[f"FASTWORKER_GUI_{name}_KEY"]

    def document(self):
        """As it is served, but nothing waits, and with keys that are set."""
        document = self.ok("GET", "/api/openapi.json")
        for path in LASTING:
            del document["paths"][path]
        for operations in document["paths"].values():
            for operation in operations.values():
                if operation["x-fastworker-role"] != "anybody":
                    operation["security"] = [{"key": []}]
                operation["parameters"] = [
                    one for one in operation.get("parameters", ())
                    if not one.get("$ref", "").endswith("/wait")]
        document["components"]["parameters"]["Prefer"]["schema"] = {"type": "string"}
        return document

    def test_answers_are_as_described(self):
        # Its log is longer than a pipe.
        log = self.shared.process.stderr
        threading.Thread(target=lambda: any(False for _ in log), daemon=True).start()
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "openapi.json")
            with open(path, "w", encoding="utf-8") as stream:
                json.dump(self.document(), stream)
            done = subprocess.run(
                [PROGRAM, "run", path, "--url", f"http://127.0.0.1:{self.shared.gui}", "--header",
                 "Authorization: Bearer API", "--checks", CHECKS, "--phases",
                 "examples,coverage,fuzzing", "--max-examples", "2", "--seed", "1", "--no-color",
                 "--continue-on-failure"],
                cwd=folder, capture_output=True, text=True, timeout=240, check=False)
        self.assertEqual(done.returncode, 0, done.stdout[-20000:] + done.stderr[-2000:])
        self.assertIn("Tested: ", done.stdout)
        self.assertEqual(self.ask("GET", "/livez").status, 200)
        self.shared.process.terminate()
        self.assertEqual(self.shared.process.wait(LONG), 0)


if __name__ == "__main__":
    main()

"""The examples of docs/HTTP.md, as they stand there, against the program.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import re
import shutil
import subprocess
import unittest

from http_case import HttpCase
from plane import LONG, main

DOCUMENT = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "HTTP.md")


@unittest.skipUnless(shutil.which("curl"), "no curl")
class Document(HttpCase):
    def test_examples_do_what_they_say(self):
        with open(DOCUMENT, encoding="utf-8") as stream:
            examples = re.findall(r"^```sh\n(.*?)^```", stream.read(), re.M | re.S)
        self.assertGreater(len(examples), 8)
        for example in examples:
            done = subprocess.run(
                ["bash", "-ec", example.replace("curl -s", "curl -sf -w '\\n'")],
                env={**os.environ, "URL": f"http://127.0.0.1:{self.shared.gui}"},
                capture_output=True, text=True, timeout=LONG, check=False)
            self.assertEqual(done.returncode, 0, example + done.stdout + done.stderr)
            for line in done.stdout.splitlines():
                json.loads(line)
        self.assertEqual(self.ok("GET", "/api/v1/tasks/two?wait=60")["result"], 7)


if __name__ == "__main__":
    main()

"""A control plane that asks for a token, and unmodified Python clients, which cannot tell one.

SPDX-License-Identifier: Apache-2.0
"""

import asyncio
import os

import harness
from harness import Case

SENTENCE = "not permitted: this control plane asks for a token"


class Token(Case):
    def guarded(self, *flags):
        return self.plane(*flags, env={**os.environ, "FASTWORKER_TOKEN": "open sesame"})

    def python_submit(self, plane):
        async def submit():
            client = plane.client()
            await client.start()
            try:
                return await client.submit_task("add", (5, 3))
            finally:
                client.stop()
        return asyncio.run(submit())

    def test_python_clients_of_this_machine_need_none(self):
        for word in ("loopback", "all-json"):
            plane = self.guarded("--token-exempt", word)
            self.assert_success(self.python_submit(plane).model_dump(mode="json"), 8)

    def test_or_are_told_what_is_asked_for(self):
        plane = self.guarded("--token-exempt", "none")
        result = self.python_submit(plane)
        self.assertEqual(str(getattr(result.status, "value", result.status)), "failure")
        self.assertEqual(result.error, SENTENCE)
        self.assertGreaterEqual(plane.metric("fastworker_tasks_rejected_total", reason="auth"), 1)
        found = plane.query("anything")
        self.assertEqual((found["found"], found["error"]), (False, SENTENCE))
        self.assertIn("event=net.token", plane.text())

    def test_native_clients_need_it_here_too(self):
        plane = self.guarded()
        words = ("submit", "add", "5", "3", "--control-plane-address", plane.address(0))
        done = self.run_program(*words)
        self.assertEqual(done.returncode, 77, done.stderr)
        self.assertIn(SENTENCE, done.stderr)
        done = self.run_program(*words, env={**os.environ, "FASTWORKER_TOKEN": "open sesame"})
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    harness.main()

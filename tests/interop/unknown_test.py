"""Names that nobody knows, where tasks are left to subworkers: they wait for a deploy, and what
nobody came for is given up and kept. Covers app/life/unknown.c. SPDX-License-Identifier: Apache-2.0
"""

import json

import harness
from harness import Case, task, wait_until


class Unknown(Case):
    def dead(self, *words):
        ended = self.run_program("dead", *words, "--control-plane-address", self.cp.address(0))
        self.assertEqual(ended.returncode, 0, ended.stderr)
        return ended.stdout

    def test_pain_19_a_new_name_waits_for_its_deploy(self):
        self.cp = self.plane("--no-local", "--unknown-hold", "1h", modules=())
        self.subworker(self.cp, "old", modules=(harness.SAMPLES,))
        waiting = [self.cp.begin(task("give_back", i)) for i in range(20)]
        wait_until(lambda: self.cp.api("queues")["total_queued"] == 20, "they wait")
        self.subworker(self.cp, "new")
        for i, request in enumerate(waiting):
            self.assert_success(request.answer(), i)

    def test_pain_19_also_where_tasks_run_here(self):
        """At once a failure while nobody else ever came; after that it may be somebody's."""
        self.cp = self.plane("--unknown-hold", "1h", modules=(harness.SAMPLES,))
        self.assert_failure(self.cp.run("give_back", 1), "Task give_back not found")
        old = self.subworker(self.cp, "old", modules=(harness.SAMPLES,))
        waiting = [self.cp.begin(task("give_back", i)) for i in range(20)]
        wait_until(lambda: self.cp.api("queues")["total_queued"] == 20, "they wait")
        self.assert_success(self.cp.run("add", 1, 2), 3)
        old.kill()
        waiting.append(self.cp.begin(task("give_back", 20)))
        wait_until(lambda: self.cp.api("queues")["total_queued"] == 21, "it waits as well")
        self.subworker(self.cp, "new")
        for i, request in enumerate(waiting):
            self.assert_success(request.answer(), i)

    def test_pain_19_given_up_with_a_hint_and_kept(self):
        self.cp = self.plane("--no-local", "--unknown-hold", "200ms", modules=())
        first = self.subworker(self.cp, "one")
        away = self.cp.begin(task("give_bock", 7))
        answer = away.answer()
        self.assertEqual(answer["status"], "failure")
        self.assertIn("no worker came that knows the task 'give_bock'; did you mean 'give_back'?",
                      answer["error"])
        self.assertIn("task.unknown", self.cp.text())
        # One that was told once waits, though who told it is gone, longer than the hold.
        known = self.cp.begin(task("give_back", 8))
        self.assert_success(known.answer(), 8)
        first.kill()
        wait_until(lambda: self.cp.workers()["one"]["state"] != "active", "it is gone")
        known = self.cp.begin(task("give_back", 9))
        for _ in range(2):
            self.assertEqual(self.cp.run("nobody_has_this")["status"], "failure")
        self.assertFalse(known.has_answer())
        self.subworker(self.cp, "two")
        self.assert_success(known.answer(), 9)
        listed = [json.loads(line) for line in self.dead("ls", "--json").splitlines()]
        names = [one["name"] for reply in listed for one in reply["tasks"]]
        self.assertEqual(sorted(names), ["give_bock", "nobody_has_this", "nobody_has_this"])


if __name__ == "__main__":
    harness.main()

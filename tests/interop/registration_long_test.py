"""Subworkers that fall silent: an idle one is given nothing after half a minute, one that is busy
on a live connection is waited for. C-091, C-099.

SPDX-License-Identifier: Apache-2.0
"""

import harness
from harness import task, wait_until
import registration_test as usual

SILENCE_S = 60


class Silent(usual.WordsCase):
    def test_C_091_C_099_idle_and_busy(self):
        idle = self.hand("idle")
        busy = self.hand("busy", usual.wait_at_the_gate)
        busy.patience = 2 * SILENCE_S
        busy.register()
        asked = self.cp.begin(task("add"))
        wait_until(lambda: busy.requests, "it has a task in hand")
        idle.register()
        wait_until(lambda: self.cp.workers()["idle"]["state"] == "stale", "silence is noticed",
                   SILENCE_S)
        self.assertEqual(self.cp.workers()["busy"]["state"], "active")
        busy.gate.set()
        self.assert_success(asked.answer(), "busy")
        idle.register(heartbeat=True)
        self.cp.wait_worker("idle")


if __name__ == "__main__":
    harness.main()

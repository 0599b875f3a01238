"""A long task at our subworker under a Python control plane, whose socket sends it again after a
minute, and from then on every second or every minute, as its NNG does. C-102.

SPDX-License-Identifier: Apache-2.0
"""

import json

import harness
from harness import wait_until
import python_plane_subworker_test as usual

RESENT_TWICE_S = 200
LIMIT_S = 600


class Long(usual.PythonPlaneCase):
    def test_C_102_runs_once_and_is_answered_once(self):
        wire, _ = self.behind_a_wire()
        message = harness.task("hold", self.path("log"), "long", self.path("gate"), LIMIT_S,
                               timeout=LIMIT_S)
        asked = self.cp.begin(message)
        wait_until(lambda: len(wire.messages("asked")) >= 3, "it is sent for the third time",
                   RESENT_TWICE_S)
        self.assertEqual({json.loads(body)["id"] for _, _, body in wire.messages("asked")},
                         {message["id"]})
        self.open_gate()
        self.assert_success(asked.answer(), "long")
        self.assertEqual(self.marks(), ["+long", "-long"])


if __name__ == "__main__":
    harness.main()

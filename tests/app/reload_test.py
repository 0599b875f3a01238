"""SIGHUP: what changes, what is said to need a restart, and that a wrong file changes nothing.

Covers app/reload.c. SPDX-License-Identifier: Apache-2.0
"""
import os
import signal
import tempfile

from control_plane_test import Case
from plane import main, wait_until


class Reload(Case):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "fastworker.conf")

    def write(self, *lines):
        with open(self.path, "w", encoding="utf-8") as file:
            file.write("".join(line + "\n" for line in lines))

    def start(self, *flags):
        plane = self.plane("--config", self.path, *flags)
        self.addCleanup(plane.process.stderr.close)
        return plane

    def hang_up(self, plane, *events):
        """Sends the signal and reads the log up to each of the events, in this order."""
        plane.process.send_signal(signal.SIGHUP)
        lines = []
        for event in events:
            while True:
                line = plane.process.stderr.readline()
                self.assertTrue(line, "the program ended: " + plane.log)
                plane.log += line
                if f"event={event} " in line:
                    lines.append(line)
                    break
        return lines

    def cache(self, plane):
        cache = plane.json("/api/cache")
        return cache["max_size"], cache["max_bytes"], cache["ttl_seconds"]

    def test_the_cache_is_resized_and_drops_what_is_too_much(self):
        self.write("result-cache-size = 100", "result-cache-bytes = 8M")
        plane = self.start()
        for i in range(20):
            plane.run("submit", "echo", str(i), "--id", f"t{i}")
        self.assertEqual(self.cache(plane), (100, 8 << 20, 3600))
        self.write("result-cache-size = 5", "result-cache-bytes = 2M", "result-cache-ttl = 2h")
        self.hang_up(plane, "reload")
        self.assertEqual(self.cache(plane), (5, 2 << 20, 7200))
        wait_until(lambda: plane.json("/api/cache")["current_size"] == 5, "five are left")
        self.assertEqual(plane.status("t19"), "success")
        self.assertEqual(plane.end(), 0, plane.log)

    def test_a_flag_is_stronger_than_the_file(self):
        self.write("result-cache-size = 100", "result-cache-ttl = 60")
        plane = self.start("--result-cache-size", "7")
        self.write("result-cache-size = 200", "result-cache-ttl = 61")
        self.hang_up(plane, "reload")
        self.assertEqual(self.cache(plane), (7, 256 << 20, 61))

    def test_what_needs_a_restart_is_named(self):
        self.write("result-cache-size = 100")
        plane = self.start()
        self.write("result-cache-size = 101", "ring-size = 64", "result-cache-shards = 4")
        line = self.hang_up(plane, "reload", "reload.restart")[1]
        self.assertIn("ring-size, result-cache-shards", line)
        self.assertNotIn("result-cache-size", line)
        self.assertEqual(self.cache(plane)[0], 101)

    def test_a_broken_file_changes_nothing(self):
        self.write("result-cache-size = 100")
        plane = self.start()
        for wrong in ("result-cache-size = many", "ring-size = 3", "no-such-key = 1"):
            self.write("result-cache-ttl = 5", wrong)
            line = self.hang_up(plane, "reload.refused")[0]
            self.assertIn(self.path, line)
            self.assertEqual(self.cache(plane), (100, 256 << 20, 3600))
        os.unlink(self.path)
        self.hang_up(plane, "reload.refused")
        self.write("result-cache-size = 102")
        self.hang_up(plane, "reload")
        self.assertEqual(self.cache(plane)[0], 102)

    def test_the_log_level_follows(self):
        self.write("log-level = info")
        plane = self.start()
        self.write("log-level = warn")
        self.hang_up(plane, "reload")
        told = len(plane.log)
        self.write("log-level = warn", "ring-size = 64")
        self.hang_up(plane, "reload.restart")
        self.assertNotIn("event=reload ", plane.log[told:])
        self.write("log-level = debug")
        self.hang_up(plane, "reload")


if __name__ == "__main__":
    main()

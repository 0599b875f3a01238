"""The dead: by filter, changed, bounded; commands, management port, HTTP.

Covers app/manage/dead_manage.c, app/manage/dead_choice.c, app/commands/dead.c.
SPDX-License-Identifier: Apache-2.0
"""
import json
import urllib.error
import urllib.request
import uuid

from control_plane_test import Case, Peer
from plane import LONG, main, wait_until


class Dead(Case):
    def kill(self, plane, *tasks):
        """Tasks (name, args) that fail twice; their ids, in the order of their deaths."""
        ids = []
        peer = Peer(int(plane.base.rsplit(":", 1)[1]) + 2)
        for name, args in tasks:
            ids.append(str(uuid.uuid4()))
            peer.send({"id": ids[-1], "name": name, "args": args, "max_retries": 1,
                       "retry_delay": 0.001})
            self.assertEqual(peer.receive()["status"], "failure")
            wait_until(lambda: ids[-1] in self.dead_ids(plane, "--limit", "100000"), "dead")
        peer.close()
        return ids

    def ok(self, plane, *words):
        done = plane.run("dead", *words, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def dead_ids(self, plane, *filters):
        return [task["task_id"] for task in self.ok(plane, "ls", *filters)["tasks"]]

    def test_lists_by_filter(self):
        plane = self.plane()
        paper, ink, sums = self.kill(plane, ("fail", ["no paper"]), ("fail", ["no ink"]),
                                     ("add", ["x", 1]))
        self.assertEqual(self.dead_ids(plane), [sums, ink, paper])
        self.assertEqual(self.dead_ids(plane, "--name", "fail"), [ink, paper])
        self.assertEqual(self.dead_ids(plane, "--error", "paper"), [paper])
        self.assertEqual(self.dead_ids(plane, "--name", "add", "--error", "paper"), [])
        self.assertEqual(self.dead_ids(plane, "--priority", "high"), [])
        self.assertEqual(self.dead_ids(plane, "--older", "1h"), [])
        self.assertEqual(len(self.dead_ids(plane, "--older", "0")), 3)
        answer = self.ok(plane, "--name", "fail", "--limit", "1")
        self.assertEqual((len(answer["tasks"]), answer["total"]), (1, 2))
        self.assertEqual({k: answer["tasks"][0][k] for k in
                          ("name", "args", "max_retries", "attempts")},
                         {"name": "fail", "args": ["no ink"], "max_retries": 1, "attempts": 2})
        text = plane.run("dead", "--name", "add").stdout
        self.assertIn(sums, text)
        self.assertNotIn(ink, text)

    def test_forgets_and_retries_by_filter(self):
        plane = self.plane()
        paper, ink, sums = self.kill(plane, ("fail", ["no paper"]), ("fail", ["no ink"]),
                                     ("add", ["x", 1]))
        counted = self.ok(plane, "rm", "--name", "fail", "--dry-run")
        self.assertEqual((counted["matched"], counted["done"], counted["dry_run"]), (2, [], True))
        refused = plane.run("dead", "rm", "--name", "fail", stdin="")
        self.assertEqual(refused.returncode, 2)
        self.assertIn("--yes", refused.stderr)
        self.assertEqual(len(self.dead_ids(plane)), 3)
        self.assertEqual(self.ok(plane, "rm", "--error", "ink", "--yes")["done"], [ink])
        retried = self.ok(plane, "retry", "--name", "fail", "--yes")
        self.assertEqual(retried["done"], [paper])
        # It fails once more, and had one retry: it comes back.
        wait_until(lambda: set(self.dead_ids(plane)) == {paper, sums}, "dead again")
        again = self.ok(plane, "--name", "fail")["tasks"][0]
        self.assertEqual(again["attempts"], 4)
        self.assertEqual(len(self.ok(plane, "rm", "--all", "--yes", "--limit", "1")["done"]), 1)
        self.assertEqual(self.ok(plane, "rm", "--all", "--yes")["matched"], 1)
        self.assertEqual(self.dead_ids(plane), [])
        for words in (("rm", paper), ("retry", paper, "--dry-run")):
            done = plane.run("dead", *words, "--json")
            self.assertEqual(done.returncode, 4, done.stderr)
            self.assertEqual(json.loads(done.stdout)["unknown"], [paper])
        self.assertEqual(json.loads(done.stdout)["matched"], 0)

    def test_changed_and_run_again(self):
        plane = self.plane()
        first, second = self.kill(plane, ("add", ["x", 1]), ("fail", ["no paper"]))
        answer = self.ok(plane, "edit", first, "--args", "[40]", "--kwargs", '{"y": 2}',
                         "--priority", "high", "--timeout", "5m", "--max-retries", "3",
                         "--retry-delay", "0.5")
        self.assertEqual(answer, {"task_id": first, "retried": False})
        self.assertEqual(self.dead_ids(plane), [second, first])  # it keeps its place
        task = self.ok(plane, "--name", "add")["tasks"][0]
        self.assertEqual({k: task[k] for k in ("args", "kwargs", "priority", "timeout",
                                               "max_retries", "retry_delay")},
                         {"args": [40], "kwargs": {"y": 2}, "priority": "high", "timeout": 300,
                          "max_retries": 3, "retry_delay": 0.5})
        plane.run("dead", "retry", first)
        result = json.loads(self.wait_end(plane, first))
        self.assertEqual((result["status"], result["result"]), ("success", 42))
        # Another task, at once.
        answer = self.ok(plane, "edit", second, "--task", "echo", "--args", '["yes"]', "--retry")
        self.assertTrue(answer["retried"])
        result = json.loads(self.wait_end(plane, second))
        self.assertEqual(result["result"], "yes")
        self.assertEqual(self.dead_ids(plane), [])

    def test_of_a_name_that_nobody_knows_it_stays(self):
        plane = self.plane()
        only, = self.kill(plane, ("fail", ["no paper"]))
        plane.run("dead", "edit", only, "--task", "nobody_has_this", "--retry")
        self.assertEqual(self.ok(plane)["tasks"][0]["name"], "nobody_has_this")
        plane.run("dead", "retry", only)
        self.assertEqual(self.dead_ids(plane), [only])
        self.assertIn("no paper", plane.run("status", only).stdout)
        self.ok(plane, "edit", only, "--task", "echo", "--args", '["yes"]', "--retry")
        wait_until(lambda: json.loads(self.wait_end(plane, only))["result"] == "yes", "it runs")

    def wait_end(self, plane, task_id):
        def ended():
            text = plane.run("status", task_id, "--json").stdout
            return text if json.loads(text)["status"] in ("success", "failure") else None
        return wait_until(ended, "an end")

    def test_what_cannot_be_changed_is_said(self):
        plane = self.plane()
        only, = self.kill(plane, ("fail", ["no paper"]))
        for words, status, part in (
                (["edit", "nobody", "--args", "[]"], 4, "no dead task"),
                (["edit", only, "--args", "{}"], 2, "JSON array"),
                (["edit", only, "--args", "[1"], 2, "JSON array"),
                (["edit", only, "--kwargs", "[]"], 2, "JSON object"),
                (["edit", only, "--priority", "soon"], 1, "priority"),
                (["edit", only, "--options", '{"kay": "x"}'], 1, "key"),
                (["edit", only, "--options", '{"unique_for": 5}', "--retry"], 1, "needs 'unique'"),
                (["edit", only, "--timeout", "soon"], 2, "time"),
                (["edit"], 2, "id of one"),
                (["retry"], 2, "which ones"),
                (["retry", only, "--all"], 2, "not both"),
                (["bury"], 2, "it is"),
                (["ls", "--limit", "x"], 2, "count"),
                (["ls", "--priority", "soon"], 1, "priority")):
            done = plane.run("dead", *words)
            self.assertEqual(done.returncode, status, (words, done.stderr))
            self.assertIn(part, done.stderr)
        self.assertEqual(self.ok(plane)["tasks"][0]["args"], ["no paper"])

    def test_bounded_by_bytes(self):
        plane = self.plane("--dead-bytes", "64K")
        ids = self.kill(plane, *[("fail", [str(i) + "x" * 9000]) for i in range(8)])
        kept = self.dead_ids(plane)
        self.assertEqual(kept, ids[::-1][:len(kept)])
        self.assertLess(len(kept), 8)
        self.assertGreater(len(kept), 1)
        done = plane.run("dead", "edit", kept[0], "--args", json.dumps(["y" * 60000]))
        self.assertEqual(done.returncode, 1)
        self.assertIn("dead-bytes", done.stderr)

    def test_over_http(self):
        plane = self.plane()
        only, = self.kill(plane, ("add", ["x", 1]))

        def post(body, task_id=only):
            request = urllib.request.Request(
                f"http://127.0.0.1:{plane.gui}/api/v1/dead/{task_id}:edit", method="POST",
                data=json.dumps(body).encode(), headers={"Content-Type": "application/json"})
            try:
                with urllib.request.urlopen(request, timeout=LONG) as answer:
                    return answer.status, json.loads(answer.read())
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, json.loads(error.read())
        self.assertEqual(post({"args": {}})[0], 422)
        self.assertEqual(post({"args": [1, 2]}, "nobody")[0], 404)
        self.assertEqual(post({"args": [1, 2], "retry": True}),
                         (200, {"task_id": only, "retried": True}))
        self.assertEqual(json.loads(self.wait_end(plane, only))["result"], 3)


if __name__ == "__main__":
    main()

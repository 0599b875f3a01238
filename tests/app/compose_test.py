"""Tasks that wait for others, groups, unique keys and times to begin by, through the real program.

Covers app/compose/compose.c, app/compose/compose_batch.c, app/life/intake_composed.c,
app/compose/graph.c, app/compose/named_groups.c, app/compose/then_task.c.
SPDX-License-Identifier: Apache-2.0
"""

import json
import os
import signal
import subprocess
import threading
import unittest
import urllib.request

from plane import LONG, PROGRAM, SAMPLES, free_block, main, wait_until
from sp import Requests

DONE, FAILED, UNKNOWN = 0, 3, 4
count = 0


def fresh(word="task"):
    """An id that no other test has."""
    global count
    count += 1
    return f"{word}-{os.getpid()}-{count}"


def task(name, *args, task_id=None, options=None, **more):
    return {"id": task_id or fresh(), "name": name, "args": list(args), "kwargs": {},
            "priority": "normal", **({"options": options} if options else {}), **more}


class Composition(unittest.TestCase):
    flags = ()

    @classmethod
    def start(cls):
        cls.first = free_block()
        cls.base = f"tcp://127.0.0.1:{cls.first}"
        cls.process = subprocess.Popen(
            [PROGRAM, "control-plane", "--base-address", cls.base, "--discovery-address",
             f"tcp://127.0.0.1:{cls.first + 6}", "--gui-port", str(cls.first + 9), "--threads", "4",
             "--task-modules", SAMPLES, "--payload-max", "16M", *cls.flags],
            stderr=subprocess.DEVNULL)
        wait_until(lambda: cls.command("ping", "-q").returncode == 0, "a control plane")

    @classmethod
    def setUpClass(cls):
        cls.start()
        cls.addClassCleanup(cls.stop)

    @classmethod
    def stop(cls):
        """Sanitizers see what is left over."""
        cls.process.terminate()
        try:
            assert cls.process.wait(LONG) == 0
        finally:
            cls.process.kill()

    @classmethod
    def command(cls, *words, text=None):
        return subprocess.run([PROGRAM, *map(str, words), "--control-plane-address", cls.base],
                              input=text or "", capture_output=True, text=True, timeout=LONG,
                              check=False)

    def setUp(self):
        self.tasks = Requests(self.first + 2)
        self.addCleanup(self.tasks.close)
        self.queries = Requests(self.first + 4)
        self.addCleanup(self.queries.close)

    def batch(self, *tasks):
        return self.tasks.ask({"action": "batch_submit", "tasks": list(tasks)})

    def accept(self, *tasks):
        answer = self.batch(*tasks)
        self.assertTrue(answer["batch_accepted"], answer)
        return answer["task_ids"]

    def refuse(self, words, *tasks):
        answer = self.batch(*tasks)
        self.assertFalse(answer["batch_accepted"])
        self.assertIn(words, answer["error"])
        return answer

    def submit(self, *words):
        done = self.command("submit", *words, "--non-blocking", "--json")
        self.assertEqual(done.returncode, DONE, done.stderr)
        return json.loads(done.stdout)

    def status(self, task_id):
        done = self.command("status", task_id, "--json")
        return json.loads(done.stdout) if done.stdout else {"status": "unknown"}

    def end(self, task_id):
        """How it ended."""
        def look():
            now = self.status(task_id)
            return now if now["status"] in ("success", "failure", "cancelled") else None
        return wait_until(look, f"the end of {task_id}")

    def cancel(self, task_id):
        self.assertEqual(self.command("cancel", task_id).returncode, DONE)

    def metric(self, text):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.first + 9}/metrics",
                                    timeout=LONG) as answer:
            for one in answer.read().decode().splitlines():
                if one.startswith(text + " "):
                    return float(one.split()[-1])
        return 0


class After(Composition):
    def test_follows_one_that_lives(self):
        first, second = fresh(), fresh()
        self.accept(task("sleep", 600, task_id=first))
        self.accept(task("echo", 7, task_id=second,
                         options={"after": [first], "on_failure": "run"}))
        self.assertEqual(self.status(second)["status"], "scheduled")
        self.cancel(first)
        self.assertEqual(self.end(second)["result"], 7)

    def test_a_batch_with_more_waits_than_there_may_be(self):
        # Not as many as find room, with the rest told that what they follow is gone.
        first = "w"
        self.accept(task("sleep", 600, task_id=first))
        followers = [task("echo", i, options={"after": [first] * 10000, "on_failure": "run"})
                     for i in range(27)]
        self.refuse("too many wait", *followers)
        self.cancel(first)

    def test_follows_one_that_has_ended(self):
        first, = self.accept(task("add", 1, 2))
        self.end(first)
        second, = self.accept(task("echo", 8, options={"after": [first], "on_failure": "fail"}))
        self.assertEqual(self.end(second)["status"], "success")

    def test_batch_in_any_order(self):
        ids = [fresh() for _ in range(3)]
        self.accept(task("echo", 3, task_id=ids[2],
                         options={"after": ids[:2], "on_failure": "fail"}),
                    task("echo", 2, task_id=ids[1],
                         options={"after": ids[:1], "on_failure": "fail"}),
                    task("echo", 1, task_id=ids[0]))
        ends = [self.end(one) for one in ids]
        self.assertEqual([one["result"] for one in ends], [1, 2, 3])

    def test_what_failure_does(self):
        for word, status in (("fail", "failure"), ("skip", "cancelled"), ("run", "success")):
            failing, following = fresh(), fresh()
            self.accept(task("fail", "no", task_id=failing), task("add", 1, 1),
                        task("echo", word, task_id=following,
                             options={"after": [failing], "on_failure": word}))
            end = self.end(following)
            self.assertEqual(end["status"], status, end)
            if word != "run":
                self.assertIn(f"not run: {failing}", end["error"])

    def test_failure_goes_down_a_long_chain(self):
        # 20,000 in a row, all ended by one: no stack is deep enough for calls in calls.
        ids = [fresh("chain") for _ in range(20000)]
        chain = [task("fail", "no", task_id=ids[0])]
        chain += [task("echo", i, task_id=ids[i],
                       options={"after": [ids[i - 1]], "on_failure": "fail"})
                  for i in range(1, len(ids))]
        self.accept(*chain)
        self.assertIn(f"not run: {ids[-2]}", self.end(ids[-1])["error"])

    def test_retries_are_no_end(self):
        failing, following = fresh(), fresh()
        self.accept(task("fail", "no", task_id=failing, max_retries=1, retry_delay=600),
                    task("echo", 1, task_id=following,
                         options={"after": [failing], "on_failure": "run"}))
        wait_until(lambda: self.status(failing)["status"] == "retrying", "a retry")
        self.assertEqual(self.status(following)["status"], "scheduled")
        self.cancel(failing)
        self.assertEqual(self.end(following)["status"], "success")

    def test_waiting_one_is_cancelled(self):
        first, second, third = fresh(), fresh(), fresh()
        self.accept(task("sleep", 600, task_id=first),
                    task("echo", 1, task_id=second,
                         options={"after": [first], "on_failure": "run"}),
                    task("echo", 2, task_id=third,
                         options={"after": [second], "on_failure": "skip"}))
        self.cancel(second)
        self.assertEqual(self.end(second)["status"], "cancelled")
        self.assertEqual(self.end(third)["status"], "cancelled")
        self.assertEqual(self.status(first)["status"], "running")
        self.cancel(first)

    def test_refusals(self):
        own = fresh()
        cases = (
            ("there is no task 'nobody'", {"after": ["nobody"], "on_failure": "run"}),
            ("'on_failure' must say", {"after": ["nobody"]}),
            ("'on_failure' needs", {"on_failure": "fail"}),
            ("own id", {"after": [own], "on_failure": "run"}),
            ("'then' needs 'group'", {"then": {"task": "add"}, "on_failure": "run"}),
            ("'unique_for' needs 'unique'", {"unique_for": 5}),
            ("then: 'arg' is not known, did you mean 'args'",
             {"group": "g", "on_failure": "run", "then": {"task": "add", "arg": []}}),
            ("then: 'task' must be given", {"group": "g", "on_failure": "run", "then": {}}),
        )
        for words, options in cases:
            self.refuse(words, task("add", 1, 2), task("add", 1, 2, task_id=own, options=options))
            alone = self.tasks.ask({**task("add", 1, 2, task_id=own, options=options)})
            self.assertEqual(alone["status"], "failure")
            self.assertIn(words.split(" here")[0], alone["error"])

    def test_circles(self):
        a, b = fresh(), fresh()
        self.refuse("circle",
                    task("add", 1, 2, task_id=a, options={"after": [b], "on_failure": "run"}),
                    task("add", 1, 2, task_id=b, options={"after": [a], "on_failure": "run"}))
        group, last = fresh("group"), fresh()
        self.refuse("circle", task("add", 1, 2, options={
            "group": group, "after": [last], "on_failure": "run",
            "then": {"task": "add", "args": [1, 2], "id": last}}))

    def test_pipelined_lines(self):
        ids = [fresh() for _ in range(1000)]
        lines = [json.dumps({"task": "echo", "args": [i], "id": ids[i], **({"options": {
            "after": [ids[i - 1]], "on_failure": "fail"}} if i else {})}) for i in range(1000)]
        done = self.command("submit", "--stdin", "--json", text="\n".join(lines) + "\n")
        self.assertEqual(done.returncode, DONE, done.stderr)
        self.assertEqual([json.loads(one)["result"] for one in done.stdout.splitlines()],
                         list(range(1000)))

    def test_sent_again_while_it_waits(self):
        first, second = fresh(), fresh()
        self.accept(task("sleep", 600, task_id=first))
        both = (task("sleep", 600, task_id=first),
                task("echo", 1, task_id=second, options={"after": [first], "on_failure": "run"}))
        for _ in range(3):
            self.accept(*both)
        self.cancel(first)
        self.end(second)
        self.accept(*both)
        self.assertEqual(self.end(second)["status"], "success")

    def test_delay_counts_too(self):
        first, = self.accept(task("add", 1, 2))
        self.end(first)
        answer = self.submit("echo", 5, "--countdown", 600, "--options",
                             json.dumps({"after": [first], "on_failure": "fail"}))
        self.assertEqual(self.status(answer["task_id"])["status"], "scheduled")
        self.cancel(answer["task_id"])


class Group(Composition):
    def members(self, group, how_many, then, name="add", args=(1, 2), **options):
        tasks = [task(name, *args, options={"group": group}) for _ in range(how_many)]
        tasks[-1]["options"].update(then=then, on_failure="fail", **options)
        return tasks

    def test_then_runs_once_behind_the_last(self):
        last = fresh()
        members = self.members(fresh("group"), 20, {"task": "echo", "args": ["over"], "id": last})
        members[3] = task("sleep", 600, options=members[3]["options"])
        slow = members[3]["id"]
        self.accept(*members)
        self.assertEqual(self.status(last)["status"], "scheduled")
        self.cancel(slow)
        # A member that is cancelled has not succeeded.
        self.assertEqual(self.end(last)["status"], "failure")
        self.assertIn(slow, self.end(last)["error"])

    def test_big_group(self):
        last = fresh()
        members = self.members(fresh("group"), 10000, {"task": "echo", "args": [5], "id": last})
        self.accept(*members)
        self.assertEqual(self.end(last)["result"], 5)
        for one in members[::1000]:
            self.assertEqual(self.status(one["id"])["status"], "success")

    def test_failing_member(self):
        for word, status in (("fail", "failure"), ("skip", "cancelled"), ("run", "success")):
            members = self.members(fresh("group"), 3, {"task": "echo", "args": [1]})
            members[0]["name"], members[0]["args"] = "fail", ["no"]
            members[-1]["options"]["on_failure"] = word
            self.accept(*members)
            end = self.end(members[-1]["id"] + ".then")
            self.assertEqual(end["status"], status, end)

    def test_sealed_by_a_later_submission(self):
        group, last = fresh("group"), fresh()
        slow = fresh()
        self.accept(task("sleep", 600, task_id=slow, options={"group": group}))
        failed, = self.accept(task("fail", "no", options={"group": group}))
        self.end(failed)
        self.accept(task("add", 1, 2, options={"group": group, "on_failure": "skip",
                                               "then": {"task": "add", "id": last}}))
        self.assertEqual(self.status(last)["status"], "scheduled")
        self.cancel(slow)
        # The one that had failed before the group was sealed counts.
        self.assertEqual(self.end(last)["status"], "cancelled")

    def test_name_is_free_again_once_sealed(self):
        group, one, two = fresh("group"), fresh(), fresh()
        slow = fresh()
        self.accept(task("sleep", 600, task_id=slow, options={
            "group": group, "on_failure": "run", "then": {"task": "echo", "args": [1], "id": one}}))
        self.accept(task("add", 1, 2, options={
            "group": group, "on_failure": "run", "then": {"task": "echo", "args": [2], "id": two}}))
        self.assertEqual(self.end(two)["result"], 2)
        self.assertEqual(self.status(one)["status"], "scheduled")
        self.cancel(slow)
        self.assertEqual(self.end(one)["result"], 1)

    def test_nested(self):
        inner, outer, over = fresh(), fresh(), fresh()
        first = self.members(fresh("group"), 5, {"task": "echo", "args": ["inner"], "id": inner})
        group = fresh("group")
        second = [task("echo", i, options={"group": group, "after": [inner], "on_failure": "fail"})
                  for i in range(5)]
        second[-1]["options"]["then"] = {"task": "echo", "args": ["outer"], "id": outer}
        third = task("echo", "over", task_id=over, options={"after": [outer], "on_failure": "fail"})
        self.accept(third, *second, *first)
        self.assertEqual(self.end(over)["result"], "over")
        ends = [self.status(one) for one in (inner, second[0]["id"], outer, over)]
        moments = [(one["started_at"], one["completed_at"]) for one in ends]
        for (_, before), (after, _) in zip(moments, moments[1:]):
            self.assertLessEqual(before, after)

    def test_duplicate_ids(self):
        last, same = fresh(), fresh()
        group = fresh("group")
        members = [task("add", 1, 2, task_id=same, options={"group": group}) for _ in range(3)]
        members[-1]["options"].update(on_failure="fail",
                                      then={"task": "echo", "args": [1], "id": last})
        self.accept(*members)
        self.assertEqual(self.end(last)["result"], 1)

    def test_sent_again_makes_no_second(self):
        group, slow = fresh("group"), fresh()
        members = self.members(group, 3, {"task": "echo", "args": [1]})
        members[0] = task("sleep", 600, task_id=slow, options={"group": group})
        last = members[-1]["id"] + ".then"
        for _ in range(3):
            self.accept(*members)
        self.cancel(slow)
        self.assertEqual(self.end(last)["status"], "failure")
        started = self.metric('fastworker_tasks_started_total{task="echo",priority="normal"}')
        self.accept(*members)
        self.assertEqual(self.end(last)["status"], "failure")
        self.assertEqual(
            self.metric('fastworker_tasks_started_total{task="echo",priority="normal"}'), started)

    def test_one_then_in_a_batch(self):
        group = fresh("group")
        then = {"group": group, "on_failure": "run", "then": {"task": "add"}}
        self.refuse("a group of the batch has two", task("add", 1, 2, options=then),
                    task("add", 1, 2, options=then))

    def test_then_is_cancelled(self):
        last, slow, group = fresh(), fresh(), fresh("group")
        self.accept(task("sleep", 600, task_id=slow, options={
            "group": group, "on_failure": "run", "then": {"task": "echo", "id": last}}))
        self.cancel(last)
        self.assertEqual(self.end(last)["status"], "cancelled")
        self.cancel(slow)


class Unique(Composition):
    def unique(self, key, *words, **options):
        return self.submit(*words, "--options", json.dumps({"unique": key, **options}))

    def test_second_gets_the_first_ones_id_and_result(self):
        key, first = fresh("key"), fresh()
        self.accept(task("sleep", 600, task_id=first, options={"unique": key}))
        other = Requests(self.first + 2)
        self.addCleanup(other.close)
        other.send(task("add", 1, 2, options={"unique": key}))
        ids = self.accept(task("add", 3, 4, options={"unique": key}))
        self.assertEqual(ids, [first])
        self.cancel(first)
        answer = other.answer()
        self.assertEqual((answer["task_id"], answer["status"]), (first, "cancelled"))
        # It was cancelled, so the key is free (asynq#275).
        third, = self.accept(task("add", 5, 6, options={"unique": key}))
        self.assertNotEqual(third, first)
        self.assertEqual(self.end(third)["result"], 11)

    def test_no_circle_over_the_one_that_stands_in(self):
        # The second is not run, the first stands for it: so it would wait for itself.
        key, one, two, three = fresh("key"), fresh(), fresh(), fresh()
        first = task("add", 1, 2, task_id=one,
                     options={"unique": key, "after": [two], "on_failure": "run"})
        second = task("add", 3, 4, task_id=two, options={"unique": key})
        self.refuse("wait in a circle", first, second)
        first["options"]["after"] = [three]
        middle = task("add", 5, 6, task_id=three, options={"after": [two], "on_failure": "run"})
        self.refuse("wait in a circle", middle, first, second)
        # The other way round there is none, and the same one twice is one.
        again = task("add", 1, 2, task_id=one, options={"unique": key})
        second["options"].update(after=[one], on_failure="run")
        self.assertEqual(self.accept(again, again, second, middle), [one, one, one, three])
        self.assertEqual(self.end(three)["result"], 11)

    def test_native_client_learns_the_id(self):
        key, text, uuid = fresh("key"), fresh(), "3f0c9a52-7be5-4a4c-8f57-0c5d7a0b1d01"
        for first in (text, uuid):
            self.accept(task("sleep", 600, task_id=first, options={"unique": key}))
            self.assertEqual(self.unique(key, "add", 1, 2)["task_id"], first)
            resent = 'fastworker_tasks_deduplicated_total{reason="resend"}'
            before = self.metric(resent)
            waiting = subprocess.Popen(
                [PROGRAM, "submit", "add", "1", "2", "--json", "--options",
                 json.dumps({"unique": key}), "--control-plane-address", self.base],
                stdout=subprocess.PIPE, text=True)
            wait_until(lambda: self.metric(resent) > before, "the second one")
            lines = json.dumps({"task": "add", "args": [1, 2], "options": {"unique": key}}) + "\n"
            streamed = self.command("submit", "--stdin", "--json", "--non-blocking", text=lines)
            self.assertEqual(json.loads(streamed.stdout)["task_id"], first)
            self.cancel(first)
            out, _ = waiting.communicate(timeout=LONG)
            answer = json.loads(out)
            self.assertEqual((answer["task_id"], answer["status"]), (first, "cancelled"))

    def test_is_free_after_each_kind_of_end(self):
        # asynq#629, #886: success and failure free it; asynq#275, PR 276: so does a cancel.
        key = fresh("key")
        for name, args in (("add", [1, 2]), ("fail", ["no"])):
            one, = self.accept(task(name, *args, options={"unique": key}))
            self.end(one)
            two, = self.accept(task("add", 1, 2, options={"unique": key}))
            self.assertNotEqual(one, two)
            self.end(two)
        timed, = self.accept(task("sleep", 600, timeout=0.1, options={"unique": key}))
        self.assertEqual(self.end(timed)["status"], "failure")
        delayed = self.unique(key, "add", 1, 2, "--countdown", 600)["task_id"]
        self.assertEqual(self.unique(key, "add", 1, 2)["task_id"], delayed)
        self.cancel(delayed)
        last = self.unique(key, "add", 1, 2)["task_id"]
        self.assertNotEqual(last, delayed)
        self.end(last)

    def test_stays_taken_for_a_while(self):
        # asynq#369: a completed task keeps its key for the time that was asked for; but a failed
        # or cancelled one does not (asynq#629, #275).
        key = fresh("key")
        one = self.unique(key, "echo", 9, unique_for=600)["task_id"]
        self.end(one)
        again = self.command("submit", "echo", 10, "--json", "--options",
                             json.dumps({"unique": key, "unique_for": 600}))
        answer = json.loads(again.stdout)
        self.assertEqual((answer["task_id"], answer["result"]), (one, 9))
        key = fresh("key")
        failed = self.unique(key, "fail", "no", unique_for=600)["task_id"]
        self.end(failed)
        self.assertNotEqual(self.unique(key, "echo", 1, unique_for=600)["task_id"], failed)

    def test_short_while_is_over(self):
        key = fresh("key")
        one = self.unique(key, "echo", 1, unique_for=0.2)["task_id"]
        self.end(one)
        wait_until(lambda: self.unique(key, "echo", 2, unique_for=0.2)["task_id"] != one,
                   "the end of the time")

    def test_only_while_it_waits(self):
        # One runs and the next one waits: what came in meanwhile is not lost, and not done twice.
        key = fresh("key")
        running = self.unique(key, "sleep", 600, unique_while="queued")["task_id"]
        wait_until(lambda: self.status(running)["status"] == "running", "its run")
        self.command("pause", "--task", "add")
        waits = self.unique(key, "add", 1, 2, unique_while="queued")["task_id"]
        self.assertNotEqual(waits, running)
        self.assertEqual(self.unique(key, "add", 1, 2, unique_while="queued")["task_id"], waits)
        self.command("unpause", "--task", "add")
        self.assertEqual(self.end(waits)["status"], "success")
        self.assertEqual(self.status(running)["status"], "running")
        self.cancel(running)

    def test_for_a_time_whatever_becomes_of_it(self):
        key = fresh("key")
        failed = self.unique(key, "fail", "no", unique_while="time", unique_for=600)["task_id"]
        self.end(failed)
        again = self.command("submit", "echo", 10, "--json", "--unique", key, "--unique-while",
                             "time", "--unique-for", "10m")
        self.assertEqual(json.loads(again.stdout)["task_id"], failed)
        key = fresh("key")
        long = self.unique(key, "sleep", 600, unique_while="time", unique_for=0.2)["task_id"]
        wait_until(lambda: self.unique(key, "echo", 2, unique_while="time",
                                       unique_for=0.2)["task_id"] != long, "the end of the time")
        self.assertIn(self.status(long)["status"], ("queued", "running"))
        self.cancel(long)

    def test_words_that_do_not_agree(self):
        for words, options in (("live, queued or time", {"unique": "k", "unique_while": "ever"}),
                               ("needs 'unique'", {"unique_while": "queued"}),
                               ("needs 'unique_for'", {"unique": "k", "unique_while": "time"}),
                               ("does not go with", {"unique": "k", "unique_while": "queued",
                                                     "unique_for": 5})):
            self.refuse(words, task("add", 1, 2, options=options))

    def test_retrying_task_keeps_it(self):
        key, first = fresh("key"), fresh()
        self.accept(task("fail", "no", task_id=first, max_retries=1, retry_delay=600,
                         options={"unique": key}))
        wait_until(lambda: self.status(first)["status"] == "retrying", "a retry")
        self.assertEqual(self.unique(key, "add", 1, 2)["task_id"], first)
        self.cancel(first)

    def test_dead_task_is_free_and_revived_only_if_it_is(self):
        # river#672, asynq#492: what was given up does not stand in anybody's way.
        key, first = fresh("key"), fresh()
        self.accept(task("fail", "no", task_id=first, max_retries=1, retry_delay=0,
                         options={"unique": key}))
        self.end(first)
        second, = self.accept(task("sleep", 600, options={"unique": key}))
        self.assertNotEqual(second, first)
        retried = json.loads(self.command("dead", "retry", first, "--json").stdout)
        self.assertEqual(retried["unknown"], [first])
        self.cancel(second)
        self.end(second)
        retried = json.loads(self.command("dead", "retry", first, "--json").stdout)
        self.assertEqual(retried["done"], [first])
        self.end(first)
        self.command("dead", "delete", first)
        self.assertNotEqual(self.unique(key, "add", 1, 2)["task_id"], first)

    def test_same_id_and_key_again(self):
        key, first = fresh("key"), fresh()
        for _ in range(3):
            self.accept(task("sleep", 600, task_id=first, options={"unique": key}))
        self.cancel(first)
        self.end(first)
        self.assertEqual(self.accept(task("add", 1, 2, task_id=first, options={"unique": key})),
                         [first])
        self.assertEqual(self.end(first)["status"], "cancelled")
        self.assertNotEqual(self.unique(key, "add", 1, 2)["task_id"], first)

    def test_many_at_once_start_one(self):
        key = fresh("key")
        told = []

        def send():
            requests = Requests(self.first + 2)
            for _ in range(50):
                told.append(requests.ask({"action": "batch_submit", "tasks": [
                    task("sleep", 600, options={"unique": key})]})["task_ids"][0])
            requests.close()
        threads = [threading.Thread(target=send) for _ in range(4)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        self.assertEqual(len(told), 200)
        self.assertEqual(len(set(told)), 1)
        self.cancel(told[0])

    def test_others_follow_the_one_that_stands_in(self):
        key, first, member, last = fresh("key"), fresh(), fresh(), fresh()
        self.accept(task("sleep", 600, task_id=first, options={"unique": key}))
        self.accept(task("add", 1, 2, task_id=member, options={"unique": key}),
                    task("echo", 1, task_id=last,
                         options={"after": [member], "on_failure": "run"}))
        self.assertEqual(self.status(last)["status"], "scheduled")
        self.cancel(first)
        self.assertEqual(self.end(last)["result"], 1)


class Expires(Composition):
    flags = ("--threads", "1")

    def test_what_does_not_start_in_time_fails(self):
        expired = 'fastworker_tasks_finished_total{task="add",priority="normal",status="expired"}'
        slow, = self.accept(task("sleep", 600))
        wait_until(lambda: self.status(slow)["status"] == "running", "a busy thread")
        late, follower = fresh(), fresh()
        self.accept(task("add", 1, 2, task_id=late, options={"expires": 0.2}),
                    task("add", 1, 2, task_id=follower,
                         options={"after": [late], "on_failure": "fail"}))
        end = self.end(late)
        self.assertEqual((end["status"], end["error"]),
                         ("failure", "expired: it did not start in time"))
        self.assertIn("not run", self.end(follower)["error"])
        self.assertEqual(self.metric(expired), 1)
        delayed = self.submit("add", 1, 2, "--countdown", 600, "--options", '{"expires": 0.1}')
        self.assertIn("expired", self.end(delayed["task_id"])["error"])
        self.cancel(slow)
        in_time, = self.accept(task("sleep", 0.3, options={"expires": 0.2}))
        # It may have to wait for the one that was cancelled; if it began, it is let finish.
        self.assertIn(self.end(in_time)["status"], ("success", "failure"))


class Window(Composition):
    flags = ("--result-cache-size", "100")

    def test_what_has_ended_lately_does_not_run_again(self):
        first, = self.accept(task("sha256", "once"))
        self.end(first)
        # Others drive its result out.
        self.command("submit", "--stdin", "--non-blocking", "-q", text="".join(
            json.dumps({"task": "add", "args": [i, 1]}) + "\n" for i in range(120)))
        runs = 'fastworker_tasks_started_total{task="sha256",priority="normal"}'
        wait_until(lambda: self.command("status", first).returncode == UNKNOWN, "its result gone")
        answer = self.tasks.ask(task("sha256", "once", task_id=first))
        self.assertEqual(answer["status"], "failure")
        self.assertIn("expired", answer["error"])
        self.assertEqual(self.metric(runs), 1)
        after, = self.accept(task("echo", 1, options={"after": [first], "on_failure": "fail"}))
        self.assertIn("no longer kept", self.end(after)["error"])
        after, = self.accept(task("echo", 1, options={"after": [first], "on_failure": "run"}))
        self.assertEqual(self.end(after)["result"], 1)


class ManyGroups(Composition):
    def test_groups_that_are_there_take_members_when_no_other_may_come(self):
        batch, most = 8192, 1 << 16
        later = "2100-01-01T00:00:00"
        for begin in range(0, most, batch):
            self.accept(*(task("echo", 1, task_id=f"m{i}", eta=later, options={"group": f"g{i}"})
                          for i in range(begin, begin + batch)))
        self.refuse("too many groups", task("echo", 1, options={"group": "one more"}))
        self.accept(task("echo", 1, options={"group": "g0"}),
                    task("echo", 1, options={"group": f"g{most - 1}"}))
        self.refuse("too many groups", task("echo", 1, options={"group": "g1"}),
                    task("echo", 1, options={"group": "one more"}))


class Stop(Composition):
    def test_waiting_tasks_end_at_the_end(self):
        slow, held, last = fresh(), fresh(), fresh()
        self.accept(task("sleep", 600, task_id=slow, options={
            "group": "g", "on_failure": "run", "then": {"task": "add", "id": last}}),
            task("add", 1, 2, task_id=held, options={"after": [slow], "on_failure": "run"}))
        waiting = [Requests(self.first + 2) for _ in range(2)]
        for requests, one in zip(waiting, (held, last)):
            requests.send(task("add", 1, 2, task_id=one))
        for one in (held, last):
            self.assertEqual(self.status(one)["status"], "scheduled")
        self.process.send_signal(signal.SIGTERM)
        for requests in waiting:
            self.assertIn("shutting down", requests.answer()["error"])
            requests.close()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(LONG)
        self.start()


del Composition

if __name__ == "__main__":
    main()

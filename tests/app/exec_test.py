"""Tasks that are programs, in the real program: what becomes of them, and of what they start.

Covers app/exec_tasks.c, app/http/exec_metrics.c, and with them engine/exec*.c as users see them.
The examples of docs/EXEC.md are run from docs/examples/exec. SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from control_plane_test import Case
from plane import LONG, PROGRAM, free_block, line, main, wait_until

EXAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "examples",
                        "exec")
EXAMPLES = os.path.normpath(EXAMPLES)
ROOT = os.path.normpath(os.path.join(EXAMPLES, "..", "..", ".."))
PYTHON = os.path.realpath(sys.executable)
THREAD_SANITIZER = b"__tsan_init" in open(PROGRAM, "rb").read()
SANITIZED = THREAD_SANITIZER or b"__asan_init" in open(PROGRAM, "rb").read()

# A pool worker that does what it is told by its first argument.
MOODY = r"""
import json, os, signal, sys
for line in sys.stdin:
    task = json.loads(line)
    say = lambda **more: print(json.dumps({"id": task["id"], **more}), flush=True)
    what = task["args"][0]
    if what == "pid":
        say(ok=os.getpid())
    elif what == "crash":
        print("going down", file=sys.stderr)
        os._exit(3)
    elif what == "kill":
        os.kill(os.getpid(), 9)
    elif what == "garbage":
        print("debug: here I am", flush=True)
    elif what == "other":
        print(json.dumps({"id": "another", "ok": 1}), flush=True)
    elif what == "close":
        os.close(1)
        signal.pause()
    elif what == "deaf":
        os.close(0)
        signal.pause()
    elif what == "big":
        say(ok="x" * task["args"][1])
    elif what == "stop":
        open(task["args"][1], "w").close()
        signal.pause()
    elif what == "twice":
        say(progress=[1, 2, "a"])
        print(json.dumps({"id": task["id"], "progress": [2, 2, "b"]}) + "\n" +
              json.dumps({"id": task["id"], "ok": "both"}), flush=True)
    elif what == "more":
        say(ok=os.getpid())
        print("and another thing", flush=True)
    elif what == "grow":
        hoard = b"x" * (96 << 20)
        say(ok=os.getpid())
    elif what == "retry":
        say(error="not now", retry_ms=0) if task["attempt"] < 3 else say(ok=task["attempt"])
    elif what == "env":
        say(ok=sorted(os.environ))
"""


def runs(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Exec(Case):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.path = os.path.join(folder.name, "fastworker.conf")
        self.moody = os.path.join(folder.name, "moody.py")
        with open(self.moody, "w", encoding="utf-8") as file:
            file.write(MOODY)

    def write(self, sections):
        text = "privileged-exec = true\n"
        for name, keys in sections.items():
            text += f'[task "{name}"]\n'
            text += "".join(f"{key.replace('_', '-')} = {value}\n" for key, value in keys.items())
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(text)

    def start(self, *flags, **sections):
        self.write(sections)
        plane = self.plane("--config", self.path, "--threads", "4", *flags)
        self.addCleanup(plane.process.stderr.close)
        return plane

    def submit(self, plane, *words):
        return json.loads(plane.run("submit", *words, "--json").stdout)

    def result(self, plane, *words):
        answer = self.submit(plane, *words)
        self.assertEqual(answer["status"], "success", answer)
        return answer["result"]

    def error(self, plane, *words):
        answer = self.submit(plane, *words)
        self.assertEqual(answer["status"], "failure", answer)
        return answer["error"]

    def exits(self, plane, pool, outcome):
        return plane.metric(f'fastworker_exec_exits_total{{pool="{pool}",outcome="{outcome}"}}')

    def children(self, plane):
        """Process numbers and states of all children, dead ones too."""
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
                    state, parent = stat.read().rsplit(")", 1)[1].split()[:2]
            except OSError:
                continue
            if int(parent) == plane.process.pid:
                found[int(pid)] = state
        return found

    def pool(self, **more):
        return {"exec": f"{PYTHON} {self.moody}", "mode": "pool", **more}

    def script(self, text, **more):
        """A task of that shell script; the script is a file, the arguments are words."""
        path = os.path.join(self.folder, f"script{len(os.listdir(self.folder))}.sh")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return {"exec": f"/bin/sh {path}", **more}


class Oneshot(Exec):
    def test_results(self):
        plane = self.start(
            cat=self.script("cat"), text=self.script("echo '  two words '"),
            number=self.script("echo 1.10"), quoted=self.script("echo 1.10", output="text"),
            strict=self.script("echo no", output="json"), nothing=self.script(":"),
            bytes=self.script(r"printf '\377\n\001'"))
        told = self.result(plane, "cat", "5", "a b", "k=true", "--id", "an id")
        self.assertEqual((told["id"], told["name"], told["args"], told["kwargs"], told["attempt"]),
                         ("an id", "cat", [5, "a b"], {"k": True}, 1))
        self.assertGreater(told["deadline"], time.time())
        self.assertEqual(self.result(plane, "text"), "two words")
        self.assertEqual(self.result(plane, "number"), 1.1)
        self.assertEqual(self.result(plane, "quoted"), "1.10")
        self.assertIsNone(self.result(plane, "nothing"))
        self.assertEqual(self.result(plane, "bytes"), "\ufffd\n\x01")
        self.assertEqual(self.error(plane, "strict"), "what the program wrote is not JSON")
        self.assertEqual(self.exits(plane, "cat", "ok"), 1)
        names = [one["name"] for one in plane.json("/api/registered-tasks")["tasks"]]
        self.assertIn("cat", names)
        self.assertEqual(plane.end(), 0, plane.log)

    def test_failures(self):
        plane = self.start(
            told=self.script("echo first >&2; echo 'the disk is gone' >&2; echo >&2; exit 9"),
            silent=self.script("exit 3"), signal=self.script("kill -SEGV $$"),
            kill=self.script("kill -9 $$"), flood=self.script("yes", result_max="10K"),
            later=self.script("echo not yet >&2; exit 75", retry_delay="0"),
            twice=self.script('test "$FASTWORKER_ATTEMPT" = 2 && echo 2 || exit 75',
                              retry_delay="0"),
            again=self.script("exit 4", max_retries="2", retry_delay="0"),
            gone={"exec": "/bin/true", "directory": "/nowhere"},
            noisy=self.script("i=0; while [ $i -lt 3000 ]; do echo line $i >&2; i=$((i+1)); done"
                              "; exit 1", stderr_max="1K"))
        self.assertEqual(self.error(plane, "told"), "the disk is gone")
        self.assertEqual(self.error(plane, "silent"), "exit status 3")
        self.assertRegex(self.error(plane, "signal"), r"killed by signal 11 \(SIGSEGV\); max RSS")
        self.assertIn("perhaps for lack of memory", self.error(plane, "kill"))
        self.assertEqual(self.error(plane, "flood"),
                         "what the program wrote is more than 10240 bytes (result-max)")
        self.assertEqual(self.result(plane, "twice"), 2)
        self.assertEqual(self.error(plane, "later"), "not yet")
        self.assertEqual(self.exits(plane, "later", "retry"), 4, "three further tries")
        self.assertEqual(self.error(plane, "again"), "exit status 4")
        self.assertEqual(self.exits(plane, "again", "error"), 3)
        # There vfork is a fork, whose child cannot tell why.
        self.assertEqual(self.error(plane, "gone"), "exit status 127" if THREAD_SANITIZER else
                         "cannot start /bin/true: No such file or directory")
        self.assertEqual(self.error(plane, "noisy"), "line 2999")
        self.assertEqual((self.exits(plane, "flood", "too_big"), self.exits(plane, "kill", "oom"),
                          self.exits(plane, "signal", "signal"),
                          self.exits(plane, "gone", "error" if THREAD_SANITIZER else
                                     "unstarted")), (1, 1, 1, 1))
        plane.end()
        self.assertIn("event=exec.stderr", plane.log)
        self.assertIn("the disk is gone", plane.log)
        self.assertLess(plane.log.count("line "), 200)

    def test_an_id_of_ones_own(self):
        """Also where a line of standard error is logged."""
        plane = self.start(told=self.script("cat > /dev/null; echo it is gone >&2; exit 9"))
        self.assertEqual(self.error(plane, "told", "--id", "mine"), "it is gone")
        plane.end()
        self.assertRegex(plane.log, r"exec\.stderr.*told mine: it is gone")

    def test_arguments_are_words(self):
        show = f"{PYTHON} -c 'import json, sys; print(json.dumps(sys.argv[1:]))'"
        plane = self.start(show={"exec": show + " {0} {name} x{0} '{{0}}' '{print $1}' {1}"})
        self.assertEqual(self.result(plane, "show", "$(id) ; `x` *", "[1, 2]", "name=\u00e9"),
                         ["$(id) ; `x` *", "\u00e9", "x{0}", "{0}", "{print $1}", "[1, 2]"])
        self.assertEqual(self.error(plane, "show", "1"), "the argument {name} is missing")
        done = plane.run("submit", "--stdin", "--json",
                         stdin=line("show", "a\0b", kwargs={"name": 1}))
        self.assertEqual(json.loads(done.stdout.splitlines()[0])["error"],
                         "the argument {0} has a NUL byte in it")

    def test_the_process_starts_clean(self):
        look = ("import json, os, resource, signal\n"
                "status = dict(l.split(':', 1) for l in open('/proc/self/status'))\n"
                "print(json.dumps({'fds': sorted(os.listdir('/proc/self/fd'))[:-1],\n"
                "  'env': sorted(os.environ), 'group': os.getpgrp() == os.getpid(),\n"
                "  'blocked': status['SigBlk'].strip(), 'privs': status['NoNewPrivs'].strip(),\n"
                "  'directory': os.getcwd(), 'id': os.environ['FASTWORKER_TASK_ID'],\n"
                "  'limits': [resource.getrlimit(getattr(resource, 'RLIMIT_' + n))[0]\n"
                "             for n in ('AS', 'CPU', 'NOFILE')]}))\n")
        path = os.path.join(self.folder, "look.py")
        with open(path, "w", encoding="utf-8") as file:
            file.write(look)
        os.environ["EXEC_SECRET"], os.environ["EXEC_GIVEN"] = "s", "g"
        self.addCleanup(os.environ.pop, "EXEC_SECRET")
        self.addCleanup(os.environ.pop, "EXEC_GIVEN")
        plane = self.start(look={"exec": f"{PYTHON} {path}", "env_pass": "EXEC_GIVEN",
                                 "directory": self.folder, "memory_max": "4G", "cpu_max": "100s",
                                 "files_max": "64"})
        told = self.result(plane, "look", "--id", "one")
        self.assertEqual(told["fds"], ["0", "1", "2"])
        self.assertEqual([name for name in told["env"] if not name.startswith("LC_")],
                         ["EXEC_GIVEN", "FASTWORKER_ATTEMPT", "FASTWORKER_TASK_ID",
                          "FASTWORKER_TASK_NAME"])
        self.assertEqual((told["group"], told["privs"], told["id"]), (True, "1", "one"))
        self.assertEqual(int(told["blocked"], 16), 0)
        self.assertEqual(os.path.realpath(told["directory"]), os.path.realpath(self.folder))
        self.assertEqual(told["limits"], [4 << 30, 100, 64])

    def test_a_timeout_ends_the_whole_group(self):
        note = os.path.join(self.folder, "pids")
        plane = self.start(family=self.script(
            f"trap '' TERM; (trap '' TERM; echo $$ >> {note}; sleep 600) & sleep 600 & "
            f"echo $! >> {note}; echo $$ >> {note}; wait; sleep 600", grace="100ms",
            timeout="300ms"))
        self.assertIn("timed out after 0.3s", self.error(plane, "family"))
        with open(note, encoding="utf-8") as file:
            pids = [int(pid) for pid in file.read().split()]
        self.assertGreaterEqual(len(pids), 3)
        wait_until(lambda: not any(map(runs, pids)), "they are gone")
        wait_until(lambda: self.exits(plane, "family", "timeout") == 1, "counted")
        wait_until(lambda: not self.children(plane), "nothing is left to be waited for")

    def test_a_cancel_is_heard(self):
        note = os.path.join(self.folder, "told")
        plane = self.start(polite=self.script(
            f"trap 'echo bye > {note}; exit 1' TERM; echo > {note}.up; "
            "while :; do sleep 600 & wait; done"))
        plane.run("submit", "polite", "--id", "p", "--non-blocking")
        wait_until(lambda: os.path.exists(note + ".up"), "it runs")
        self.assertEqual(plane.metric('fastworker_exec_children{pool="polite",state="busy"}'), 1)
        self.assertEqual(plane.run("cancel", "--task-id", "p").returncode, 0)
        wait_until(lambda: plane.status("p") == "cancelled", "it is")
        wait_until(lambda: self.exits(plane, "polite", "cancelled") == 1, "counted")
        self.assertTrue(os.path.exists(note), "it was told and not just killed")
        wait_until(lambda: not self.children(plane), "nothing is left to be waited for")

    def test_what_it_leaves_behind_is_ended_or_reaped(self):
        note = os.path.join(self.folder, "pids")
        plane = self.start(
            litter=self.script(f"sleep 600 & echo $! > {note}; echo true"),
            daemon=self.script("setsid sh -c 'sleep 0.05; exit 3' >/dev/null 2>&1 & echo true"))
        self.assertIs(self.result(plane, "litter"), True)
        with open(note, encoding="utf-8") as file:
            pid = int(file.read())
        wait_until(lambda: not runs(pid), "it is gone")
        for _ in range(5):
            self.assertIs(self.result(plane, "daemon"), True)
        wait_until(lambda: not self.children(plane), "orphans are waited for")

    def test_input_that_nobody_reads(self):
        plane = self.start("--payload-max", "8M", deaf=self.script("exec <&-; echo done"),
                           idle=self.script("sleep 0.05; echo done"))
        big = json.dumps("x" * (4 << 20))
        for name in ("deaf", "idle"):
            done = plane.run("submit", "--stdin", "--json", stdin=line(name, json.loads(big)))
            answer = json.loads(done.stdout.splitlines()[0])
            self.assertEqual((answer["status"], answer["result"]), ("success", "done"))

    def test_as_root_it_is_refused(self):
        self.write({"x": {"exec": "/bin/true"}})
        with open(self.path, encoding="utf-8") as file:
            text = file.read().replace("privileged-exec = true", "")
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(text + "[task \"y\"]\nexec = /nowhere/program\n")
        first = free_block()
        done = subprocess.run([PROGRAM, "control-plane", "--no-gui", "-c", self.path,
                               "--base-address", f"tcp://127.0.0.1:{first}"], timeout=LONG,
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 78)
        self.assertIn("FASTWORKER_PRIVILEGED_EXEC" if os.geteuid() == 0 else "/nowhere/program",
                      done.stderr)

    def test_a_missing_program_ends_the_start(self):
        self.write({"x": {"exec": "/nowhere/program"}})
        done = subprocess.run([PROGRAM, "control-plane", "--no-gui", "-c", self.path], timeout=LONG,
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 78)
        self.assertRegex(done.stderr, r'\[task .*x.*\] exec: /nowhere/program: No such file')


class Pool(Exec):
    def test_processes_stay_and_are_recycled(self):
        plane = self.start(moody=self.pool(pool_size=1, recycle_tasks=3))
        pids = [self.result(plane, "moody", "pid") for _ in range(7)]
        self.assertEqual((len(set(pids[:3])), len(set(pids[3:6])), len(set(pids))), (1, 1, 3))
        wait_until(lambda: self.exits(plane, "moody", "recycled") == 2, "they have ended")
        self.assertEqual(plane.metric('fastworker_exec_children{pool="moody",state="idle"}'), 1)
        names = {"FASTWORKER_TASK_NAME"} | {"PATH", "LANG", "TZ"} & set(os.environ)
        told = self.result(plane, "moody", "env")
        self.assertEqual({name for name in told if not name.startswith("LC_")}, names)
        self.assertEqual(plane.end(), 0, plane.log)
        self.assertFalse(any(map(runs, pids)))

    def test_a_crash_costs_one_run(self):
        plane = self.start(moody=self.pool(pool_size=1))
        pid = self.result(plane, "moody", "pid")
        self.assertEqual(self.error(plane, "moody", "crash"), "the program ended: going down")
        self.assertIn("SIGKILL", self.error(plane, "moody", "kill"))
        another = self.result(plane, "moody", "pid")
        self.assertNotEqual(pid, another)
        os.kill(another, signal.SIGKILL)
        self.assertNotIn(self.result(plane, "moody", "pid"), (pid, another))
        self.assertEqual(self.result(plane, "moody", "retry"), 3)
        self.assertEqual(self.exits(plane, "moody", "error"), 1)

    def test_what_is_no_answer(self):
        plane = self.start(moody=self.pool(pool_size=1, result_max="64K", grace="100ms"))
        pids = [self.result(plane, "moody", "pid")]
        nonsense = "the program wrote what is not an answer: "
        for what, error in (("garbage", nonsense + "debug: here I am"), ("other", nonsense),
                            ("close", "the program closed its standard input or output")):
            self.assertIn(error, self.error(plane, "moody", what))
            pids.append(self.result(plane, "moody", "pid"))
        self.assertIn("timed out", self.error(plane, "moody", "deaf", "--timeout", "0.3"))
        pids.append(self.result(plane, "moody", "pid"))
        self.assertEqual(len(set(pids)), 5, "each was replaced")
        self.assertIn("more than 65536 bytes", self.error(plane, "moody", "big", "65536"))
        self.assertIn("more than 65536 bytes", self.error(plane, "moody", "big", "9000000"))
        self.assertEqual(len(self.result(plane, "moody", "big", "60000")), 60000)
        self.assertEqual(self.result(plane, "moody", "twice"), "both")
        self.assertNotEqual(self.result(plane, "moody", "more"), self.result(plane, "moody", "pid"))
        self.assertEqual(self.exits(plane, "moody", "nonsense"), 3)
        wait_until(lambda: len(self.children(plane)) <= 1, "the others are gone")

    def test_a_cancel_ends_the_process_and_not_the_pool(self):
        plane = self.start(moody=self.pool(pool_size=1))
        note = os.path.join(self.folder, "up")
        pid = self.result(plane, "moody", "pid")
        plane.run("submit", "moody", "stop", note, "--id", "s", "--non-blocking")
        wait_until(lambda: os.path.exists(note), "it runs")
        self.assertEqual(plane.run("cancel", "--task-id", "s").returncode, 0)
        wait_until(lambda: self.exits(plane, "moody", "cancelled") == 1, "it has ended")
        self.assertNotEqual(self.result(plane, "moody", "pid"), pid)

    @unittest.skipIf(SANITIZED, "the figure is one of the plain build")
    def test_one_that_has_grown_is_replaced(self):
        plane = self.start(moody=self.pool(pool_size=1, recycle_rss="64M"))
        self.assertEqual(self.result(plane, "moody", "pid"), self.result(plane, "moody", "pid"))
        self.assertNotEqual(self.result(plane, "moody", "grow"),
                            self.result(plane, "moody", "pid"))

    def test_ten_thousand_runs_leave_nothing(self):
        plane = self.start(moody=self.pool(pool_size=2))
        count = 10000
        descriptors = None
        for _ in range(2):
            done = plane.run("submit", "--stdin", "--json",
                             stdin=line("moody", "pid") * (count // 2))
            answers = [json.loads(one) for one in done.stdout.splitlines()
                       if one.startswith("{")]
            self.assertEqual({one["status"] for one in answers}, {"success"})
            self.assertEqual(len(answers), count // 2)
            self.assertLessEqual(len({one["result"] for one in answers}), 2)
            now = wait_until(lambda: len(os.listdir(f"/proc/{plane.process.pid}/fd")), "open")
            self.assertLessEqual(now, (descriptors or now) + 4)
            descriptors = now
        self.assertLessEqual(len(self.children(plane)), 2)
        self.assertNotIn("Z", self.children(plane).values())
        self.assertEqual(plane.end(), 0, plane.log)


class Examples(Exec):
    def test_in_a_subworker(self):
        plane = self.start("--local-subworkers", "1", moody=self.pool(),
                           text=self.script("echo two words"))
        self.assertEqual(self.result(plane, "text"), "two words")
        pid = self.result(plane, "moody", "pid")
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            parent = int(stat.read().rsplit(")", 1)[1].split()[1])
        self.assertNotEqual(parent, plane.process.pid)
        self.assertIn(parent, self.children(plane))
        self.assertEqual(plane.end(), 0, plane.log)

    def sections_of(self, document):
        """The configuration that the document shows, with this machine's paths."""
        with open(os.path.join(ROOT, "docs", document), encoding="utf-8") as file:
            blocks = re.findall(r"```ini\n(.*?)```", file.read(), re.S)
        text = "".join(blocks).replace("/usr/bin/python3", PYTHON)
        # A copy, because Python writes beside what it imports.
        return text.replace("/srv/fastworker", shutil.copytree(EXAMPLES, self.folder + "/srv"))

    @unittest.skipUnless(shutil.which("node"), "node is one of the examples")
    def test_the_document(self):
        text = self.sections_of("EXEC.md").replace("/usr/bin/node", shutil.which("node"))
        with open(self.path, "w", encoding="utf-8") as file:
            file.write("privileged-exec = true\n" + text)
        plane = self.plane("--config", self.path, "--threads", "4")
        self.addCleanup(plane.process.stderr.close)
        self.assertEqual(self.result(plane, "thumbnail", "a.png"),
                         {"thumb": "a-small.png", "attempt": 1})
        self.assertEqual(self.result(plane, "thumbnail", "a.png", "later=true"),
                         {"thumb": "a-small.png", "attempt": 2})
        self.assertEqual(self.error(plane, "thumbnail", "a.txt"), "not a picture: a.txt")
        counted = self.result(plane, "word-count", os.path.abspath(__file__))
        self.assertRegex(counted, r"^\d+ .*exec_test.py$")
        self.assertEqual(self.result(plane, "resize", "640", "480"),
                         {"width": 320, "height": 240, "attempt": 1})
        self.assertEqual(self.result(plane, "resize", "640", "480", "busy=true")["attempt"], 2)
        self.assertEqual(self.error(plane, "resize", "0", "480"), "ValueError: a width is wanted")
        self.assertEqual(self.result(plane, "slug", "Hello, big World"), "hello-big-world")
        self.assertEqual(self.result(plane, "slug", "A b", "dash=_"), "a_b")
        self.assertEqual(self.error(plane, "slug", "5"), "a text is wanted")
        self.assertEqual(self.result(plane, "lines", "one")["args"], ["one"])
        self.assertEqual(plane.end(), 0, plane.log)
        self.assertIn("making a thumbnail of a.png", plane.log)


if __name__ == "__main__":
    main()

"""Zones and schedules of the engine against Python's zoneinfo, croniter, and FastWorker 0.3.0.

All zones of the system at moments around their changes and between, 1970 to 2100; thousands of
expressions in random zones, whose days come from croniter and whose mapping to moments from
zoneinfo; the days on which clocks are changed, minute by minute; and what 0.3.0 makes of an
expression. Covers engine/zone.c, engine/zone_rule.c, engine/schedule.c, engine/cron_text.c.
SPDX-License-Identifier: Apache-2.0
"""

import os
import random
import subprocess
import sys
import unittest
import zoneinfo
from datetime import datetime, timedelta, timezone

try:
    from croniter import croniter
except ImportError:
    if os.environ.get("FW_REQUIRE_VENV"):
        raise
    croniter = None

FOLDER = "/usr/share/zoneinfo"
EPOCH = datetime(1970, 1, 1)
UTC = timezone.utc
SEED = int(os.environ.get("FW_SEED", "20261124"))


def seconds(naive):
    return int((naive - EPOCH).total_seconds())


def zone_names():
    """What the folder has, by the names under which it can be asked for."""
    zoneinfo.reset_tzpath(to=[FOLDER])
    found = []
    for root, folders, files in os.walk(FOLDER):
        folders[:] = [name for name in folders if name not in ("posix", "right")]
        for name in files:
            path = os.path.join(root, name)
            with open(path, "rb") as file:
                if file.read(4) == b"TZif":
                    found.append(os.path.relpath(path, FOLDER))
    return sorted(name for name in found if "." not in name)


def offset(zone, unix):
    return int(datetime.fromtimestamp(unix, UTC).astimezone(zone).utcoffset().total_seconds())


def moments(zone, naive):
    """Every moment at which clocks show that, by trying both folds."""
    found = set()
    for fold in (0, 1):
        local = naive.replace(tzinfo=zone, fold=fold)
        utc = local.astimezone(UTC)
        if utc.astimezone(zone).replace(tzinfo=None) == naive:
            found.add(int(utc.timestamp()))
    return sorted(found)


def after_gap(zone, naive):
    """The first moment after the jump over that reading, by halving."""
    guess = int(naive.replace(tzinfo=UTC).timestamp()) - offset(
        zone, int(naive.replace(tzinfo=UTC).timestamp()))
    low, high = guess - 86400 * 2, guess + 86400 * 2
    target = seconds(naive)
    while low + 1 < high:
        middle = (low + high) // 2
        if middle + offset(zone, middle) < target:
            low = middle
        else:
            high = middle
    return high


def changes(zone, begin, end, step=86400 * 5):
    """The moments at which the offset changes, by looking and halving."""
    found, at, now = [], begin, offset(zone, begin)
    while at < end:
        then = offset(zone, at + step)
        if then != now:
            low, high = at, at + step
            while low + 1 < high:
                middle = (low + high) // 2
                if offset(zone, middle) == now:
                    low = middle
                else:
                    high = middle
            found.append(high)
            now = offset(zone, high)
            at = high
        else:
            at += step
    return found


def margin(zone, at):
    """Two days when clocks are changed in them, which matters for the order."""
    same = offset(zone, at - 2 * 86400) == offset(zone, at) == offset(zone, at + 2 * 86400)
    return timedelta(days=0 if same else 2)


class Probe:
    def __init__(self):
        self.child = subprocess.Popen([os.environ["FW_SCHEDULE_PROBE"]], text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, *lines):
        """Sends lines in portions that fit into a pipe; the answers."""
        answers = []
        for at in range(0, len(lines), 200):
            part = lines[at:at + 200]
            self.child.stdin.write("".join(line + "\n" for line in part))
            self.child.stdin.flush()
            answers += [self.child.stdout.readline().rstrip("\n") for _ in part]
        return answers

    def close(self):
        self.child.stdin.close()
        self.child.stdout.close()
        self.child.wait()


class Case(unittest.TestCase):
    def setUp(self):
        self.probe = Probe()
        self.addCleanup(self.probe.close)
        self.random = random.Random(SEED)

    def zone(self, name):
        self.assertEqual(self.probe.ask("zone " + name), ["ok"])
        return zoneinfo.ZoneInfo(name)


class Zones(Case):
    def test_every_zone_from_1970_to_2100(self):
        names = zone_names()
        self.assertGreater(len(names), 300)
        begin, end = 0, seconds(datetime(2100, 1, 1))
        for name in names:
            zone = self.zone(name)
            points = [self.random.randrange(begin, end) for _ in range(40)]
            year = self.random.randrange(1970, 2098)
            around = changes(zone, seconds(datetime(year, 1, 1)), seconds(datetime(year + 2, 1, 1)))
            points += [at + d for at in around for d in (-1, 0, 1)]
            answers = self.probe.ask(*[f"offset {at}" for at in points])
            for at, answer in zip(points, answers):
                self.assertEqual(int(answer), offset(zone, at), f"{name} at {at}")
            for at in around:
                self.assertEqual(self.probe.ask(f"change {at - 1}"), [str(at)], name)
                before, after = offset(zone, at - 1), offset(zone, at)
                for local in {at + before - 1, at + before, at + after - 1, at + after,
                              at + (before + after) // 2}:
                    self.check_find(name, zone, local)
            for at in points[:10]:
                self.check_find(name, zone, at)

    def check_find(self, name, zone, local):
        naive = EPOCH + timedelta(seconds=local)
        expected = moments(zone, naive)
        answer = [int(word) for word in self.probe.ask(f"find {local}")[0].split()]
        if expected:
            self.assertEqual(answer, [len(expected), *expected], f"{name} shows {naive}")
        else:
            self.assertEqual(answer, [0, after_gap(zone, naive)], f"{name} jumps over {naive}")


def part(rng, least, most, star=True):
    kind = rng.randrange(0 if star else 1, 6)
    first = rng.randint(least, most)
    last = rng.randint(first, most)
    step = rng.randint(2, max(2, (most - least) // 2))
    if kind == 0:
        return f"*/{step}"
    if kind == 1 and last > first:
        return f"{first}-{last}"
    if kind == 2 and last > first:
        return f"{first}-{last}/{step}"
    return str(first)


def some(rng, least, most, star):
    if rng.random() < star:
        return "*"
    count = rng.choice((1, 1, 2, 3))
    return ",".join(part(rng, least, most, count == 1) for _ in range(count))


def expression(rng):
    # Days never all of them but by a star: what croniter takes for one is a matter of its own.
    fields = [some(rng, 0, 59, 0.2), some(rng, 0, 23, 0.3), some(rng, 1, 30, 0.5),
              some(rng, 1, 12, 0.7), some(rng, 0, 5, 0.5)]
    # Names where croniter takes them as well.
    if rng.random() < 0.1:
        fields[3] = rng.choice(("jan", "FEB", "mar-jun", "oct,dec"))
    if rng.random() < 0.1:
        fields[4] = rng.choice(("mon", "TUE-thu", "sat,sun", "fri", "7"))
    return fields


def is_wild(fields):
    """By the rule of engine/schedule.h: hours unrestricted, or minutes."""
    each = []
    for field, count in ((fields[0], 60), (fields[1], 24)):
        covered = croniter.expand("{} {} * * *".format(
            *(("0", field) if count == 24 else (field, "0"))))[0][1 if count == 24 else 0]
        each.append(covered == ["*"] or len(covered) == count)
    return each


@unittest.skipUnless(croniter, "needs croniter")
class Expressions(Case):
    def expected(self, zone, fields, after, count):
        """croniter's readings, mapped by the rules; after is a moment."""
        each_minute, each_hour = is_wild(fields)
        start = EPOCH + timedelta(seconds=after + offset(zone, after)) - margin(zone, after)
        readings = croniter(" ".join(fields), start, max_years_between_matches=9)
        found = set()
        while True:
            naive = readings.get_next(datetime)
            at = moments(zone, naive)
            if not at:
                at = [] if each_hour else [after_gap(zone, naive)]
            elif not (each_hour or each_minute):
                at = at[:1]
            found.update(moment for moment in at if moment > after)
            # Where clocks are not changed later readings are later moments.
            if len(found) >= count:
                last = sorted(found)[count - 1]
                until = EPOCH + timedelta(seconds=last + offset(zone, last))
                if naive > until + margin(zone, last):
                    break
        return sorted(found)[:count]

    def check(self, name, zone, fields, after, count):
        text = " ".join(fields)
        answer = self.probe.ask(f"cron posix {count} {after} {text}")[0].split()
        expected = self.expected(zone, fields, after, count)
        self.assertEqual([int(word) for word in answer], expected,
                         f"'{text}' in {name} after {after}")

    def test_thousands_of_expressions_in_random_zones(self):
        names = zone_names()
        for _ in range(120):
            name = self.random.choice(names)
            zone = self.zone(name)
            for _ in range(20):
                # Expressions of which a few are a matter of days, not of 8 years.
                fields = expression(self.random)
                after = self.random.randrange(0, seconds(datetime(2090, 1, 1)))
                try:
                    croniter(" ".join(fields), EPOCH, max_years_between_matches=9).get_next()
                except ValueError:
                    continue
                self.check(name, zone, fields, after, 3)

    def test_the_days_on_which_clocks_change(self):
        for name in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo",
                     "America/Sao_Paulo", "Europe/Dublin", "Pacific/Apia", "Africa/Casablanca"):
            zone = self.zone(name)
            begin = seconds(datetime(2011, 1, 1))
            for at in changes(zone, begin, begin + 86400 * 500)[:2]:
                for text in ("* * * * *", "*/7 * * * *", "30 * * * *", "0,30 1-3 * * *",
                             "30 2 * * *", "15 0 * * *", "* 2 * * *", "0 */2 * * *",
                             "45 1 * * *", "0 12 * * *", "59 23 * * *"):
                    self.check(name, zone, text.split(), at - 3 * 3600 - 1,
                               200 if text[0] == "*" else 8)

    def test_seconds_come_first(self):
        self.zone("UTC")
        for text in ("*/7 * * * * *", "30 */5 * * * *", "0,59 0 12 * * 1", "10-20/3 1 2 3 * *"):
            start = self.random.randrange(0, 2 ** 31)
            readings = croniter(text, start, second_at_beginning=True)
            expected = [int(readings.get_next(float)) for _ in range(50)]
            answer = self.probe.ask(f"cron posix 50 {start} {text}")[0].split()
            self.assertEqual([int(word) for word in answer], expected, text)

    def test_the_29th_of_february_over_2100(self):
        self.zone("UTC")
        after = seconds(datetime(2097, 1, 1))
        self.assertEqual(self.probe.ask(f"cron posix 1 {after} 0 0 29 2 *")[0].split(),
                         [str(seconds(datetime(2104, 2, 29)))])
        self.assertEqual(self.probe.ask(f"cron python 1 {after} 0 0 29 2 *")[0].split(), ["never"])


class AsPython(Case):
    TEXTS = ("0 3 * * 0", "0 9 * * 1-5", "0 0 * * 7", "0 0 13 * 5", "5/10 * * * *", "61 * * * *",
             "0,61 * * * *", "5-1 * * * *", "0 0 29 2 *", "*/15 * * * *", "10-40/10 8-18 * * 0-4",
             "0 24 * * *", "0 0 0 * *", "0 0 0-10/3 * *", "30 6 1,15 * *", "0 0 31 2 *",
             "0 12 * 13 *", "0 12 * 1-14/2 *", "* * * * 6", "59 23 31 12 *", "0 0 1 1 *",
             "*/7 */5 */3 */2 */2", "1-70/9 * * * *", "0 0 * * 6,0", "15 10 32 * *", "*/1 * * * *")
    WRONG = ("0 0 * JAN *", "0 0 * * MON", "@daily", "0 0 0 * * *", "*/0 * * * *", "1,,2 * * * *",
             "* * * *", "a * * * *", "1-2-3 * * * *", "1/2/3 * * * *")

    def test_26_expressions_as_the_release_reads_them(self):
        from fastworker.tasks.schedules import cron_next
        self.assertEqual(len(self.TEXTS), 26)
        self.zone("UTC")
        for text in self.TEXTS:
            for start in (datetime(2026, 11, 24, 10, 30, 5), datetime(2027, 12, 31, 23, 59)):
                expected = cron_next(text, start)
                answer = self.probe.ask(f"cron python 1 {seconds(start)} {text}")[0].split()
                self.assertEqual(answer, [str(seconds(expected)) if expected else "never"],
                                 f"{text} after {start}")

    def test_what_the_release_refuses_is_refused(self):
        from fastworker.tasks.schedules import cron_next
        for text in self.WRONG:
            with self.assertRaises(ValueError):
                cron_next(text, datetime(2026, 11, 24))
            self.assertRegex(self.probe.ask(f"cron python 1 0 {text}")[0], "^error ")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]])

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A result file of perf/run as a Markdown table and SVG plots: report.py FILE [--to docs/perf]

results.md begins with the goals of perf/targets.py and has one table a suite, ours beside each peer
with the ratio of the medians; plots are made by gnuplot, where it is installed: one for each series
(names that end in a number, such as connections-8), one of all ratios.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys

import results
import targets

HEAD = """# Results

Made by `perf/run --json` and `perf/report.py`; do not edit. **Only ratios inside one run are
facts**: medians of %(rounds)s interleaved rounds, > 1 means that ours is ahead. In brackets the
lowest and the highest round. Began %(started)s.
"""
SERIES = re.compile(r"^(.*?)-(\d+)(?:-(.*))?$")
PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def short(value):
    for factor, letter in PREFIXES:
        if abs(value) >= 10 * factor or (abs(value) >= factor and factor > 1e3):
            return "%.4g %s" % (value / factor, letter)
    return "%.4g" % value


def shown(figure):
    text = "%s %s" % (short(figure["median"]), figure["unit"])
    if figure["high"] > figure["low"]:
        text += " [%s..%s]" % (short(figure["low"]), short(figure["high"]))
    return text


def facts(machine):
    yield "| fact | |"
    yield "|---|---|"
    for name, value in machine.items():
        if isinstance(value, dict):
            value = ", ".join("%s %s" % pair for pair in sorted(value.items()))
        if value not in (None, ""):
            yield "| %s | %s |" % (name.replace("_", " "), value)


def rows(figures):
    """Of one suite."""
    yield "| what | ours | peer | its | ratio |"
    yield "|---|---|---|---|---|"
    names = list(dict.fromkeys(f["name"] for f in figures))
    for name in names:
        mine = next((f for f in figures if f["name"] == name and f["who"] == results.OURS), None)
        peers = [f for f in figures if f["name"] == name and f["who"] != results.OURS]
        if not peers:
            yield "| %s | %s | | | |" % (name, shown(mine))
        for i, peer in enumerate(peers):
            ratio = results.ratio(mine, peer) if mine else None
            yield "| %s | %s | %s | %s | %s |" % (
                name if i == 0 else "", shown(mine) if mine and i == 0 else "", peer["who"],
                shown(peer), "%.2f" % ratio if ratio else "")


def goals(whole):
    figures = results.by_key(whole)
    seen = [(goal, targets.reached(goal, figures)) for goal in targets.GOALS]
    if all(value is None for _, value in seen):
        return
    yield from ("", "## Goals", "", "| | what | goal | stretch | reached | |",
                "|---|---|---|---|---|---|")
    for goal, value in seen:
        beside = " / ".join(goal.peers) or goal.divisor or goal.unit
        sign, times = "<=" if goal.most else ">=", "x " if goal.peers or goal.divisor else ""
        yield "| %s | %s | %s | %s | %s | %s |" % (
            goal.number, goal.what,
            ("%s %s %s%s" % (sign, short(goal.wanted), times, beside)).strip(), short(goal.stretch),
            "not measured" if value is None else "%.3g" % value if value < 100 else short(value),
            "" if value is None else targets.verdict(goal, value))


def text_of(whole):
    lines = [HEAD % whole]
    lines += facts(whole["machine"])
    lines += goals(whole)
    for suite in dict.fromkeys(f["suite"] for f in whole["figures"]):
        lines += ["", "## %s" % suite, ""]
        lines += rows([f for f in whole["figures"] if f["suite"] == suite])
    if whole.get("skipped"):
        lines += ["", "## Left out", ""]
        lines += ["* %s: %s" % (one["what"], one["why"]) for one in whole["skipped"]]
    return "\n".join(lines).strip() + "\n"


# --- plots ---

def series_of(whole):
    """{(suite, series): {who: [(x, median, low, high, unit)]}} of three points and more."""
    found = {}
    for f in whole["figures"]:
        match = SERIES.match(f["name"])
        if match:
            name = match.group(1) + ("-" + match.group(3) if match.group(3) else "")
            found.setdefault((f["suite"], name), {}).setdefault(f["who"], []).append(
                (int(match.group(2)), f["median"], f["low"], f["high"], f["unit"]))
    return {key: {who: sorted(points) for who, points in lines.items() if len(points) > 2}
            for key, lines in found.items()
            if any(len(points) > 2 for points in lines.values())}


def gnuplot(path, script):
    done = subprocess.run(["gnuplot"], input=script, text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise ValueError("gnuplot: " + done.stderr.strip())
    with open(path, encoding="utf-8") as file:
        lines = [line.rstrip() for line in file]
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def block(name, lines):
    return "$%s << EOD\n%s\nEOD\n" % (name, "\n".join(lines))


def plot_series(path, suite, name, lines):
    script = ["set terminal svg size 640,400 font 'sans,11'", "set output '%s'" % path,
              "set logscale x 2", "set yrange [0:*]", "set key left bottom", "set grid ytics",
              "set xlabel '%s: %s'" % (suite, name)]
    parts = []
    for i, (who, points) in enumerate(lines.items()):
        script.append("set ylabel '%s'" % points[0][4])
        script.append(block("d%d" % i, ["%g %g %g %g" % point[:4] for point in points]))
        parts.append("$d%d using 1:2:3:4 with yerrorlines pt 7 ps 0.5 title '%s'" % (i, who))
    gnuplot(path, "\n".join(script) + "\nplot " + ", ".join(parts) + "\n")


def plot_ratios(path, whole):
    """One bar for each comparison: how far ours is ahead, on a logarithmic scale."""
    ours = {(f["suite"], f["name"]): f for f in whole["figures"] if f["who"] == results.OURS}
    bars = []
    for f in whole["figures"]:
        mine = ours.get((f["suite"], f["name"]))
        ratio = results.ratio(mine, f) if mine and f["who"] != results.OURS else None
        if ratio and "-cpu-" not in f["name"]:
            bars.append(("%s %s / %s" % (f["suite"], f["name"], f["who"]), ratio))
    if not bars:
        return False
    script = ["set terminal svg size 820,%d font 'sans,10'" % (90 + 15 * len(bars)),
              "set output '%s'" % path, "set logscale x", "set grid xtics", "unset key",
              "set xlabel 'ratio, more than 1: ours is ahead'", "set yrange [-1:%d]" % len(bars),
              "set arrow from 1,-1 to 1,%d nohead dt 2" % len(bars), "set lmargin 48",
              block("d", ['"%s" %g %d' % (name, ratio, len(bars) - 1 - i)
                          for i, (name, ratio) in enumerate(bars)]),
              "plot $d using 2:3:(1):2:($3-0.3):($3+0.3):ytic(1) with boxxyerror fs solid 0.5"]
    gnuplot(path, "\n".join(script) + "\n")
    return True


def plots(whole, folder):
    if not shutil.which("gnuplot"):
        print("perf: skipped, not there: gnuplot", file=sys.stderr)
        return
    for (suite, name), lines in series_of(whole).items():
        plot_series(os.path.join(folder, "%s-%s.svg" % (suite, name)), suite, name, lines)
    plot_ratios(os.path.join(folder, "ratios.svg"), whole)


def write(whole, folder):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "results.md"), "w", encoding="utf-8") as out:
        out.write(text_of(whole))
    plots(whole, folder)


def main():
    parser = argparse.ArgumentParser(prog="perf/report.py", description=__doc__.splitlines()[0])
    parser.add_argument("file")
    parser.add_argument("--to", default="docs/perf", metavar="FOLDER")
    args = parser.parse_args()
    try:
        write(results.read(args.file), args.to)
    except ValueError as error:
        print("perf/report.py: %s" % error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The file that perf/run writes and perf/check and perf/report.py read.

    {"format": 1, "machine": {...}, "started": "...", "rounds": 5,
     "figures": [{"suite", "name", "who", "unit", "values": [...], "median", "low", "high"}, ...],
     "skipped": [{"what", "why"}, ...]}

who "ours" is this project; ratios are made by the reader, of medians of one run.
SPDX-License-Identifier: Apache-2.0
"""
import json
import statistics

FORMAT = 1
LESS_IS_BETTER = {"ns", "us", "ms", "s", "bytes", "instructions", "MB", "us/s", "wake-ups/s",
                  "threads"}
OURS = "ours"


def figure(suite, name, who, unit, values):
    return {"suite": suite, "name": name, "who": who, "unit": unit, "values": values,
            "median": statistics.median(values), "low": min(values), "high": max(values)}


def ratio(ours, peer):
    """> 1: ours is ahead, whether more or less is better; None where that says nothing."""
    if not ours["median"] or not peer["median"]:
        return None
    if ours["unit"] in LESS_IS_BETTER:
        return peer["median"] / ours["median"]
    return ours["median"] / peer["median"]


def write(path, whole):
    with open(path, "w", encoding="utf-8") as out:
        json.dump(whole, out, indent=1)
        out.write("\n")


def read(path):
    """Raises ValueError with a sentence when the file is none of ours."""
    try:
        with open(path, encoding="utf-8") as text:
            whole = json.load(text)
    except (OSError, ValueError) as error:
        raise ValueError("%s: %s" % (path, error)) from None
    if not isinstance(whole, dict) or whole.get("format") != FORMAT or "figures" not in whole:
        raise ValueError("%s: not a result file of format %d" % (path, FORMAT))
    return whole


def by_key(whole):
    return {(f["suite"], f["name"], f["who"]): f for f in whole["figures"]}

"""An example of a oneshot program: [task "thumbnail"]; standard input is one JSON object.

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import sys

task = json.load(sys.stdin)
path, = task["args"]
if not path.endswith(".png"):
    sys.exit("not a picture: " + path)  # the last line of standard error is the task's error
print("making a thumbnail of", path, file=sys.stderr)  # goes to the log
if task["kwargs"].get("later") and task["attempt"] == 1:
    print("the disk is full", file=sys.stderr)
    sys.exit(75)  # try again
os.write(3, b"1 1 done\n")  # progress-fd = 3
json.dump({"thumb": path.replace(".png", "-small.png"), "attempt": task["attempt"]}, sys.stdout)

"""A pool worker for FastWorker: serve(function) calls function(args, kwargs, task) for each task.

SPDX-License-Identifier: Apache-2.0
"""
import json
import sys


class Retry(Exception):
    """Raise Retry(text, milliseconds) to be tried again."""


def serve(function):
    answers, sys.stdout = sys.stdout, sys.stderr  # what print says goes to the log
    for line in sys.stdin:
        task = json.loads(line)

        def tell(number=task["id"], **rest):
            print(json.dumps({"id": number, **rest}), file=answers, flush=True)
        task["progress"] = lambda done, total=0, note="", tell=tell: tell(
            progress=[done, total, note])
        try:
            tell(ok=function(task["args"], task["kwargs"], task))
        except Retry as retry:
            tell(error=str(retry.args[0]), retry_ms=retry.args[1])
        except Exception as error:  # its text is the task's error
            tell(error=f"{type(error).__name__}: {error}")

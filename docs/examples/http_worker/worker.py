#!/usr/bin/env python3
"""A worker that asks for its tasks over HTTP; nothing but Python's own library.

    FASTWORKER_URL=http://127.0.0.1:8080 python3 worker.py

SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import signal
import socket
import threading
import urllib.error
import urllib.request

URL = os.environ.get("FASTWORKER_URL", "http://127.0.0.1:8080") + "/api/v1/worker/"
KEY = os.environ.get("FASTWORKER_KEY")
LEASE = 30  # seconds; renewed three times in it

TASKS = {
    "py.add": lambda a, b: a + b,
    "py.upper": lambda text: text.upper(),
}
stop = threading.Event()


def post(path, **body):
    """The answer, or None: somebody else has the lease."""
    request = urllib.request.Request(URL + path, json.dumps(body).encode(),
                                     {"content-type": "application/json"})
    if KEY:
        request.add_header("authorization", "Bearer " + KEY)
    try:
        with urllib.request.urlopen(request, timeout=90) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code == 409:
            return None
        raise


def keep(lease, done):
    while not done.wait(LEASE / 3):
        answer = post(lease + ":beat")
        if answer is None or answer["cancel"]:
            break  # the result will not be wanted


def run(task):
    done = threading.Event()
    threading.Thread(target=keep, args=(task["lease"], done), daemon=True).start()
    try:
        result = TASKS[task["name"]](*task["args"], **task["kwargs"])
        post(task["lease"] + ":complete", result=result)
    except Exception as error:  # whatever the task's code raises is the task's failure
        post(task["lease"] + ":fail", error=f"{type(error).__name__}: {error}")
    finally:
        done.set()


def main():
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    worker = f"python-{socket.gethostname()}-{os.getpid()}"
    while not stop.is_set():
        answer = post("poll", worker=worker, tasks=list(TASKS), max=1, wait=20, lease=LEASE)
        for task in answer["tasks"]:
            run(task)


if __name__ == "__main__":
    main()

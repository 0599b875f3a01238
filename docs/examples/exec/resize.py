"""An example of a pool worker: [task "resize"] mode = pool.

SPDX-License-Identifier: Apache-2.0
"""
import worker


def resize(args, kwargs, task):
    width, height = args
    if width <= 0:
        raise ValueError("a width is wanted")
    if kwargs.get("busy") and task["attempt"] == 1:
        raise worker.Retry("no free encoder", 50)
    task["progress"](1, 2, "read")
    print("resizing", width, height)
    return {"width": width // 2, "height": height // 2, "attempt": task["attempt"]}


worker.serve(resize)

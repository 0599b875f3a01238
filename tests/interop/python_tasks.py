"""Tasks for a Python control plane; each run leaves a mark in a file where it is asked to.

SPDX-License-Identifier: Apache-2.0
"""

import asyncio
import os

from fastworker import task


def mark(path, text):
    with open(path, "a", encoding="utf-8") as stream:
        stream.write(text + "\n")


@task
def add(x, y):
    return x + y


@task
def give_back(value):
    return value


@task
def fail_with(text):
    raise ValueError(text)


@task
def count_file(path):
    mark(path, ".")
    return True


@task
async def wait_for_file(log, text, gate):
    mark(log, "+" + text)
    while not os.path.exists(gate):
        await pause()
    mark(log, "-" + text)
    return text


async def pause():
    try:
        await asyncio.wait_for(asyncio.Event().wait(), 0.01)
    except asyncio.TimeoutError:
        pass

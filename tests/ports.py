"""Ports of one's own for a test program: blocks of sixteen neighbours that were free.

A locked file keeps other test programs away from a block until this program and the children that
it left the file to have ended, also while nobody listens there. The ports lie below those that the
system gives out by itself.
SPDX-License-Identifier: Apache-2.0
"""

import fcntl
import os
import socket
import tempfile

SIZE = 16
FIRST, COUNT = 22000, 500  # the first port, and how many blocks


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def take_block():
    """=> the first port of a block, and the descriptor that keeps it."""
    folder = os.path.join(tempfile.gettempdir(), f"fastworker-ports-{os.getuid()}")
    os.makedirs(folder, exist_ok=True)
    for step in range(COUNT):
        first = FIRST + SIZE * ((os.getpid() + step) % COUNT)
        lock = os.open(os.path.join(folder, str(first)), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            continue
        if all(is_free(first + i) for i in range(SIZE)):
            return first, lock
        os.close(lock)
    raise AssertionError("no free ports")


def free_block():
    """=> the first port of a block that is this program's until it ends."""
    return take_block()[0]

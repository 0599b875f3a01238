"""What queued tasks of 64 bytes cost a peer: peer_memory.py redis|redis-by-id|beanstalkd PORT PID

How much the server's resident memory grows by for each of 200,000 tasks. `redis` is a list of the
bytes alone; `redis-by-id` is a list of ids and a hash with state and bytes for each, so that a
task can be looked up as in our control plane and in beanstalkd.
SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import socket
import sys
import uuid

QUEUED, WARM_UP, GROUP = 200000, 1000, 500
BYTES = b"x" * 64


def redis_command(*words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


def redis_task():
    return redis_command(b"LPUSH", b"q", BYTES)


def redis_task_by_id():
    name = uuid.uuid4().bytes
    return (redis_command(b"LPUSH", b"q", name)
            + redis_command(b"HSET", name, b"state", b"pending", b"task", BYTES))


def beanstalkd_task():
    return b"put 1000 0 300 64\r\n%s\r\n" % BYTES


# Of each: the commands of one task, and how many answers they get.
PEERS = {"redis": (redis_task, 1), "redis-by-id": (redis_task_by_id, 2),
         "beanstalkd": (beanstalkd_task, 1)}


def resident_bytes(pid):
    with open("/proc/%d/statm" % pid, encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def fill(line, answers, make, answers_of_one, count):
    for _ in range(count // GROUP):
        line.sendall(b"".join(make() for _ in range(GROUP)))
        for _ in range(GROUP * answers_of_one):
            answer = answers.readline()
            if not answer.startswith((b":", b"INSERTED")):
                raise RuntimeError(answer)


def main():
    who, port, pid = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with socket.create_connection(("127.0.0.1", port)) as line, line.makefile("rb") as answers:
        fill(line, answers, *PEERS[who], WARM_UP)
        before = resident_bytes(pid)
        fill(line, answers, *PEERS[who], QUEUED)
        grown = resident_bytes(pid) - before
    print(json.dumps({"suite": "memory", "name": "bytes-per-task", "who": who,
                      "value": grown / QUEUED, "unit": "bytes"}))


if __name__ == "__main__":
    main()

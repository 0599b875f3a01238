"""A subworker of Python FastWorker 0.3.0 that starts.

The released one ends with an AttributeError: it assigns a property that cannot be set, and its
receive loops want a life cycle that it never enters. This subclass mends both, tells its control
plane how many tasks it runs at once, and signs off when it is asked to end.

    python python_subworker.py --worker-id py1 --control-plane-address tcp://127.0.0.1:5555 \
        --base-address tcp://127.0.0.1:5571 --task-modules mytasks --concurrency 2

SPDX-License-Identifier: Apache-2.0
"""

import argparse
import asyncio
import importlib
import json

from fastworker.workers.subworker import SubWorker


class WorkingSubWorker(SubWorker):
    running = False  # a plain attribute instead of the property

    async def start(self):
        await self.lifecycle.start()
        await self.lifecycle.ready()
        await super().start()

    async def _register_with_control_plane(self):
        # Beside what it says anyway; other control planes ignore it.
        registry = self.control_plane_registry
        send = type(registry).send

        async def send_with_concurrency(data):
            message = {**json.loads(data), "concurrency": min(self.concurrency, 4)}
            await send(registry, json.dumps(message).encode())

        registry.send = send_with_concurrency
        await super()._register_with_control_plane()

    async def _sign_off(self):
        await self.control_plane_registry.send(json.dumps({
            "subworker_id": self.worker_id, "address": self.base_address,
            "status": "inactive"}).encode())
        if self._active_tasks:
            await asyncio.wait(self._active_tasks, timeout=self.shutdown_timeout)
        self.shutdown_event.set()

    def _signal_handler(self, sig):
        asyncio.ensure_future(self._sign_off())

    def stop(self):
        self.running = False
        self._close_sockets()
        self.control_plane_registry.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--worker-id", required=True)
    parser.add_argument("--control-plane-address", required=True)
    parser.add_argument("--base-address", required=True)
    parser.add_argument("--discovery-address")
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument("--task-modules", nargs="*", default=[])
    flags = parser.parse_args()
    for module in flags.task_modules:
        importlib.import_module(module)

    async def run():
        await WorkingSubWorker(
            flags.worker_id, flags.control_plane_address, flags.base_address,
            flags.discovery_address, concurrency=flags.concurrency).start()

    asyncio.run(run())


if __name__ == "__main__":
    main()

"""Discovery: C-020 to C-029 as far as a control plane and its Python clients are concerned.

SPDX-License-Identifier: Apache-2.0
"""

import asyncio
import time

import harness
import pynng
from harness import Case, OnePlane, Ports, tcp, until, wait_until

ANNOUNCE = b"WORKER_ANNOUNCE:"


def listen_to(address):
    bus = pynng.Bus0(recv_timeout=int(harness.LONG * 1000))
    bus.dial(address, block=True)
    return bus


def next_announcement(bus):
    while True:
        text = bus.recv()
        if text.startswith(ANNOUNCE):
            return text


class Discovery(OnePlane):
    def expected(self):
        return ANNOUNCE + f"control-plane:tcp://127.0.0.1:{self.cp.ports.base}".encode()

    def test_C_020_announcement_is_exactly_this_text(self):
        with listen_to(self.cp.discovery) as bus:
            texts = [bus.recv() for _ in range(6)]
        for text in texts:
            if text.startswith(ANNOUNCE):
                self.assertEqual(text, self.expected())
            else:  # something for peers of this project, which Python passes over
                self.assertFalse(text.startswith(b"WORKER"), text)
                text.decode("utf-8")
        self.assertIn(self.expected(), texts)

    def test_C_021_announced_at_once_to_a_new_connection(self):
        times = []
        for _ in range(5):  # the best of five: the machine may be busy
            with listen_to(self.cp.discovery) as bus:
                begun = time.monotonic()
                next_announcement(bus)
                times.append(time.monotonic() - begun)
        self.assertLess(min(times), 0.1)

    def test_C_021_announced_at_least_every_two_seconds(self):
        gaps = []
        with listen_to(self.cp.discovery) as bus:
            next_announcement(bus)
            last = time.monotonic()
            for _ in range(3):
                next_announcement(bus)
                gaps.append(time.monotonic() - last)
                last = time.monotonic()
        self.assertLess(min(gaps), 2.1)

    def test_C_022_C_025_fifty_clients_know_exactly_one_worker(self):
        async def start_all():
            clients = [self.cp.client() for _ in range(50)]
            await asyncio.gather(*[client.start() for client in clients])
            known = [set(client.workers) for client in clients]
            for client in clients:
                client.stop()
            return known
        expected = {("control-plane", f"tcp://127.0.0.1:{self.cp.ports.base}")}
        for known in asyncio.run(start_all()):
            self.assertEqual(known, expected)

    def test_what_peers_send_on_the_bus_is_passed_over(self):
        with listen_to(self.cp.discovery) as bus:
            for text in (b"", b"\xff\xfe", b"WORKER_ANNOUNCE:",
                         b"WORKER_ANNOUNCE:x:tcp://127.0.0.1:1",
                         b'{"service_id": "x", "action": "register"}', b"x" * 70_000):
                bus.send(text)
            next_announcement(bus)
            self.assertEqual(next_announcement(bus), self.expected())


class Addresses(Case):
    def announced_address(self, plane):
        with listen_to(plane.discovery) as bus:
            return next_announcement(bus).split(b":", 2)[2].decode()

    def test_C_023_wildcard_is_not_announced(self):
        plane = self.plane(host="0.0.0.0")
        address = self.announced_address(plane)
        host, port = address[len("tcp://"):].rsplit(":", 1)
        self.assertNotIn(host, ("0.0.0.0", "*", "", "[::]"))
        self.assertEqual(int(port), plane.ports.base)
        with pynng.Req0(recv_timeout=10_000) as requester:  # and somebody is there
            requester.dial(tcp(int(port) + 4, host), block=True)
            requester.send(b'{"task_id": "x"}')
            self.assertIn(b"not found", requester.recv())

    def test_C_023_an_address_to_announce_can_be_given(self):
        ports = Ports()
        plane = self.plane("--advertise-address", f"tcp://localhost:{ports.base}",
                           host="0.0.0.0", ports=ports)
        self.assertEqual(self.announced_address(plane), f"tcp://localhost:{ports.base}")

    def test_C_024_id_with_a_colon_is_refused(self):
        done = self.run_program("control-plane", "--worker-id", "a:b", "--no-gui")
        self.assertIn(done.returncode, (2, 78), done.stderr)
        self.assertIn("a:b", done.stderr)

    def test_own_id_is_announced(self):
        plane = self.plane("--worker-id", "plane-7", modules=())
        with listen_to(plane.discovery) as bus:
            self.assertTrue(next_announcement(bus).startswith(ANNOUNCE + b"plane-7:tcp://"))

    def test_C_029_running_client_goes_on_after_a_restart(self):
        plane = self.plane()

        async def across_a_restart():
            client = plane.client(timeout=10)
            await client.start()
            first = await client.submit_task("add", (1, 2))
            plane.kill()
            self.keep(plane.again())
            second = await client.submit_task("add", (3, 4))
            known = set(client.workers)
            client.stop()
            return first, second, known
        first, second, known = asyncio.run(across_a_restart())
        self.assertEqual((first.result, second.result), (3, 7))
        self.assertEqual(len(known), 1)

    def test_client_that_came_first_finds_the_control_plane(self):
        ports = Ports()

        async def submit_early():
            client = harness.Client(discovery_address=tcp(ports.discovery), timeout=10)
            await client.start()
            pending = await client.submit_task("add", (1, 2))
            self.keep(harness.Plane(ports=ports))
            await until(lambda: client.get_status(pending.task_id) != "pending", "it was submitted")
            result = client.get_result(pending.task_id)
            client.stop()
            return pending, result
        pending, result = asyncio.run(submit_early())
        self.assertEqual(pending.status.value, "pending")
        self.assertEqual((result.status.value, result.result), ("success", 3))

    def test_two_control_planes_do_not_share_a_discovery_address(self):
        first = self.plane()
        second = harness.Ports()
        done = self.run_program("control-plane", "--no-gui", "--base-address", tcp(second.base),
                                "--discovery-address", first.discovery)
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn(str(first.ports.discovery), done.stderr)
        wait_until(lambda: first.run("add", 1, 2)["result"] == 3, "the first goes on")


if __name__ == "__main__":
    harness.main()

"""Start, drain, end and restart of a control plane, and clients that wait: C-156 to C-158.

SPDX-License-Identifier: Apache-2.0
"""

import asyncio
import os
import signal
import socket

import harness
import pynng
from harness import Case, Ports, ask, task, tcp, wait_until

CANNOT_BIND = 4
SHUTTING_DOWN = "control plane is shutting down"


class Start(Case):
    def test_C_156_port_in_use(self):
        ports = Ports()
        taken = {"discovery": ports.discovery, "gui": ports.gui}
        taken.update({f"base+{i}": ports.base + i for i in range(6)})
        for name, port in taken.items():
            with self.subTest(name), socket.socket() as other:
                other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                other.bind(("127.0.0.1", port))
                other.listen()
                done = self.run_program(
                    "control-plane", "--base-address", tcp(ports.base), "--discovery-address",
                    tcp(ports.discovery), "--gui-port", ports.gui)
                self.assertEqual(done.returncode, CANNOT_BIND, done.stderr)
                self.assertIn(str(port), done.stderr)
        plane = self.plane(ports=ports)  # nothing was left bound
        self.assert_success(plane.run("add", 1, 2), 3)

    def test_wrong_addresses(self):
        for flag, value in (("--base-address", "nonsense"),
                            ("--discovery-address", "tcp://127.0.0.1:0"),
                            ("--base-address", "tcp://127.0.0.1:65533"),
                            ("--discovery-address", "tcp://127.0.0.1"), ("--base-address", "")):
            with self.subTest(f"{flag} {value}"):
                done = self.run_program("control-plane", "--no-gui", flag, value)
                self.assertIn(done.returncode, (2, 78), done.stderr)
                self.assertTrue(flag in done.stderr or value in done.stderr, done.stderr)


class End(Case):
    def held(self, plane):
        request = plane.begin(self.hold("held"))
        self.wait_marks("+held")
        return request

    def is_draining(self, plane):
        """Whether new tasks are refused already; the answer to one that was asked for."""
        answer = plane.run("add", 1, 2)
        return answer if answer["status"] == "failure" else None

    def test_C_157_C_158_drains_answers_and_ends_well(self):
        plane = self.plane("--concurrency", "2")
        request = self.held(plane)
        plane.send(signal.SIGTERM)
        refused = wait_until(lambda: self.is_draining(plane), "new tasks are refused")
        self.assert_failure(refused, SHUTTING_DOWN)
        batch = ask(plane.address(2), {"action": "batch_submit", "tasks": [task("add", 1, 2)]})
        self.assertIn(b"shutting down", batch)
        self.assertFalse(plane.query("nobody")["found"])  # queries go on
        self.assertFalse(plane.has_ended())
        self.open_gate()
        self.assert_success(request.answer(), "held")
        self.assertEqual(plane.wait(), 0)

    def test_C_157_interrupt_is_the_same(self):
        plane = self.plane()
        plane.send(signal.SIGINT)
        self.assertEqual(plane.wait(), 0)

    def test_C_157_second_signal_ends_at_once(self):
        plane = self.plane("--concurrency", "2")
        request = self.held(plane)
        plane.send(signal.SIGTERM)
        wait_until(lambda: self.is_draining(plane), "it drains")
        plane.send(signal.SIGTERM)
        self.assertIn(plane.wait(10), (0, 130, 143, -signal.SIGTERM))
        request.drop()

    def test_C_158_waiting_and_delayed_tasks_are_answered(self):
        plane = self.plane("--concurrency", "1", "--threads", "1")
        request = self.held(plane)
        queued = [plane.begin(task("count_file", self.path("runs"))) for _ in range(3)]
        wait_until(lambda: plane.api("status")["tasks"]["queued"] == 3, "they are queued")
        plane.send(signal.SIGTERM)
        wait_until(lambda: self.is_draining(plane), "it drains")
        self.open_gate()
        self.assert_success(request.answer(), "held")
        for waiting in queued:  # run to their end or refused, but answered
            answer = waiting.answer()
            if answer["status"] != "success":
                self.assert_failure(answer, SHUTTING_DOWN)
        self.assertEqual(plane.wait(), 0)

    def test_python_client_reads_the_refusal(self):
        plane = self.plane("--concurrency", "2")

        async def submit():
            client = plane.client()
            await client.start()
            held = self.held(plane)
            plane.send(signal.SIGTERM)
            await harness.until(lambda: self.is_draining(plane), "it drains")
            result = await client.submit_task("add", (1, 2))
            client.stop()
            return held, result
        held, result = asyncio.run(submit())
        self.assertEqual((result.status.value, result.error), ("failure", SHUTTING_DOWN))
        self.open_gate()
        self.assert_success(held.answer(), "held")
        self.assertEqual(plane.wait(), 0)

    def test_ends_with_many_idle_connections(self):
        plane = self.plane()
        sockets = []
        for number in range(100):
            requester = pynng.Req0()
            requester.dial(plane.address(number % 6), block=True)
            sockets.append(requester)
        self.assertEqual(plane.stop(), 0)
        for requester in sockets:
            requester.close()

    def test_no_descriptor_and_no_memory_is_lost_by_clients_that_come_and_go(self):
        plane = self.plane()
        for _ in range(50):
            ask(plane.address(2), task("add", 1, 2))
        wait_until(lambda: self.connections(plane) == 0, "all have left")
        before = self.descriptors(plane)
        for number in range(300):
            ask(plane.address(number % 4), task("add", 1, 2))
        wait_until(lambda: self.connections(plane) == 0, "all have left")
        wait_until(lambda: self.descriptors(plane) <= before, "their descriptors are closed")

    def descriptors(self, plane):
        return len(os.listdir(f"/proc/{plane.pid}/fd"))

    def connections(self, plane):
        """Established connections at the request ports, as the kernel counts them."""
        count = 0
        with open("/proc/net/tcp", encoding="ascii") as table:
            for line in table.readlines()[1:]:
                fields = line.split()
                port = int(fields[1].split(":")[1], 16)
                if plane.ports.base <= port < plane.ports.base + 6 and fields[3] in ("01", "08"):
                    count += 1
        return count


class Restart(Case):
    def submit_across(self, plane, end, again):
        """An unmodified client waits for a task while its control plane goes and comes back."""
        async def submit():
            client = plane.client(timeout=60)
            await client.start()
            held = asyncio.create_task(client.submit_task(
                "hold", (self.path("log"), "held", self.path("gate"))))
            await harness.until(lambda: "+held" in self.marks(), "it runs")
            end()
            again()
            await harness.until(lambda: self.marks().count("+held") == 2, "it was sent again")
            self.open_gate()
            result = await held
            client.stop()
            return result
        return asyncio.run(submit())

    def test_waiting_client_gets_its_result_from_the_next_process(self):
        plane = self.plane()
        result = self.submit_across(plane, plane.kill, lambda: self.keep(plane.again()))
        self.assertEqual((result.status.value, result.result), ("success", "held"))

    def test_ports_are_free_again_at_once(self):
        plane = self.plane()
        for _ in range(3):
            self.assert_success(plane.run("add", 1, 2), 3)
            self.assertEqual(plane.stop(), 0)
            plane = self.keep(plane.again())

    def test_client_that_dials_meanwhile_waits(self):
        plane = self.plane()

        async def submit():
            client = plane.client(timeout=30)
            await client.start()
            plane.kill()
            waiting = asyncio.create_task(client.submit_task("add", (1, 2)))
            for _ in range(3):
                await asyncio.to_thread(lambda: None)
            self.keep(plane.again())
            result = await waiting
            client.stop()
            return result
        self.assertEqual(asyncio.run(submit()).result, 3)


if __name__ == "__main__":
    harness.main()

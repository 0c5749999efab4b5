"""Several hosts on this machine: a network namespace each, on a switch in one more, and cables that can be cut. Needs root."""

from __future__ import annotations

import ctypes
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


@cache
def can_be_made() -> bool:
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", "ip link add one0 type veth peer name two0 && ip link add br0 type bridge"], capture_output=True, check=False
    )
    return os.geteuid() == 0 and done.returncode == 0


@contextmanager
def entered(process: int) -> Iterator[None]:
    """This thread, and every thread and process that it starts, is in the network of that process."""
    with open("/proc/thread-self/ns/net") as before, open(f"/proc/{process}/ns/net") as there:
        _set(there.fileno())
        try:
            yield
        finally:
            _set(before.fileno())


class Network:
    """`addresses` of hosts; the switch, where the test is, has one, too."""

    def __init__(self, hosts: int) -> None:
        self._held = [subprocess.Popen(["unshare", "-n", "sleep", "3600"]) for _ in range(1 + hosts)]
        own = os.readlink("/proc/self/ns/net")
        while any(os.readlink(f"/proc/{process.pid}/ns/net") == own for process in self._held):
            time.sleep(0.01)
        self.switch, *self.hosts = [process.pid for process in self._held]
        self.addresses = [f"10.77.0.{n + 1}" for n in range(hosts)]
        self._ip(self.switch, "link add br0 type bridge", "link set br0 up", "link set lo up", "addr add 10.77.0.254/24 dev br0")
        for n, host in enumerate(self.hosts):
            self._ip(self.switch, f"link add cable{n} type veth peer name eth0 netns {host}", f"link set cable{n} master br0 up")
            self._ip(host, "link set lo up", f"addr add {self.addresses[n]}/24 dev eth0", "link set eth0 up")

    def cut(self, host: int) -> None:
        """Nothing goes through any more, and nobody is told."""
        self._ip(self.switch, f"link set cable{host} down")

    def mend(self, host: int) -> None:
        self._ip(self.switch, f"link set cable{host} up")

    def inside(self, host: int) -> list[str]:
        """What a command begins with that is to run on a host."""
        return ["nsenter", "-t", str(self.hosts[host]), "-n"]

    def end(self) -> None:
        for process in self._held:
            process.kill()
            process.wait()

    @staticmethod
    def _ip(process: int, *lines: str) -> None:
        subprocess.run(["nsenter", "-t", str(process), "-n", "ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)


@contextmanager
def network(hosts: int) -> Iterator[Network]:
    """The caller is at the switch."""
    made = Network(hosts)
    try:
        with entered(made.switch):
            yield made
    finally:
        made.end()


def _set(namespace: int) -> None:
    if _libc.setns(namespace, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")

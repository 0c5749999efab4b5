"""Brokers of several servers, on this machine's loopback: a primary with replicas and sentinels, and a cluster."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import redis
from networks import Network
from parts import wait_until
from redis.backoff import NoBackoff
from redis.retry import Retry

from jarvis.embedded_broker import server_binary

NAME = "books"
#: A server that says nothing for so long is down for its sentinels. Operators give it five seconds.
DOWN_AFTER_MS = 1_000


def free_ports(count: int) -> list[int]:
    """Ports that nobody has, none of them so high that a cluster has no room for its bus above it."""
    found: list[socket.socket] = []
    while len(found) < count:
        one = socket.socket()
        one.bind(("127.0.0.1", 0))
        if one.getsockname()[1] < 55_000:
            found.append(one)
        else:
            one.close()
    ports = [one.getsockname()[1] for one in found]
    for one in found:
        one.close()
    return ports


class Node:
    """One process of Valkey over a folder of its own: a server, or a sentinel."""

    def __init__(self, folder: Path, port: int, lines: Sequence[str], *, sentinel: bool = False, host: str = "127.0.0.1", inside: Sequence[str] = ()) -> None:
        self.port = port
        self.host = host
        #: Of the user `default`, where its lines ask for one.
        self.password: str | None = None
        self._inside = inside
        self._folder = folder / str(port)
        self._folder.mkdir()
        self._sentinel = sentinel
        self._process: subprocess.Popen[bytes] | None = None
        common = [f"port {port}", f"bind {host}", "protected-mode no", f"dir {self._folder}"]
        (self._folder / "conf").write_text("\n".join([*common, *lines, ""]))

    def start(self) -> None:
        """Also over what it wrote before it was killed."""
        arguments = [*self._inside, server_binary(), str(self._folder / "conf"), *(["--sentinel"] if self._sentinel else [])]
        self._process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self.answers, f"{self.port} answers")

    def client(self) -> redis.Redis:
        return redis.Redis(self.host, self.port, password=self.password, socket_timeout=2, retry=Retry(NoBackoff(), 0), decode_responses=True)

    def answers(self) -> bool:
        with suppress(redis.RedisError), self.client() as client:
            return bool(client.ping())
        return False

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def follows(self) -> bool:
        """Whether it is a replica by now; sentinels end its connections when they make it one."""
        with suppress(redis.RedisError):
            return self.replication()["role"] == "slave"
        return False

    def replication(self) -> dict[str, object]:
        with self.client() as client:
            return dict(client.info("replication"))


class Watched:
    """A primary, its replicas, and sentinels that watch them."""

    def __init__(self, folder: Path, *, replicas: int, sentinels: int, extra: Sequence[str], down_after_ms: int, on: Network | None) -> None:
        ports = free_ports(1 + replicas + sentinels)
        hosts = on.addresses if on else ["127.0.0.1"]
        kept = ["appendonly yes", "appendfsync always", 'save ""', "repl-diskless-sync-delay 0", "repl-timeout 5", *extra]
        self.servers: list[Node] = []
        for n, port in enumerate(ports[: 1 + replicas]):
            lines = [*kept, *([f"replicaof {hosts[0]} {ports[0]}"] if n else [])]
            self.servers.append(Node(folder, port, lines, host=hosts[n % len(hosts)], inside=on.inside(n) if on else ()))
        watch = [
            f"sentinel monitor {NAME} {hosts[0]} {ports[0]} {sentinels // 2 + 1}", f"sentinel down-after-milliseconds {NAME} {down_after_ms}",
            f"sentinel failover-timeout {NAME} 2000", f"sentinel parallel-syncs {NAME} 1",
        ]  # fmt: skip
        self.sentinels = [
            Node(folder, port, watch, sentinel=True, host=hosts[n % len(hosts)], inside=on.inside(n) if on else ())
            for n, port in enumerate(ports[1 + replicas :])
        ]

    @property
    def url(self) -> str:
        return f"redis+sentinel://{','.join(f'{sentinel.host}:{sentinel.port}' for sentinel in self.sentinels)}/{NAME}"

    @property
    def primary(self) -> Node:
        """Who most sentinels say it is."""
        said = []
        for sentinel in self.sentinels:
            with suppress(redis.RedisError), sentinel.client() as client:
                _, port = client.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", NAME)
                said.append(int(port))
        # Of one that was cut off it says what was so before.
        port = max(said, key=said.count)
        return next(server for server in self.servers if server.port == port)

    @property
    def replicas(self) -> list[Node]:
        primary = self.primary
        return [server for server in self.servers if server is not primary]

    def start(self) -> None:
        for node in (*self.servers, *self.sentinels):
            node.start()
        self.wait_until_whole()

    def wait_until_whole(self, replicas: int | None = None) -> None:
        """Every replica follows the primary, and every sentinel knows all of them: before that nobody fails over."""
        wanted = len(self.servers) - 1 if replicas is None else replicas
        wait_until(lambda: self._following() >= wanted, f"{wanted} replicas follow", 60)
        wait_until(lambda: all(self._knows(sentinel) for sentinel in self.sentinels), "the sentinels know each other and the replicas", 60)

    def fail_over(self, *how: str) -> None:
        """As an operator does before a host is serviced; once more where the sentinels gave it up."""
        before = self.primary
        for _ in range(4):
            with suppress(redis.ResponseError), self.sentinels[0].client() as client:
                client.execute_command("SENTINEL", "FAILOVER", NAME, *how)
            given_up = time.monotonic() + 10
            wait_until(lambda until=given_up: self.primary is not before or time.monotonic() > until, "another server is the primary", 30)
            if self.primary is not before:
                return
        raise AssertionError("the sentinels gave up every failover")

    def stop(self) -> None:
        for node in (*self.sentinels, *self.servers):
            node.kill()

    def _following(self) -> int:
        said = self.primary.replication()
        return sum(said[f"slave{n}"]["state"] == "online" for n in range(int(said["connected_slaves"])))  # type: ignore[call-overload,index]

    def _knows(self, sentinel: Node) -> bool:
        with sentinel.client() as client:
            state = client.execute_command("SENTINEL MASTER", NAME)
        return state["num-other-sentinels"] == len(self.sentinels) - 1 and state["num-slaves"] == len(self.servers) - 1


@contextmanager
def watched(
    *, replicas: int = 2, sentinels: int = 3, extra: Sequence[str] = (), down_after_ms: int = DOWN_AFTER_MS, on: Network | None = None
) -> Iterator[Watched]:
    folder = Path(tempfile.mkdtemp(prefix="jt-"))
    stage = Watched(folder, replicas=replicas, sentinels=sentinels, extra=extra, down_after_ms=down_after_ms, on=on)
    try:
        stage.start()
        yield stage
    finally:
        stage.stop()
        shutil.rmtree(folder, ignore_errors=True)


class Cluster:
    """Nodes that share the slots between them, each with so many replicas."""

    def __init__(self, folder: Path, *, nodes: int, replicas: int) -> None:
        kept = ["appendonly yes", "appendfsync always", 'save ""', "repl-diskless-sync-delay 0", "cluster-enabled yes", "cluster-node-timeout 1500"]
        self.nodes = [Node(folder, port, kept) for port in free_ports(nodes * (1 + replicas))]
        self._primaries = nodes

    @property
    def url(self) -> str:
        return f"redis+cluster://{','.join(f'127.0.0.1:{node.port}' for node in self.nodes[: self._primaries])}/"

    def start(self) -> None:
        for node in self.nodes:
            node.start()
        first, *others = self.nodes
        primaries, replicas = self.nodes[: self._primaries], self.nodes[self._primaries :]
        share = 16_384 // self._primaries
        for n, node in enumerate(primaries):
            with node.client() as client:
                client.execute_command("CLUSTER ADDSLOTSRANGE", n * share, 16_383 if n == self._primaries - 1 else (n + 1) * share - 1)
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", n + 1)
        for node in others:
            with node.client() as client:
                client.execute_command("CLUSTER MEET", "127.0.0.1", first.port)
        wait_until(lambda: all(self._knows(node) for node in self.nodes), "the nodes know each other", 60)
        for n, node in enumerate(replicas):
            with node.client() as client:
                client.execute_command("CLUSTER REPLICATE", self._id_of(primaries[n % self._primaries]))
        wait_until(lambda: all(self._is_whole(node) for node in self.nodes), "the cluster is whole", 60)
        wait_until(lambda: all(node.replication().get("master_link_status") == "up" for node in replicas), "the replicas follow", 60)

    def owner(self, slot: int) -> Node:
        for node in self.nodes:
            if node.answers():
                with node.client() as client:
                    for first, last, (_, port, *_), *_ in client.execute_command("CLUSTER SLOTS"):
                        if first <= slot <= last:
                            return next(found for found in self.nodes if found.port == port)
        raise AssertionError(f"nobody has slot {slot}")

    def move(self, slot: int, to: Node) -> None:
        """A slot with its keys to another node, key by key as Redis before 9 does it."""
        source = self.owner(slot)
        here, there = self._id_of(source), self._id_of(to)
        with to.client() as new, source.client() as old:
            new.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", here)
            old.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", there)
            while keys := old.execute_command("CLUSTER GETKEYSINSLOT", slot, 10):
                old.execute_command("MIGRATE", "127.0.0.1", to.port, "", 0, 5_000, "KEYS", *keys)
            for client in (new, old):
                client.execute_command("CLUSTER SETSLOT", slot, "NODE", there)

    def stop(self) -> None:
        for node in self.nodes:
            node.kill()

    def _id_of(self, node: Node) -> str:
        with node.client() as client:
            return str(client.execute_command("CLUSTER MYID"))

    def _knows(self, node: Node) -> bool:
        with node.client() as client:
            return len(client.execute_command("CLUSTER NODES")) >= len(self.nodes)

    def _is_whole(self, node: Node) -> bool:
        with node.client() as client:
            return client.execute_command("CLUSTER INFO")["cluster_state"] == "ok"


@contextmanager
def clustered(*, nodes: int = 3, replicas: int = 0) -> Iterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="jt-"))
    stage = Cluster(folder, nodes=nodes, replicas=replicas)
    try:
        stage.start()
        yield stage
    finally:
        stage.stop()
        shutil.rmtree(folder, ignore_errors=True)

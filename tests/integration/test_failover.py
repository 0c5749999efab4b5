"""A broker that fails over, for real: what was acknowledged is in the books once, whoever died; what replicas do not have is said."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator

import pytest
import redis
from command import run
from failover_stories import story
from failovers import Cluster, Node, Watched, clustered, free_ports, watched
from parts import wait_until
from redis.crc import key_slot

from jarvis_client import AsyncPublisher, NotCopied, Publisher
from workers.app import create_worker
from workers.heartbeat import Heartbeat

NAMESPACE = "{jarvis}"
SLOT = key_slot(NAMESPACE.encode())


def deposit(name: object) -> dict[str, str]:
    return {"deposit_id": str(name), "account_id": "main", "currency": "USDT", "amount": "1", "occurred_at": "2026-01-01T00:00:00Z"}


@pytest.fixture
def servers() -> Iterator[Watched]:
    """A primary, two replicas and three sentinels."""
    with watched() as stage:
        yield stage


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with clustered() as stage:
        yield stage


def test_a_primary_that_is_killed_costs_seconds_and_no_record(servers):
    with story(servers.url, wait_replicas=1) as told:
        told.wait_for_acknowledged(20)
        servers.primary.kill()
        told.wait_for_acknowledged(1)
        told.wait_for_acknowledged(20)
        count = told.count()
        assert told.failures() == []
    assert (count.lost, count.doubled, count.recorded) == (0, 0, count.tried)
    assert count.pause > 1, "there was no failover"


@pytest.mark.slow
def test_status_doctor_and_publish_speak_to_the_primary_that_there_is(servers, tmp_path):
    environment = {"JARVIS_BROKER__URL": servers.url, "JARVIS_PUBLISHER__WAIT_REPLICAS": "2"}
    servers.fail_over("COORDINATED")
    servers.wait_until_whole()
    line = json.dumps({"type": "deposit", **deposit("d-1")}) + "\n"
    assert run("publish", "-", folder=tmp_path, stdin=line, **environment).stderr.strip() == "published 1 record"
    with servers.primary.client() as client:
        assert client.llen("dramatiq:deposits") == 1
    broker = json.loads(run("status", "--json", folder=tmp_path, **environment).stdout)["broker"]
    assert (broker["reachable"], broker["place"].startswith("redis primary books (sentinels 127.0.0.1:")) == (True, True)
    said = {line["subject"]: line for line in json.loads(run("doctor", "--json", folder=tmp_path, **environment).stdout)}
    assert said["sentinels"]["value"] == "3 can agree on a failover of books"
    assert said["replicas"]["value"] == f"the primary, 127.0.0.1:{servers.primary.port}, has 2, and needs none of them"
    assert "min-replicas-to-write 1" in said["replicas"]["remedy"]


@pytest.mark.slow
def test_a_sentinel_that_does_not_know_the_primary_is_named(servers, tmp_path):
    done = run("doctor", folder=tmp_path, JARVIS_BROKER__URL=servers.url.replace("/books", "/boks"), COLUMNS="160")
    assert "correct the name behind the hosts in broker.url" in done.stdout
    with pytest.raises(redis.ConnectionError, match="no sentinel knows a primary called boks") as refused:
        Publisher(servers.url.replace("/books", "/boks"), retries=0).publish("deposit", deposit("d-1"))
    assert "the broker has no primary now" in refused.value.__notes__[0]


def test_a_slot_that_moves_keeps_engines_and_workers_waiting_for_a_moment(cluster):
    with story(cluster.url, namespace=NAMESPACE) as told:
        told.wait_for_acknowledged(20)
        owner = cluster.owner(SLOT)
        cluster.move(SLOT, next(node for node in cluster.nodes if node is not owner))
        assert cluster.owner(SLOT) is not owner
        told.wait_for_acknowledged(50)
        worker = told.worker
        assert worker is not None
        # Whatever looks at more than one key does so on one node.
        worker.strays.look()
        worker.strays.take_back_lost_payloads("deposits")
        count = told.count()
        assert told.failures() == []
    assert (count.lost, count.doubled, count.recorded) == (0, 0, count.tried)


@pytest.mark.slow
def test_asyncio_answers_and_commands_work_on_a_cluster(cluster, tmp_path):
    async def published() -> str:
        async with AsyncPublisher(cluster.url, namespace=NAMESPACE, producer="engine", answers=True) as publisher:
            receipt = await publisher.publish("deposit", deposit("d-1"))
            refused = await publisher.publish("deposit", deposit("d-1") | {"amount": "2"})
            assert (await refused.wait()).reason == "conflict"
            assert [refusal.record_id async for refusal in publisher.refusals()] == ["d-1"]
            return str((await receipt.wait()).status)

    with create_worker(tmp_path / "books.db", cluster.url, namespace=NAMESPACE) as worker:
        assert asyncio.run(published()) == "applied"
        environment = {"JARVIS_BROKER__URL": cluster.url, "JARVIS_BROKER__NAMESPACE": NAMESPACE, "JARVIS_DATABASE__PATH": str(tmp_path / "books.db")}
        broker = json.loads(run("status", "--json", folder=tmp_path, **environment).stdout)["broker"]
        assert broker["reachable"] is True
        wait_until(lambda: worker.broker.in_flight == 0, "everything is acknowledged")
        stopped = run("jobs", "run", "seal", "--through-broker", folder=tmp_path, **environment)
        assert stopped.returncode == 0, stopped.stderr
        wait_until(lambda: worker.writer.counts.applied == 2, "the request is in the books")
    with cluster.owner(SLOT).client() as client:
        left = [key for key in client.scan_iter() if not key.startswith(f"{NAMESPACE}:__")]
    assert left == []


@pytest.fixture
def guarded(short_folder) -> Iterator[tuple[Node, Node]]:
    """A server and a sentinel that ask for passwords, each for its own."""
    port, sentinel_port = free_ports(2)
    server = Node(short_folder, port, ["requirepass hunter2"])
    watch = [f"sentinel monitor books 127.0.0.1 {port} 1", "sentinel auth-pass books hunter2", "requirepass w4tch"]
    sentinel = Node(short_folder, sentinel_port, watch, sentinel=True)
    server.password, sentinel.password = "hunter2", "w4tch"
    try:
        server.start()
        sentinel.start()
        yield server, sentinel
    finally:
        sentinel.kill()
        server.kill()


def test_servers_and_sentinels_have_passwords_of_their_own(guarded):
    server, sentinel = guarded
    place = f"127.0.0.1:{sentinel.port}/books?sentinel_password="
    with Publisher(f"redis+sentinel://:hunter2@{place}w4tch") as publisher:
        publisher.publish("deposit", deposit("d-1"))
    with server.client() as client:
        assert client.llen("dramatiq:deposits") == 1
    for wrong in (f"redis+sentinel://:hunter2@{place}wr0ng", f"redis+sentinel://:wr0ng@{place}w4tch"):
        with Publisher(wrong) as publisher, pytest.raises(redis.AuthenticationError) as refused:
            publisher.publish("deposit", deposit("d-2"))
        assert "refuses user or password" in refused.value.__notes__[0]
        assert "wr0ng" not in str(refused.value) + refused.value.__notes__[0]


@pytest.fixture
def pair(short_folder) -> Iterator[tuple[Node, Node]]:
    """A primary and its replica, without anybody who watches them."""
    with watched(replicas=1, sentinels=1) as stage:
        stage.sentinels[0].kill()
        yield stage.servers[0], stage.servers[1]


def test_what_no_replica_has_is_said_and_published_again_under_its_number(pair, monkeypatch, tmp_path):
    primary, replica = pair
    monkeypatch.setattr("jarvis_client.publisher.WAIT_SECONDS", 3.0)
    url = f"redis://127.0.0.1:{primary.port}"
    with Publisher(url, producer="engine", wait_replicas=1) as publisher:
        publisher.publish("deposit", deposit("d-1"))
        replica.signal(signal.SIGSTOP)
        with pytest.raises(NotCopied, match=r"has stored these records, but 0 of 1 replicas have them"):
            publisher.publish("deposit", deposit("d-2"))
        replica.signal(signal.SIGCONT)
        publisher.publish("deposit", deposit("d-2"))
        assert publisher.sequence == 2
    with Publisher(url, wait_replicas=2) as wants_more, pytest.raises(NotCopied, match="1 of 2 replicas"):
        wants_more.publish("deposit", deposit("d-3"))
    with create_worker(tmp_path / "books.db", url) as worker:
        wait_until(lambda: worker.writer.counts.messages == 4, "everything is recorded")
        assert (worker.writer.counts.applied, worker.writer.counts.duplicate) == (3, 1)
        assert worker.database.execute_query("SELECT count(*) FROM gaps") == [(0,)]


def test_with_a_spool_it_is_kept_until_a_replica_has_it(pair, tmp_path):
    primary, replica = pair
    url = f"redis://127.0.0.1:{primary.port}"
    replica.signal(signal.SIGSTOP)

    async def published() -> None:
        async with AsyncPublisher(url, wait_replicas=1, spool=tmp_path / "spool") as publisher:
            await publisher.publish("deposit", deposit("d-1"))
            assert publisher.spooled_bytes > 0
            replica.signal(signal.SIGCONT)
            await publisher.flush()
            assert publisher.spooled_bytes == 0

    asyncio.run(published())
    with create_worker(tmp_path / "books.db", url) as worker:
        wait_until(lambda: worker.writer.counts.messages >= 2, "it is recorded, and once more")
        assert worker.writer.counts.applied == 1


def test_a_broker_that_lost_writes_is_told_once_by_however_many_beat(broker_server):
    with broker_server.client() as client:
        heartbeat = Heartbeat(client, "dramatiq", "jarvis-w", "home of w")
        assert heartbeat.beat()
        assert heartbeat.beat()
        before = heartbeat.token, 2, 0
        heartbeat._compare(str(heartbeat.token), 1, before)
        heartbeat._compare(str(heartbeat.token), 2, before)
        assert len(heartbeat.losses) == 1

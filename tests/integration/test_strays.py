"""What is in Redis and nobody claims is found, taken back where identities make that harmless, and else shown."""

from __future__ import annotations

import json
import shutil
import time

import pytest
import redis
from parts import closing, wait_until

from jarvis_client import Publisher
from jarvis_client.contract.errors import HeldElsewhere
from jarvis_client.contract.routes import JOBS_ROUTE, ROUTES, encode
from persistence.database import DatabaseManager
from persistence.domain.strays import StrayKind
from persistence.repositories.quarantine import SQLiteQuarantineRepository
from persistence.repositories.strays import SQLiteStrayRepository
from workers.app import create_worker
from workers.heartbeat import home_of
from workers.reclaim import reclaim, return_what_the_dead_hold

STOCK = "11111111-2222-3333-4444-555555555555"


def deposit(name: object) -> dict[str, str]:
    return {"deposit_id": str(name), "account_id": "a", "currency": "USDT", "amount": "1", "occurred_at": "2026-01-01T00:00:00Z"}


def message(name: object) -> bytes:
    return encode(ROUTES["deposit"], deposit(name))[1]


@pytest.fixture(autouse=True)
def _no_time_to_lose(monkeypatch):
    """Minutes are too long for a test: what is seen twice has been there for long."""
    monkeypatch.setattr("workers.strays.UNBALANCED_SECONDS", 0)
    monkeypatch.setattr("workers.strays.SILENT_SECONDS", 0)
    monkeypatch.setattr("workers.strays.OTHERS_SECONDS", 0)
    monkeypatch.setattr("workers.strays.PAUSE_SECONDS", 0)
    monkeypatch.setattr("workers.strays.TICK_SECONDS", 0.02)
    monkeypatch.setattr("workers.strays.LOOK_SECONDS", 0.1)
    monkeypatch.setattr("workers.namespace.UNREAD_SECONDS", 0)
    monkeypatch.setattr("workers.namespace.WALK_SECONDS", 0.1)
    monkeypatch.setattr("workers.consumer.LONGEST_RETRY_SECONDS", 0.1)


@pytest.fixture
def client(broker_server):
    with broker_server.client() as client:
        yield client


@pytest.fixture
def worker(broker_server, tmp_path):
    with create_worker(tmp_path / "b.db", broker_server.url) as worker:
        # Its first look is over, so that what a test does next is seen by a later one.
        wait_until(lambda: worker.broker.client.exists("dramatiq:__alive__.jarvis-worker"), "the worker beats")
        yield worker


def applied(worker, count):
    wait_until(lambda: worker.writer.counts.applied == count, f"{count} are recorded")
    wait_until(lambda: not worker.broker.in_flight, "they are acknowledged")


def shown(worker):
    return {(stray.kind, stray.subject) for stray in SQLiteStrayRepository(worker.database).find_open()}


@pytest.mark.parametrize("spoil", [lambda c, k: c.set(k, "x"), lambda c, k: c.zadd(k, {"x": 1})], ids=["SET", "ZADD"])
@pytest.mark.parametrize(
    "key", ["__acks__.jarvis-worker.deposits", "deposits", "deposits.msgs", "__heartbeats__", "__alive__.jarvis-worker", "__jarvis__.mark"]
)
def test_a_key_of_the_wrong_type_costs_nothing_and_is_told(worker, broker_server, client, monkeypatch, key, spoil):
    monkeypatch.setattr("workers.missing.PAYLOAD_SECONDS", 0)  # of an id whose payload the key refused
    key = f"dramatiq:{key}"
    with client.pipeline(transaction=True) as pipeline:
        pipeline.delete(key)
        spoil(pipeline, key)
        pipeline.execute()
    publisher = Publisher(broker_server.url)
    publish = publisher.publish_deposit
    if key in ("dramatiq:deposits", "dramatiq:deposits.msgs"):
        with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
            publish(deposit(0))
    else:
        for n in range(5):
            publish(deposit(n))
    # Another queue goes on meanwhile.
    publisher.publish_order(event_id="e", order_id="o", account_id="a", status="cancelled", occurred_at="2026-01-01T00:00:00Z")
    wait_until(lambda: worker.writer.counts.applied >= 1, "the other queue is recorded")
    if "deposits" in key:
        wait_until(lambda: (StrayKind.WRONG_TYPE, key) in shown(worker), "the key is shown")
        assert worker.writer.counts.applied == 1
        assert not worker.status().ready
        client.delete(key)
        publish(deposit(0))
    worker.broker.heartbeat.beat()
    applied(worker, 6 if key not in ("dramatiq:deposits", "dramatiq:deposits.msgs") else 2)
    wait_until(lambda: (StrayKind.WRONG_TYPE, key) not in shown(worker), "the key is shown no longer")
    wait_until(lambda: worker.status().ready, "the worker is ready again")
    wait_until(lambda: not client.exists("dramatiq:deposits.msgs", "dramatiq:__acks__.jarvis-worker.deposits"), "nothing is left")


@pytest.mark.parametrize("key", ["__acks__.jarvis-worker.deposits", "deposits.msgs"])
def test_what_is_recorded_while_a_key_is_of_the_wrong_type_is_settled_once_it_is_mended(worker, broker_server, client, monkeypatch, key):
    post = worker.writer._poster.post

    def spoils(*arguments):
        client.rename(f"dramatiq:{key}", "aside")
        client.set(f"dramatiq:{key}", "x")
        return post(*arguments)

    monkeypatch.setattr(worker.writer._poster, "post", spoils)
    Publisher(broker_server.url).publish_deposit(deposit(0))
    wait_until(lambda: worker.writer.counts.applied == 1, "it is recorded")
    wait_until(lambda: worker.broker.misused, "the key is told")
    monkeypatch.undo()
    client.rename("aside", f"dramatiq:{key}")
    applied(worker, 1)
    assert client.keys("dramatiq:deposits*") == []


def test_ids_whose_payload_comes_later_are_recorded_and_those_without_are_quarantined(worker, client, monkeypatch):
    client.rpush("dramatiq:deposits", *(f"late-{n}" for n in range(50)))
    wait_until(lambda: len(worker.broker.missing.of("deposits")) == 50, "the ids wait for their payloads")
    client.hset("dramatiq:deposits.msgs", mapping={f"late-{n}": message(n) for n in range(50)})
    applied(worker, 50)

    monkeypatch.setattr("workers.missing.PAYLOAD_SECONDS", 0)
    client.rpush("dramatiq:deposits", *(f"never-{n}" for n in range(500)))
    wait_until(lambda: worker.writer.counts.quarantined == 500, "the others are in quarantine")
    wait_until(lambda: not client.exists("dramatiq:__acks__.jarvis-worker.deposits"), "nothing is held")
    held = list(SQLiteQuarantineRepository(worker.database).stream())
    assert {json.loads(h.raw)["redis_message_id"] for h in held} == {f"never-{n}" for n in range(500)}
    assert {h.reason for h in held} == {"no payload"}
    assert "publish the record again" in held[0].detail


def test_a_worker_that_stops_leaves_ids_without_payload_to_its_successor(broker_server, client, tmp_path):
    with create_worker(tmp_path / "b.db", broker_server.url) as worker:
        client.rpush("dramatiq:deposits", "late")
        wait_until(lambda: worker.broker.missing.of("deposits"), "the id waits for its payload")
    assert client.lrange("dramatiq:deposits", 0, -1) == [b"late"]


def test_payloads_without_an_id_are_taken_back(worker, client, monkeypatch):
    monkeypatch.setattr("workers.strays.MOST_LOST", 70)
    client.hset("dramatiq:deposits.msgs", mapping={f"lost-{n}": message(n) for n in range(1_000)})
    client.hset("dramatiq:orders.msgs", "no message", b"{")
    applied(worker, 1_000)
    wait_until(lambda: worker.writer.counts.quarantined == 1, "what is no message is in quarantine")
    wait_until(lambda: not client.exists("dramatiq:deposits.msgs", "dramatiq:orders.msgs"), "nothing is left")
    assert worker.writer.counts.duplicate == 0


def test_payloads_that_are_named_or_held_stay_where_they_are(broker_server, client, tmp_path):
    """Waiting, held by this worker, by another, by one of another make: nothing of it is lost."""
    with closing(DatabaseManager(tmp_path / "b.db")) as database:
        worker = create_worker(tmp_path / "b.db", broker_server.url)
        for n in range(400):
            client.hset("dramatiq:deposits.msgs", f"m{n}", message(n))
            client.rpush("dramatiq:deposits", f"m{n}")
        assert len(worker.broker.fetch("deposits")) == 400
        for holder, ids in (("jarvis-other", range(100)), (STOCK, range(100, 200))):
            client.zadd("dramatiq:__heartbeats__", {holder: 1})
            for n in ids:
                client.smove("dramatiq:__acks__.jarvis-worker.deposits", f"dramatiq:__acks__.{holder}.deposits", f"m{n}")
        client.srem("dramatiq:__acks__.jarvis-worker.deposits", *(f"m{n}" for n in range(200, 300)))
        client.rpush("dramatiq:deposits", *(f"m{n}" for n in range(200, 250)))
        assert worker.strays.take_back_lost_payloads("deposits") == 50
        assert client.llen("dramatiq:deposits") == 100
        assert worker.strays.take_back_lost_payloads("deposits") == 0
        assert database.execute_query("SELECT count(*) FROM strays")[0][0] == 0


def test_messages_on_queues_that_nobody_reads_move_to_their_own_or_are_shown(worker, client):
    def put(queue, redis_id, payload):
        client.hset(f"dramatiq:{queue}.msgs", redis_id, payload)
        client.rpush(f"dramatiq:{queue}", redis_id)

    for n in range(120):
        put("default", f"d{n}", message(n))
    put("fill", "job", encode(JOBS_ROUTE, {"job": "rollup"})[1])
    put("fill", "bad", encode(ROUTES["deposit"], {"deposit_id": "no amount"})[1])
    for n in range(60):
        put("mails", f"theirs{n}", json.dumps({"actor_name": "send_mail", "args": []}))
    client.hset("myapp:deposits.msgs", "other namespace", message("x"))
    client.rpush("myapp:deposits", "other namespace")

    applied(worker, 121)
    wait_until(lambda: (StrayKind.UNREAD_QUEUE, "fill") in shown(worker), "what cannot be recorded is shown")
    assert shown(worker) == {(StrayKind.UNREAD_QUEUE, "fill")}
    [stray] = SQLiteStrayRepository(worker.database).find_open()
    assert (stray.count, "no amount" in stray.example) == (1, True)
    assert client.lrange("dramatiq:fill", 0, -1) == [b"bad"]
    assert (client.llen("dramatiq:mails"), client.llen("myapp:deposits"), client.exists("dramatiq:default", "dramatiq:default.msgs")) == (60, 1, 0)

    client.delete("dramatiq:fill")
    wait_until(lambda: shown(worker) == set(), "what is gone is shown no longer")


def test_a_queue_that_somebody_reads_keeps_its_messages(worker, client, monkeypatch):
    monkeypatch.setattr("workers.namespace.UNREAD_SECONDS", 3600)
    client.hset("dramatiq:default.msgs", "d", message(1))
    client.rpush("dramatiq:default", "d")
    wait_until(lambda: "default" in worker.strays.namespace._heads, "the queue was seen")
    worker.strays.namespace.look()
    assert client.llen("dramatiq:default") == 1


def test_a_full_redis_is_drained(broker_server, client, tmp_path):
    """It refuses what may need room: so no script of a worker begins with that."""
    Publisher(broker_server.url).publish_deposits(deposit(n) for n in range(20))
    client.rpush("dramatiq:deposits", "no payload")
    client.config_set("maxmemory", "1")
    client.config_set("maxmemory-policy", "noeviction")
    with pytest.raises(redis.OutOfMemoryError):
        client.set("more", "x")
    with create_worker(tmp_path / "b.db", broker_server.url) as worker:
        applied(worker, 20)
        assert client.exists("dramatiq:__alive__.jarvis-worker")
    # A worker to which a full Redis is not well leaves it to its successor.
    assert client.lrange("dramatiq:deposits", 0, -1) == [b"no payload"] or client.smembers("dramatiq:__acks__.jarvis-worker.deposits") == {b"no payload"}


def test_an_actor_on_another_queue_of_ours_is_recorded_under_its_own_kind(worker, client):
    client.hset("dramatiq:orders.msgs", "m", message(1))
    client.rpush("dramatiq:orders", "m")
    applied(worker, 1)
    assert worker.database.execute_query("SELECT kind FROM facts") == [("deposit",)]


def test_dead_letters_and_what_a_dead_worker_of_dramatiq_held_are_recorded(worker, client, monkeypatch):
    monkeypatch.setattr("workers.missing.PAYLOAD_SECONDS", 0)
    with client.pipeline(transaction=True) as left:
        left.zadd("dramatiq:__heartbeats__", {STOCK: 1_700_000_000_000})
        for n in range(3):
            left.hset("dramatiq:deposits.XQ.msgs", f"x{n}", message(f"x{n}"))
            left.zadd("dramatiq:deposits.XQ", {f"x{n}": 1})
            left.hset("dramatiq:deposits.msgs", f"h{n}", message(f"h{n}"))
            left.sadd(f"dramatiq:__acks__.{STOCK}.deposits", f"h{n}")
            left.hset("dramatiq:deposits.DQ.msgs", f"q{n}", message(f"q{n}"))
            left.sadd(f"dramatiq:__acks__.{STOCK}.deposits.DQ", f"q{n}")
        left.sadd(f"dramatiq:__acks__.{STOCK}.deposits", "no payload")
        left.hset("dramatiq:jobs.XQ.msgs", "theirs", json.dumps({"actor_name": "send_mail", "args": []}))
        left.zadd("dramatiq:jobs.XQ", {"theirs": 1})
        left.execute()
    applied(worker, 9)
    wait_until(lambda: worker.writer.counts.quarantined == 1, "an id without payload is in quarantine")
    wait_until(lambda: not client.keys("dramatiq:deposits*") and not client.keys(f"dramatiq:__acks__.{STOCK}*"), "nothing of it is left")
    assert worker.writer.counts.duplicate == 0
    assert client.zcard("dramatiq:jobs.XQ") == 1


@pytest.mark.parametrize("holder", [STOCK, "jarvis-other"])
def test_what_a_worker_without_a_heartbeat_holds_is_returned(worker, client, monkeypatch, holder):
    """As after `DEL dramatiq:__heartbeats__`, or a clean-up by somebody else."""
    monkeypatch.setattr("workers.strays.UNBALANCED_SECONDS", 3600)
    with client.pipeline(transaction=True) as left:
        left.hset("dramatiq:deposits.msgs", "m", message(1))
        left.sadd(f"dramatiq:__acks__.{holder}.deposits", "m")
        left.execute()
    wait_until(lambda: return_what_the_dead_hold(worker.broker) or not client.exists(f"dramatiq:__acks__.{holder}.deposits"), "it was returned")
    applied(worker, 1)


def test_a_broker_that_was_emptied_is_noticed_while_running_and_after_a_restart(broker_server, client, tmp_path):
    def emptied(worker):
        return [s for s in SQLiteStrayRepository(worker.database).find_open() if s.kind is StrayKind.BROKER_EMPTIED]

    with create_worker(tmp_path / "b.db", broker_server.url) as worker:
        wait_until(lambda: worker.strays._marked, "the mark is kept")
        assert emptied(worker) == []
        client.flushall()
        worker.broker.heartbeat.beat()
        wait_until(lambda: len(emptied(worker)) == 1, "the loss is kept")
    with create_worker(tmp_path / "b.db", broker_server.url) as worker:
        worker.strays.look()
        assert len(emptied(worker)) == 1, "the same broker as before"
    client.flushall()
    with create_worker(tmp_path / "b.db", broker_server.url) as worker:
        wait_until(lambda: len(emptied(worker)) == 2, "it was emptied while no worker ran")
        kind, subject = emptied(worker)[0].kind, emptied(worker)[0].subject
        assert SQLiteStrayRepository(worker.database).settle(kind, subject)
        assert len(emptied(worker)) == 1


def test_a_broker_that_came_back_without_its_last_writes_is_noticed(worker, client):
    worker.broker.heartbeat.beat()
    client.hset("dramatiq:__jarvis__.mark", "beats", 0)
    worker.broker.heartbeat.beat()
    wait_until(lambda: {kind for kind, _ in shown(worker)} == {StrayKind.BROKER_WENT_BACK}, "it is shown")


def test_a_start_refuses_where_another_program_s_worker_is_alive_on_a_queue_of_ours(broker_server, client, tmp_path, monkeypatch):
    monkeypatch.setattr("workers.strays.SILENT_SECONDS", 60)
    now = time.time_ns() // 1_000_000
    client.zadd("dramatiq:__heartbeats__", {STOCK: now, "a-publisher": now})
    client.sadd(f"dramatiq:__acks__.{STOCK}.mails", "theirs")
    create_worker(tmp_path / "b.db", broker_server.url).strays.refuse_other_programs()  # on a queue of its own
    client.sadd(f"dramatiq:__acks__.{STOCK}.jobs", "theirs")
    with pytest.raises(HeldElsewhere, match=rf"another program \({STOCK}\) is at work on jobs in the namespace 'dramatiq'.*broker\.namespace"):
        create_worker(tmp_path / "b.db", broker_server.url).start()
    client.zadd("dramatiq:__heartbeats__", {STOCK: now - 61_000})
    with create_worker(tmp_path / "b.db", broker_server.url):
        pass  # that one is dead


def test_two_workers_of_one_name_are_told_apart_when_redis_comes_back(broker_server, tmp_path):
    """Over the same books: of other ones they are told apart by those."""
    with closing(DatabaseManager(tmp_path / "a" / "b.db")) as database:
        database.initialize()
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    broker_server.kill()
    first, second = (create_worker(tmp_path / name / "b.db", broker_server.url) for name in "ab")
    for worker in (first, second):
        worker.start()
    try:
        broker_server.start()
        Publisher(broker_server.url).publish_deposits(deposit(n) for n in range(200))
        wait_until(lambda: first.writer.counts.applied + second.writer.counts.applied == 200, "all are recorded")
        assert 200 in (first.writer.counts.applied, second.writer.counts.applied), "in the books of one of them"
        refused = first if second.writer.counts.applied else second
        wait_until(lambda: refused.broker.heartbeat.refused, "the other one is refused")
        with pytest.raises(HeldElsewhere, match=r"a worker named 'worker' is at work on this broker from .*:/.*; give this one another worker\.name"):
            refused.refuse_to_go_on()
        assert not refused.status().ready
    finally:
        for worker in (first, second):
            worker.stop()


def test_a_key_of_another_type_that_a_dead_worker_left_is_no_outage(worker, client):
    client.set("dramatiq:__acks__.jarvis-dead.deposits", "x")
    client.sadd("dramatiq:__acks__.jarvis-dead.orders", "o")
    client.zadd("dramatiq:__heartbeats__", {"jarvis-dead": 1})
    return_what_the_dead_hold(worker.broker)
    assert b"jarvis-dead" not in client.zrange("dramatiq:__heartbeats__", 0, -1)
    assert not client.exists("dramatiq:__acks__.jarvis-dead.orders"), "what it held of another queue is returned"
    assert worker.broker.reachable


def test_a_home_outlives_the_name_of_its_host_but_not_a_copy(tmp_path, monkeypatch):
    before = home_of(tmp_path)
    monkeypatch.setattr("platform.node", lambda: "another-container")
    after = home_of(tmp_path)
    assert (before != after, before.split()[0]) == (True, after.split()[0])
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "worker.home").write_text((tmp_path / "worker.home").read_text())
    assert home_of(tmp_path / "copy").split()[0] != after.split()[0]


def test_a_container_that_was_killed_and_comes_back_under_another_host_name_goes_on(broker_server, client, tmp_path, monkeypatch):
    client.hset("dramatiq:deposits.msgs", "m", message(1))
    client.rpush("dramatiq:deposits", "m")
    killed = create_worker(tmp_path / "b.db", broker_server.url)
    killed.broker.heartbeat.home = home_of(tmp_path)
    assert len(killed.broker.fetch("deposits")) == 1
    monkeypatch.setattr("platform.node", lambda: "another-container")
    with create_worker(tmp_path / "b.db", broker_server.url) as worker:
        applied(worker, 1)


def test_a_million_held_ids_are_returned_in_slices(broker_server, client, tmp_path, monkeypatch):
    """A fortieth of a million; how many ids one step takes is what counts."""
    monkeypatch.setattr("workers.strays.LOOK_SECONDS", 3600)
    client.execute_command("EVAL", "for n = 1, 25000 do redis.call('SADD', KEYS[1], n) end", 1, "dramatiq:__acks__.jarvis-worker.deposits")
    worker = create_worker(tmp_path / "b.db", broker_server.url)
    steps = []
    give_back = worker.broker.put_back
    monkeypatch.setattr(worker.broker, "put_back", lambda keys, args: steps.append(len(args)) or give_back(keys=keys, args=args))
    assert reclaim(worker.broker, "deposits") == 25_000
    assert (max(steps) <= 2_000, len(steps) > 20, client.llen("dramatiq:deposits")) == (True, True, 25_000)

"""While Redis is away records go to the spool, and from there to the queues in their order: across kills of Redis and of the engine
nothing is lost, and nothing is booked twice."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
import time

import pytest
import redis
from parts import closing, wait_until

from jarvis_client import AsyncPublisher, Publisher, SpoolFull, Unavailable
from persistence.database import DatabaseManager
from persistence.repositories.gaps import SQLiteGapRepository
from workers.app import create_worker


def deposit(name: object) -> dict[str, object]:
    return {"deposit_id": str(name), "account_id": "a", "currency": "USDT", "amount": "1", "occurred_at": "2026-01-01T00:00:00Z"}


def sent(server) -> list[tuple[str, int | None]]:
    """(id, number) of the records in the queue, in its order."""
    with server.client() as client:
        messages = [json.loads(client.hget("dramatiq:deposits.msgs", i)) for i in client.lrange("dramatiq:deposits", 0, -1)]
    records = [r for m in messages for r in (m["args"][0] if isinstance(m["args"][0], list) else m["args"])]
    return [(r["deposit_id"], r.get("sequence")) for r in records]


def test_what_is_published_while_redis_is_away_arrives_in_its_order_with_its_numbers(broker_server, tmp_path):
    with Publisher(broker_server.url, producer="engine-1", spool=tmp_path / "s") as publisher:
        publisher.publish_deposit(deposit(1))
        broker_server.kill()
        publisher.publish_deposit(deposit(2))
        publisher.publish_deposits([deposit(3), deposit(4)], records_per_message=2)
        publisher.request_job("rollup")
        assert publisher.spooled_bytes > 0
        broker_server.start()
        publisher.publish_deposit(deposit(5))
        wait_until(lambda: not publisher.spooled_bytes, "the spool is empty")
        publisher.publish_deposit(deposit(6))
        assert sent(broker_server) == [(str(n), n) for n in range(1, 7)]
        assert publisher.sequence == 6
        with broker_server.client() as client:
            assert client.llen("dramatiq:jobs") == 1


def test_the_next_run_of_the_engine_sends_what_the_last_one_kept_before_its_own(broker_server, tmp_path):
    Publisher(broker_server.url, producer="engine-1").publish_deposit(deposit(1))
    broker_server.kill()
    for n in (2, 3):
        with Publisher(broker_server.url, producer="engine-1", spool=tmp_path / "s") as publisher:
            publisher.publish_deposit(deposit(n))
    broker_server.start()
    with Publisher(broker_server.url, producer="engine-1", spool=tmp_path / "s") as publisher:
        publisher.publish_deposit(deposit(4))
        publisher.flush()
        assert sent(broker_server) == [(str(n), n) for n in range(1, 5)]


def test_an_engine_without_a_name_has_a_spool_too(broker_server, tmp_path):
    broker_server.kill()
    with Publisher(broker_server.url, spool=tmp_path / "s") as publisher:
        receipts = [publisher.publish_deposit(deposit(n)) for n in range(3)]
        broker_server.start()
        publisher.flush()
    assert sent(broker_server) == [("0", None), ("1", None), ("2", None)]
    with broker_server.client() as client:
        assert [i.decode() for i in client.lrange("dramatiq:deposits", 0, -1)] == receipts, "a receipt names the message, whenever it is sent"


def test_a_record_that_waits_in_the_spool_is_answered_when_redis_is_back(broker_server, tmp_path):
    with Publisher(broker_server.url, producer="engine-1", answers=True, spool=tmp_path / "s") as publisher:
        broker_server.kill()
        receipt = publisher.publish_deposit(deposit(1))
        with pytest.raises(Unavailable, match="no answer to message"):
            receipt.wait(0.3)
        broker_server.start()
        with create_worker(tmp_path / "b.db", broker_server.url):
            assert receipt.wait(20).recorded


def test_a_full_spool_says_so_and_a_broker_that_is_back_makes_room(broker_server, tmp_path):
    broker_server.kill()
    with Publisher(broker_server.url, spool=tmp_path / "s", spool_bytes=2_000) as publisher:
        with pytest.raises(SpoolFull, match="these records are not kept"):
            for n in range(100):
                publisher.publish_deposit(deposit(n))
        broker_server.start()
        publisher.flush()
        publisher.publish_deposit(deposit("after"))
        assert [name for name, _ in sent(broker_server)] == [*map(str, range(n)), "after"]


def test_an_engine_waits_for_no_more_than_the_first_failure(broker_server, tmp_path):
    broker_server.kill()
    with Publisher(broker_server.url, producer="engine-1", spool=tmp_path / "s") as publisher:
        publisher.publish_deposit(deposit(0))
        started = time.monotonic()
        for n in range(1, 101):
            publisher.publish_deposit(deposit(n))
        assert time.monotonic() - started < 3, "a hundred records take as long as the disk does"


def test_without_a_spool_the_error_is_redis_s_own_and_says_what_to_do(broker_server):
    broker_server.kill()
    with pytest.raises(redis.ConnectionError) as raised:
        Publisher(broker_server.url, producer="engine-1", retries=1).publish_deposit(deposit(1))
    assert "the broker is not reachable" in raised.value.__notes__[0]


def test_a_connection_that_is_lost_for_a_moment_is_made_anew(broker_server):
    """A restart of Redis is over before the tries are."""
    publisher = Publisher(broker_server.url, producer="engine-1", retries=10)
    publisher.publish_deposit(deposit(1))
    broker_server.kill()
    restarting = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.5)"])
    wait_until(lambda: restarting.poll() is not None, "a moment has passed")
    broker_server.start()
    publisher.publish_deposit(deposit(2))
    assert sent(broker_server) == [("1", 1), ("2", 2)]


def test_asyncio_has_a_spool_as_well(broker_server, tmp_path):
    async def engine():
        async with AsyncPublisher(broker_server.url, producer="engine-1", spool=tmp_path / "s") as publisher:
            await publisher.publish_deposit(deposit(1))
            broker_server.kill()
            for n in range(2, 5):
                await publisher.publish_deposit(deposit(n))
            assert publisher.spooled_bytes
        broker_server.start()
        async with AsyncPublisher(broker_server.url, producer="engine-1", spool=tmp_path / "s") as publisher:
            await publisher.publish_deposits([deposit(5), deposit(6)])
            await publisher.flush()

    asyncio.run(engine())
    assert sent(broker_server) == [(str(n), n) for n in range(1, 7)]


ENGINE = """
import sys
from jarvis_client import Publisher

url, spool, first, last = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
publisher = Publisher(url, producer="engine-1", spool=spool)
for n in range(first, last):
    publisher.publish_deposit(deposit_id=str(n), account_id="a", currency="USDT", amount="1", occurred_at="2026-01-01T00:00:00Z")
    print(n, flush=True)
publisher.close()
print("closed", flush=True)
"""


@pytest.mark.on_disk
def test_kills_of_redis_and_of_the_engine_lose_nothing_and_book_nothing_twice(broker_server, tmp_path):
    chance = random.Random(20_261_125)
    published = 0
    with create_worker(tmp_path / "b.db", broker_server.url) as worker:
        for _ in range(4):
            engine = subprocess.Popen(
                [sys.executable, "-c", ENGINE, broker_server.url, str(tmp_path / "s"), str(published), str(published + 250)], stdout=subprocess.PIPE, text=True
            )
            assert engine.stdout is not None
            up = True
            for n, line in enumerate(engine.stdout):
                if line == "closed\n":
                    break
                published = int(line) + 1
                if n and n % 50 == 0:
                    broker_server.kill() if up else broker_server.start()
                    up = not up
                if chance.random() < 0.004:
                    engine.send_signal(signal.SIGKILL)
            engine.wait(60)
            if not up:
                broker_server.start()
        with Publisher(broker_server.url, producer="engine-1", spool=tmp_path / "s") as publisher:
            publisher.flush(60)
            last = publisher.publish_deposit(deposit("last"))
            assert last
        wait_until(lambda: not worker.broker.in_flight and not sum(worker.broker.queue_lengths().values()), "everything is recorded", 60)
    with closing(DatabaseManager(tmp_path / "b.db")) as books:
        found = {row["record_id"] for row in books.execute_query("SELECT record_id FROM facts")}
        assert {str(n) for n in range(published)} | {"last"} <= found, "nothing that was published is missing"
        assert found - {str(n) for n in range(published)} - {"last"} <= {str(published)}, "but for one, whose engine died before it could say so"
        [balance] = books.execute_query("SELECT available FROM v_balances WHERE account_id = 'a'")
        assert int(balance["available"]) == len(found), "nothing is booked twice"
        assert SQLiteGapRepository(books).find_open() == []


def test_a_record_that_was_neither_sent_nor_kept_takes_no_number_with_it(broker_server, tmp_path):
    with Publisher(broker_server.url, producer="engine-1", spool=tmp_path / "s", spool_bytes=100) as publisher:
        publisher.publish_deposit(deposit(1))
        broker_server.kill()
        with pytest.raises(SpoolFull):
            publisher.publish_deposit(deposit(2))
        broker_server.start()
        publisher.publish_deposit(deposit(3))
        publisher.publish_deposit(deposit(2))
    assert sent(broker_server) == [("1", 1), ("3", 2), ("2", 3)]

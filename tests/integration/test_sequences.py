"""The numbers of a producer: none is lost with a failed publish, and another publisher of the name goes on after the last."""

from __future__ import annotations

import sys
import threading
from contextlib import suppress

import pytest
import redis
from parts import wait_until

from jarvis_client import Publisher
from jarvis_client.contract.errors import MalformedRecord
from jarvis_client.numbering import SEQUENCES
from persistence.repositories.gaps import SQLiteGapRepository
from persistence.repositories.strays import SQLiteStrayRepository
from workers.app import create_worker
from workers.wire import decode_json


def deposit(name: object) -> dict[str, str]:
    return {"deposit_id": str(name), "account_id": "a", "currency": "USDT", "amount": "1", "occurred_at": "2026-01-01T00:00:00Z"}


def sent(server) -> list[tuple[str, int]]:
    with server.client() as client:
        messages = [decode_json(client.hget("dramatiq:deposits.msgs", i)) for i in client.lrange("dramatiq:deposits", 0, -1)]
    records = [r for m in messages for r in (m["args"][0] if type(m["args"][0]) is list else m["args"])]
    return [(r["deposit_id"], r["sequence"]) for r in records]


def test_a_publish_that_fails_takes_no_number_with_it(broker_server):
    publisher = Publisher(broker_server.url, producer="engine-1")
    publisher.publish_deposit(deposit("first"))
    broker_server.kill()
    for _ in range(5):
        with pytest.raises((redis.RedisError, OSError)):
            publisher.publish_deposit(deposit("second"))
        with pytest.raises((redis.RedisError, OSError)):
            publisher.publish_deposits([deposit("second"), deposit("third")])
    with pytest.raises(MalformedRecord):
        publisher.publish_deposit({**deposit("bad"), "amount": "none"})
    broker_server.start()
    publisher.publish_deposits([deposit("second"), deposit("third")])
    assert sent(broker_server) == [("first", 1), ("second", 2), ("third", 3)]


def test_a_record_whose_reply_was_lost_keeps_its_number_when_it_is_sent_again(broker_server, monkeypatch):
    publisher = Publisher(broker_server.url, producer="engine-1")
    exchange = Publisher._exchange

    def loses_the_reply(self, asked):
        replies = exchange(self, asked)
        if asked.commands[0][0] == "ZSCORE":
            return replies
        raise redis.ConnectionError("the reply was lost")

    with monkeypatch.context() as patch:
        patch.setattr(Publisher, "_exchange", loses_the_reply)
        with pytest.raises(redis.ConnectionError):
            publisher.publish_deposit(deposit("first"))
    publisher.publish_deposit(deposit("second"))
    publisher.publish_deposit(deposit("first"))
    publisher.publish_deposit(deposit("third"))
    assert sent(broker_server) == [("first", 1), ("second", 2), ("first", 1), ("third", 3)]


def test_another_publisher_of_the_name_goes_on_where_the_last_one_ended(broker_server):
    Publisher(broker_server.url, producer="engine-1").publish_deposits((deposit(n) for n in range(3)), records_per_message=2)
    again = Publisher(broker_server.url, producer="engine-1")
    again.publish_deposit(deposit("after"))
    assert (sent(broker_server)[-1], again.sequence) == (("after", 4), 4)
    Publisher(broker_server.url, producer="engine-1", sequence=100).publish_deposit(deposit("further"))
    Publisher(broker_server.url, producer="engine-2").publish_deposit(deposit("other"))
    assert sent(broker_server)[-2:] == [("further", 101), ("other", 1)]
    with broker_server.client() as client:
        assert client.zrange(f"dramatiq:{SEQUENCES}", 0, -1, withscores=True) == [(b"engine-2", 1.0), (b"engine-1", 101.0)]


def test_two_publishers_of_one_name_are_told(broker_server, caplog):
    first, second = (Publisher(broker_server.url, producer="engine-1") for _ in range(2))
    first.publish_deposit(deposit("a"))
    second.publish_deposits(deposit(n) for n in range(9))
    first.publish_deposit(deposit("b"))
    first.publish_deposit(deposit("c"))
    assert "producer 'engine-1' is used by another publisher, which is at 10; give each a name of its own" in caplog.text
    assert sent(broker_server)[-1] == ("c", 11)


def test_threads_of_one_publisher_share_no_number(broker_server):
    publisher = Publisher(broker_server.url, producer="engine-1")
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=lambda t=t: [publisher.publish_deposit(deposit(f"{t}-{n}")) for n in range(25)]) for t in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert [number for _, number in sent(broker_server)] == list(range(1, 201))


def test_an_engine_and_its_broker_that_come_and_go_leave_no_gap(broker_server, tmp_path):
    with create_worker(tmp_path / "b.db", broker_server.url) as worker:
        publisher = Publisher(broker_server.url, producer="engine-1")
        publisher.publish_deposits(deposit(n) for n in range(3))
        broker_server.kill()
        for _ in range(4):
            with suppress(redis.RedisError, OSError):
                publisher.publish_deposit(deposit(3))
        broker_server.start()
        publisher.publish_deposit(deposit(3))
        Publisher(broker_server.url, producer="engine-1").publish_deposit(deposit(4))
        wait_until(lambda: worker.writer.counts.applied == 5, "all are recorded")
        assert SQLiteGapRepository(worker.database).find_open() == []
        assert SQLiteStrayRepository(worker.database).last_numbers() == {"engine-1": 5}


def test_a_broker_that_was_emptied_learns_the_last_numbers_from_the_books(broker_server, tmp_path):
    with create_worker(tmp_path / "b.db", broker_server.url) as worker:
        Publisher(broker_server.url, producer="engine-1").publish_deposits(deposit(n) for n in range(3))
        wait_until(lambda: worker.writer.counts.applied == 3, "all are recorded")
        with broker_server.client() as client:
            client.flushall()
            worker.broker.heartbeat.beat()
            worker.strays.look()
            assert client.zscore(f"dramatiq:{SEQUENCES}", "engine-1") == 3

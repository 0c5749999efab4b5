"""Hostile messages among good ones, through a real server and a real worker: each has its outcome, none touches a neighbour."""

from __future__ import annotations

import json

import pytest
from books import unexplained
from parts import wait_until

from jarvis_client.contract.routes import ROUTES, encode
from persistence.repositories import SQLiteAccountRepository, SQLiteQuarantineRepository
from workers.app import create_worker

AT = "2026-01-01T00:00:00Z"
SQL = "'; DROP TABLE facts; --"


def deposit(n, **changes):
    return {"deposit_id": f"d{n}", "account_id": "a", "currency": "USDT", "amount": "1", "occurred_at": AT, **changes}


@pytest.fixture
def worker(broker_server, tmp_path):
    worker = create_worker(tmp_path / "books.db", broker_server.url)
    worker.start()
    yield worker
    worker.stop(10)


def push(server, payload, queue="deposits", redis_id=None):
    redis_id = redis_id or f"m{push.count}"
    push.count += 1
    with server.client() as client:
        client.hset(f"dramatiq:{queue}.msgs", redis_id, payload)
        client.rpush(f"dramatiq:{queue}", redis_id)


push.count = 0


def raw_message(record: bytes) -> bytes:
    """An envelope around bytes that a JSON library would not write."""
    return encode(ROUTES["deposit"], "RECORD")[1].replace(b'"RECORD"', record)


def raw_deposit(n: int, field: bytes, value: bytes) -> bytes:
    text = json.dumps(deposit(n, **{field.decode(): "PLACE"})).encode()
    return text.replace(b'"PLACE"', value)


HOSTILE_RECORDS = [
    raw_deposit(1, b"amount", b"NaN"), raw_deposit(2, b"amount", b"1e400"), raw_deposit(3, b"amount", b"9" * 10_000), raw_deposit(4, b"amount", b"-Infinity"),
    raw_deposit(5, b"occurred_at", b'"2026-01-01T00:00:00"'), raw_deposit(6, b"deposit_id", b'""'), raw_deposit(7, b"deposit_id", b'"' + b"x" * 5000 + b'"'),
    raw_deposit(8, b"currency", b"5"), raw_deposit(9, b"description", b'"\xff\xfe"'), raw_deposit(10, b"description", b'"\\ud800"'),
    raw_deposit(11, b"note", b'"\\ud800"'), raw_deposit(12, b"amount", b"[" * 60 + b"]" * 60), b"null", b"[[]]", b'"text"', b"{}", b'{"\xff": 1}',
]  # fmt: skip


@pytest.mark.parametrize("shape", ["alone", "in a batch"])
def test_each_hostile_record_is_quarantined_byte_for_byte_and_its_neighbours_are_recorded(broker_server, worker, shape):
    good = [json.dumps(deposit(f"good{n}")).encode() for n in range(len(HOSTILE_RECORDS))]
    for n, hostile in enumerate(HOSTILE_RECORDS):
        if shape == "alone":
            push(broker_server, raw_message(hostile))
            push(broker_server, raw_message(good[n]))
        else:
            push(broker_server, raw_message(b"[" + hostile + b" , " + good[n] + b"]"))

    wait_until(lambda: worker.writer.counts.applied == len(good), "every good neighbour is recorded")
    wait_until(lambda: worker.writer.counts.quarantined == len(HOSTILE_RECORDS), "every hostile record is quarantined")
    held = list(SQLiteQuarantineRepository(worker.database).stream())
    expected = [h if h != b"[[]]" or shape == "in a batch" else b"[]" for h in HOSTILE_RECORDS]
    assert sorted(q.raw for q in held) == sorted(expected)
    assert all(q.detail and len(q.detail) < 1_000 for q in held)
    assert worker.problem() is None
    wait_until(lambda: worker.broker.in_flight == 0, "everything is acknowledged")
    assert unexplained(worker.database) == []


def test_hostile_envelopes_are_quarantined_whole_and_a_second_delivery_is_a_duplicate(broker_server, worker):
    hostile = [b"", b"{", b"\xff", b"[]", b"[" * 100_000, b'{"actor_name": "nobody", "args": [{}]}', b'{"actor_name": "record_deposit", "args": []}']
    for _ in range(2):
        for payload in hostile:
            push(broker_server, payload)
            push(broker_server, encode(ROUTES["deposit"], deposit("same"))[1])

    wait_until(lambda: worker.writer.counts.messages == 4 * len(hostile), "every message has its outcome")
    counts = worker.writer.counts
    assert (counts.applied, counts.quarantined, counts.duplicate) == (1, len(hostile), 3 * len(hostile) - 1)
    assert sorted(q.raw for q in SQLiteQuarantineRepository(worker.database).stream()) == sorted(hostile)


def test_sql_and_unknown_fields_are_data(broker_server, worker):
    push(broker_server, encode(ROUTES["deposit"], deposit(SQL, account_id=SQL, description=SQL, reference=SQL, strategy=SQL))[1])
    wait_until(lambda: worker.writer.counts.applied == 1, "it is recorded")
    assert SQLiteAccountRepository(worker.database).find_by_id(SQL).balance.total("USDT").amount == 1
    [row] = worker.database.execute_query("SELECT extra, description FROM flows")
    assert json.loads(row["extra"]) == {"strategy": SQL}


def test_a_delayed_message_and_one_with_any_id_are_recorded_at_once(broker_server, worker):
    push(broker_server, encode(ROUTES["deposit"], deposit(1))[1], queue="deposits.DQ")
    push(broker_server, encode(ROUTES["deposit"], deposit(2))[1], redis_id=b"\xff\x00")
    wait_until(lambda: worker.writer.counts.applied == 2, "both are recorded")


@pytest.mark.on_disk
def test_the_broker_may_go_and_come_back(broker_server, worker):
    push(broker_server, encode(ROUTES["deposit"], deposit(1))[1])
    wait_until(lambda: worker.writer.counts.applied == 1, "the first is recorded")
    broker_server.kill()
    wait_until(lambda: not worker.broker.reachable, "the worker notices")
    assert worker.problem() is None
    broker_server.start()
    push(broker_server, encode(ROUTES["deposit"], deposit(2))[1])
    wait_until(lambda: worker.writer.counts.applied == 2, "the second is recorded")
    wait_until(lambda: worker.broker.reachable, "it is well again")


def test_a_batch_beyond_its_limit_is_quarantined_whole(broker_server, worker):
    push(broker_server, encode(ROUTES["deposit"], [deposit(n) for n in range(1_001)])[1])
    wait_until(lambda: worker.writer.counts.quarantined == 1, "it is quarantined")
    [held] = SQLiteQuarantineRepository(worker.database).stream()
    assert "at most 1000" in held.detail

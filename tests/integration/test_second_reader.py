"""A second process that reads messages while there is a backlog: the books and the answers are those of a worker that reads alone."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from books import books
from parts import wait_until

from jarvis_client import Publisher
from jarvis_client.contract.conventions import DEFAULT_CONVENTIONS, Conventions
from jarvis_client.contract.outcome import Outcome
from jarvis_client.contract.routes import ROUTES, encode
from persistence.beside import Companion
from workers import app, decoding, second_reader
from workers.app import RecorderWorker, create_worker
from workers.envelope import KIND_OF_ACTOR
from workers.reading import Fetched, read_messages
from workers.second_reader import IDLE_SECONDS, SECONDS_AFTER_DEATH, SecondReader, Told

FILL = {"account_id": "acc", "symbol": "BTC/USDT", "side": "buy", "quantity": "1.50", "price": "100", "executed_at": "2026-01-01T00:00:00Z"}


def fill(number: int, **changes: object) -> dict[str, object]:
    return {**FILL, "fill_id": f"f{number}", "order_id": f"o{number // 2}", **changes}


def messages(*records: object) -> list[Fetched]:
    return [(f"id-{n}".encode(), encode(ROUTES["fill"], record)[1]) for n, record in enumerate(records)]


@pytest.fixture
def at_once(monkeypatch) -> None:
    """Every fetch is worth another process, from its first answer on."""
    monkeypatch.setattr(app, "cores", lambda: 2)
    monkeypatch.setattr(second_reader, "WORTH_STARTING_BYTES", 0)
    monkeypatch.setattr(second_reader, "WORTH_ASKING_BYTES", 1)
    monkeypatch.setattr(Companion, "has_answered", lambda self: self._line.poll(None))


@pytest.fixture
def read_elsewhere(monkeypatch) -> list[bytes]:
    """The ids of messages that another process has read."""
    found: list[bytes] = []
    delivery_of = decoding.delivery_of

    def noted(queue, redis_id, payload, envelope, items=None):
        if items is not None:
            found.append(redis_id)
        return delivery_of(queue, redis_id, payload, envelope, items)

    monkeypatch.setattr(decoding, "delivery_of", noted)
    return found


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def reader(clock, at_once) -> Iterator[SecondReader]:
    made = SecondReader(DEFAULT_CONVENTIONS, KIND_OF_ACTOR, clock)
    yield made
    made.close()


@pytest.fixture
def ready(reader) -> SecondReader:
    """One whose process has answered."""
    assert untold(reader.read("fills", messages(fill(0)), more=True)), "it begins with the first backlog, and reads from the next one on"
    return reader


def untold(told: Told) -> bool:
    return all(read is None for _, read in told)


def ids_of(told: Told) -> list[str]:
    """The ids of the facts that were read, in their order."""
    return [item.record_id for _, read in told if read is not None for item in read[1]]


def is_running(reader: SecondReader) -> bool:
    return reader._companion is not None


def process_of(reader: SecondReader) -> int:
    assert reader._companion is not None
    assert reader._companion._process is not None
    return reader._companion._process.pid


#: What else may lie in a queue: no message, none of ours, a rule broken, a conflict, too many records, other ways to send.
ODD = [
    b"no json", b"[]", b'{"actor_name":"record_fill"}', json.dumps({"actor_name": "record_nothing", "args": [{}]}).encode(),
    encode(ROUTES["fill"], fill(700, price="NaN"))[1], encode(ROUTES["fill"], [fill(701), {"fill_id": 1}, fill(702)])[1],
    encode(ROUTES["fill"], fill(0, quantity="9"))[1], encode(ROUTES["fill"], fill(703, note="\ud800"))[1], encode(ROUTES["fill"], [fill(704)] * 6_000)[1],
    json.dumps({"actor_name": "record_fill", "args": [], "kwargs": fill(705)}).encode(), encode(ROUTES["fill"], fill(706, my_tag={"a": [1]}))[1],
]  # fmt: skip


def publish_all_sorts(publisher: Publisher, client: redis.Redis) -> None:
    """Fills one by one and in batches, again and numbered, and between them whatever is odd."""
    publisher.publish_fills([fill(n) for n in range(200)])
    for n, payload in enumerate(ODD):
        client.hset("dramatiq:fills.msgs", f"odd-{n}", payload)
        client.rpush("dramatiq:fills", f"odd-{n}")
    publisher.publish_fills([fill(n) for n in range(200, 600)], records_per_message=10)
    publisher.publish_fills([fill(n, producer="engine", sequence=n) for n in (3, 900, 902)])


def recorded(path: Path, url: str, read_elsewhere: list[bytes] | None) -> tuple[object, ...]:
    with create_worker(path, url, max_in_flight=40) as worker:
        wait_until(lambda: not any(worker.broker.queue_lengths().values()) and not worker.broker.in_flight, "everything is settled")
        if read_elsewhere is not None:
            assert len(read_elsewhere) > 30, "most were read by the other process"
        refused = worker.database.execute_query("SELECT raw, reason, detail, kind, account_id, record_id FROM quarantine ORDER BY raw, reason")
        counts = worker.writer.counts
        return books(worker.database), [tuple(row) for row in refused], (counts.messages, counts.applied, counts.duplicate, counts.quarantined)


def test_books_quarantine_and_counts_are_those_of_a_worker_that_reads_alone(broker_server, tmp_path, at_once, read_elsewhere, monkeypatch):
    found = []
    for name, cores in (("alone", 1), ("by two", 2)):
        monkeypatch.setattr(app, "cores", lambda cores=cores: cores)
        with broker_server.client() as client, Publisher(broker_server.url) as publisher:
            client.flushall()
            publish_all_sorts(publisher, client)
        found.append(recorded(tmp_path / f"{name}.db", broker_server.url, read_elsewhere if cores == 2 else None))
    assert found[0] == found[1]
    assert found[0][2][3] >= 9, "what is odd was refused"


def test_an_engine_that_asks_is_answered_by_what_was_read_elsewhere(broker_server, tmp_path, at_once, read_elsewhere):
    with create_worker(tmp_path / "b.db", broker_server.url, max_in_flight=10), Publisher(broker_server.url, answers=True) as publisher:
        receipts = [publisher.publish_fill(**fill(n)) for n in range(80)]
        assert {receipt.wait() for receipt in receipts} == {Outcome("applied")}
        conflict = publisher.publish_fill(**fill(0, quantity="2")).wait()
        assert "quantity 1.50, not 2" in conflict.detail.replace("1.5,", "1.50,")
    assert read_elsewhere


def test_what_was_asked_comes_back_with_the_next_call_and_all_of_it_once_there_is_no_more(ready):
    first, second, third = messages(fill(1), fill(2)), messages(fill(3)), messages(fill(4))
    assert ready.read("fills", first, more=True) == []
    assert ids_of(ready.read("fills", second, more=True)) == ["f1", "f2"]
    assert ids_of(ready.read("fills", third, more=False)) == ["f3", "f4"]
    assert ready.rest_of("fills") == []


def test_while_it_reads_of_one_queue_another_one_is_read_by_its_own_thread(ready):
    assert ready.read("fills", messages(fill(1)), more=True) == []
    assert untold(ready.read("deposits", messages(fill(2)), more=True))
    assert ready.rest_of("deposits") == []
    assert ids_of(ready.rest_of("fills")) == ["f1"]


def test_what_was_asked_is_given_back_though_another_thread_is_just_looking(ready):
    assert ready.read("fills", messages(fill(1)), more=True) == []
    told: list[Told] = []
    ready._lock.acquire()
    last = threading.Thread(target=lambda: told.append(ready.read("fills", [], more=False)))
    last.start()
    last.join(0.2)
    assert not told, "it waits for the lock"
    ready._lock.release()
    last.join(10)
    assert ids_of(told[0]) == ["f1"]


def test_only_plain_messages_are_taken_from_it(ready):
    told = ready.read("fills", messages(fill(1), {"fill_id": "broken"}, [fill(2), fill(3)], "text"), more=False)
    assert [read is not None for _, read in told] == [True, False, True, False]
    assert ids_of(told) == ["f1", "f2", "f3"]


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
def test_where_it_is_killed_or_hangs_every_message_comes_back_and_it_is_begun_again_after_a_while(ready, clock, blow, monkeypatch):
    monkeypatch.setattr(second_reader, "LONGEST_SECONDS", 0.2)
    asked = messages(fill(1), fill(2))
    assert ready.read("fills", asked, more=True) == []
    os.kill(process_of(ready), blow)
    back = [*ready.read("fills", messages(fill(3)), more=True), *ready.read("fills", messages(fill(4)), more=False)]
    assert len(back) == 4
    assert not is_running(ready)
    clock.now = SECONDS_AFTER_DEATH - 1
    assert untold(ready.read("fills", asked, more=True))
    assert not is_running(ready)
    clock.now = SECONDS_AFTER_DEATH
    assert untold(ready.read("fills", asked, more=True))
    assert is_running(ready)


def test_an_error_of_the_other_process_costs_no_message(ready, monkeypatch):
    monkeypatch.setattr(second_reader, "read_messages", len)  # which takes one argument
    told = ready.read("fills", messages(fill(1), fill(2)), more=False)
    assert (len(told), untold(told), is_running(ready)) == (2, True, False)


def test_it_is_let_go_of_when_nothing_has_come_for_it(ready, clock):
    ready.read("fills", messages(fill(1)), more=True)
    clock.now = IDLE_SECONDS + 1
    ready.let_go()
    assert is_running(ready), "what it was asked is not given back yet"
    assert ids_of(ready.rest_of("fills")) == ["f1"]
    process = os.pidfd_open(process_of(ready))
    ready.let_go()
    assert not is_running(ready)
    with pytest.raises(ProcessLookupError):
        signal.pidfd_send_signal(process, 0)
    os.close(process)


def test_a_trickle_begins_no_process(clock):
    reader = SecondReader(DEFAULT_CONVENTIONS, KIND_OF_ACTOR, clock)
    large = messages([fill(n) for n in range(1_000)])
    assert untold(reader.read("fills", large, more=False))
    assert untold(reader.read("fills", large, more=False))
    assert untold(reader.read("fills", messages(fill(1)), more=True))
    assert not is_running(reader)


def test_symbols_mean_what_the_settings_say_there_too(clock, at_once):
    conventions = Conventions(pairs={"XBTUSD": "XBT/USD"})
    conventions.instrument("BTC/USDT")
    reader = SecondReader(conventions, KIND_OF_ACTOR, clock)
    reader.read("fills", messages(fill(0)), more=True)
    asked = messages(fill(1, symbol="XBTUSD"))
    [(_, read)] = reader.read("fills", asked, more=False)
    reader.close()
    assert read is not None
    assert read[1][0].fact.instrument == "XBT/USD"
    assert read_messages(conventions, KIND_OF_ACTOR, asked) == [read]


@pytest.fixture
def amid_reading(monkeypatch) -> Callable[[RecorderWorker, Publisher], None]:
    """Publishes 3,000 fills to a worker, of which another process has some and does not answer any more."""
    monkeypatch.setattr(second_reader, "LONGEST_SECONDS", 1.0)

    def publish(worker: RecorderWorker, publisher: Publisher) -> None:
        reader = worker.broker.decoding.second_reader
        publisher.publish_fills([fill(n) for n in range(1_000)])
        wait_until(lambda: reader._has_begun and worker.writer.counts.applied == 1_000 and not reader._asked, "it reads, and has nothing to do")
        os.kill(process_of(reader), signal.SIGSTOP)
        publisher.publish_fills([fill(n) for n in range(1_000, 3_000)])
        wait_until(lambda: worker.broker.unsubmitted, "it has been asked")

    return publish


def test_a_stop_while_it_reads_leaves_nothing_held(broker_server, tmp_path, at_once, amid_reading):
    with create_worker(tmp_path / "b.db", broker_server.url, max_in_flight=500) as worker, Publisher(broker_server.url) as publisher:
        amid_reading(worker, publisher)
        worker.stop(20)
        client = broker_server.client()
        held = sum(client.scard(key) for key in client.scan_iter("dramatiq:__acks__*fills"))
        assert (worker.broker.in_flight, held) == (0, 0)
        assert worker.writer.counts.applied + client.llen("dramatiq:fills") == 3_000


def test_what_was_being_read_when_the_broker_went_is_recorded_all_the_same(broker_server, tmp_path, at_once, amid_reading):
    with create_worker(tmp_path / "b.db", broker_server.url, max_in_flight=500) as worker, Publisher(broker_server.url) as publisher:
        amid_reading(worker, publisher)
        broker_server.kill()
        wait_until(lambda: not worker.broker.reachable and not worker.broker.unsubmitted, "what was fetched has reached the writer")
        wait_until(lambda: 1_000 < worker.writer.counts.applied < 3_000, "and is recorded, while the broker is away")
        broker_server.start()
        wait_until(lambda: worker.writer.counts.applied == 3_000, "the rest is recorded")

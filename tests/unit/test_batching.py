"""Gather, commit once, answer each."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from parts import wait_until

from jarvis_client.contract.outcome import APPLIED, DUPLICATE, Outcome
from persistence.domain import Unavailable
from workers.batching import BatchWriter, Submission


class Books:
    """A poster that keeps what it was given, and fails on demand."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.failures: list[Exception] = []
        self.gate = threading.Event()
        self.gate.set()

    def post(self, batch, raw_of=None):
        self.gate.wait(10)
        if self.failures:
            raise self.failures.pop(0)
        self.batches.append(list(batch))
        return [
            Outcome("quarantined", "malformed", raw_of(i).decode()) if item == "bad" else DUPLICATE if item == "old" else APPLIED
            for i, item in enumerate(batch)
        ]


@pytest.fixture
def books():
    return Books()


@pytest.fixture
def writing(books):
    writers = []

    def make(**options):
        settled, returned = [], []
        writer = BatchWriter(books, settled.extend, returned.extend, **options)
        writer.settled, writer.returned = settled, returned
        writer.start()
        writers.append(writer)
        return writer

    yield make
    books.gate.set()
    for writer in writers:
        writer.stop(5)


def message(name, *items):
    return Submission(items or ("new",), name, lambda i: f"{name}[{i}]".encode())


def test_a_single_message_is_committed_at_once_and_then_settled(books, writing):
    writer = writing(linger_ms=60_000)
    writer.submit(message("a"))
    wait_until(lambda: writer.settled == ["a"], "the message is settled")
    assert books.batches == [["new"]]


def test_what_gathers_during_a_commit_is_one_batch_up_to_its_limit(books, writing):
    writer = writing(max_records=3)
    books.gate.clear()
    writer.submit(message("first"))
    wait_until(lambda: writer.backlog == 0, "the first is being committed")
    for n in range(4):
        writer.submit(message(n, "new", "new") if n == 1 else message(n))
    books.gate.set()
    wait_until(lambda: len(writer.settled) == 5, "all are settled")
    assert [len(b) for b in books.batches] == [1, 3, 2]


def test_a_batch_waits_for_messages_that_are_on_their_way(books, writing):
    more = [True]
    writer = writing(linger_ms=5_000, max_records=2, expecting=lambda: more[0])
    writer.submit(message("a"))
    writer.submit(message("b"))
    wait_until(lambda: writer.settled == ["a", "b"], "both are settled")
    assert books.batches == [["new", "new"]]


def test_a_passing_failure_keeps_the_batch_and_shows_until_it_passes(books, writing):
    writer = writing()
    books.failures = [Unavailable("disk is full"), OSError("odd")]
    books.gate.clear()
    writer.submit(message("a"))
    assert writer.ready
    books.gate.set()
    wait_until(lambda: writer.settled == ["a"], "it is settled after all")
    assert writer.ready
    assert (writer.counts.retries, writer.counts.applied) == (2, 1)


def test_it_is_not_ready_while_commits_fail(books, writing):
    writer = writing()
    books.failures = [Unavailable("full")] * 1000
    writer.submit(message("a"))
    wait_until(lambda: not writer.ready, "readiness is false")
    assert writer.settled == []
    books.failures.clear()
    wait_until(lambda: writer.ready and writer.settled == ["a"], "the first success clears it")


def test_a_stop_commits_what_was_submitted(books, writing):
    writer = writing()
    books.gate.clear()
    for n in range(5):
        writer.submit(message(n))
    threading.Timer(0.05, books.gate.set).start()
    writer.stop(5)
    assert writer.settled == [0, 1, 2, 3, 4]
    assert not writer.submit(message("late"))


def test_what_cannot_be_committed_before_the_end_goes_back(books, writing):
    writer = writing()
    books.failures = [Unavailable("full")] * 1000
    writer.submit(message("a"))
    wait_until(lambda: not writer.ready, "it fails")
    writer.submit(message("b"))
    writer.stop(0.3)
    assert sorted(writer.returned) == ["a", "b"]
    assert writer.settled == []


def test_it_counts_what_became_of_every_record(writing):
    writer = writing()
    writer.submit(message("a", "new", "old", "bad"))
    wait_until(lambda: writer.settled, "it is settled")
    assert (writer.counts.messages, writer.counts.applied, writer.counts.duplicate, writer.counts.quarantined) == (1, 1, 1, 1)
    assert writer.counts.quarantine_reasons == {"malformed": 1}


def test_only_a_writer_with_work_can_hang(books, writing):
    now = [0.0]
    writer = writing(clock=lambda: now[0])
    for _ in range(100):
        now[0] += 2
        assert writer.still_for() == 0.0
    books.gate.clear()
    writer.submit(message("a"))
    wait_until(lambda: not writer.backlog, "it is at work")
    assert writer.still_for() == 0.0, "idle time does not count"
    now[0] += 2
    assert writer.still_for() == 2.0
    now[0] += 1_000
    assert writer.still_for() == 2.0, "nor time in which nobody looked: the process itself was stopped"
    now[0] += 2
    assert writer.still_for() == 4.0
    books.gate.set()

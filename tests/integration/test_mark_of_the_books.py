"""Whose messages a broker holds is noted there whatever state it is in, and an outage is told once by whoever meets with it."""

from __future__ import annotations

import pytest
import redis
import structlog
from parts import wait_until

from jarvis_client import Publisher
from persistence.domain.errors import OtherBooks
from workers.app import create_worker
from workers.ownership import NamespaceBooks


@pytest.fixture
def client(broker_server):
    with broker_server.client() as client:
        yield client


@pytest.fixture
def ours(client):
    return NamespaceBooks(client, "dramatiq", "here:/data")


def test_a_namespace_is_nobody_s_until_it_is_claimed_and_then_others_are_refused(client, ours):
    ours.claim("ours")
    NamespaceBooks(client, "dramatiq", "here:/moved").claim("ours")
    assert client.get(ours.key) == b"ours here:/moved"
    with pytest.raises(OtherBooks, match=r"go to the books ours \(at here:/moved\), these are theirs \(at there:/data\)"):
        NamespaceBooks(client, "dramatiq", "there:/data").claim("theirs")
    NamespaceBooks(client, "dramatiq", "there:/data").take_over("theirs")
    assert client.get(ours.key) == b"theirs there:/data"
    with pytest.raises(OtherBooks):
        ours.claim("ours")


def test_a_full_redis_takes_the_mark(client, ours):
    client.config_set("maxmemory", 1)
    with pytest.raises(redis.OutOfMemoryError):
        client.set("more", "x")
    ours.claim("ours")
    with pytest.raises(OtherBooks):
        ours.claim("theirs")
    ours.take_over("theirs")
    assert client.get(ours.key) == b"theirs here:/data"


def test_a_mark_that_somebody_overwrote_by_another_type_is_nobody_s(client, ours):
    client.rpush(ours.key, "x")
    ours.claim("ours")
    assert client.get(ours.key) == b"ours here:/data"


def publish(broker_server, number):
    deposit = {"deposit_id": f"d{number}", "account_id": "a", "currency": "USDT", "amount": "1", "occurred_at": 1_767_225_600_000_000}
    Publisher(broker_server.url).publish_deposit(deposit)


def test_that_acknowledging_waits_is_told_once_an_outage(broker_server, tmp_path):
    with structlog.testing.capture_logs() as lines, create_worker(tmp_path / "b.db", broker_server.url) as worker:
        answering, tried = worker.broker.answering, []
        acknowledge = answering.acknowledge
        answering.acknowledge = lambda *how: tried.append(1) or acknowledge(*how)
        for outage in (1, 2):
            post, applied = worker.writer._poster.post, worker.writer.counts.applied

            def away_by_then(*arguments, post=post):
                broker_server.kill()
                return post(*arguments)

            worker.writer._poster.post = away_by_then
            publish(broker_server, outage)
            wait_until(lambda applied=applied: worker.writer.counts.applied == applied + 1, "it is recorded")
            worker.writer._poster.post = post
            wait_until(lambda outage=outage: len(tried) >= 4 * outage, "it was tried several times")
            broker_server.start()
            wait_until(lambda: not worker.broker.in_flight, "it is acknowledged")
    assert [line["event"] for line in lines].count("acknowledging again in a moment") == 2

"""What one fetch brought of one actor is one message for Dramatiq; each of its messages is held, handed over and given back by itself."""

from __future__ import annotations

import fakeredis
import pytest

from jarvis_client import Publisher
from jarvis_client.contract.conventions import DEFAULT_CONVENTIONS
from workers import intake as intake_module
from workers.broker import LedgerBroker
from workers.consumer import LedgerConsumer
from workers.delivery import Bundle
from workers.intake import Intake, declare_actors

FLOW = {"account_id": "a", "currency": "USDT", "amount": "1", "occurred_at": "2026-01-01T00:00:00Z"}


class Writer:
    """Keeps what is handed over, hand-over by hand-over."""

    def __init__(self):
        self.handed_over = []
        self.stopped = False

    def submit(self, *submissions):
        if submissions and not self.stopped:
            self.handed_over.append([item.record_id for submission in submissions for item in submission.items])
        return not self.stopped


@pytest.fixture
def writer():
    return Writer()


@pytest.fixture
def client():
    return fakeredis.FakeRedis(server=fakeredis.FakeServer())


@pytest.fixture
def broker(client):
    return LedgerBroker(client=client)


@pytest.fixture
def intake(broker, writer):
    made = Intake(broker, writer, DEFAULT_CONVENTIONS)
    declare_actors(broker, made)
    return made


@pytest.fixture
def consumer(broker, intake):
    return LedgerConsumer(broker, "deposits", 1, 1)


def run(broker, consumer, bundle):
    """What Dramatiq does with a message. Returns what its actor raised."""
    failure = None
    try:
        broker.get_actor(bundle.actor_name)(*bundle.args, **bundle.kwargs)
    except Exception as error:
        failure = error
    consumer.ack(bundle)
    return failure


def publish(client, *names):
    """`d…` is a deposit, `w…` a withdrawal: one queue, two actors."""
    for name in names:
        kind = "deposit" if name.startswith("d") else "withdrawal"
        Publisher(client=client).publish_many([(kind, {**FLOW, f"{kind}_id": name})])


def waiting(client):
    return len(client.lrange("dramatiq:deposits", 0, -1))


def test_a_fetch_makes_a_bundle_for_each_actor_in_the_order_of_the_queue(client, broker, consumer):
    publish(client, "d1", "w1", "d2", "w2", "d3")
    bundles = [next(consumer), next(consumer)]
    assert [(b.actor_name, [d.content[f"{b.actor_name[7:]}_id"] for d in b.deliveries]) for b in bundles] == [
        ("record_deposit", ["d1", "d2", "d3"]),
        ("record_withdrawal", ["w1", "w2"]),
    ]
    assert str(bundles[1]) == f"record_withdrawal(2 from {bundles[1].deliveries[0].message_id} on)"
    assert (broker.in_flight, broker.unsubmitted) == (5, 5)


def test_an_actor_runs_once_for_its_bundle_and_hands_it_over_at_once(client, broker, consumer, writer):
    publish(client, "d1", "d2", "d3")
    assert run(broker, consumer, next(consumer)) is None
    assert writer.handed_over == [["d1", "d2", "d3"]]
    assert (waiting(client), broker.in_flight, broker.unsubmitted) == (0, 3, 0)


def test_a_message_that_a_defect_of_ours_stops_goes_back_alone(client, broker, consumer, writer, monkeypatch):
    submission = intake_module._submission

    def defective(items, delivery):
        if delivery.content["deposit_id"] == "d2":
            raise RuntimeError("a defect")
        return submission(items, delivery)

    monkeypatch.setattr(intake_module, "_submission", defective)
    publish(client, "d1", "d2", "d3")
    failure = run(broker, consumer, next(consumer))
    assert str(failure) == "a defect", "Dramatiq logs it"
    assert writer.handed_over == [["d1", "d3"]]
    assert (waiting(client), broker.in_flight, broker.unsubmitted) == (1, 2, 0)


def test_what_a_stopped_writer_does_not_take_goes_back_in_its_order(client, broker, consumer, writer):
    publish(client, "d1", "d2", "d3")
    before = client.lrange("dramatiq:deposits", 0, -1)
    writer.stopped = True
    assert run(broker, consumer, next(consumer)) is None
    assert client.lrange("dramatiq:deposits", 0, -1) == before
    assert (broker.in_flight, broker.unsubmitted) == (0, 0)


def test_bundles_that_no_actor_got_go_back_when_the_consumer_closes(client, broker, consumer):
    publish(client, "d1", "w1", "d2")
    taken = next(consumer)
    assert isinstance(taken, Bundle)
    consumer.close()
    assert (waiting(client), broker.in_flight) == (1, 2), "the bundle that Dramatiq has is Dramatiq's to return"
    consumer.requeue([taken])
    assert (waiting(client), broker.in_flight, broker.unsubmitted) == (3, 0, 0)


def test_long_messages_are_handed_over_a_usual_commit_at_a_time(client, broker, consumer, writer):
    records = [{**FLOW, "deposit_id": f"d{n}"} for n in range(2_500)]
    Publisher(client=client).publish_deposits(records, records_per_message=500)
    assert run(broker, consumer, next(consumer)) is None
    assert [len(part) for part in writer.handed_over] == [1_000, 1_000, 500]

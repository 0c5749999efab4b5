"""Keys and claims of the broker, on a Redis in this process."""

from __future__ import annotations

import json
import threading

import fakeredis
import pytest
import redis

from jarvis_client import Publisher
from jarvis_client.contract.address import without_password
from jarvis_client.contract.errors import MalformedRecord, Unavailable
from jarvis_client.contract.routes import MAX_MESSAGE_BYTES, ROUTES, encode
from workers.broker import FETCH_BYTES, LedgerBroker
from workers.consumer import LedgerConsumer
from workers.delivery import Bundle
from workers.reclaim import return_what_the_dead_hold
from workers.wire import decode_json

DEPOSIT = {"deposit_id": "d1", "account_id": "a", "currency": "USDT", "amount": "1", "occurred_at": "2026-01-01T00:00:00Z"}


@pytest.fixture
def server():
    return fakeredis.FakeServer()


@pytest.fixture
def client(server):
    return fakeredis.FakeRedis(server=server)


def make_broker(server, name="w", **options):
    refused = []
    broker = LedgerBroker(client=fakeredis.FakeRedis(server=server), worker_name=name, on_malformed=lambda d, error: refused.append((d, str(error))), **options)
    broker.refused = refused
    for route in ROUTES.values():
        broker.declare_queue(route.queue)
        broker.actors[route.actor] = None
    return broker


@pytest.fixture
def broker(server):
    return make_broker(server)


def push(client, redis_id, payload, queue="deposits"):
    client.hset(f"dramatiq:{queue}.msgs", redis_id, payload)
    client.rpush(f"dramatiq:{queue}", redis_id)


def held(client, name="w", queue="deposits"):
    return client.smembers(f"dramatiq:__acks__.jarvis-{name}.{queue}")


def settle(broker, deliveries):
    broker.settle(deliveries)
    broker._closing = True
    broker._answer_forever()
    broker._closing = False


def test_what_is_published_is_fetched_held_and_settled(broker, client):
    Publisher(client=client).publish_deposit(DEPOSIT)
    [delivery] = broker.fetch("deposits")
    assert (delivery.actor_name, delivery.content, delivery.queue) == ("record_deposit", DEPOSIT, "deposits")
    assert (len(held(client)), broker.in_flight, broker.unsubmitted) == (1, 1, 1)

    broker.submitted(delivery)
    settle(broker, [delivery, delivery])
    assert (client.keys("dramatiq:deposits*"), held(client), broker.in_flight, broker.unsubmitted) == ([], set(), 0, 0)


def test_a_stock_dramatiq_client_publishes_the_same_form(broker, client):
    import dramatiq
    from dramatiq.brokers.redis import RedisBroker

    stock = RedisBroker(client=client)
    dramatiq.actor(lambda content: None, actor_name="record_deposit", queue_name="deposits", broker=stock).send(DEPOSIT)
    [delivery] = broker.fetch("deposits")
    assert delivery.content == DEPOSIT


HOSTILE = [
    b"", b"{", b"\xff\xfe", b"null", b"[]", b'"text"', b"[" * 50_000, b'{"actor_name": "record_deposit"}',
    b'{"actor_name": "record_deposit", "args": []}', b'{"actor_name": "record_deposit", "args": [1, 2]}', b'{"actor_name": "record_deposit", "args": {}}',
    b'{"actor_name": "record_deposit", "args": [{}], "kwargs": {"a": 1}}', b'{"actor_name": "nobody", "args": [{}]}', b'{"actor_name": ["x"], "args": [{}]}',
    b'{"actor_name": "record_deposit", "args": ["' + b"x" * MAX_MESSAGE_BYTES + b'"]}',
]  # fmt: skip


@pytest.mark.parametrize("hostile", HOSTILE, ids=[h[:30].decode("ascii", "replace") for h in HOSTILE])
def test_a_hostile_payload_goes_to_quarantine_and_strands_no_neighbour(broker, client, hostile):
    push(client, "bad", hostile)
    push(client, "good", encode(ROUTES["deposit"], DEPOSIT)[1])

    found = broker.fetch("deposits")
    if len(hostile) > FETCH_BYTES:
        found += broker.fetch("deposits")

    assert [d and d.redis_id for d in found] == [None, b"good"]
    [(delivery, why)] = broker.refused
    assert (delivery.payload, delivery.redis_id) == (hostile, b"bad")
    assert why
    assert len(why) < 400


def test_an_id_without_payload_stays_held_until_it_has_waited_in_vain(broker, client, monkeypatch):
    client.rpush("dramatiq:deposits", "ghost")
    push(client, "good", encode(ROUTES["deposit"], DEPOSIT)[1])
    assert [d.redis_id for d in broker.fetch("deposits")] == [b"good"]
    assert held(client) == {b"good", b"ghost"}
    broker.missing.look()
    assert broker.refused == []
    monkeypatch.setattr("workers.missing.PAYLOAD_SECONDS", 0)
    broker.missing.look()
    [(delivery, why)] = broker.refused
    assert "the id 'ghost' came without its payload: it is not in dramatiq:deposits.msgs" in why
    settle(broker, [delivery])
    assert held(client) == {b"good"}


def test_a_payload_that_comes_later_than_its_id_is_fetched_as_any_other(broker, client):
    client.rpush("dramatiq:deposits", "late")
    assert broker.fetch("deposits") == []
    client.hset("dramatiq:deposits.msgs", "late", encode(ROUTES["deposit"], DEPOSIT)[1])
    broker.missing.look()
    assert [d.redis_id for d in broker.fetch("deposits")] == [b"late"]


def test_an_id_that_is_listed_again_after_it_was_settled_is_no_loss(broker, client):
    """A client that lost the reply sends it again, and the first has been recorded meanwhile."""
    push(client, "m", encode(ROUTES["deposit"], DEPOSIT)[1])
    [delivery] = broker.fetch("deposits")
    broker.submitted(delivery)
    settle(broker, [delivery])
    client.rpush("dramatiq:deposits", "m")
    assert broker.fetch("deposits") == []
    settle(broker, [])
    assert (broker.missing.of("deposits"), broker.refused, held(client)) == ([], [], set())


def test_an_id_that_is_no_text_is_as_good_as_any(broker, client):
    push(client, b"\xff\xfe", encode(ROUTES["deposit"], DEPOSIT)[1])
    [delivery] = broker.fetch("deposits")
    settle(broker, [delivery])
    assert client.keys("dramatiq:deposits*") == []


def test_queue_and_id_are_what_redis_says_whatever_the_json_says(broker, client):
    envelope = json.loads(encode(ROUTES["deposit"], DEPOSIT)[1])
    envelope |= {"queue_name": "elsewhere", "options": {"redis_message_id": "lie", "eta": 1, "pipe_target": {}}, "message_id": ["unhashable"], "surprise": 1}
    push(client, "true", json.dumps(envelope))
    [delivery] = broker.fetch("deposits")
    assert (delivery.queue, delivery.redis_id, delivery.message_id) == ("deposits", b"true", "true")
    bundle = Bundle([delivery])
    assert (bundle.queue_name, bundle.options, bundle.message_id) == ("deposits", {}, "true"), "nor is anything of it for Dramatiq"


def test_no_more_is_fetched_than_may_be_in_flight(server, client):
    broker = make_broker(server, max_in_flight=3)
    Publisher(client=client).publish_deposits({**DEPOSIT, "deposit_id": str(n)} for n in range(5))
    first = broker.fetch("deposits")
    assert len(first) == 3
    assert broker.fetch("deposits") == []
    settle(broker, first[:1])
    assert len(broker.fetch("deposits")) == 1


def test_large_messages_are_fetched_a_few_at_a_time(broker, client, monkeypatch):
    monkeypatch.setattr("workers.broker.IN_FLIGHT_BYTES", 3_000)
    batch = encode(ROUTES["deposit"], [{**DEPOSIT, "deposit_id": str(n)} for n in range(12)])[1]
    for n in range(5):
        push(client, str(n), batch)
    assert 1_000 < len(batch) < 3_000
    fetched = broker.fetch("deposits")
    assert [d.redis_id for d in fetched] == [b"0", b"1"][: 3_000 // len(batch)]
    assert [d.redis_id for d in broker.fetch("deposits")] != [b"4"]


def test_what_is_given_back_stands_at_the_head_in_its_order(broker, client):
    for n in range(4):
        push(client, str(n), encode(ROUTES["deposit"], DEPOSIT)[1])
    fetched = broker.fetch("deposits")
    broker.give_back(fetched[:3])
    assert client.lrange("dramatiq:deposits", 0, -1) == [b"0", b"1", b"2"]
    assert held(client) == {b"3"}
    assert broker.unsubmitted == 1


def test_a_successor_takes_back_what_its_predecessor_held(server, client, broker):
    push(client, "m", encode(ROUTES["deposit"], DEPOSIT)[1])
    broker.fetch("deposits")

    successor = make_broker(server)
    [delivery] = next(LedgerConsumer(successor, "deposits", 1, 1)).deliveries
    assert delivery.redis_id == b"m"
    settle(broker, [delivery])


def test_what_a_dead_peer_held_returns_and_what_a_living_one_holds_does_not(server, client, broker):
    living, dead = make_broker(server, "living"), make_broker(server, "dead")
    for name, peer in (("l", living), ("d", dead)):
        push(client, name, encode(ROUTES["deposit"], DEPOSIT)[1])
        peer.fetch("deposits")
    client.delete(dead.presence(dead.broker_id))

    return_what_the_dead_hold(broker)

    assert client.lrange("dramatiq:deposits", 0, -1) == [b"d"]
    assert held(client, "living") == {b"l"}
    assert client.zrange("dramatiq:__heartbeats__", 0, -1) == [b"jarvis-living"]


def test_a_late_acknowledgement_of_a_returned_message_leaves_it_to_its_new_holder(server, client, broker):
    push(client, "m", encode(ROUTES["deposit"], DEPOSIT)[1])
    [mine] = broker.fetch("deposits")
    other = make_broker(server, "other")
    client.delete(broker.presence(broker.broker_id))
    return_what_the_dead_hold(other)
    [theirs] = other.fetch("deposits")

    settle(broker, [mine])
    assert client.hexists("dramatiq:deposits.msgs", "m")
    settle(other, [theirs])
    assert client.keys("dramatiq:deposits*") == []


def test_an_actor_that_did_not_hand_over_gets_its_message_back_in_the_queue(broker, client):
    push(client, "m", encode(ROUTES["deposit"], DEPOSIT)[1])
    consumer = LedgerConsumer(broker, "deposits", 1, 1)
    bundle = next(consumer)
    consumer.ack(bundle)
    assert client.lrange("dramatiq:deposits", 0, -1) == [b"m"]


def test_an_unreachable_redis_is_a_pause_not_an_error(server, broker):
    consumer = LedgerConsumer(broker, "deposits", 1, 1)
    server.connected = False
    assert next(consumer) is None
    assert not broker.reachable
    with pytest.raises(redis.ConnectionError):
        broker.queue_lengths()
    server.connected = True
    assert broker.queue_lengths()["deposits"] == 0


def test_a_bulk_arrives_in_order_with_its_producer_numbered(broker, client):
    publisher = Publisher(client=client, producer="engine", sequence=41)
    assert publisher.publish_deposits({**DEPOSIT, "deposit_id": str(n)} for n in range(3)) == 3
    assert publisher.publish_many([("deposit", {**DEPOSIT, "deposit_id": str(n)}) for n in range(5)], records_per_message=2) == 5
    contents = [d.content for d in broker.fetch("deposits")]
    assert [c["sequence"] for c in contents[:3]] == [42, 43, 44]
    assert [[r["deposit_id"] for r in batch] for batch in contents[3:]] == [["0", "1"], ["2", "3"], ["4"]]
    assert publisher.sequence == 49


def test_an_id_that_is_listed_twice_counts_once_against_what_may_be_held(broker, client):
    """What a client that lost the reply does: it sends the same id again."""
    Publisher(client=client).publish_deposit(DEPOSIT)
    client.rpush("dramatiq:deposits", *client.lrange("dramatiq:deposits", 0, -1))
    delivered = broker.fetch("deposits")
    for delivery in delivered:
        broker.submitted(delivery)
    settle(broker, delivered)
    assert (broker.in_flight, broker._held_bytes) == (0, 0)


def test_a_consumer_that_may_not_wait_looks_all_the_same(broker, client, monkeypatch):
    """A full Redis refuses BLMOVE, and can be drained only by whoever fetches."""
    consumer = LedgerConsumer(broker, "deposits", 1, 1)
    consumer._emptied = True
    Publisher(client=client).publish_deposit(DEPOSIT)

    def full(_):
        raise redis.OutOfMemoryError("command not allowed when used memory > 'maxmemory'")

    monkeypatch.setattr(LedgerConsumer, "_wait_for_message", full)
    assert [d is not None for d in (next(consumer), next(consumer))] == [False, True]


def test_two_workers_of_one_name_do_not_share_a_broker(server):
    first, second, same = make_broker(server, home="a:/x"), make_broker(server, home="b:/x"), make_broker(server, home="a:/x")
    first.heartbeat.refuse_namesakes()
    same.heartbeat.refuse_namesakes()  # its own predecessor, killed: the lock of the folder decides
    with pytest.raises(Unavailable, match=r"'w' is at work on this broker from a:/x; give this one another worker.name"):
        second.heartbeat.refuse_namesakes()


def test_messages_are_split_by_their_bytes_and_a_record_that_is_too_long_is_refused(broker, client):
    long = [{**DEPOSIT, "deposit_id": f"d{n}", "note": "x" * 400_000} for n in range(4)]
    assert Publisher(client=client).publish_deposits(long, records_per_message=4) == 4
    found = [len(d.content) for _ in range(2) for d in broker.fetch("deposits")]
    assert (sum(found), max(found), broker.refused) == (4, 2, [])
    for publish in (Publisher(client=client).publish_deposit, lambda r: Publisher(client=client).publish_deposits([r])):
        with pytest.raises(MalformedRecord, match="at most 1,048,576 are taken"):
            publish({**DEPOSIT, "note": "x" * MAX_MESSAGE_BYTES})


def test_what_is_in_flight_may_be_asked_while_other_queues_are_fetched_from_for_the_first_time(broker):
    def fetch_from_many() -> None:
        for n in range(20_000):
            broker.count_as_held(f"queue {n}", {b"id": 1})

    others = threading.Thread(target=fetch_from_many)
    others.start()
    while others.is_alive():
        assert broker.in_flight <= 20_000
    assert broker.in_flight == 20_000


def test_a_raw_control_character_is_left_to_the_record_s_own_checks():
    assert decode_json(b'[{"a": "x\ty"}, {"a": "b"}]') == [{"a": "x\ty"}, {"a": "b"}]


def test_a_password_is_never_shown():
    assert without_password("redis://user:secret@host:6379/0") == "redis://user:***@host:6379/0"
    assert without_password("unix:///run/s.sock") == "unix:///run/s.sock"

"""One message as it was fetched, how an envelope becomes one, and the bundles in which Dramatiq gets them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dramatiq import Message
from dramatiq.broker import MessageProxy

from persistence.books.posting import Item
from workers.envelope import Envelope
from workers.wire import record_slices


class Delivery:
    """One message as it was fetched. `submitted` once the writer has its facts; it answers for the message from then on.

    `content` is its record or list of records; None where another process has read it, whose `items` say what they state. `published_ms`: when
    it was published, by its publisher's clock; 0 where it does not say.
    """

    __slots__ = (
        "actor_name", "answer", "asks", "content", "items", "message_id", "payload", "published_ms", "queue", "redis_id", "refusals", "slices", "submitted",
    )  # fmt: skip

    def __init__(
        self, queue: str, redis_id: bytes, payload: bytes, actor_name: str = "unknown", content: Any = None, message_id: str = "unread", published_ms: int = 0
    ) -> None:
        self.queue = queue
        self.redis_id = redis_id
        self.payload = payload
        self.actor_name = actor_name
        self.content = content
        self.items: list[Item] | None = None
        self.message_id = message_id
        self.published_ms = published_ms
        self.submitted = False
        #: Whether its publisher waits for an answer, and, once its records are committed, that answer.
        self.asks = False
        self.answer: bytes | None = None
        #: What its producers are told of refused records: the stream of each, and the fields of the entry.
        self.refusals: Sequence[tuple[str, Sequence[str | bytes]]] = ()
        #: The bytes of each record, once somebody has asked for them.
        self.slices: list[bytes] | None = None

    @property
    def route(self) -> tuple[str, str]:
        """Its queue and its actor."""
        return self.queue, self.actor_name

    def raw_of(self, index: int) -> bytes:
        """The bytes that a record of it arrived as."""
        if self.slices is None:
            self.slices = record_slices(self.payload)
        return self.slices[index] if index < len(self.slices) else self.payload


class Bundle(MessageProxy):
    """What one fetch brought of one actor: one message for Dramatiq, whose argument are the deliveries.

    Threads, queue, signals and actor of Dramatiq take 20 µs a message, twice of what its record does. Each delivery is held, recorded, answered,
    acknowledged and given back by itself.
    """

    def __init__(self, deliveries: list[Delivery]) -> None:
        first = deliveries[0]
        super().__init__(
            Message(
                queue_name=first.queue, actor_name=first.actor_name, args=(deliveries,), kwargs={}, options={}, message_id=first.message_id,
                message_timestamp=first.published_ms,
            )
        )  # fmt: skip
        self.deliveries = deliveries

    def __str__(self) -> str:
        return f"{self.actor_name}({len(self.deliveries)} from {self.message_id} on)"


def bundles_of(deliveries: Iterable[Delivery]) -> list[Bundle]:
    """Deliveries by their actor, each in the order of the queue."""
    by_actor: dict[str, list[Delivery]] = {}
    for delivery in deliveries:
        by_actor.setdefault(delivery.actor_name, []).append(delivery)
    return [Bundle(found) for found in by_actor.values()]


def delivery_of(queue: str, redis_id: bytes, payload: bytes, envelope: Envelope | tuple[Any, ...], items: list[Item] | None = None) -> Delivery:
    """The delivery of a message by the fields of its envelope. Queue and id are what Redis says, whatever the JSON says."""
    actor_name, content, message_id, published_ms, asks = envelope
    delivery = Delivery(queue, redis_id, payload, actor_name, content, message_id, published_ms)
    delivery.asks, delivery.items = asks, items
    return delivery

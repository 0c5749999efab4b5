"""One message as it was fetched, and how an envelope becomes one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dramatiq import Message
from dramatiq.broker import MessageProxy

from jarvis_client.contract.conventions import EARLIEST, LATEST
from jarvis_client.contract.errors import MalformedRecord
from jarvis_client.contract.outcome import Reason
from workers.envelope import content_of, refuse_what_would_be_dropped

#: A time of publishing outside these says nothing: a client that fills the field with what it likes.
_EARLIEST_MS, _LATEST_MS = EARLIEST // 1_000, LATEST // 1_000


class Delivery(MessageProxy):
    """One message as it was fetched. `submitted` once the writer has its facts; it answers for the message from then on."""

    def __init__(self, message: Message[Any], queue: str, redis_id: bytes, payload: bytes) -> None:
        super().__init__(message)
        self.queue = queue
        self.redis_id = redis_id
        self.payload = payload
        self.submitted = False
        #: Whether its publisher waits for an answer, and, once its records are committed, that answer.
        self.asks = False
        self.answer: bytes | None = None
        #: What its producers are told of refused records: the stream of each, and the fields of the entry.
        self.refusals: list[tuple[str, Sequence[str | bytes]]] = []
        #: Its queue and its actor.
        self.route = queue, message.actor_name or "unknown"
        #: When it was published, by its publisher's clock; 0 where it does not say.
        self.published_ms = message.message_timestamp


def unread(queue: str, redis_id: bytes, payload: bytes) -> Delivery:
    """A delivery of what is no message."""
    message: Message[Any] = Message(queue_name=queue, actor_name="", args=(), kwargs={}, options={}, message_id="unread", message_timestamp=0)
    return Delivery(message, queue, redis_id, payload)


def message_of(queue: str, redis_id: bytes, envelope: Any, actors: Any) -> Message[Any]:
    """The message of an envelope, its record the one argument. Queue and id are what Redis says, whatever the JSON says."""
    if type(envelope) is not dict:
        raise MalformedRecord(f"the message is a JSON {type(envelope).__name__}, not an envelope with actor_name and args")
    actor = envelope.get("actor_name")
    if type(actor) is not str or actor not in actors:
        raise MalformedRecord(f"unknown kind: actor_name is {actor!r:.60}; there are {', '.join(sorted(actors))}", Reason.UNKNOWN_KIND)
    content = content_of(envelope)
    refuse_what_would_be_dropped(envelope)
    message_id, text_id = envelope.get("message_id"), redis_id.decode("utf-8", "replace")
    published = envelope.get("message_timestamp")
    return Message(
        queue_name=queue, actor_name=actor, args=(content,), kwargs={}, options={"redis_message_id": text_id},
        message_id=message_id if type(message_id) is str else text_id,
        message_timestamp=published if type(published) is int and _EARLIEST_MS <= published <= _LATEST_MS else 0,
    )  # fmt: skip

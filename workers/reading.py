"""What plain messages say, read in one go: their envelopes, and their facts made ready for the books.

This is what a second process does, and it loads as little as it can: half of its start is loading.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

from jarvis_client.contract.conventions import Conventions
from jarvis_client.contract.forms import FORMS
from jarvis_client.contract.routes import MAX_BATCH_RECORDS, MAX_MESSAGE_BYTES
from persistence.domain.ready import made_ready
from workers.envelope import KIND_OF_ACTOR, read_envelope
from workers.wire import decode_json

#: Redis's id of a message, and its payload.
Fetched = tuple[bytes, bytes]
#: The fields of an `Envelope`, its content left out, and the facts that this states; None where a message is not plain. As plain a tuple as
#: there is, because it travels.
Read = tuple[tuple[Any, ...], list[Any]] | None


def read_messages(conventions: Conventions, actors: Collection[str], messages: Sequence[Fetched]) -> list[Read]:
    """What messages say. One that is malformed, breaks a rule or asks for a job is not plain: who reads it by itself says what is to be said."""
    kept = _kept(conventions)
    return [_read(kept, actors, redis_id, payload) for redis_id, payload in messages]


@lru_cache(maxsize=1)
def _kept(conventions: Conventions) -> Conventions:
    """Equal ones of before, with the symbols that they have met."""
    return conventions


def _read(conventions: Conventions, actors: Collection[str], redis_id: bytes, payload: bytes) -> Read:
    try:
        if len(payload) > MAX_MESSAGE_BYTES:
            return None
        envelope = read_envelope(decode_json(payload), redis_id, actors)
        form = FORMS.get(KIND_OF_ACTOR[envelope.actor_name])
        records = envelope.content if type(envelope.content) is list else [envelope.content]
        if form is None or len(records) > MAX_BATCH_RECORDS:
            return None
        items = [made_ready(form.fact(record, conventions)) for record in records]
    except Exception:
        return None
    return (envelope.actor_name, None, envelope.message_id, envelope.published_ms, envelope.asks), items

"""Records into messages: several of a kind may share one, none is longer than workers take."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from jarvis_client.contract.errors import MalformedRecord
from jarvis_client.contract.routes import MAX_MESSAGE_BYTES, ROUTES, encode


class Checked(NamedTuple):
    """A record in its JSON form, once it is known to be right. `numbered`: whether its number is the caller's own."""

    kind: str
    record: dict[str, Any]
    numbered: bool


class Message(NamedTuple):
    """One message, and which of the records that were given are in it."""

    queue: str
    message_id: str
    payload: bytes
    places: tuple[int, ...]


def messages_of(records: Iterable[Checked], records_per_message: int, *, asks: bool = False) -> Iterator[Message]:
    """Raises `MalformedRecord` for a record that makes a longer message than workers take."""
    if records_per_message == 1:
        for place, (kind, record, _) in enumerate(records):
            yield _alone(kind, record, place, asks)
        return
    by_kind: dict[str, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
    for place, (kind, record, _) in enumerate(records):
        by_kind[kind].append((place, record))
    for kind, found in by_kind.items():
        yield from _together(kind, found, records_per_message, asks)


def _alone(kind: str, record: dict[str, Any], place: int, asks: bool) -> Message:
    message_id, payload = encode(ROUTES[kind], record, asks=asks)
    if len(payload) > MAX_MESSAGE_BYTES:
        raise MalformedRecord(f"{kind}: a message of {len(payload):,} bytes; at most {MAX_MESSAGE_BYTES:,} are taken: shorten its unknown fields")
    return Message(ROUTES[kind].queue, message_id, payload, (place,))


def _together(kind: str, found: list[tuple[int, dict[str, Any]]], records_per_message: int, asks: bool) -> Iterator[Message]:
    if records_per_message == 1:
        yield from (_alone(kind, record, place, asks) for place, record in found)
        return
    for at in range(0, len(found), records_per_message):
        group = found[at : at + records_per_message]
        message_id, payload = encode(ROUTES[kind], [record for _, record in group], asks=asks)
        if len(payload) <= MAX_MESSAGE_BYTES:
            yield Message(ROUTES[kind].queue, message_id, payload, tuple(place for place, _ in group))
        else:
            yield from _together(kind, group, len(group) // 2 or 1, asks)

"""What lies in a broker and nobody claims, or what a broker lost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class StrayKind(StrEnum):
    """What it is. A broker's losses stay until somebody settles them, the others until they are gone."""

    UNREAD_QUEUE = "messages on a queue that nobody reads"
    LEFT_HELD = "messages that a dead worker of another program holds"
    LOST_PAYLOADS = "payloads without an id"
    WRONG_TYPE = "a key of the wrong type"
    FOREIGN_WORKER = "a worker of another program on a queue of ours"
    BROKER_EMPTIED = "the broker was emptied"
    BROKER_WENT_BACK = "the broker lost its last writes"


@dataclass(frozen=True, slots=True)
class Stray:
    """`count` messages, keys or occurrences of a kind; `subject` says where, `example` shows one or tells more."""

    kind: StrayKind
    subject: str
    first_seen: datetime
    last_seen: datetime
    count: int
    example: str

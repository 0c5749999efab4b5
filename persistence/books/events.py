"""Events: what happens to recorded rows besides being recorded. Each has a place of its own in the hash chain (docs/chain.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from persistence.domain.texts import canonical_text
from persistence.engine.contract import Connection

#: Events, and what their content holds.
PLACE_CHANGED = "place changed"  # fact_no, before, after: (sequence, producer)
ACCOUNT_DELETED = "account deleted"  # account_id, facts
ACCOUNT_REOPENED = "account reopened"  # account_id
QUARANTINE_DECIDED = "quarantine decided"  # quarantine_no, state, resolution
RECORDED_ANEW = "recorded anew"  # fact_no, before: (sequence, producer) that went
SAVED_BY_HAND = "performance saved by hand"  # account_id, date, digest
LOSS_ACCEPTED = "loss accepted"  # what is missing; epoch, block_no: up to where the chain of that epoch is still this one; generation
RESTORED = "restored from a backup"  # epoch, block_no, generation; backup, taken_at, proved: what was restored
REBUILT = "rebuilt from the facts"
NOTE_ACCEPTED = "note accepted"  # number, check, account_id, subject, extent, reason
GAP_ACCEPTED = "gap accepted"  # producer, first, last, reason
NUMBERS_SPENT = "numbers without a record of their own"  # producer, numbers: [first, last] each
ACCOUNT_SAVED = "account saved by hand"  # account_id, name, is_active, opened_at, facts_to: facts before it
JOB_ENDED = "job ended"  # job, scheduled_for, state, said: digest of what it said


def record(connection: Connection, kind: str, now: int, content: Mapping[str, Any]) -> None:
    """Note what happens to recorded rows, in the commit in which it happens."""
    connection.execute("INSERT INTO chain_events (kind, happened_at, content) VALUES (?, ?, ?)", (kind, now, canonical_text(dict(content))))


def of_kind(connection: Connection, kind: str, after: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, content in connection.execute("SELECT event_no, content FROM chain_events WHERE kind = ? AND event_no > ? ORDER BY event_no", (kind, after)):
        yield number, content_of(content)


def content_of(text: str) -> dict[str, Any]:
    """The content of an event, from its text."""
    found: dict[str, Any] = json.loads(text)
    return found


def all_events(connection: Connection) -> Iterator[tuple[int, str, int, str]]:
    """(number, kind, instant, content as JSON) of every event, the oldest first."""
    yield from connection.execute("SELECT event_no, kind, happened_at, content FROM chain_events ORDER BY event_no")

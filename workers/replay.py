"""Replaying quarantine: the raw bytes of held records once more, by today's rules."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from jarvis_client.contract import instants
from jarvis_client.contract.conventions import DEFAULT_CONVENTIONS, Conventions
from jarvis_client.contract.errors import MalformedRecord
from jarvis_client.contract.forms import fact_of
from jarvis_client.contract.jobs import job_of
from jarvis_client.contract.outcome import Outcome, Reason
from persistence.books.ledger import Ledger
from persistence.books.posting import Item
from persistence.engine.contract import LiveBooks
from persistence.repositories.quarantine import Quarantined, SQLiteQuarantineRepository
from workers.envelope import KIND_OF_ACTOR, content_of
from workers.messages import kind_and_record
from workers.wire import decode_json


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of one held record. `recorded` says whether it left quarantine."""

    quarantine_no: int
    outcome: Outcome
    recorded: bool


def replay(
    database: LiveBooks,
    numbers: Sequence[int],
    *,
    conventions: Conventions = DEFAULT_CONVENTIONS,
    dry_run: bool = False,
    clock: Callable[[], int] = instants.now,
) -> list[Replayed]:
    """Try each of these held records again, each in a commit of its own; repeating it is harmless.

    One that is applied or proves a duplicate leaves quarantine; one that still cannot be applied stays, with a remark.
    """
    repository, ledger = SQLiteQuarantineRepository(database), Ledger(database, clock)
    results = []
    for number in numbers:
        held = repository.find(number)
        if held is None or held.state != "held":
            continue
        results.append(_replay_one(database, repository, ledger, held, conventions, clock(), dry_run))
    return results


class _DryRun(Exception):
    """Takes back what a dry run did."""


def _replay_one(
    database: LiveBooks,
    repository: SQLiteQuarantineRepository,
    ledger: Ledger,
    held: Quarantined,
    conventions: Conventions,
    now: int,
    dry_run: bool,
) -> Replayed:
    outcome = Outcome("quarantined", str(Reason.MALFORMED))
    try:
        with database.transaction():
            try:
                outcome = _worst(ledger.post(facts_of(held.raw, held.kind, conventions), keep_refusals=False))
            except MalformedRecord as error:
                outcome = Outcome("quarantined", str(error.reason), str(error))
            recorded = outcome.status != "quarantined"
            said = str(outcome.status) if recorded else f"still {outcome.reason}: {outcome.detail}"
            repository.resolve(held.quarantine_no, "replayed" if recorded else "held", f"replay: {said}", now)
            if dry_run:
                raise _DryRun
    except _DryRun:
        pass
    return Replayed(held.quarantine_no, outcome, outcome.status != "quarantined")


def facts_of(raw: bytes, kind: str | None, conventions: Conventions) -> list[Item]:
    """The facts of quarantined bytes: a record, an NDJSON line, or a whole message. Raises `MalformedRecord`."""
    content = decode_json(raw)
    if type(content) is dict and "actor_name" in content and "args" in content:
        return _facts_of_message(content, conventions)
    if type(content) is dict and type(content.get("type")) is str:
        return [fact_of(*kind_and_record(raw), conventions)]
    if kind is None:
        raise MalformedRecord("neither a record of a known kind nor a message")
    return [_item_of(kind, content, conventions, hashlib.sha256(raw).hexdigest()[:32])]


def _item_of(kind: str, record: Any, conventions: Conventions, message_id: str) -> Item:
    return job_of(record, message_id) if kind == "job" else fact_of(kind, record, conventions)


def _facts_of_message(envelope: dict[str, Any], conventions: Conventions) -> list[Item]:
    actor = envelope["actor_name"]
    kind = KIND_OF_ACTOR.get(actor) if type(actor) is str else None
    if kind is None:
        raise MalformedRecord(f"actor_name is {actor!r:.60}; there are {', '.join(KIND_OF_ACTOR)}", Reason.UNKNOWN_KIND)
    # Whatever else it asked for has been read by whoever replays it.
    content = content_of(envelope)
    records = content if type(content) is list else [content]
    message_id = str(envelope.get("message_id"))
    return [_item_of(kind, record, conventions, message_id if len(records) == 1 else f"{message_id}:{i}") for i, record in enumerate(records)]


def _worst(outcomes: Sequence[Outcome]) -> Outcome:
    """Of a message with several records: quarantined if one is, applied if one is, else duplicate."""
    order = ("quarantined", "applied", "duplicate")
    return min(outcomes, key=lambda o: order.index(o.status), default=Outcome("duplicate"))

"""What waits for somebody: quarantined records and how a conflict differs from what is recorded; gaps."""

from __future__ import annotations

from typing import Any

from jarvis_client.contract.conventions import Conventions
from jarvis_client.contract.errors import MalformedRecord
from jarvis_client.contract.instants import to_instant, to_text
from persistence.domain.differing import Differing, differing
from persistence.domain.entries import AnyFact
from persistence.repositories.gaps import Gap
from persistence.repositories.quarantine import Quarantined
from workers.replay import facts_of

QUARANTINED = ("number", "received_at", "state", "kind", "account_id", "record_id", "reason", "deliveries", "detail")
GAP = ("producer", "first", "last", "missing", "noticed_at")


def quarantined(q: Quarantined) -> tuple[Any, ...]:
    """The values of `QUARANTINED`."""
    return q.quarantine_no, to_text(to_instant(q.received_at)), q.state, q.kind, q.account_id, q.record_id, q.reason, q.deliveries, q.detail


def gap(g: Gap) -> tuple[Any, ...]:
    """The values of `GAP`."""
    return g.producer, g.first, g.last, g.missing, to_text(to_instant(g.noticed_at))


def differences(held: Quarantined, recorded: AnyFact, conventions: Conventions) -> list[Differing]:
    """The fields of a conflict that are not the same in both versions."""
    try:
        facts = facts_of(held.raw, held.kind, conventions)
    except MalformedRecord:
        return []
    arrived = next((fact for fact in facts if type(fact) is type(recorded) and _is_of(held, fact)), recorded)
    return differing(arrived, recorded)


def _is_of(held: Quarantined, fact: Any) -> bool:
    """Whether it is the record that is held: a message may carry others, too."""
    return bool(fact.record_id == held.record_id and fact.account_id == held.account_id)

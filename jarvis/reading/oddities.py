"""What waits for somebody: quarantined records, gaps."""

from __future__ import annotations

from typing import Any

from jarvis_client.contract.instants import to_instant, to_text
from persistence.repositories.gaps import Gap
from persistence.repositories.quarantine import Quarantined

QUARANTINED = ("number", "received_at", "state", "kind", "account_id", "record_id", "reason", "deliveries", "detail")
GAP = ("producer", "first", "last", "missing", "noticed_at")


def quarantined(q: Quarantined) -> tuple[Any, ...]:
    """The values of `QUARANTINED`."""
    return q.quarantine_no, to_text(to_instant(q.received_at)), q.state, q.kind, q.account_id, q.record_id, q.reason, q.deliveries, q.detail


def gap(g: Gap) -> tuple[Any, ...]:
    """The values of `GAP`."""
    return g.producer, g.first, g.last, g.missing, to_text(to_instant(g.noticed_at))

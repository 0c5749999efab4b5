"""Quarantine: records that can never be applied, whole, until somebody decides."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import apsw

from persistence.database import DatabaseManager
from persistence.domain.instants import to_datetime
from persistence.domain.outcome import Refusal


def hold(connection: apsw.Connection, refusal: Refusal, fact_no: int | None, now: int) -> bool:
    """Keep a refused record; False where the same bytes are held already. `fact_no` is the recorded fact it conflicts with."""
    digest = hashlib.sha256(refusal.raw).digest()
    if connection.execute("UPDATE quarantine SET deliveries = deliveries + 1 WHERE raw_digest = ? RETURNING 1", (digest,)).get is not None:
        return False
    connection.execute(
        "INSERT INTO quarantine (raw, raw_digest, reason, detail, kind, account_id, record_id, fact_no, received_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            refusal.raw, digest, str(refusal.reason), _storable(refusal.detail), _storable(refusal.kind), _storable(refusal.account_id),
            _storable(refusal.record_id), fact_no, now,
        ),
    )  # fmt: skip
    return True


def _storable(text: str | None) -> str | None:
    """Text that the store takes: what is no text (a lone surrogate) shows as a question mark; the raw bytes keep it."""
    return None if text is None else text[:2_000].encode("utf-8", "replace").decode("utf-8")


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One held record. `raw` is what arrived, byte for byte; `deliveries` counts how often."""

    quarantine_no: int
    raw: bytes
    reason: str
    detail: str
    kind: str | None
    account_id: str | None
    record_id: str | None
    fact_no: int | None
    received_at: datetime
    deliveries: int
    state: str


class SQLiteQuarantineRepository:
    """What is in quarantine, the oldest first."""

    def __init__(self, database: DatabaseManager) -> None:
        self._database = database

    def count(self, state: str = "held") -> int:
        with self._database.get_connection() as connection:
            return int(connection.execute("SELECT count(*) FROM quarantine WHERE state = ?", (state,)).get)

    def stream(self, state: str = "held", limit: int | None = None) -> Iterator[Quarantined]:
        with self._database.get_connection() as connection:
            sql = (
                "SELECT quarantine_no, raw, reason, detail, kind, account_id, record_id, fact_no, received_at, deliveries, state "
                "FROM quarantine WHERE state = ? ORDER BY quarantine_no LIMIT ?"
            )
            for row in connection.execute(sql, (state, -1 if limit is None else limit)):
                number, raw, reason, detail, kind, account_id, record_id, fact_no, received, deliveries, state_ = row
                yield Quarantined(number, raw, reason, detail, kind, account_id, record_id, fact_no, to_datetime(received), deliveries, state_)

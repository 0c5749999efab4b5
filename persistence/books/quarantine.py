"""The rows of quarantine: records that can never be applied, whole."""

from __future__ import annotations

import hashlib

from jarvis_client.contract.outcome import Refusal
from persistence.engine.contract import Connection


def hold(connection: Connection, refusal: Refusal, fact_no: int | None, now: int) -> bool:
    """Keep a refused record; False where the same bytes are held already. `fact_no` is the recorded fact it conflicts with."""
    digest = hashlib.sha256(refusal.raw).digest()
    deliveries: int = connection.execute(
        "INSERT INTO quarantine (raw, raw_digest, reason, detail, kind, account_id, record_id, fact_no, received_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (raw_digest) DO UPDATE SET deliveries = quarantine.deliveries + 1 RETURNING deliveries",
        (
            refusal.raw, digest, str(refusal.reason), storable(refusal.detail), storable(refusal.kind), storable(refusal.account_id),
            storable(refusal.record_id), fact_no, now,
        ),
    ).get  # fmt: skip
    return deliveries == 1


def storable(text: str | None) -> str | None:
    """Text that the store takes: what is no text (a lone surrogate) shows as a question mark; the raw bytes keep it."""
    return None if text is None else text[:2_000].replace("\0", "?").encode("utf-8", "replace").decode("utf-8")

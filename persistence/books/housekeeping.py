"""Housekeeping of the database: statistics, clean-up, checkpoints. Facts, identities and quarantine are never cleaned up."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from persistence.domain.instants import to_text
from persistence.engine.contract import Database

_TABLES = (
    "accounts", "balances", "transactions", "orders", "performance_metrics", "facts", "fills", "flows", "order_events", "equity_snapshots",
    "voids", "entries", "quarantine", "gaps", "job_runs",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Statistics:
    """What the database holds: rows per table, bytes, first and last instants of its facts (RFC 3339), versions."""

    path: str
    schema_version: int
    sqlite_version: str
    rows: dict[str, int]
    file_bytes: int
    wal_bytes: int
    free_bytes_inside: int
    first_fact_at: str | None
    last_fact_at: str | None
    last_recorded_at: str | None
    quarantine_held: int


def statistics(database: Database) -> Statistics:
    """Reads every table's row count; takes a moment on a large book, blocks nobody."""
    stored = database.storage()
    with database.get_connection() as connection:
        rows = {table: int(connection.execute(f"SELECT count(*) FROM {table}").get) for table in _TABLES}
        spans = [
            connection.execute(f"SELECT min({column}), max({column}) FROM {table}").get
            for table, column in (("fills", "executed_at"), ("flows", "occurred_at"), ("order_events", "occurred_at"), ("equity_snapshots", "observed_at"))
        ]
        known = [instant for span in spans for instant in span if instant is not None]
        recorded = connection.execute("SELECT recorded_at FROM facts ORDER BY fact_no DESC LIMIT 1").get
        held = int(connection.execute("SELECT count(*) FROM quarantine WHERE state = 'held'").get)
    return Statistics(
        database.path, stored.schema_version, stored.engine_version, rows, stored.file_bytes, stored.log_bytes, stored.free_bytes,
        to_text(min(known)) if known else None, to_text(max(known)) if known else None, None if recorded is None else to_text(recorded), held,
    )  # fmt: skip


def record_statistics(database: Database, now: int) -> Statistics:
    """Keep a report of the statistics, for trends."""
    report = statistics(database)
    sql = "INSERT INTO statistics_reports (taken_at, report) VALUES (?, ?) ON CONFLICT (taken_at) DO UPDATE SET report = excluded.report"
    database.execute_update(sql, (now, json.dumps(asdict(report))))
    return report


def clean_up(database: Database, now: int, *, runs_kept_days: int = 400, statistics_kept_days: int = 90) -> dict[str, int]:
    """Drop finished job runs and statistics reports past their retention. Returns how many rows of each table went."""
    day = 24 * 3600 * 1_000_000
    return {
        "job_runs": database.execute_update("DELETE FROM job_runs WHERE state = 'succeeded' AND finished_at < ?", (now - runs_kept_days * day,)),
        "statistics_reports": database.execute_update("DELETE FROM statistics_reports WHERE taken_at < ?", (now - statistics_kept_days * day,)),
    }


def checkpoint(database: Database) -> tuple[int, int]:
    """Move the WAL into the database file and shorten it. Returns (WAL frames, frames moved); a reader may keep some back."""
    return database.checkpoint() or (0, 0)

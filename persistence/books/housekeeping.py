"""Housekeeping of the database: statistics, clean-up, checkpoints. Facts, identities and quarantine are never cleaned up."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from jarvis_client.contract.instants import to_text
from persistence.engine.contract import Database

_TABLES = (
    "accounts", "balances", "transactions", "orders", "performance_metrics", "facts", "fills", "flows", "order_events", "equity_snapshots",
    "voids", "entries", "quarantine", "gaps", "job_runs",
)  # fmt: skip

#: A daily job's last quarter.
KEPT_ALWAYS = 90
_OLDEST_RUN_KEPT = "SELECT scheduled_for FROM job_runs WHERE job = ?1 AND state = 'succeeded' AND ahead = 0 ORDER BY scheduled_for DESC LIMIT 1 OFFSET ?3 - 1"
_OLDEST_REPORT_KEPT = "SELECT taken_at FROM statistics_reports ORDER BY taken_at DESC LIMIT 1 OFFSET ?2 - 1"


@dataclass(frozen=True, slots=True)
class Statistics:
    """What the database holds: rows per table, bytes, first and last instants of its facts (RFC 3339), versions."""

    path: str
    schema_version: int
    engine: str
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
    """Drop finished job runs and statistics reports past their retention, but never the newest `KEPT_ALWAYS` of a job, or of the
    reports: a clock that was ahead for a moment makes everything look old. Returns how many rows of each table went."""
    day = 24 * 3600 * 1_000_000
    runs = 0
    for (job,) in database.execute_query("SELECT DISTINCT job FROM job_runs"):
        sql = f"DELETE FROM job_runs WHERE job = ?1 AND state = 'succeeded' AND finished_at < ?2 AND scheduled_for < ({_OLDEST_RUN_KEPT})"
        runs += database.execute_update(sql, (job, now - runs_kept_days * day, KEPT_ALWAYS))
    sql = f"DELETE FROM statistics_reports WHERE taken_at < ?1 AND taken_at < ({_OLDEST_REPORT_KEPT})"
    return {"job_runs": runs, "statistics_reports": database.execute_update(sql, (now - statistics_kept_days * day, KEPT_ALWAYS))}


def checkpoint(database: Database) -> tuple[int, int]:
    """Move the WAL into the database file and shorten it. Returns (WAL frames, frames moved); a reader may keep some back."""
    return database.checkpoint() or (0, 0)

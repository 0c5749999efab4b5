"""Housekeeping of the database: statistics, clean-up, checkpoints. Facts, identities and quarantine are never cleaned up."""

from __future__ import annotations

import json
import os
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import apsw

from persistence.chain import LOSS_ACCEPTED, RESTORED
from persistence.database import DatabaseManager
from persistence.domain import instants
from persistence.domain.instants import to_text
from persistence.going_back import go_back

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


def statistics(database: DatabaseManager) -> Statistics:
    """Reads every table's row count; takes a moment on a large book, blocks nobody."""
    with database.get_connection() as connection:
        rows = {table: int(connection.execute(f"SELECT count(*) FROM {table}").get) for table in _TABLES}
        spans = [
            connection.execute(f"SELECT min({column}), max({column}) FROM {table}").get
            for table, column in (("fills", "executed_at"), ("flows", "occurred_at"), ("order_events", "occurred_at"), ("equity_snapshots", "observed_at"))
        ]
        known = [instant for span in spans for instant in span if instant is not None]
        recorded = connection.execute("SELECT recorded_at FROM facts ORDER BY fact_no DESC LIMIT 1").get
        free = int(connection.pragma("freelist_count")) * int(connection.pragma("page_size"))
        held = int(connection.execute("SELECT count(*) FROM quarantine WHERE state = 'held'").get)
        version = int(connection.pragma("user_version"))
    return Statistics(
        database.path, version, apsw.sqlite_lib_version(), rows, _size(database.path), _size(f"{database.path}-wal"), free,
        to_text(min(known)) if known else None, to_text(max(known)) if known else None, None if recorded is None else to_text(recorded), held,
    )  # fmt: skip


def record_statistics(database: DatabaseManager, now: int) -> Statistics:
    """Keep a report of the statistics, for trends."""
    report = statistics(database)
    database.execute_update("INSERT OR REPLACE INTO statistics_reports (taken_at, report) VALUES (?, ?)", (now, json.dumps(asdict(report))))
    return report


def clean_up(database: DatabaseManager, now: int, *, runs_kept_days: int = 400, statistics_kept_days: int = 90) -> dict[str, int]:
    """Drop finished job runs and statistics reports past their retention. Returns how many rows of each table went."""
    day = 24 * 3600 * 1_000_000
    return {
        "job_runs": database.execute_update("DELETE FROM job_runs WHERE state = 'succeeded' AND finished_at < ?", (now - runs_kept_days * day,)),
        "statistics_reports": database.execute_update("DELETE FROM statistics_reports WHERE taken_at < ?", (now - statistics_kept_days * day,)),
    }


def checkpoint(database: DatabaseManager) -> tuple[int, int]:
    """Move the WAL into the database file and shorten it. Returns (WAL frames, frames moved); a reader may keep some back."""
    return database.checkpoint() or (0, 0)


def take_back_on_purpose(path: Path, now: int, backup_folder: Path, *, instead_of: tuple[str, str] | None = None) -> list[Path]:
    """Give the books of a file a new epoch: what was made durable after them is left behind knowingly, not lost.

    `instead_of`: id and epoch of the books that they replace. Books from before there was a chain take over that id. Returns the
    notes beside the backups that could not be written.
    """
    book, epoch = instead_of or (None, None)
    with closing(DatabaseManager(path, wal_mode=False, refuse_loss=False)) as database:
        database.initialize(back_up=False)
        with database.transaction() as connection:
            if book is not None and connection.execute("SELECT 1 FROM chain_blocks LIMIT 1").get is None:
                connection.execute("UPDATE book SET book_id = ?", (book,))
            return go_back(connection, RESTORED, now, backup_folder, replaced=epoch)


@dataclass(frozen=True, slots=True)
class Loss:
    """Commits that were made durable and are missing; the records in them came after `since` (RFC 3339)."""

    first_commit: int
    last_commit: int
    facts: int
    since: str | None


def accept_loss(database: DatabaseManager) -> Loss | None:
    """Go on with books that end before what was made durable. Returns what is missing; None where nothing is.

    The loss is recorded among the events of the chain, and the epoch renewed.
    """
    with database.transaction() as connection:
        found, noted, _ = database.standing()
        if noted is None or not noted.is_beyond(found):
            return None
        loss = Loss(found.commit_no + 1, noted.commit_no, max(0, noted.fact_no - found.fact_no), to_text(found.at) if found.at else None)
        go_back(connection, LOSS_ACCEPTED, instants.now(), database.backup_folder, asdict(loss))
    return loss


def _size(path: str) -> int:
    with suppress(OSError):
        return os.stat(path).st_size
    return 0

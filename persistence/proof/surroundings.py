"""Checks of what surrounds the books: gaps, quarantine, the clock, and whether the books reach as far as what was made durable."""

from __future__ import annotations

from collections.abc import Iterator

from jarvis_client.contract.instants import is_ahead, to_text
from persistence.domain.finding import SHOWN, Finding
from persistence.domain.showing import size
from persistence.engine.contract import Connection, Database
from persistence.engine.sqlite.database import SQLiteDatabase
from persistence.engine.sqlite.wal import LONG_WAL_BYTES

#: A record that waits longer in quarantine has been forgotten.
LONGEST_QUARANTINE_DAYS = 7
#: How far clocks of several machines may be apart.
CLOCK_MINUTES = 5
_DAY = 86_400_000_000


def every_number_arrived(connection: Connection) -> Iterator[Finding]:
    """No producer has left out a number."""
    sql = "SELECT producer, first, last FROM gaps ORDER BY producer, first LIMIT ?"
    for producer, first, last in connection.execute(sql, (SHOWN,)):
        yield Finding(
            "every number of a producer arrived",
            producer,
            "no gap",
            f"{first} to {last} missing",
            f"jarvis gaps --producer {producer}; jarvis gaps accept {producer} --reason TEXT",
        )


def quarantine_is_looked_after(connection: Connection, now: int) -> Iterator[Finding]:
    """No record has been held for longer than a week, nor since a time of which nobody can tell how long ago it was."""
    oldest, newest, count = connection.execute("SELECT min(received_at), max(received_at), count(*) FROM quarantine WHERE state = 'held'").get
    if oldest is not None and is_ahead(newest, now):
        said = f"one held since {to_text(newest)}, by a clock that was ahead"
        yield Finding("quarantine is looked after", "quarantine", f"nothing received after {to_text(now)}", said, "jarvis quarantine list")
    if oldest is not None and oldest < now - LONGEST_QUARANTINE_DAYS * _DAY:
        said = f"{count} held, the oldest since {to_text(oldest)}"
        expected = f"nothing held for over {LONGEST_QUARANTINE_DAYS} days"
        yield Finding("quarantine is looked after", "quarantine", expected, said, "jarvis quarantine list")


def clock_is_sane(connection: Connection, now: int) -> Iterator[Finding]:
    """Nothing was recorded later than now."""
    newest = connection.execute("SELECT recorded_at FROM facts ORDER BY fact_no DESC LIMIT 1").get
    if newest is not None and newest > now + CLOCK_MINUTES * 60_000_000:
        yield Finding("the clock is sane", "facts", f"nothing recorded after {to_text(now)}", to_text(newest), "date -u")


def no_commit_is_missing(database: Database) -> Iterator[Finding]:
    """The books reach as far as what was made durable, and their log is not held back. A server sees to that itself."""
    if not isinstance(database, SQLiteDatabase):
        return
    look = 'jarvis db accept-loss, or jarvis restore --latest: docs/runbook.md, "Commits are missing"'
    found, noted, damaged = database.durability()
    if noted is not None and noted.is_beyond(found):
        expected, said = (f"commit {m.commit_no:,}, record {m.fact_no:,}" for m in (noted, found))
        yield Finding("no commit is missing", "books", expected, said, look)
    if damaged:
        yield Finding("the marks can be read", database.marks.path, "marks of commits", f"{damaged} that are none", look)
    if (long := database.wal_bytes()) >= LONG_WAL_BYTES:
        expected = f"less than {size(LONG_WAL_BYTES)}"
        yield Finding("the WAL is short", f"{database.path}-wal", expected, size(long), "lsof on the database: who reads for so long?")

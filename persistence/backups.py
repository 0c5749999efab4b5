"""Backups: copies of the database that were read back. Named by their UTC time and schema version, pruned by age."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from persistence import migrations
from persistence.database import DatabaseManager
from persistence.domain.instants import to_datetime

#: However old they are and whatever the clock says, this many of the newest stay.
KEPT_AT_LEAST = 7
#: A clock that jumped must not empty the folder in one run.
REMOVED_AT_MOST = 2

_NAME = re.compile(r"jarvis-(\d{8}T\d{6})Z-schema(\d{4})\.db")


@dataclass(frozen=True, slots=True)
class Backup:
    path: Path
    taken_at: datetime
    schema_version: int


def create(database: DatabaseManager, folder: Path, now: int) -> Backup:
    """Copy the database while others write, check the copy, put it in place. Raises `Unavailable` or `WrongDatabase`."""
    taken_at = to_datetime(now).replace(microsecond=0)
    version = migrations.newest_version()
    path = folder / f"jarvis-{taken_at:%Y%m%dT%H%M%S}Z-schema{version:04d}.db"
    database.backup(path)
    return Backup(path, taken_at, version)


def present(folder: Path) -> list[Backup]:
    """The backups of a folder, the newest first; other files are none of ours."""
    found = []
    for path in folder.glob("jarvis-*.db"):
        match = _NAME.fullmatch(path.name)
        if match and path.is_file() and not path.is_symlink():
            found.append(Backup(path, datetime.strptime(match[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC), int(match[2])))
    return sorted(found, key=lambda backup: backup.taken_at, reverse=True)


def expired(backups: Sequence[Backup], now: datetime, retention_days: int) -> list[Backup]:
    """Which of these may go: older than the retention, never the newest seven, two a run, the oldest first."""
    limit = now - timedelta(days=retention_days)
    newest_first = sorted(backups, key=lambda backup: backup.taken_at, reverse=True)
    old = [backup for backup in newest_first[KEPT_AT_LEAST:] if backup.taken_at < limit]
    return list(reversed(old))[:REMOVED_AT_MOST]


def prune(folder: Path, now: int, retention_days: int) -> list[Backup]:
    """Remove what has expired. Returns what went."""
    gone = expired(present(folder), to_datetime(now), retention_days)
    for backup in gone:
        backup.path.unlink()
    return gone

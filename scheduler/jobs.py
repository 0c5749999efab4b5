"""What each job does. Every one can be repeated harmlessly, and called by hand too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from persistence import backups, maintenance
from persistence.database import DatabaseManager

#: (database, the instant of the slot) → what the table of runs keeps as the result.
Job = Callable[[DatabaseManager, int], Any]


def checkpoint(database: DatabaseManager, _slot: int) -> Any:
    frames, moved = maintenance.checkpoint(database)
    return {"wal_frames": frames, "moved": moved}


def statistics(database: DatabaseManager, slot: int) -> Any:
    report = maintenance.record_statistics(database, slot)
    return {"file_bytes": report.file_bytes, "facts": report.rows["facts"]}


def clean_up(database: DatabaseManager, slot: int) -> Any:
    return maintenance.clean_up(database, slot)


def back_up(folder: Path, retention_days: int) -> Job:
    """The daily backup into a folder; old ones go only once a new one stands."""

    def run(database: DatabaseManager, slot: int) -> Any:
        made = backups.create(database, folder, slot)
        gone = backups.prune(folder, slot, retention_days)
        return {"backup": made.path.name, "bytes": made.path.stat().st_size, "removed": [b.path.name for b in gone]}

    return run


#: Those that need nothing but the database.
JOBS: dict[str, Job] = {"checkpoint": checkpoint, "statistics": statistics, "clean_up": clean_up}

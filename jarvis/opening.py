"""Opening the books as the settings say: apart from the processes, so that a command that only reads starts quickly."""

from __future__ import annotations

from jarvis.settings import Settings
from persistence.database import DatabaseManager


def open_database(settings: Settings, *, looking: bool = False) -> DatabaseManager:
    """The books as configured. `looking`: refuse neither damaged pages nor missing commits, for the commands that tell of them."""
    performance, backup = settings.database.performance, settings.database.backup
    return DatabaseManager(
        settings.database.path, performance.max_connections, wal_mode=performance.wal_mode, checkpoints=performance.checkpoints == "jarvis",
        backup_folder=backup.path, second_folder=backup.second.path, refuse_loss=not looking, verify_pages=not looking,
    )  # fmt: skip

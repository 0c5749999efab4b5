"""Opening the books as the settings say: apart from the processes, so that a command that only reads starts quickly."""

from __future__ import annotations

from jarvis.settings import Settings
from persistence.database import DatabaseManager


def open_database(settings: Settings) -> DatabaseManager:
    performance = settings.database.performance
    return DatabaseManager(settings.database.path, performance.max_connections, wal_mode=performance.wal_mode)

"""The write-ahead log: when it is moved into the database file, by one process at a time, and how long it may get."""

from __future__ import annotations

import os
from contextlib import suppress

import apsw

from persistence.engine.sqlite.connect import SQLiteConnection
from persistence.engine.sqlite.durable_mark import DurableMarkFile, reached
from persistence.engine.sqlite.pool import ConnectionPool

#: A WAL this long means that some reader keeps an old snapshot open, so checkpoints cannot shorten it.
LONG_WAL_BYTES = 64 * 1024 * 1024


class WriteAheadLog:
    """The log of one database file. A checkpoint is due once it has grown by `checkpoint_pages` since the last one."""

    def __init__(self, path: str, marks: DurableMarkFile, checkpoint_pages: int) -> None:
        self._path = path
        self._marks = marks
        self._checkpoint_pages = checkpoint_pages
        self._pages = 0
        self._due_at = checkpoint_pages

    def grown_to(self, pages: int) -> None:
        self._pages = pages

    @property
    def is_due(self) -> bool:
        return self._pages >= self._due_at

    def size(self) -> int:
        """Bytes; 0 where there is none."""
        with suppress(OSError):
            return os.stat(f"{self._path}-wal").st_size
        return 0

    def checkpoint(self, connection: SQLiteConnection, pool: ConnectionPool, *, truncate: bool) -> tuple[int, int] | None:
        """Move the log into the file. Returns (frames, frames moved); None where another process is at it."""
        with self._marks.locked(wait_seconds=0) as got:
            if not got:
                self._due_at = self._pages + self._checkpoint_pages // 4
                return None
            if truncate:
                # A truncating checkpoint blocks writers while it waits for readers, so give up soon and try later.
                connection.set_busy_timeout(20)
            try:
                stand = reached(connection)
                frames, moved = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE if truncate else apsw.SQLITE_CHECKPOINT_PASSIVE)
                if truncate:
                    self._marks.write_emptied(stand)
            except apsw.BusyError:
                return None
            finally:
                connection.set_busy_handler(pool.wait_for_lock)
            # While a reader keeps some back, trying after each commit would move nothing.
            self._due_at = self._checkpoint_pages if moved == frames else frames + self._checkpoint_pages // 4
            return frames, moved


__all__ = ["LONG_WAL_BYTES", "WriteAheadLog"]

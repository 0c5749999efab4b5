"""A pool of connections to one file, each with its pragmas. A connection whose file was moved or replaced is not used again."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import apsw
import apsw.sqlite_extra

from persistence.domain.errors import Unavailable
from persistence.engine.sqlite.connect import SQLiteConnection, connect
from persistence.engine.sqlite.errors import translated

IN_MEMORY = ":memory:"


class FileOptions(NamedTuple):
    """How a file is opened. `verify_pages=False` reads pages whose checksum is wrong."""

    wal_mode: bool = True
    busy_timeout_ms: int = 5_000
    cache_mb: int = 64
    verify_pages: bool = True
    durable: bool = True


class ConnectionPool:
    """At most `size` connections to a file at a time. Thread-safe.

    A connection that is lent for reading refuses to write. Turning one into the other expires its prepared statements, so both kinds are
    kept apart, and one is turned only where no further one may be opened.

    `look_at` checks the first connection after each opening of the file, before anybody uses it.
    `wal_hook` gets the length of the log in pages after every commit.
    """

    def __init__(self, path: str, size: int, options: FileOptions, look_at: Callable[[SQLiteConnection], None], wal_hook: Callable[[int], None]) -> None:
        self._path = path
        self._options = options
        self._look_at = look_at
        self._wal_hook = wal_hook
        self._size = size
        self._slots = threading.BoundedSemaphore(size)
        self._idle: list[SQLiteConnection] = []
        self._opened: set[SQLiteConnection] = set()
        #: Device and inode of the file that each connection has open.
        self._files: dict[SQLiteConnection, tuple[int, int]] = {}
        self._lock = threading.Lock()
        self._looked_at = False

    @contextmanager
    def connected(self, *, looked_at: bool = True, reading: bool = False) -> Iterator[SQLiteConnection]:
        """A connection for the length of a block; where all are taken it waits as long as for another program's lock. `looked_at=False`
        skips `look_at`."""
        # Who waits may hold the others itself (a stream that nobody reads on), so waiting without end could be waiting for ever.
        if not self._slots.acquire(blocking=False) and not self._slots.acquire(timeout=self._options.busy_timeout_ms / 1_000):
            raise Unavailable(
                f"all {self._size} connections are in use, and none came back within {self._options.busy_timeout_ms} ms; "
                "close a stream or raise max_connections"
            )
        try:
            connection = self._take(reading)
            try:
                if looked_at and not self._looked_at:
                    with translated(f"open {self._path}"):
                        self._look_at(connection)
                        self._looked_at = True
                yield connection
            finally:
                with self._lock:
                    if kept := connection in self._opened:
                        self._idle.append(connection)
                if not kept:
                    self.close(connection)
        finally:
            self._slots.release()

    def was_looked_at(self) -> None:
        """The file is open and known to be whole."""
        self._looked_at = True

    def is_gone(self, connection: SQLiteConnection) -> bool:
        """True if the path names another file than this connection has open, or none."""
        opened = self._files.get(connection)
        if opened is None:
            return False
        try:
            status = os.stat(self._path)
        except OSError:
            return True
        return (status.st_dev, status.st_ino) != opened

    def drop_all(self) -> None:
        """Use no connection again; those that others are using are closed as they come back. The next one opens the file anew."""
        with self._lock:
            idle, self._idle, self._opened = self._idle, [], set()
            self._looked_at = False
        for connection in idle:
            self.close(connection)

    def close_all(self) -> None:
        """Close every connection, those in use included."""
        with self._lock:
            connections, self._idle, self._opened = list(self._opened), [], set()
        for connection in connections:
            self.close(connection)

    def take_idle(self, *, reading: bool | None = None) -> SQLiteConnection | None:
        """A connection that nobody uses, without waiting for one: the last to come back. With `reading` one of that kind, as long as
        another may be opened instead."""
        with self._lock:
            for at in range(len(self._idle) - 1, -1, -1):
                if reading is None or self._idle[at].reading == reading:
                    return self._idle.pop(at)
            return self._idle.pop() if self._idle and len(self._opened) >= self._size else None

    def discard(self, connection: SQLiteConnection) -> None:
        """Close a connection as soon as it comes back."""
        with self._lock:
            self._opened.discard(connection)

    def close(self, connection: SQLiteConnection) -> None:
        with self._lock:
            self._opened.discard(connection)
            self._files.pop(connection, None)
        with suppress(apsw.Error):
            connection.close()

    def wait_for_lock(self, tries: int) -> bool:
        """A millisecond a try, up to the busy timeout."""
        time.sleep(0.001)
        return tries < self._options.busy_timeout_ms

    def _take(self, reading: bool) -> SQLiteConnection:
        connection = self.take_idle(reading=reading)
        if connection is not None:
            if not self.is_gone(connection) and not connection.readonly("main"):
                connection.lend_for(reading=reading)
                return connection
            # This connection's file was moved, or was not writable when it was opened; both would stay so.
            self.close(connection)
            self.drop_all()
        elif self._has_idle_read_only():
            # As long as one is open, SQLite gives its log, read-only, to every new one, even after the disk is writable again.
            self.drop_all()
        with translated(f"open {self._path}"):
            connection = self._open()
        with self._lock:
            self._opened.add(connection)
        connection.lend_for(reading=reading)
        return connection

    def _has_idle_read_only(self) -> bool:
        with self._lock:
            return any(connection.readonly("main") for connection in self._idle)

    def _open(self) -> SQLiteConnection:
        if self._path != IN_MEMORY and not Path(self._path).exists():
            raise Unavailable(f"{self._path} does not exist; run `jarvis db init`, or check database.path and the folder it names")
        connection = connect(self._path)
        if self._path != IN_MEMORY:
            status = os.stat(self._path)
            with self._lock:
                self._files[connection] = status.st_dev, status.st_ino
        options = self._options
        if not options.verify_pages:
            connection.pragma("checksum_verification", "OFF")
        # Wait for another process's commit instead of failing at once; SQLite's own waiting sleeps up to 100 ms at a time, which
        # two busy writers would spend asleep beside a free lock.
        connection.set_busy_handler(self.wait_for_lock)
        apsw.sqlite_extra.load(connection, "decimal")
        # Acknowledged means fsynced: NORMAL loses the last commits at a power cut. Rollback journals need EXTRA for the same.
        connection.pragma("synchronous", "off" if not options.durable else "full" if options.wal_mode else "extra")
        # CASCADE and REFERENCES are off by default, for history's sake.
        connection.pragma("foreign_keys", True)
        # Negative means KiB: enough for the upper pages of every index of a large book.
        connection.pragma("cache_size", -options.cache_mb * 1024)
        # Sorts of exports stay out of the disk that the books need.
        connection.pragma("temp_store", "memory")
        # A damaged page is an error here, not a wrong answer.
        connection.pragma("cell_size_check", True)
        # An I/O error in a mapped file is a signal that kills the process; read() returns it.
        connection.pragma("mmap_size", 0)
        # Nobody's file may run functions through its schema.
        connection.pragma("trusted_schema", False)
        # Checkpoints are ours, one at a time by a lock: neither SQLite's own after a commit nor its one at the last close.
        connection.set_wal_hook(lambda _connection, _name, pages: self._wal_hook(pages) or 0)
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        # After a long reader the WAL shrinks again to this.
        connection.pragma("journal_size_limit", 64 * 1024 * 1024)
        return connection


__all__ = ["IN_MEMORY", "ConnectionPool", "FileOptions"]

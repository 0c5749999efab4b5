"""A pool of connections to one file, each with its pragmas. A connection whose file was moved or replaced is not used again; one whose
file was deleted holds the only copy of it, and is not closed before that was written elsewhere."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import apsw
import apsw.sqlite_extra

from jarvis_client.contract.errors import Unavailable
from persistence.domain.errors import DatabaseDeleted
from persistence.engine.sqlite.connect import SQLiteConnection, connect
from persistence.engine.sqlite.errors import translated
from persistence.engine.sqlite.rescue import links_of, standing_at, standing_of

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
    `wal_hook` gets the length of the log in pages after every commit. `say_missing` tells what to do where there is no file, and
    `rescue` copies what the connection to a deleted one still holds.
    """

    def __init__(
        self,
        path: str,
        size: int,
        options: FileOptions,
        look_at: Callable[[SQLiteConnection], None],
        wal_hook: Callable[[int], None],
        say_missing: Callable[[], str],
        rescue: Callable[[SQLiteConnection], Path],
    ) -> None:
        self._path = path
        self._options = options
        self._look_at = look_at
        self._wal_hook = wal_hook
        self._say_missing = say_missing
        self._rescue = rescue
        self._size = size
        self._slots = threading.BoundedSemaphore(size)
        self._idle: list[SQLiteConnection] = []
        self._opened: set[SQLiteConnection] = set()
        #: Device and inode of the file that each connection has open.
        self._files: dict[SQLiteConnection, tuple[int, int]] = {}
        #: The file that was opened last.
        self._current: tuple[int, int] | None = None
        self._lock = threading.Lock()
        self._looked_at = False
        self._rescuing = threading.Lock()
        self._rescued: Path | None = None

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
        return opened is not None and self._file_at_path() != opened

    @property
    def is_trusted(self) -> bool:
        """False until the file has been looked at, and from the moment on at which the path names another one."""
        return self._looked_at and not self.is_stale()

    def is_stale(self) -> bool:
        """True if the path names another file than was opened last, or none."""
        return self._current is not None and bool(self._files) and self._file_at_path() != self._current

    def drop_all(self) -> None:
        """Use no connection again; those that others are using are closed as they come back. The next one opens the file anew.

        Where the file was deleted they stay as they are: the last one to close would take the books along.
        """
        if self._is_nameless():
            return
        self._forget_all_but_those_in_use()

    def rescued(self) -> Path | None:
        """The copy of what a deleted file held, written now where that is still to be done; None where the file was not deleted.

        Raises `Unavailable` where it cannot be written: this process then holds the only copy.
        """
        if not self._is_nameless():
            return None
        with self._held() as connection:
            return self._rescued_through(connection)

    def close_all(self) -> None:
        """Close every connection, those in use included, and that to a deleted file as well."""
        with self._lock:
            connections, self._idle, self._opened = list(self._opened), [], set()
        for connection in connections:
            self.close(connection)
        self._rescued = None

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
        if self._is_nameless():
            return
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
            self._put_back(connection)
        stale = self.is_stale()
        if stale:
            self._refuse_deleted()
        if stale or connection is not None or self._has_idle_read_only():
            # The file was moved, or was not writable when it was opened; both would stay so for these connections. As long as one is open
            # read-only, SQLite gives its log, read-only, to every new one, even after the disk is writable again.
            self._forget_all_but_those_in_use()
        with translated(f"open {self._path}"):
            connection = self._open()
        with self._lock:
            self._opened.add(connection)
        connection.lend_for(reading=reading)
        return connection

    def _has_idle_read_only(self) -> bool:
        with self._lock:
            return any(connection.readonly("main") for connection in self._idle)

    def _file_at_path(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self._path)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _is_nameless(self) -> bool:
        """True if the file that is open here was deleted, so that nothing but our handles keeps it."""
        return self._current is not None and self.is_stale() and links_of(*self._current) == 0

    def _refuse_deleted(self) -> None:
        """Raises `DatabaseDeleted` where the file was deleted, once what it held is written elsewhere. What a restore has put in its place
        is gone on with."""
        if not self._is_nameless():
            return
        with self._held() as connection:
            there = None if self._file_at_path() is None else standing_at(self._path)
            if there is not None and there.holds(standing_of(connection)):
                return
            rescued = self._rescued_through(connection)
        raise DatabaseDeleted(
            f"{self._path} was deleted while it was open; everything that was committed is kept in {rescued}. "
            f"Stop what still runs over it, then `jarvis restore {rescued} --unproved`"
        )

    def _rescued_through(self, connection: SQLiteConnection) -> Path:
        with self._rescuing:
            if self._rescued is None or not self._rescued.exists():
                with translated(f"copy {self._path}, which was deleted"):
                    self._rescued = self._rescue(connection)
            return self._rescued

    @contextmanager
    def _held(self) -> Iterator[SQLiteConnection]:
        """A connection to the file that was opened last. Raises `Unavailable` where none comes back in time."""
        connection = None
        for tries in itertools.count():
            with self._lock:
                connection = next((c for c in self._idle if self._files.get(c) == self._current), None)
                if connection is not None:
                    self._idle.remove(connection)
            if connection is not None or not self.wait_for_lock(tries):
                break
        if connection is None:
            raise Unavailable(f"{self._path} was deleted while it was open, and every connection to it is in use; the same call may succeed later")
        try:
            yield connection
        finally:
            self._put_back(connection)

    def _put_back(self, connection: SQLiteConnection) -> None:
        with self._lock:
            self._idle.append(connection)

    def _forget_all_but_those_in_use(self) -> None:
        with self._lock:
            idle, self._idle, self._opened = self._idle, [], set()
            self._looked_at = False
        for connection in idle:
            self.close(connection)

    def _open(self) -> SQLiteConnection:
        if self._path == IN_MEMORY:
            connection = connect(self._path)
        else:
            before = self._file_at_path()
            if before is None:
                raise Unavailable(self._say_missing())
            connection = connect(self._path)
            if self._file_at_path() != before:
                connection.close()
                raise Unavailable(f"{self._path} was replaced while it was being opened; the same call may succeed later")
            with self._lock:
                self._files[connection] = self._current = before
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

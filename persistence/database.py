"""The database file: its connections, its pragmas, its transactions. The one place that knows the driver's errors."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, overload

import apsw
import apsw.sqlite_extra

from persistence import migrations
from persistence.domain.errors import BooksError, CommitUnknown, HeldElsewhere, Invalid, Unavailable, WrongDatabase

#: Wrong for now: the same commit may succeed once the disk, the lock or the folder is there again.
PASSING = (
    apsw.BusyError, apsw.LockedError, apsw.FullError, apsw.IOError, apsw.CantOpenError, apsw.ReadOnlyError, apsw.NoMemError,
    apsw.ProtocolError, apsw.InterruptError, apsw.SchemaChangeError, apsw.PermissionsError,
)  # fmt: skip

#: Wrong for ever: these rows break a rule of the schema or of SQLite.
CONTENT = (apsw.ConstraintError, apsw.MismatchError, apsw.TooBigError, apsw.RangeError)

#: SQLite 3.7.0 to 3.51.2 can lose committed rows when one connection writes while another checkpoints; these lines got the fix.
FIXED_SQLITE = ((3, 44, 6), (3, 50, 7), (3, 51, 3))

Bindings = Sequence[Any] | dict[str, Any]


class Row(tuple[Any, ...]):
    """A result row: by position like any tuple, or by column name."""

    __slots__ = ()
    _columns: tuple[str, ...] = ()

    @overload  # type: ignore[override]
    def __getitem__(self, key: str | int) -> Any: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[Any, ...]: ...
    def __getitem__(self, key: str | int | slice) -> Any:
        if isinstance(key, str):
            return tuple.__getitem__(self, self._columns.index(key))
        return tuple.__getitem__(self, key)

    def keys(self) -> tuple[str, ...]:
        return self._columns

    def asdict(self) -> dict[str, Any]:
        return dict(zip(self._columns, self, strict=True))


T = TypeVar("T")


class DatabaseManager:
    """The books' file and a pool of connections to it. Thread-safe; one per process is enough.

    `transaction()` is one commit (BEGIN IMMEDIATE … COMMIT, fsynced); nested ones join it as savepoints, so repositories can
    be combined into one unit of work. Raises `WrongDatabase` for a file that is not ours, `Unavailable` for what may pass.
    """

    def __init__(
        self,
        db_path: str | Path,
        max_connections: int = 5,
        *,
        wal_mode: bool = True,
        busy_timeout_ms: int = 5_000,
        cache_mb: int = 64,
        wal_autocheckpoint_pages: int = 4_000,
    ) -> None:
        if max_connections < 1:
            raise Invalid(f"max_connections is {max_connections}; at least 1 is needed")
        self.path = str(db_path)
        self.wal_mode = wal_mode
        self.busy_timeout_ms = busy_timeout_ms
        self.cache_mb = cache_mb
        self.wal_autocheckpoint_pages = wal_autocheckpoint_pages
        self.max_connections = 1 if self.path == ":memory:" else max_connections
        self._slots = threading.BoundedSemaphore(self.max_connections)
        self._idle: list[apsw.Connection] = []
        self._opened: set[apsw.Connection] = set()
        self._lock = threading.Lock()
        self._local = threading.local()
        self._checked = False
        refuse_unsafe_sqlite(apsw.sqlite_lib_version())

    # -- the document's API ------------------------------------------------------------------------------------------

    def initialize(self) -> None:
        """Create the file and its folder where missing, and bring the schema up to date (after a backup of older data).

        Raises `WrongDatabase` for a file that is not ours or newer than this program, without touching it.
        """
        if self.path != ":memory:":
            folder = Path(self.path).absolute().parent
            with _reachable(f"create {folder}"):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            # The WAL takes the mode of the database: create it closed to others before SQLite does otherwise.
            with _reachable(f"open {self.path}"):
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        with self._connected(checked=False) as connection, _translated(f"initialise {self.path}"):
            version = migrations.schema_version(connection, self.path)
            if self.wal_mode and self.path != ":memory:":
                # WAL: readers never block the writer, and one fsync per commit suffices. It is a property of the file.
                connection.pragma("journal_mode", "wal")
            elif self.path != ":memory:":
                connection.pragma("journal_mode", "delete")
            if 0 < version < migrations.newest_version():
                self._copy_to(connection, f"{self.path}.before-schema-{migrations.newest_version():04d}")
            migrations.migrate(connection, version)
            self._checked = True

    @contextmanager
    def get_connection(self) -> Iterator[apsw.Connection]:
        """A connection of the pool, for reading; inside `transaction()` that transaction's own. Waits where all are taken."""
        current = getattr(self._local, "connection", None)
        if current is not None:
            yield current
            return
        with self._connected() as connection, _translated("read the books"):
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    @contextmanager
    def transaction(self) -> Iterator[apsw.Connection]:
        """One commit: all of it durable on exit, none of it after an exception.

        Raises `CommitUnknown` where COMMIT itself failed: the commit may be on disk or not. That connection is thrown away.
        """
        current = getattr(self._local, "connection", None)
        if current is not None:
            mark = len(self._local.undo)
            try:
                with current:  # apsw: a savepoint
                    yield current
            except BaseException:
                self._undo(mark)
                raise
            return
        with self._connected() as connection:
            with _translated("begin a commit"):
                connection.execute("BEGIN IMMEDIATE")
            self._local.connection, self._local.undo = connection, []
            try:
                try:
                    with _translated("write to the books"):
                        yield connection
                except BaseException:
                    self._roll_back(connection)
                    raise
                finally:
                    self._local.connection = None
                self._commit(connection)
            except BaseException:
                self._undo(0)
                raise

    def on_rollback(self, undo: Callable[[], None]) -> None:
        """Call this if the present transaction, or the part of it that is under way, comes to nothing."""
        if getattr(self._local, "connection", None) is not None:
            self._local.undo.append(undo)

    def execute_query(self, sql: str, params: Bindings = ()) -> list[Row]:
        """All rows of a query, each readable by position or column name."""
        with self.get_connection() as connection:
            return _rows(connection.execute(sql, params))

    def execute_update(self, sql: str, params: Bindings = ()) -> int:
        """Run one statement in a commit of its own (or the current one). Returns how many rows it changed."""
        with self.transaction() as connection:
            return _changed(connection, sql, params)

    def execute_many(self, sql: str, params_list: Sequence[Bindings]) -> int:
        """Run one statement for each element in one commit. Returns how many rows were changed in all."""
        with self.transaction() as connection:
            return sum(_changed(connection, sql, params) for params in params_list)

    def backup(self, backup_path: str | Path) -> None:
        """A consistent copy of the whole database, taken while others write, fsynced, checked, then put in place.

        Raises `Invalid` where the path is the database itself, `Unavailable` where the copy could not be written or does not check.
        """
        target = Path(backup_path)
        if self.path != ":memory:" and target.absolute() == Path(self.path).absolute():
            raise Invalid(f"{backup_path} is the database itself; name another file")
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self.get_connection() as connection:
            self._copy_to(connection, str(target))

    def copy_with(self, target: str | Path, observe: Callable[[apsw.Connection], T]) -> T:
        """A consistent copy, and what `observe` sees of the very snapshot that was copied, while others write."""
        with self.get_connection() as connection, _translated(f"copy to {target}"):
            connection.execute("SAVEPOINT copying")
            try:
                connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()  # opens the snapshot
                self._copy_to(connection, str(target))
                return observe(connection)
            finally:
                connection.execute("RELEASE copying")

    def restore(self, backup_path: str | Path) -> None:
        """Replace the content by a backup's, in one step that other connections see as one commit.

        The backup is checked first; raises `WrongDatabase` and changes nothing where it is missing, foreign, newer or damaged.
        """
        if not Path(backup_path).is_file():
            raise WrongDatabase(f"{backup_path} does not exist; `ls` the backup folder for the ones there are")
        if getattr(self._local, "connection", None) is not None:
            raise Invalid("restore replaces everything, so it cannot be part of a transaction; call it outside")
        source = apsw.Connection(str(backup_path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            with _translated(f"read {backup_path}"):
                if migrations.schema_version(source, str(backup_path)) == 0:
                    raise WrongDatabase(f"{backup_path} is an empty database, not a backup")
                _check(source, str(backup_path))
            with self._connected(checked=False) as connection, _translated(f"restore {backup_path}"):
                with connection.backup("main", source, "main") as copying:
                    copying.step()
                if self.path != ":memory:":
                    connection.pragma("journal_mode", "wal" if self.wal_mode else "delete")
        finally:
            source.close()
        self.initialize()

    def close(self) -> None:
        """Close every connection. The manager may be used again afterwards."""
        with self._lock:
            connections, self._idle, self._opened = list(self._opened), [], set()
        for connection in connections:
            with suppress(apsw.Error):
                connection.close()

    # -- details -----------------------------------------------------------------------------------------------------

    @contextmanager
    def _connected(self, *, checked: bool = True) -> Iterator[apsw.Connection]:
        self._slots.acquire()
        try:
            connection = self._take()
            try:
                if checked and not self._checked:
                    if migrations.schema_version(connection, self.path) != migrations.newest_version():
                        raise WrongDatabase(f"{self.path} is not initialised; run `jarvis db init`, or call DatabaseManager.initialize()")
                    self._checked = True
                yield connection
            finally:
                with self._lock:
                    if connection in self._opened:
                        self._idle.append(connection)
        finally:
            self._slots.release()

    def _take(self) -> apsw.Connection:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        with _translated(f"open {self.path}"):
            connection = self._open()
        with self._lock:
            self._opened.add(connection)
        return connection

    def _open(self) -> apsw.Connection:
        if self.path != ":memory:" and not Path(self.path).exists():
            raise Unavailable(f"{self.path} does not exist; run `jarvis db init`, or check database.path and the folder it names")
        connection = apsw.Connection(self.path)
        # Wait for another process's commit instead of failing at once; SQLite's own waiting sleeps up to 100 ms at a time, which
        # two busy writers would spend asleep beside a free lock.
        connection.set_busy_handler(self._wait_for_lock)
        apsw.sqlite_extra.load(connection, "decimal")
        # Acknowledged means fsynced: NORMAL loses the last commits at a power cut. Rollback journals need EXTRA for the same.
        connection.pragma("synchronous", "full" if self.wal_mode else "extra")
        # CASCADE and REFERENCES are off by default, for history's sake.
        connection.pragma("foreign_keys", True)
        # Negative means KiB: enough for the upper pages of every index of a large book.
        connection.pragma("cache_size", -self.cache_mb * 1024)
        # Sorts of exports stay out of the disk that the books need.
        connection.pragma("temp_store", "memory")
        # A damaged page is an error here, not a wrong answer.
        connection.pragma("cell_size_check", True)
        # An I/O error in a mapped file is a signal that kills the process; read() returns it.
        connection.pragma("mmap_size", 0)
        # Nobody's file may run functions through its schema.
        connection.pragma("trusted_schema", False)
        # 16 MB of WAL between checkpoints: fewer of them under load, still quick to replay.
        connection.pragma("wal_autocheckpoint", self.wal_autocheckpoint_pages)
        # After a long reader the WAL shrinks again to this.
        connection.pragma("journal_size_limit", 64 * 1024 * 1024)
        return connection

    def _wait_for_lock(self, tries: int) -> bool:
        """A millisecond a try, up to the busy timeout."""
        time.sleep(0.001)
        return tries < self.busy_timeout_ms

    def _commit(self, connection: apsw.Connection) -> None:
        try:
            connection.execute("COMMIT")
        except apsw.BusyError as error:
            # Nothing was written: in WAL mode a commit that meets a lock has not begun.
            self._roll_back(connection)
            raise Unavailable(f"commit: {error}; another program holds the database") from error
        except apsw.Error as error:
            self._discard(connection)
            raise CommitUnknown(f"commit: {type(error).__name__}: {error}; whether it is on disk shows after reopening") from error

    def _undo(self, mark: int) -> None:
        while len(self._local.undo) > mark:
            self._local.undo.pop()()

    def _roll_back(self, connection: apsw.Connection) -> None:
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except apsw.Error:
            self._discard(connection)

    def _discard(self, connection: apsw.Connection) -> None:
        with self._lock:
            self._opened.discard(connection)
        with suppress(apsw.Error):
            connection.close()

    def _copy_to(self, connection: apsw.Connection, target: str) -> None:
        partial = f"{target}.partial"
        with _reachable(f"write {partial}"), _translated(f"write {partial}"):
            _remove(partial)
            os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            copy = apsw.Connection(partial)
            try:
                # One step: a copy in several starts over with every commit of another connection, so it never ends.
                with copy.backup("main", connection, "main") as copying:
                    copying.step()
                copy.pragma("journal_mode", "delete")
                _check(copy, partial)
            finally:
                copy.close()
            with open(partial, "rb") as file:
                os.fsync(file.fileno())
            os.replace(partial, target)
            fsync_folder(os.path.dirname(os.path.abspath(target)))


def refuse_unsafe_sqlite(version: str) -> None:
    """Raises `WrongDatabase` for a SQLite that can lose committed rows (the WAL-reset bug, 3.7.0 to 3.51.2)."""
    parts = tuple(int(p) for p in version.split(".")[:3])
    fixed = any(parts[:2] == f[:2] and parts >= f for f in FIXED_SQLITE) or parts >= FIXED_SQLITE[-1]
    if not fixed:
        raise WrongDatabase(f"SQLite {version} can lose committed rows (WAL-reset bug, fixed in 3.51.3); install a current `apsw`")


def fsync_folder(folder: str | Path) -> None:
    """Make the names in a folder durable: a rename is not until then."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked_file(path: str | Path, holder: str) -> Iterator[None]:
    """Hold an exclusive lock on a file for the length of a block; the kernel frees it if the process dies.

    Raises `HeldElsewhere`, naming who holds it, where another process does.
    """
    Path(path).absolute().parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            other = os.read(descriptor, 200).decode(errors="replace").strip() or "another process"
            raise HeldElsewhere(f"{path} is held by {other}; stop it first, or use another folder or name") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, holder.encode(), 0)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _translated(doing: str) -> Iterator[None]:
    """The driver's errors and the system's, as families of ours."""
    try:
        yield
    except BooksError:
        raise
    except apsw.NotADBError as error:
        raise WrongDatabase(f"could not {doing}: the file is no SQLite database; name another one in database.path") from error
    except apsw.CorruptError as error:
        raise WrongDatabase(f"could not {doing}: {error}; run `jarvis db check`, then restore the newest backup") from error
    except apsw.FullError as error:
        raise Unavailable(f"could not {doing}: the disk is full; free some space, writing resumes by itself") from error
    except apsw.BusyError as error:
        raise Unavailable(f"could not {doing}: another program holds the database; it is tried again") from error
    except PASSING as error:
        raise Unavailable(f"could not {doing}: {type(error).__name__}: {error}") from error


@contextmanager
def _reachable(doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(f"could not {doing}: {error.strerror or error}; check the folder, its owner and the free space") from error


def _check(connection: apsw.Connection, path: str) -> None:
    problems = [text for (text,) in connection.execute("PRAGMA integrity_check(5)") if text != "ok"]
    problems += [f"row {row[1]} of {row[0]} refers to nothing in {row[2]}" for row in connection.execute("PRAGMA foreign_key_check")][:5]
    if problems:
        raise WrongDatabase(f"{path} is damaged: {'; '.join(problems)}")


def _changed(connection: apsw.Connection, sql: str, params: Bindings) -> int:
    """Rows that a statement itself changed, its triggers' not counted."""
    before = connection.total_changes()
    connection.execute(sql, params)
    return connection.changes() if connection.total_changes() != before else 0


def _rows(cursor: apsw.Cursor) -> list[Row]:
    found: list[Row] = []
    kind = Row
    for values in cursor:
        if not found:
            kind = _row_type(tuple(column[0] for column in cursor.get_description()))
        found.append(kind(values))
    return found


@lru_cache(maxsize=256)
def _row_type(columns: tuple[str, ...]) -> type[Row]:
    return type("Row", (Row,), {"__slots__": (), "_columns": columns})


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)

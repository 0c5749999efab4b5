"""The SQLite engine: commits, snapshots, copies and the log of one database file."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Self, TypeVar

import apsw

from jarvis_client.contract import instants
from jarvis_client.contract.errors import BooksError, Invalid, Unavailable
from persistence.domain.errors import CommitUnknown, OtherBooks
from persistence.engine.contract import Bindings, Storage
from persistence.engine.result_rows import Row
from persistence.engine.sqlite import migrations
from persistence.engine.sqlite.connect import CHECKSUM_BYTES, SQLiteConnection, header_of, sqlite_version
from persistence.engine.sqlite.copying import copy_to
from persistence.engine.sqlite.durable_mark import DurableMark, DurableMarkFile, furthest, reached, refuse_lost_commits
from persistence.engine.sqlite.errors import REOPEN, reachable, taken, translated
from persistence.engine.sqlite.host import refuse_network_file_system, refuse_unsafe_sqlite
from persistence.engine.sqlite.pages import rewrite
from persistence.engine.sqlite.pool import IN_MEMORY, ConnectionPool, FileOptions
from persistence.engine.sqlite.rescue import rescue
from persistence.engine.sqlite.result_rows import rows_read
from persistence.engine.sqlite.wal import LONG_WAL_BYTES, WriteAheadLog
from persistence.files import fsync_folder, make_last_folder, open_or_make, scratch_folder

T = TypeVar("T")

#: What SQLite keeps beside a database while it is open.
BESIDE = ("-wal", "-shm", "-journal")


class SQLiteDatabase:
    """One database file and a pool of connections to it. Thread-safe; one per process is enough.

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
        checkpoint_pages: int = 4_000,
        checkpoints: bool = True,
        backup_folder: str | Path | None = None,
        second_folder: str | Path | None = None,
        refuse_loss: bool = True,
        verify_pages: bool = True,
        durable: bool = True,
        clock: Callable[[], int] = instants.now,
    ) -> None:
        """`checkpoints=False` leaves them to another program (Litestream). `backup_folder`: where a copy goes before the schema is
        brought up to date (default: `backups` beside the database); there, and in `second_folder`, is looked for books that were here once.
        `refuse_loss=False` opens a file that lost committed data,
        `verify_pages=False` reads pages whose checksum is wrong: for diagnosis only. `durable=False` never waits for the disk: for
        scratch copies and tests."""
        if max_connections < 1:
            raise Invalid(f"max_connections is {max_connections}; at least 1 is needed")
        self.path = os.path.realpath(db_path) if os.path.islink(db_path) else str(db_path)  # the log and the marks lie there, too
        self.folder = Path(self.path).absolute().parent
        self.wal_mode = wal_mode
        self.checkpoints = checkpoints and wal_mode
        self.backup_folder = Path(backup_folder) if backup_folder is not None else Path(self.path).absolute().parent / "backups"
        self.second_folder = None if second_folder is None else Path(second_folder)
        self.marks = DurableMarkFile(self.path)
        #: Whose books were opened here. Those of another id are never gone on with.
        self._book_id: str | None = None
        self._refuse_loss = refuse_loss
        # Pages that another program moves out of the WAL have no checksums to look at.
        self._verify_pages = verify_pages and (self.checkpoints or not wal_mode)
        self._durable = durable
        self._clock = clock
        self._local = threading.local()
        self._wrote = False
        self._log = WriteAheadLog(self.path, self.marks, checkpoint_pages)
        options = FileOptions(wal_mode, busy_timeout_ms, cache_mb, self._verify_pages, durable)
        self._pool = ConnectionPool(
            self.path, 1 if self.path == IN_MEMORY else max_connections, options, self._look_at, self._log.grown_to, self.what_is_missing,
            lambda held: rescue(held, Path(self.path), self.backup_folder, clock),
        )  # fmt: skip
        refuse_unsafe_sqlite(sqlite_version())

    @classmethod
    def copy_of(cls, path: str | Path, max_connections: int = 5) -> Self:
        """A copy of the books in a file of its own that nobody else has open."""
        return cls(path, max_connections, wal_mode=False)

    @classmethod
    def looking(cls, path: str | Path, *, wal_mode: bool = True, checkpoints: bool = True) -> Self:
        """The books as they are, whatever is wrong with them: for diagnosis."""
        return cls(path, 2, wal_mode=wal_mode, checkpoints=checkpoints, refuse_loss=False, verify_pages=False)

    def looking_too(self) -> Self:
        """The same file once more, opened without refusing anything: for diagnosis."""
        return self.looking(self.path, wal_mode=self.wal_mode, checkpoints=self.checkpoints)

    # -- opening -----------------------------------------------------------------------------------------------------

    def open_up(self, before_upgrade: Callable[[SQLiteConnection], None] = lambda _: None) -> None:
        """Create the file and its folder where missing, and bring the schema up to date. `before_upgrade` sees data of an older schema
        before it is changed. Raises as `DatabaseManager.initialize` does."""
        if self.path == IN_MEMORY:
            with self._pool.connected(looked_at=False) as connection:
                migrations.migrate(connection, migrations.schema_version(connection, self.path))
                self._pool.was_looked_at()
            return
        folder = Path(self.path).parent
        with reachable(f"create {folder}"):
            make_last_folder(folder)
        refuse_network_file_system(folder)
        # The WAL takes the mode of the database: create it closed to others before SQLite does otherwise.
        with reachable(f"open {self.path}"):
            os.close(open_or_make(self.path))
        if header_of(self.path) != (self._reserve, migrations.newest_version()) or not self._settle_down():
            # Several processes may start at once: one brings the file up to date, the others wait, with nothing of it open.
            self._pool.drop_all()
            with self.marks.locked(wait_seconds=600), self._pool.connected(looked_at=False) as connection, translated(f"initialise {self.path}"):
                self._bring_up_to_date(connection, before_upgrade)
            self._pool.drop_all()
            self._settle_down()

    def _settle_down(self) -> bool:
        """Look at the file as it is to be used. Returns False where its schema is an older one."""
        with self._pool.connected(looked_at=False) as connection, translated(f"initialise {self.path}"):
            if migrations.schema_version(connection, self.path) != migrations.newest_version():
                return False
            _take_journal_mode(connection, self._pool, "wal" if self.wal_mode else "delete")
            self._look_at(connection)
            self._pool.was_looked_at()
            return True

    @property
    def _reserve(self) -> int:
        # Pages get their checksum when they are moved out of the WAL; another program that does so leaves it out.
        return CHECKSUM_BYTES if self.checkpoints or not self.wal_mode else 0

    def _bring_up_to_date(self, connection: SQLiteConnection, before_upgrade: Callable[[SQLiteConnection], None]) -> None:
        version = migrations.schema_version(connection, self.path)
        if version == 0 and connection.pragma("page_count") == 0:
            connection.reserve_bytes("main", self._reserve)
        elif version < migrations.newest_version():
            self._local.connection = connection  # what `before_upgrade` asks of this database runs on this connection
            try:
                before_upgrade(connection)
            finally:
                self._local.connection = None
        migrations.migrate(connection, version)
        if connection.reserve_bytes("main") != self._reserve:
            # Rewrites the whole file, so it needs the file alone; if another process has it open, the next start tries again.
            with suppress(apsw.BusyError, apsw.FullError):
                rewrite(connection, self._reserve, verify=self._verify_pages)

    def rewrite(self) -> None:
        """Write every page anew, with its checksum. Nobody else may have the file open."""
        self._pool.drop_all()
        with self.get_connection(writing=True) as connection, translated(f"renew the checksums of {self.path}"):
            rewrite(connection, self._reserve, verify=self._verify_pages)

    def _look_at(self, connection: SQLiteConnection) -> None:
        """Hold the books against the marks of what was made durable, before anybody relies on them."""
        migrations.refuse_older(connection, self.path)
        self._book_id = _same_books(connection, self.path, self._book_id)
        if self._refuse_loss and self.path != IN_MEMORY:
            # The marks first: whatever they say was durable before the books are read.
            noted = self.marks.read()[0]
            found = reached(connection)
            refuse_lost_commits(self.path, found, furthest(noted, found.epoch))

    def what_is_missing(self) -> str:
        """What is said where there is no file at the path."""
        return f"{self.path} does not exist; run `jarvis db init`, or check database.path and the folder it names"

    def refuse_if_replaced(self) -> None:
        """Look whether the file at the path is still the one that is open: one call of the system where it is.

        Raises `DatabaseDeleted`, once what it held is written elsewhere, or `OtherBooks`; where it was only moved, `Unavailable`.
        """
        if not self._pool.is_trusted:
            with self.get_connection():
                pass

    # -- reading and writing -----------------------------------------------------------------------------------------

    @contextmanager
    def get_connection(self, *, writing: bool = False) -> Iterator[SQLiteConnection]:
        """A connection of the pool that reads and refuses to write; inside `transaction()` or `snapshot()` of this thread that one's own.

        Where all are taken it waits up to the busy timeout, then raises `Unavailable`. `writing` is for maintenance of the file itself:
        what is recorded goes through `transaction()`.
        """
        current = getattr(self._local, "connection", None) or (None if writing else getattr(self._local, "snapshot", None))
        if current is not None:
            yield current
            return
        with self._pool.connected(reading=not writing) as connection, translated("read the books"):
            try:
                yield connection
            except apsw.ReadOnlyError as error:
                _refuse_to_write(connection, error)
                raise
            finally:
                _roll_back(connection, self._pool)

    @contextmanager
    def snapshot(self) -> Iterator[SQLiteConnection]:
        """A connection that sees the books of one moment throughout the block, and so does whatever else this thread reads meanwhile.
        Long ones hold the WAL back: read a copy (`copied`) instead."""
        joins = getattr(self._local, "connection", None) is None and getattr(self._local, "snapshot", None) is not None
        with self.get_connection() as connection:
            if joins:
                yield connection
                return
            connection.execute("SAVEPOINT snapshot")
            outermost = getattr(self._local, "connection", None) is None
            try:
                connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()  # the first read is what opens it
                if outermost:
                    self._local.snapshot = connection
                yield connection
            finally:
                if outermost:
                    self._local.snapshot = None
                # An I/O error has ended it already; over a damaged page it may not end in peace, and nothing was written.
                with suppress(apsw.Error):
                    connection.execute("RELEASE snapshot")

    @contextmanager
    def transaction(self, *, alone: bool = False) -> Iterator[SQLiteConnection]:
        """One commit: all of it durable on exit, none of it after an exception. Its `now` is the one reading of the clock. Here every
        commit is `alone`.

        Raises `CommitUnknown` where COMMIT itself failed: the commit may be on disk or not. That connection is thrown away.
        """
        current = getattr(self._local, "connection", None)
        if current is not None:
            depth = len(self._local.undo)
            try:
                with current.savepoint():
                    yield current
            except BaseException:
                self._undo(depth)
                raise
            return
        with self._pool.connected() as connection, self.transaction_on(connection):
            yield connection

    @contextmanager
    def transaction_on(self, connection: SQLiteConnection) -> Iterator[None]:
        """The same on a connection that the caller has taken, to which other databases may be attached."""
        with translated("begin a commit"):
            connection.execute("BEGIN IMMEDIATE")
        connection.now = self._clock()
        self._local.connection, self._local.undo = connection, []
        changes = connection.total_changes()
        try:
            try:
                with translated("write to the books"):
                    yield
                    mark = _counted(connection) if connection.total_changes() != changes and self.path != IN_MEMORY else None
            except BaseException as error:
                # Entities first: once the lock is free, another thread may save them.
                self._undo(0)
                _roll_back(connection, self._pool)
                if isinstance(error.__cause__, REOPEN):
                    # A connection that was opened read-only stays read-only, even after the disk is writable again.
                    self._pool.drop_all()
                raise
            finally:
                self._local.connection = None
            self._commit(connection, mark)
        except BaseException:
            self._undo(0)
            raise
        if self.checkpoints and self._log.is_due:
            with suppress(BooksError, apsw.Error, OSError):
                self._log.checkpoint(connection, self._pool, truncate=False)

    def on_rollback(self, undo: Callable[[], None]) -> None:
        """Register `undo`, to be called if the current transaction or savepoint is rolled back."""
        if getattr(self._local, "connection", None) is not None:
            self._local.undo.append(undo)

    def execute_query(self, sql: str, params: Bindings = ()) -> list[Row]:
        """All rows of a query, each readable by position or column name."""
        with self.get_connection() as connection, taken():
            return rows_read(connection.execute(sql, params))

    def execute_update(self, sql: str, params: Bindings = ()) -> int:
        """Run one statement in a commit of its own (or the current one). Returns how many rows it changed."""
        with self.transaction() as connection, taken():
            return connection.changed(sql, params)

    def execute_many(self, sql: str, params_list: Sequence[Bindings]) -> int:
        """Run one statement for each element in one commit. Returns how many rows were changed in all."""
        with self.transaction() as connection, taken():
            return sum(connection.changed(sql, params) for params in params_list)

    # -- copies ------------------------------------------------------------------------------------------------------

    def copy_with(self, target: str | Path, observe: Callable[[SQLiteConnection], T], *, check: bool = False) -> T:
        """Copy everything into a file of its own while others write. Returns what `observe` sees of the very snapshot that was copied.

        With `check` the copy is checked before it counts: raises `WrongDatabase` where it is damaged.
        """
        with translated(f"copy to {target}"), self.snapshot() as connection:
            copy_to(connection, str(target), check=check)
            return observe(connection)

    @contextmanager
    def copied(self, folder: str | Path) -> Iterator[SQLiteDatabase]:
        """A copy of the books in a scratch file below `folder`, for long reads or for experiments. The copy is deleted after the block."""
        with scratch_folder(folder, "copy") as scratch:
            path = os.path.join(scratch, "copy.db")
            self.copy_with(path, lambda _: None)
            with closing(SQLiteDatabase(path, 3, wal_mode=False, verify_pages=self._verify_pages, durable=False)) as copy:
                yield copy

    def replaced_from(self, copy: str | Path, aside: str | Path | None = None) -> Path | None:
        """Replace everything by what another SQLite file of the same schema holds, in one step, and use that file up.

        The former file and its log are kept as `aside`. Returns that path, or None if there was no file. A commit that is under way
        ends with `CommitUnknown`; trying it again commits to the new file.
        """
        if getattr(self._local, "connection", None) is not None:
            raise Invalid("a restore replaces everything, so it cannot be part of a transaction; call it outside")
        path, kept = Path(self.path), None
        with reachable(f"put {copy} in the place of {path}"):
            if aside is not None and path.exists():
                # A second name for it, so that there is a database under the first one at every moment.
                os.link(path, kept := Path(aside))
            # The log of the former database must not be applied to the other one.
            for suffix in BESIDE:
                with suppress(FileNotFoundError):
                    if aside is None:
                        os.unlink(f"{path}{suffix}")
                    else:
                        os.replace(f"{path}{suffix}", f"{aside}{suffix}")
            os.replace(copy, path)
            fsync_folder(path.absolute().parent)
        self._pool.drop_all()
        return kept

    # -- the log and what is durable ---------------------------------------------------------------------------------

    def checkpoint(self, *, truncate: bool = False) -> tuple[int, int] | None:
        """Move the WAL into the database file, one process at a time. Returns (frames, frames moved): a reader may keep some back;
        None where another process is at it, or where it is left to another program.

        `truncate` empties the file too, if nobody reads or writes just now.
        """
        if not self.checkpoints or self.path == IN_MEMORY:
            return None
        with self.get_connection() as connection:
            return self._log.checkpoint(connection, self._pool, truncate=truncate)

    def wal_bytes(self) -> int:
        """The size of the write-ahead log; 0 where there is none."""
        return self._log.size()

    def keep_wal_short(self) -> int:
        """Empty a long WAL once the reader that held it back has ended. Returns the size of a WAL that is still too long, or 0."""
        if self.wal_bytes() >= LONG_WAL_BYTES:
            with suppress(Unavailable, OSError):
                self.checkpoint(truncate=True)
        size = self.wal_bytes()
        return size if size >= LONG_WAL_BYTES else 0

    def storage(self) -> Storage:
        with self.get_connection() as connection:
            free = int(connection.pragma("freelist_count")) * int(connection.pragma("page_size"))
            version = int(connection.pragma("user_version"))
        size = 0
        with suppress(OSError):
            size = os.stat(self.path).st_size
        return Storage(version, f"SQLite {sqlite_version()}", size, self.wal_bytes(), free)

    def has_checksums(self) -> bool:
        """Whether pages carry the checksums that they should."""
        with self.get_connection() as connection:
            return int(connection.reserve_bytes("main")) >= self._reserve

    def durability(self) -> tuple[DurableMark, DurableMark | None, int]:
        """The last commit in the books, the last durable commit by the marks beside them, and the number of unreadable marks."""
        noted, damaged = self.marks.read()
        with self.get_connection() as connection:
            found = reached(connection)
        return found, furthest(noted, found.epoch), damaged

    def close(self) -> None:
        """Close every connection, the WAL moved where nobody else is at work. The database may be used again afterwards."""
        with suppress(BooksError, apsw.Error, OSError):
            # Whoever closes a file that was deleted while it was open lets go of the last copy.
            self._pool.rescued()
        connection = self._pool.take_idle() if self._wrote and self.checkpoints and not self._pool.is_stale() else None
        self._wrote = False
        if connection is not None:
            # Without waiting for a place: whoever holds one may never give it back.
            with suppress(BooksError, apsw.Error, OSError):
                self._log.checkpoint(connection, self._pool, truncate=True)
        self._pool.close_all()
        self.marks.close()

    # -- details -----------------------------------------------------------------------------------------------------

    def _commit(self, connection: SQLiteConnection, mark: DurableMark | None) -> None:
        try:
            connection.execute("COMMIT")
        except apsw.BusyError as error:
            # In WAL mode a commit that meets a lock has written nothing.
            self._undo(0)
            _roll_back(connection, self._pool)
            raise Unavailable(f"commit: {error}; another program holds the database") from error
        except apsw.FullError as error:
            self._pool.drop_all()
            raise CommitUnknown(f"commit: the disk of {self.path} is full; free some space, writing resumes by itself") from error
        except apsw.Error as error:
            self._pool.drop_all()
            raise CommitUnknown(f"commit: {type(error).__name__}: {error}; whether it is on disk shows after reopening") from error
        if self._pool.is_gone(connection):
            # A folder that was moved or deleted takes the open file along, and with it what was just written.
            self._pool.drop_all()
            raise CommitUnknown(f"{self.path} was moved, replaced or deleted while it was open; if it was moved put it back, writing goes on by itself")
        if mark is not None:
            self._wrote = True
            # If the mark cannot be written it lags; the commit itself is durable.
            with suppress(OSError):
                self.marks.write(mark)

    def _undo(self, depth: int) -> None:
        while len(self._local.undo) > depth:
            self._local.undo.pop()()


def _counted(connection: SQLiteConnection) -> DurableMark:
    """Count the commit that is about to be made."""
    connection.execute("UPDATE book SET commit_no = commit_no + 1")
    return reached(connection)._replace(at=connection.now)


def _take_journal_mode(connection: SQLiteConnection, pool: ConnectionPool, mode: str) -> None:
    # WAL: readers never block the writer, and one fsync per commit suffices. It is a property of the file. Where another process takes it at
    # the same moment SQLite says so at once, without waiting as for any other lock.
    for tries in itertools.count():
        try:
            connection.pragma("journal_mode", mode)
            return
        except apsw.BusyError:
            if not pool.wait_for_lock(tries):
                raise


def _roll_back(connection: SQLiteConnection, pool: ConnectionPool) -> None:
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except apsw.Error:
        pool.discard(connection)


def _same_books(connection: SQLiteConnection, path: str, opened: str | None) -> str:
    """The id of the books behind a connection. Raises `OtherBooks` where others were `opened` before."""
    found = str(connection.execute("SELECT book_id FROM book").get)
    if opened is not None and found != opened:
        raise OtherBooks(
            f"{path} holds other books ({found}) than those that were opened here ({opened}): the file was replaced. Nothing was written to it. "
            "Put the right one back (`jarvis restore --latest`), or start this program again to go on with this one"
        )
    return found


def _refuse_to_write(connection: SQLiteConnection, error: apsw.ReadOnlyError) -> None:
    """Say of a write on a connection lent for reading what it is: no fault of the file."""
    if connection.reading and not connection.readonly("main") and getattr(error, "extendedresult", 0) == apsw.SQLITE_READONLY:
        raise Invalid("this connection is for reading; write inside `with database.transaction()`, or with execute_update") from error


__all__ = ["SQLiteDatabase"]

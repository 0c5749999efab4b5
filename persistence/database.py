"""The database file: its connections, its pragmas, its transactions. The one place that knows the driver's errors."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import apsw
import apsw.sqlite_extra

from persistence import migrations
from persistence.domain import instants
from persistence.domain.errors import BooksError, CommitUnknown, Damaged, Invalid, Unavailable, WrongDatabase
from persistence.driver import CHECKSUM_BYTES, REOPEN, connect, found_mark, header_of, reachable, refuse_damaged, translated
from persistence.files import fsync_folder, remove, scratch_folder
from persistence.gate import refuse_network_file_system, refuse_unsafe_sqlite
from persistence.marks import Mark, MarkFile, furthest, refuse_lost_commits
from persistence.rows import Bindings, Row, changed_rows, rows_of

#: A WAL of this size means that a reader has held its snapshot for long, so that nothing can be moved out of it.
LONG_WAL_BYTES = 64 * 1024 * 1024

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
        checkpoint_pages: int = 4_000,
        checkpoints: bool = True,
        backup_folder: str | Path | None = None,
        refuse_loss: bool = True,
        verify_pages: bool = True,
        clock: Callable[[], int] = instants.now,
    ) -> None:
        """`checkpoints`: False leaves them to another program (Litestream). `backup_folder`: where the copy goes that is taken before
        the schema is brought up to date (default: `backups` beside the database). `refuse_loss`: False opens books that end before
        what was made durable, and `verify_pages` pages that do not match their checksums, for those who look into just that."""
        if max_connections < 1:
            raise Invalid(f"max_connections is {max_connections}; at least 1 is needed")
        self.path = os.path.realpath(db_path) if os.path.islink(db_path) else str(db_path)  # the log and the marks lie there, too
        self.wal_mode = wal_mode
        self.busy_timeout_ms = busy_timeout_ms
        self.cache_mb = cache_mb
        self.checkpoint_pages = checkpoint_pages
        self.checkpoints = checkpoints and wal_mode
        self.backup_folder = Path(backup_folder) if backup_folder is not None else Path(self.path).absolute().parent / "backups"
        self.marks = MarkFile(self.path)
        self._refuse_loss = refuse_loss
        # Pages that another program moves out of the WAL have no checksums to look at.
        self._verify_pages = verify_pages and (self.checkpoints or not wal_mode)
        self._clock = clock
        self.max_connections = 1 if self.path == ":memory:" else max_connections
        self._slots = threading.BoundedSemaphore(self.max_connections)
        self._idle: list[apsw.Connection] = []
        self._opened: set[apsw.Connection] = set()
        self._lock = threading.Lock()
        self._local = threading.local()
        self._checked = False
        #: Device and inode of the file that each connection has open.
        self._files: dict[apsw.Connection, tuple[int, int]] = {}
        self._wrote = False
        self._wal_pages = 0
        self._checkpoint_at = checkpoint_pages
        refuse_unsafe_sqlite(apsw.sqlite_lib_version())

    # -- the document's API ------------------------------------------------------------------------------------------

    def initialize(self, *, back_up: bool = True) -> None:
        """Create the file and its folder where missing, and bring the schema up to date, after a proved backup of older data.

        Raises `WrongDatabase` for a file that is not ours or newer than this program, without touching it, or on a network file system,
        and `LostCommits` where the books end before what was made durable.
        """
        if self.path == ":memory:":
            with self._connected(checked=False) as connection:
                migrations.migrate(connection, migrations.schema_version(connection, self.path))
                self._checked = True
            return
        folder = Path(self.path).absolute().parent
        with reachable(f"create {folder}"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        refuse_network_file_system(folder)
        # The WAL takes the mode of the database: create it closed to others before SQLite does otherwise.
        with reachable(f"open {self.path}"):
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        try:
            self._open_up(back_up)
        except Damaged:
            if not self._another_program_emptied_the_wal():
                raise
            self.renew_checksums()
            self._open_up(back_up)

    def _open_up(self, back_up: bool) -> None:
        if header_of(self.path) != (self._reserve, migrations.newest_version()) or not self._settle_down():
            # Several processes may start at once: one brings the file up to date, the others wait, with nothing of it open.
            self._drop_all()
            with self.marks.locked(wait_seconds=600), self._connected(checked=False) as connection, translated(f"initialise {self.path}"):
                self._bring_up_to_date(connection, back_up)
            self._drop_all()
            self._settle_down()

    def _settle_down(self) -> bool:
        """The file as it is to be used, looked at; False where its schema is an older one."""
        with self._connected(checked=False) as connection, translated(f"initialise {self.path}"):
            if migrations.schema_version(connection, self.path) != migrations.newest_version():
                return False
            # WAL: readers never block the writer, and one fsync per commit suffices. It is a property of the file.
            connection.pragma("journal_mode", "wal" if self.wal_mode else "delete")
            self._look_at(connection)
            return True

    @property
    def _reserve(self) -> int:
        # Pages get their checksum when they are moved out of the WAL; another program that does so leaves it out.
        return CHECKSUM_BYTES if self.checkpoints or not self.wal_mode else 0

    def _bring_up_to_date(self, connection: apsw.Connection, back_up: bool) -> None:
        version = migrations.schema_version(connection, self.path)
        if version == 0 and connection.pragma("page_count") == 0:
            connection.reserve_bytes("main", self._reserve)
        elif version < migrations.newest_version() and back_up:
            from persistence import backups  # which need a database themselves

            self._local.connection = connection
            try:
                backups.create(self, self.backup_folder, backups.free_second(self.backup_folder, self._clock()))
            finally:
                self._local.connection = None
        migrations.migrate(connection, version)
        if connection.reserve_bytes("main") != self._reserve:
            # Every page has to be written anew, which nobody may watch; where somebody does, the next start tries again.
            with suppress(apsw.BusyError, apsw.FullError):
                self._rewrite(connection)

    def _rewrite(self, connection: apsw.Connection) -> None:
        connection.pragma("checksum_verification", "OFF")
        try:
            connection.pragma("journal_mode", "delete")
            connection.reserve_bytes("main", self._reserve)
            connection.execute("VACUUM")
        finally:
            connection.pragma("checksum_verification", "ON" if self._verify_pages else "OFF")

    def _another_program_emptied_the_wal(self) -> bool:
        """Whether commits that were in the WAL are in the file now, without having been moved by us: what any SQLite program does that
        closes the database last, after a kill of ours. It leaves the pages' checksums as they were."""
        if self.wal_bytes():
            return False
        with closing(DatabaseManager(self.path, 1, wal_mode=self.wal_mode, verify_pages=False)) as other, other.get_connection() as connection:
            found, emptied = found_mark(connection), self.marks.emptied()
            return emptied is None or emptied.epoch != found.epoch or emptied.commit_no < found.commit_no

    def renew_checksums(self) -> None:
        """Write every page anew, once everything that it holds has proved to be whole. Raises `Damaged` where it has not."""
        from persistence.chain_checks import check_chain  # which need a database themselves
        from persistence.integrity import check_books

        self._drop_all()
        with self.marks.locked(wait_seconds=600), closing(DatabaseManager(self.path, 1, wal_mode=self.wal_mode, verify_pages=False)) as other:
            findings = check_books(other)
            with other.snapshot() as connection:
                findings += check_chain(connection)
            for first in findings[:1]:
                raise Damaged(
                    f"{self.path}: pages do not match their checksums, and the books in them do not add up: {first.check}, {first.where}; "
                    "`jarvis verify` tells more, `jarvis restore --latest` brings the newest backup back"
                )
            with other.get_connection() as connection, translated(f"renew the checksums of {self.path}"):
                self._rewrite(connection)

    @contextmanager
    def get_connection(self) -> Iterator[apsw.Connection]:
        """A connection of the pool, for reading; inside `transaction()` that transaction's own. Waits where all are taken."""
        current = getattr(self._local, "connection", None)
        if current is not None:
            yield current
            return
        with self._connected() as connection, translated("read the books"):
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    @contextmanager
    def snapshot(self) -> Iterator[apsw.Connection]:
        """A connection that sees the books of one moment throughout the block. Long ones hold the WAL back: read a copy (`copied`) instead."""
        with self.get_connection() as connection:
            connection.execute("SAVEPOINT snapshot")
            try:
                yield connection
            finally:
                # An I/O error has ended it already.
                with suppress(apsw.SQLError):
                    connection.execute("RELEASE snapshot")

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
        with self._connected() as connection, self.transaction_on(connection):
            yield connection

    @contextmanager
    def transaction_on(self, connection: apsw.Connection) -> Iterator[None]:
        """The same on a connection that the caller has taken, to which other databases may be attached."""
        with translated("begin a commit"):
            connection.execute("BEGIN IMMEDIATE")
        self._local.connection, self._local.undo = connection, []
        changes = connection.total_changes()
        try:
            try:
                with translated("write to the books"):
                    yield
                    number = self._number(connection) if connection.total_changes() != changes else None
            except BaseException as error:
                self._roll_back(connection)
                if isinstance(error.__cause__, REOPEN):
                    # One that was opened read-only stays so, whatever becomes of the disk.
                    self._drop_all()
                raise
            finally:
                self._local.connection = None
            self._commit(connection, number)
        except BaseException:
            self._undo(0)
            raise
        self._after_commit(connection)

    def has_checksums(self) -> bool:
        """Whether pages carry the checksums that they should."""
        with self.get_connection() as connection:
            return int(connection.reserve_bytes("main")) >= self._reserve

    def on_rollback(self, undo: Callable[[], None]) -> None:
        """Call this if the present transaction, or the part of it that is under way, comes to nothing."""
        if getattr(self._local, "connection", None) is not None:
            self._local.undo.append(undo)

    def execute_query(self, sql: str, params: Bindings = ()) -> list[Row]:
        """All rows of a query, each readable by position or column name."""
        with self.get_connection() as connection:
            return rows_of(connection.execute(sql, params))

    def execute_update(self, sql: str, params: Bindings = ()) -> int:
        """Run one statement in a commit of its own (or the current one). Returns how many rows it changed."""
        with self.transaction() as connection:
            return changed_rows(connection, sql, params)

    def execute_many(self, sql: str, params_list: Sequence[Bindings]) -> int:
        """Run one statement for each element in one commit. Returns how many rows were changed in all."""
        with self.transaction() as connection:
            return sum(changed_rows(connection, sql, params) for params in params_list)

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

    @contextmanager
    def copied(self, folder: str | Path) -> Iterator[DatabaseManager]:
        """The books as they are now, in a scratch file of their own below `folder`: for whoever reads for long, or writes to see what comes
        of it. Gone after the block."""
        with scratch_folder(folder, "copy") as scratch:
            path = os.path.join(scratch, "copy.db")
            with self.get_connection() as connection:
                self._copy_to(connection, path, check=False)
            with closing(DatabaseManager(path, 3, wal_mode=False, verify_pages=self._verify_pages)) as copy:
                yield copy

    def copy_with(self, target: str | Path, observe: Callable[[apsw.Connection], T]) -> T:
        """A consistent copy, not checked yet, and what `observe` sees of the very snapshot that was copied, while others write."""
        with translated(f"copy to {target}"), self.snapshot() as connection:
            connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()  # opens the snapshot
            self._copy_to(connection, str(target), check=False)
            return observe(connection)

    def restore(self, backup_path: str | Path) -> None:
        """Replace the content by a backup's, in one step that other connections see as one commit.

        The backup is checked first; raises `WrongDatabase` and changes nothing where it is missing, foreign, newer or damaged.
        """
        if not Path(backup_path).is_file():
            raise WrongDatabase(f"{backup_path} does not exist; `ls` the backup folder for the ones there are")
        if getattr(self._local, "connection", None) is not None:
            raise Invalid("restore replaces everything, so it cannot be part of a transaction; call it outside")
        source = connect(str(backup_path), apsw.SQLITE_OPEN_READONLY)
        try:
            with translated(f"read {backup_path}"):
                if migrations.schema_version(source, str(backup_path)) == 0:
                    raise WrongDatabase(f"{backup_path} is an empty database, not a backup")
                refuse_damaged(source, str(backup_path))
            from persistence import chain, going_back  # which need a database themselves

            # Before the books go back, so that whoever finds them half-way does not take it for a loss.
            self.marks.forget()
            with self._connected(checked=False) as connection, translated(f"restore {backup_path}"):
                replaced = going_back.epoch_of(connection)
                with connection.backup("main", source, "main") as copying:
                    copying.step()
                if migrations.schema_version(connection, self.path) == migrations.newest_version():  # older ones get an epoch of their own
                    going_back.go_back(connection, chain.RESTORED, self._clock(), self.backup_folder, replaced=replaced)
                if self.path != ":memory:":
                    connection.pragma("journal_mode", "wal" if self.wal_mode else "delete")
        finally:
            source.close()
        self.initialize()

    def checkpoint(self, *, truncate: bool = False) -> tuple[int, int] | None:
        """Move the WAL into the database file, one process at a time. Returns (frames, frames moved): a reader may keep some back;
        None where another process is at it, or where it is left to another program.

        `truncate` empties the file too, if nobody reads or writes just now.
        """
        if not self.checkpoints or self.path == ":memory:":
            return None
        with self.get_connection() as connection:
            return self._checkpoint(connection, apsw.SQLITE_CHECKPOINT_TRUNCATE if truncate else apsw.SQLITE_CHECKPOINT_PASSIVE)

    def wal_bytes(self) -> int:
        """The size of the write-ahead log; 0 where there is none."""
        with suppress(OSError):
            return os.stat(f"{self.path}-wal").st_size
        return 0

    def keep_wal_short(self) -> int:
        """Empty a WAL that a long reader let grow, as soon as that has left. Returns the bytes of a WAL that is still too long, or 0."""
        if self.wal_bytes() >= LONG_WAL_BYTES:
            with suppress(Unavailable, OSError):
                self.checkpoint(truncate=True)
        size = self.wal_bytes()
        return size if size >= LONG_WAL_BYTES else 0

    def standing(self) -> tuple[Mark, Mark | None, int]:
        """Where the books stand, how far they were made durable as noted outside of them, and how many notes cannot be read."""
        noted, damaged = self.marks.read()
        with self.get_connection() as connection:
            found = found_mark(connection)
        return found, furthest(noted, found.epoch), damaged

    def close(self) -> None:
        """Close every connection, the WAL moved where nobody else is at work. The manager may be used again afterwards."""
        with self._lock:
            connection = self._idle.pop() if self._wrote and self.checkpoints and self._idle else None
        self._wrote = False
        if connection is not None:
            # Without waiting for a place: whoever holds one may never give it back.
            with suppress(BooksError, apsw.Error, OSError):
                self._checkpoint(connection, apsw.SQLITE_CHECKPOINT_TRUNCATE)
        with self._lock:
            connections, self._idle, self._opened = list(self._opened), [], set()
        for connection in connections:
            self._close(connection)
        self.marks.close()

    # -- details -----------------------------------------------------------------------------------------------------

    @contextmanager
    def _connected(self, *, checked: bool = True) -> Iterator[apsw.Connection]:
        self._slots.acquire()
        try:
            connection = self._take()
            try:
                if checked and not self._checked:
                    with translated(f"open {self.path}"):
                        migrations.refuse_older(connection, self.path)
                        self._look_at(connection)
                yield connection
            finally:
                with self._lock:
                    if kept := connection in self._opened:
                        self._idle.append(connection)
                if not kept:
                    self._close(connection)
        finally:
            self._slots.release()

    def _look_at(self, connection: apsw.Connection) -> None:
        """Hold the books against the marks of what was made durable, before anybody relies on them."""
        if self._refuse_loss and self.path != ":memory:":
            # The marks first: whatever they say was durable before the books are read.
            noted = self.marks.read()[0]
            found = found_mark(connection)
            refuse_lost_commits(self.path, found, furthest(noted, found.epoch))
        self._checked = True

    def _take(self) -> apsw.Connection:
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is not None:
            if not self._is_gone(connection) and not connection.readonly("main"):
                return connection
            # Of a file that is elsewhere now, or opened while it could not be written: it would stay so.
            self._close(connection)
            self._drop_all()
        with translated(f"open {self.path}"):
            connection = self._open()
        with self._lock:
            self._opened.add(connection)
        return connection

    def _open(self) -> apsw.Connection:
        if self.path != ":memory:" and not Path(self.path).exists():
            raise Unavailable(f"{self.path} does not exist; run `jarvis db init`, or check database.path and the folder it names")
        connection = connect(self.path)
        if self.path != ":memory:":
            status = os.stat(self.path)
            with self._lock:
                self._files[connection] = status.st_dev, status.st_ino
        if not self._verify_pages:
            connection.pragma("checksum_verification", "OFF")
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
        # Checkpoints are ours, one at a time by a lock: neither SQLite's own after a commit nor its one at the last close.
        connection.set_wal_hook(self._note_wal_pages)
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        # After a long reader the WAL shrinks again to this.
        connection.pragma("journal_size_limit", 64 * 1024 * 1024)
        return connection

    def _wait_for_lock(self, tries: int) -> bool:
        """A millisecond a try, up to the busy timeout."""
        time.sleep(0.001)
        return tries < self.busy_timeout_ms

    def _number(self, connection: apsw.Connection) -> Mark | None:
        """Count the commit that is about to be made."""
        if self.path == ":memory:":
            return None
        connection.execute("UPDATE book SET commit_no = commit_no + 1")
        return found_mark(connection)._replace(at=self._clock())

    def _commit(self, connection: apsw.Connection, mark: Mark | None) -> None:
        try:
            connection.execute("COMMIT")
        except apsw.BusyError as error:
            # Nothing was written: in WAL mode a commit that meets a lock has not begun.
            self._roll_back(connection)
            raise Unavailable(f"commit: {error}; another program holds the database") from error
        except apsw.Error as error:
            self._drop_all()
            raise CommitUnknown(f"commit: {type(error).__name__}: {error}; whether it is on disk shows after reopening") from error
        if self._is_gone(connection):
            # A folder that was moved or deleted takes the open file along, and with it what was just written.
            self._drop_all()
            raise CommitUnknown(f"{self.path} was moved, replaced or deleted while it was open; put it back, writing goes on by itself")
        if mark is not None:
            self._wrote = True
            # What cannot be noted only makes the bound lag; the commit itself is durable.
            with suppress(OSError):
                self.marks.write(mark)

    def _after_commit(self, connection: apsw.Connection) -> None:
        if self.checkpoints and self._wal_pages >= self._checkpoint_at:
            with suppress(BooksError, apsw.Error, OSError):
                self._checkpoint(connection, apsw.SQLITE_CHECKPOINT_PASSIVE)

    def _checkpoint(self, connection: apsw.Connection, mode: int) -> tuple[int, int] | None:
        with self.marks.locked(wait_seconds=0) as got:
            if not got:
                self._checkpoint_at = self._wal_pages + self.checkpoint_pages // 4
                return None
            if mode != apsw.SQLITE_CHECKPOINT_PASSIVE:
                # It would hold off writers while it waits for readers: better later than that.
                connection.set_busy_timeout(20)
            try:
                standing = found_mark(connection)
                frames, moved = connection.wal_checkpoint(mode=mode)
                if mode == apsw.SQLITE_CHECKPOINT_TRUNCATE:
                    self.marks.write_emptied(standing)
            except apsw.BusyError:
                return None
            finally:
                connection.set_busy_handler(self._wait_for_lock)
            # While a reader keeps some back, trying after each commit would move nothing.
            self._checkpoint_at = self.checkpoint_pages if moved == frames else frames + self.checkpoint_pages // 4
            return frames, moved

    def _note_wal_pages(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        self._wal_pages = pages
        return 0

    def _is_gone(self, connection: apsw.Connection) -> bool:
        """Whether the path names another file than this connection has open, or none."""
        opened = self._files.get(connection)
        if opened is None:
            return False
        try:
            status = os.stat(self.path)
        except OSError:
            return True
        return (status.st_dev, status.st_ino) != opened

    def _drop_all(self) -> None:
        """Use no connection again; those that others are using are closed as they come back. The next one opens the file anew."""
        with self._lock:
            idle, self._idle, self._opened = self._idle, [], set()
            self._checked = False
        for connection in idle:
            self._close(connection)

    def _close(self, connection: apsw.Connection) -> None:
        with self._lock:
            self._opened.discard(connection)
            self._files.pop(connection, None)
        with suppress(apsw.Error):
            connection.close()

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

    def _copy_to(self, connection: apsw.Connection, target: str, *, check: bool = True) -> None:
        partial = f"{target}.partial"
        with reachable(f"write {partial}"), translated(f"write {partial}"):
            remove(partial)
            os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            copy = connect(partial)
            try:
                # Pages get their checksums as they are written, once the file says that it has any.
                copy.reserve_bytes("main", connection.reserve_bytes("main"))
                copy.execute("CREATE TABLE beginning (x)")
                # One step: a copy in several starts over with every commit of another connection, so it never ends.
                with copy.backup("main", connection, "main") as copying:
                    copying.step()
                copy.pragma("journal_mode", "delete")
                if check:
                    refuse_damaged(copy, partial)
            finally:
                copy.close()
            with open(partial, "rb") as file:
                os.fsync(file.fileno())
            os.replace(partial, target)
            fsync_folder(os.path.dirname(os.path.abspath(target)))

"""The PostgreSQL engine: commits by many writers at once, snapshots, copies."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

import psycopg

from jarvis_client.contract import instants
from jarvis_client.contract.errors import Invalid, Unavailable
from persistence.domain.address import shown
from persistence.domain.errors import CommitUnknown, OtherBooks, WrongDatabase
from persistence.engine.contract import UNFINISHED_MOVE, Bindings, Storage
from persistence.engine.postgres import migrations
from persistence.engine.postgres.connect import WRITERS, PostgresConnection
from persistence.engine.postgres.copying import read_file, write_file
from persistence.engine.postgres.errors import as_ours, translated
from persistence.engine.postgres.pool import ConnectionPool
from persistence.engine.result_rows import Row, rows_of
from persistence.engine.sqlite.connect import SQLiteConnection
from persistence.engine.sqlite.database import SQLiteDatabase
from persistence.files import make_last_folder, scratch_folder

T = TypeVar("T")

#: One round trip each. Whoever records says so by a lock that all of them share.
BEGIN = f"BEGIN; SELECT pg_advisory_xact_lock_shared({WRITERS})"
BEGIN_ALONE = f"BEGIN; SELECT pg_advisory_xact_lock({WRITERS})"
BEGIN_READING = "BEGIN READ ONLY"
#: The first statement is what the moment is taken by.
BEGIN_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT 1"


class PostgresDatabase:
    """The books in one schema of a PostgreSQL database, and a pool of connections. Thread-safe; one per process is enough.

    `transaction()` is one commit, at READ COMMITTED: every statement sees what others committed before it, and what two commits may
    both change is held first (accounts by their rows). Nested ones join it as savepoints.
    """

    def __init__(
        self,
        url: str,
        max_connections: int = 5,
        *,
        busy_timeout_ms: int = 5_000,
        folder: str | Path = ".",
        backup_folder: str | Path | None = None,
        second_folder: str | Path | None = None,
        durable: bool = True,
        refuse_loss: bool = True,
        half_moved: bool = False,
        clock: Callable[[], int] = instants.now,
    ) -> None:
        """`url` as libpq reads it; the schema is the first of the user's search_path. `folder`: where scratch copies of the books lie, and their
        backups where `backup_folder` names no other place. `refuse_loss=False` opens books on a server that may lose what it
        acknowledged: for diagnosis. `durable=False` never waits for its disk: for tests.
        `half_moved` opens books that are being moved here, too: for who moves them."""
        if max_connections < 1:
            raise Invalid(f"max_connections is {max_connections}; at least 1 is needed")
        self._url = url
        self.path = shown(url)
        self.folder = Path(folder)
        self.backup_folder = self.folder / "backups" if backup_folder is None else Path(backup_folder)
        self.second_folder = None if second_folder is None else Path(second_folder)
        self._refuse_loss = refuse_loss and durable
        self._half_moved = half_moved
        self._clock = clock
        self._book_id: str | None = None
        self._local = threading.local()
        # Waiting for another commit ends like waiting for SQLite's lock; a process that died without a word holds no account for long.
        settings = f"SET LOCAL lock_timeout = {busy_timeout_ms}; SET LOCAL idle_in_transaction_session_timeout = '10min'"
        if not durable:
            settings += "; SET LOCAL synchronous_commit = off"
        self._pool = ConnectionPool(url, self.path, max_connections, busy_timeout_ms / 1_000, settings, self._look_at)

    def looking_too(self) -> PostgresDatabase:
        """The same books once more, by connections of its own: nothing is refused that the server takes."""
        return PostgresDatabase(self._url, 2, folder=self.folder, backup_folder=self.backup_folder, second_folder=self.second_folder, refuse_loss=False)

    # -- opening -----------------------------------------------------------------------------------------------------

    def open_up(self) -> None:
        """Create the tables where the schema is empty, and bring an older one up to date, all of it in one transaction.

        Raises `WrongDatabase` for a server or a database that cannot hold the books, or holds something else.
        """
        with self._pool.connected("SELECT 1", looked_at=False) as connection, translated(f"initialise {self.path}"):
            self._refuse_unfit(connection)
            if migrations.schema_version(connection, self.path) < migrations.newest_version():
                migrations.migrate(connection, self.path, self._clock())
        with self.get_connection():
            pass

    def _refuse_unfit(self, connection: PostgresConnection) -> None:
        migrations.refuse_unfit_server(connection, self.path)
        if self._refuse_loss:
            migrations.refuse_undurable(connection, self.path)

    def _look_at(self, connection: PostgresConnection) -> None:
        """Whose books these are, before anybody relies on them."""
        self._refuse_unfit(connection)
        migrations.refuse_older(connection, self.path)
        if not self._half_moved and connection.has_table(UNFINISHED_MOVE):
            raise WrongDatabase(f"{self.path} holds books that are half moved here; run the same `jarvis db move --to` again, which goes on and ends")
        found = str(connection.run("SELECT book_id FROM book", ()).get)
        if self._book_id is not None and found != self._book_id:
            raise OtherBooks(
                f"{self.path} holds other books ({found}) than those that were opened here ({self._book_id}). Nothing was written to them. "
                "Name the right database in database.url, or start this program again to go on with these"
            )
        self._book_id = found

    def refuse_if_replaced(self) -> None:
        """Raises `Unavailable` where the server cannot be reached, `OtherBooks` where it holds others than were opened here."""
        self._pool.forget()
        with self.get_connection():
            pass

    # -- reading and writing -----------------------------------------------------------------------------------------

    @contextmanager
    def get_connection(self, *, writing: bool = False) -> Iterator[PostgresConnection]:
        """A connection that reads and refuses to write; inside `transaction()` or `snapshot()` of this thread that one's own. `writing` as
        SQLite's engine has it: for maintenance."""
        current = getattr(self._local, "connection", None) or (None if writing else getattr(self._local, "snapshot", None))
        if current is not None:
            yield current
            return
        with self._pool.connected("SELECT 1" if writing else BEGIN_READING) as connection, translated("read the books"):
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[PostgresConnection]:
        """A connection that sees the books of one moment throughout the block, and so does whatever else this thread reads meanwhile."""
        current = getattr(self._local, "connection", None) or getattr(self._local, "snapshot", None)
        if current is not None:
            yield current
            return
        with self._pool.connected(BEGIN_SNAPSHOT) as connection, translated("read the books"):
            self._local.snapshot = connection
            try:
                yield connection
            finally:
                self._local.snapshot = None

    @contextmanager
    def transaction(self, *, alone: bool = False) -> Iterator[PostgresConnection]:
        """One commit: all of it durable on exit, none of it after an exception. Its `now` is the one reading of the clock.

        Raises `Overtaken` where another commit was faster and nothing was recorded, and `CommitUnknown` where the connection was lost
        over COMMIT: the commit may be in the books or not.
        """
        current = getattr(self._local, "connection", None)
        if current is not None:
            depth = len(self._local.undo)
            try:
                with current.savepoint():
                    if alone:
                        current.run(f"SELECT pg_advisory_xact_lock({WRITERS})", ())
                    yield current
            except BaseException:
                self._undo(depth)
                raise
            return
        with self._pool.connected(BEGIN_ALONE if alone else BEGIN) as connection:
            connection.now = self._clock()
            self._local.connection, self._local.undo = connection, []
            try:
                try:
                    with translated("write to the books"):
                        yield connection
                finally:
                    self._local.connection = None
                self._commit(connection)
            except BaseException:
                self._undo(0)
                raise

    def on_rollback(self, undo: Callable[[], None]) -> None:
        """Register `undo`, to be called if the current transaction or savepoint is rolled back."""
        if getattr(self._local, "connection", None) is not None:
            self._local.undo.append(undo)

    def execute_query(self, sql: str, params: Bindings = ()) -> list[Row]:
        """All rows of a query, each readable by position or column name."""
        with self.get_connection() as connection:
            cursor = connection.execute(sql, params)
            return rows_of(cursor.fetchall(), [column.name for column in cursor.description or ()])

    def execute_update(self, sql: str, params: Bindings = ()) -> int:
        """Run one statement in a commit of its own (or the current one). Returns how many rows it changed."""
        with self.transaction() as connection:
            return connection.changed(sql, params)

    def execute_many(self, sql: str, params_list: Sequence[Bindings]) -> int:
        """Run one statement for each element in one commit. Returns how many rows were changed in all."""
        with self.transaction() as connection:
            return sum(connection.changed(sql, params) for params in params_list)

    # -- what is kept and how much ------------------------------------------------------------------------------------

    @contextmanager
    def _settled_snapshot(self) -> Iterator[PostgresConnection]:
        """A snapshot of a moment at which no commit was under way: what it does not see has higher numbers than everything that it sees."""
        with self._pool.connected(BEGIN_ALONE) as alone, self.snapshot() as connection:
            alone.run("COMMIT", ())
            yield connection

    def copy_with(self, target: str | Path, observe: Callable[[SQLiteConnection], T], *, check: bool = False) -> T:
        """Copy everything into a SQLite file of its own while others write. Returns what `observe` sees of that file. `check` as SQLite's engine
        has it."""
        with translated(f"copy to {target}"), self._settled_snapshot() as connection:
            write_file(connection, str(target), check=check)
        with closing(SQLiteDatabase.copy_of(target, 1)) as copy, copy.get_connection() as file:
            return observe(file)

    @contextmanager
    def copied(self, folder: str | Path) -> Iterator[SQLiteDatabase]:
        """The books as they are now, as a SQLite database of their own below `folder`. Gone after the block."""
        make_last_folder(Path(folder))
        with scratch_folder(folder, "copy") as scratch:
            path = scratch / "copy.db"
            self.copy_with(path, lambda _: None)
            with closing(SQLiteDatabase(path, 3, wal_mode=False, durable=False)) as copy:
                yield copy

    def replaced_from(self, copy: str | Path, aside: str | Path | None = None) -> Path | None:
        """Replace everything by what a SQLite file of the same schema holds, in one commit. What was here is kept as `aside`, a SQLite file, too.

        Returns that path, or None. What others commit meanwhile waits, and is recorded in the books that took this place.
        """
        if getattr(self._local, "connection", None) is not None:
            raise Invalid("a restore replaces everything, so it cannot be part of a transaction; call it outside")
        kept = None if aside is None else Path(aside)
        with self.transaction(alone=True) as connection:
            if kept is not None:
                write_file(connection, str(kept), check=True)
            read_file(connection, str(copy))
        self._book_id = None
        self._pool.forget()
        return kept

    def checkpoint(self, *, truncate: bool = False) -> None:
        """Nothing: the server moves its log by itself."""

    def keep_wal_short(self) -> int:
        """Nothing is too long: the server looks after its log."""
        return 0

    def storage(self) -> Storage:
        sql = (
            "SELECT (SELECT max(version) FROM schema_versions), current_setting('server_version'), "
            "(SELECT CAST(coalesce(sum(pg_total_relation_size(c.oid)), 0) AS BIGINT) FROM pg_class c "
            "WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema()) AND c.relkind = 'r')"
        )
        with self.get_connection() as connection:
            version, server, size = connection.execute(sql).get
        return Storage(int(version), f"PostgreSQL {server}", int(size), 0, 0)

    def close(self) -> None:
        """Close every connection. The database may be used again afterwards."""
        self._pool.close()

    # -- details -----------------------------------------------------------------------------------------------------

    def _commit(self, connection: PostgresConnection) -> None:
        try:
            cursor = connection.run("COMMIT", ())
        except psycopg.Error as error:
            if connection.closed:
                raise CommitUnknown(f"commit: the connection to {self.path} was lost; whether it is in the books shows after connecting again") from error
            raise as_ours(error, "commit") from error
        if cursor.statusmessage != "COMMIT":
            raise Unavailable("commit: an earlier statement of it had failed, so the server undid all of it; nothing was recorded")

    def _undo(self, depth: int) -> None:
        while len(self._local.undo) > depth:
            self._local.undo.pop()()


__all__ = ["BEGIN_SNAPSHOT", "PostgresDatabase"]

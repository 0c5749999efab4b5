"""What the books need of an engine: connections that run one set of SQL, commits, snapshots, and errors in the books' own families.

An engine's connection fulfils this itself: nothing stands between the books and the driver. Errors leave an engine as
`Unavailable` (the same call may succeed later), `Overtaken` (at once), `CommitUnknown` (look at the books again), `RuleBroken` (these
rows break a rule for ever) or `WrongDatabase` and its kin; never as the driver's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from persistence.engine.dialect import Dialect

Bindings = Sequence[Any] | dict[str, Any]
#: How many rows a query without a limit may return: more than any table holds, and a number that every engine takes.
NO_LIMIT = 2**62
#: The table by which books that are being moved to another engine are known until all of them are there. No program opens them meanwhile.
UNFINISHED_MOVE = "unfinished_move"


class Rows(Protocol):
    """The rows of a statement, one by one."""

    def __iter__(self) -> Iterator[Any]: ...

    def __next__(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    @property
    def get(self) -> Any:
        """The first row, its only value where it has one column; None where there is no row."""


class Connection(Protocol):
    """One connection, inside a snapshot or a commit."""

    #: The one reading of the clock that everything in a commit is dated by, in microseconds UTC.
    now: int

    @property
    def dialect(self) -> Dialect: ...

    def execute(self, sql: str, bindings: Any = (), /) -> Rows: ...

    def stream(self, sql: str, bindings: Any = (), /) -> Iterator[Any]:
        """The rows of a query one by one, however many they are: `execute` may have all of them in memory."""

    def executemany(self, sql: str, rows: Any, /) -> Any:
        """Run a statement for every row; for writing."""

    def lookup(self, sql: str, keys: Sequence[Sequence[Any]], /) -> Sequence[Any]:
        """The rows that a SELECT finds for any of these keys, which are different ones, in one go and no order.

        Its condition begins with the key: `WHERE a = ? AND b = ?`, and perhaps more that takes no parameter.
        """

    def insert_many(self, sql: str, rows: Sequence[Sequence[Any]], /) -> int:
        """Run an INSERT with `VALUES (?, …)` for every row, many rows a step. Returns how many rows were inserted."""

    def changed(self, sql: str, bindings: Any = (), /) -> int:
        """Run a statement. Returns how many rows it changed itself, its triggers' not counted."""

    def row_changes(self, tables: Sequence[str], /) -> AbstractContextManager[Sequence[tuple[str, Any, Any]]]:
        """The rows of some tables that the block inserts, changes or deletes: (table, before, after), complete once it has ended."""

    def savepoint(self) -> AbstractContextManager[Any]:
        """A part of a commit that is undone alone where its block raises."""

    def hold(self, name: str, /) -> None:
        """Let no other commit that holds the same name go on before this one has ended."""

    def fact_numbers(self, count: int, /) -> Sequence[int]:
        """Numbers for new facts, ascending, that nobody else gets. Those of one account have to be taken while its row is held."""

    def has_table(self, name: str, /) -> bool: ...

    def rows_came_over(self) -> None:
        """Rows were written with their numbers, many of them: new ones are numbered behind them, and queries are planned for them."""


class Storage(NamedTuple):
    """What the books take up: versions, and bytes of the file, of its log, and free inside the file."""

    schema_version: int
    engine_version: str
    file_bytes: int
    log_bytes: int
    free_bytes: int


class Database(Protocol):
    """The live books: `SQLiteDatabase`, `PostgresDatabase`."""

    @property
    def path(self) -> str:
        """Where the books are, for messages."""

    @property
    def folder(self) -> Path:
        """Where scratch copies of the books may lie."""

    @property
    def backup_folder(self) -> Path: ...

    @property
    def second_folder(self) -> Path | None: ...

    def get_connection(self) -> AbstractContextManager[Connection]: ...

    def snapshot(self) -> AbstractContextManager[Connection]: ...

    def transaction(self, *, alone: bool = False) -> AbstractContextManager[Connection]:
        """One commit. `alone`: no other is under way, and none begins before this one has ended, so that whatever has a number is seen."""

    def on_rollback(self, undo: Callable[[], None]) -> None: ...

    def execute_query(self, sql: str, params: Bindings = ()) -> list[Any]: ...

    def execute_update(self, sql: str, params: Bindings = ()) -> int: ...

    def storage(self) -> Storage: ...

    def checkpoint(self, *, truncate: bool = False) -> tuple[int, int] | None:
        """Move the log into the file. Returns (pages of the log, pages moved); None where there is nothing to move."""

    def copy_with(self, target: str | Path, observe: Callable[[Any], Any], *, check: bool = False) -> Any:
        """Copy everything into a SQLite file while others write. Returns what `observe` sees of the very moment that was copied."""

    def copied(self, folder: str | Path) -> AbstractContextManager[Any]:
        """The books as they are now, as a SQLite database of their own below `folder`. Gone after the block."""

    def replaced_from(self, copy: str | Path, aside: str | Path | None = None) -> Path | None:
        """Replace everything by what a SQLite file of the same schema holds, in one step. Returns where the former content is kept."""

    def looking_too(self) -> Database:
        """The same books once more, opened without refusing anything: for diagnosis."""

    def close(self) -> None: ...


class LiveBooks(Database, Protocol):
    """The books with the life of the whole on top: `persistence.database.DatabaseManager` of a file, `persistence.server.ServerDatabase`."""

    def initialize(self) -> None:
        """Create the books where there are none, and bring their schema up to date."""

    def refuse_if_replaced(self) -> None:
        """Raises `WrongDatabase` where these are not the books that were opened any more, `Unavailable` where nobody can tell."""

    def keep_wal_short(self) -> int:
        """Empty a long log. Returns the size of one that is still too long, or 0."""


class BooksToRead(LiveBooks, Protocol):
    """Books that exist already, for who only reads them. Every way to write raises `Unavailable`, and every connection refuses to."""

    def moment(self, seconds: float) -> AbstractContextManager[Connection]:
        """A snapshot that whatever this thread reads in the block joins. Raises `TookTooLong` in a statement that runs on after so many
        seconds."""


__all__ = ["NO_LIMIT", "UNFINISHED_MOVE", "Bindings", "BooksToRead", "Connection", "Database", "LiveBooks", "Rows", "Storage"]

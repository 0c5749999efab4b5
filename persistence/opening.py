"""Opening the books where they are: a file, or a PostgreSQL server. What only one of the two can do is refused here, in one sentence."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from jarvis_client.contract.errors import Invalid
from persistence.database import DatabaseManager
from persistence.domain.address import is_server
from persistence.engine.contract import BooksToRead, Database, LiveBooks


def open_books(
    place: str | Path,
    max_connections: int = 5,
    *,
    wal_mode: bool = True,
    checkpoints: bool = True,
    folder: str | Path | None = None,
    backup_folder: str | Path | None = None,
    second_folder: str | Path | None = None,
    looking: bool = False,
    half_moved: bool = False,
) -> LiveBooks:
    """The books at a path or a URL. `wal_mode` and `checkpoints` are about a file; `folder` is where copies of a server's books may lie.
    `looking`: refuse neither damaged pages nor missing commits. `half_moved`: nor books that are being moved to a server.
    Raises `Invalid` where a server is named and its driver is not installed."""
    if not is_server(place):
        return DatabaseManager(
            place, max_connections, wal_mode=wal_mode, checkpoints=checkpoints, backup_folder=backup_folder, second_folder=second_folder,
            refuse_loss=not looking, verify_pages=not looking,
        )  # fmt: skip
    opened: LiveBooks = _server_room().ServerDatabase(
        str(place),
        max_connections,
        folder=folder or ".",
        backup_folder=backup_folder,
        second_folder=second_folder,
        refuse_loss=not looking,
        half_moved=half_moved,
    )
    return opened


def open_to_read(url: str, max_connections: int, folder: Path) -> BooksToRead:
    """The books of a server, for who only reads them. Raises as `open_books`."""
    opened: BooksToRead = _server_room().ServerToRead(url, max_connections, folder=folder)
    return opened


def _server_room() -> Any:
    """The module that needs the driver, loaded where a server is named and not before."""
    try:
        return import_module("persistence.server")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("psycopg", "psycopg_pool"):
            raise
        raise Invalid("database.url names a PostgreSQL server, whose driver is not installed: pip install 'jarvis-trading[postgres]'") from None


def of_a_file(books: Database, doing: str, instead: str) -> DatabaseManager:
    """The same books, where a file holds them. Raises `Invalid` where a server does: `doing` is what it cannot be asked for, `instead` the
    remedy."""
    if isinstance(books, DatabaseManager):
        return books
    raise Invalid(f"{doing} is about a SQLite file, and these books are kept by a server ({books.path}): {instead}")


__all__ = ["of_a_file", "open_books", "open_to_read"]

"""ServerDatabase: the door to books that a PostgreSQL server keeps. It opens them, and brings their schema up to date."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Never, Self

from jarvis_client.contract.errors import Unavailable
from persistence.engine.postgres.connect import PostgresConnection
from persistence.engine.postgres.database import PostgresDatabase
from persistence.files import make_last_folder


class ServerDatabase(PostgresDatabase):
    """`PostgresDatabase` with the life of the whole books on top, as `DatabaseManager` has it for a file."""

    def __enter__(self) -> Self:
        """Initialised; leaving the block closes it."""
        self.initialize()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def initialize(self) -> None:
        """Create the tables where the schema is empty, and bring an older one up to date; and make the folder that copies go to. Raises as
        `open_up`."""
        make_last_folder(self.folder)
        self.open_up()


class ServerToRead(ServerDatabase):
    """The same for who only reads: `BooksToRead`."""

    @contextmanager
    def moment(self, seconds: float) -> Iterator[PostgresConnection]:
        """As `BooksToRead` says it."""
        with self.snapshot() as connection, connection.at_most(seconds):
            yield connection

    def initialize(self) -> None:
        _refuse()

    @contextmanager
    def transaction(self, *, alone: bool = False) -> Iterator[PostgresConnection]:
        _refuse()
        yield  # what makes it a context manager, as callers expect of it

    @contextmanager
    def get_connection(self, *, writing: bool = False) -> Iterator[PostgresConnection]:
        if writing:
            _refuse()
        with super().get_connection() as connection:
            yield connection


def _refuse() -> Never:
    raise Unavailable("these books are open for reading alone; write through the commands, or a ServerDatabase")


__all__ = ["ServerDatabase", "ServerToRead"]

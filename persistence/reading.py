"""The books for who only reads them: nothing is written through these, and no reader holds them for long."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Never

from jarvis_client.contract.errors import Unavailable
from persistence.database import DatabaseManager
from persistence.engine.sqlite.connect import SQLiteConnection


class ReadOnlyBooks(DatabaseManager):
    """Books that exist already, as `DatabaseManager` opens them. Every way to write raises `Unavailable`, and every connection refuses to."""

    @contextmanager
    def moment(self, seconds: float) -> Iterator[SQLiteConnection]:
        """A snapshot that whatever this thread reads in the block joins. Raises `TookTooLong` in a statement that runs on after so many
        seconds: a snapshot holds the log of the writer back for as long as it lasts."""
        with self.snapshot() as connection, connection.at_most(seconds):
            yield connection

    def initialize(self) -> None:
        _refuse()

    @contextmanager
    def transaction(self, *, alone: bool = False) -> Iterator[SQLiteConnection]:
        _refuse()
        yield  # what makes it a context manager, as callers expect of it

    @contextmanager
    def get_connection(self, *, writing: bool = False) -> Iterator[SQLiteConnection]:
        if writing:
            _refuse()
        with super().get_connection() as connection:
            yield connection


def _refuse() -> Never:
    raise Unavailable("these books are open for reading alone; write through the commands, or a DatabaseManager")


__all__ = ["ReadOnlyBooks"]

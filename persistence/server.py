"""ServerDatabase: the door to books that a PostgreSQL server keeps. It opens them, and brings their schema up to date."""

from __future__ import annotations

from typing import Self

from persistence.engine.postgres.database import PostgresDatabase


class ServerDatabase(PostgresDatabase):
    """`PostgresDatabase` with the life of the whole books on top, as `DatabaseManager` has it for a file."""

    def __enter__(self) -> Self:
        """Initialised; leaving the block closes it."""
        self.initialize()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def initialize(self) -> None:
        """Create the tables where the schema is empty, and bring an older one up to date. Raises as `open_up`."""
        self.open_up()


__all__ = ["ServerDatabase"]

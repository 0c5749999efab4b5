"""What lies in the broker and nobody claims, as workers saw it."""

from __future__ import annotations

from persistence.books import strays
from persistence.books.quarantine import storable
from persistence.domain.strays import Stray, StrayKind
from persistence.engine.contract import Database


class SQLiteStrayRepository:
    """Open strays, the oldest first, and the mark by which a broker is known again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find_open(self) -> list[Stray]:
        """What was seen and is neither gone nor settled."""
        with self._database.get_connection() as connection:
            return strays.find_open(connection)

    def note(self, kind: StrayKind, subject: str, count: int, example: str) -> None:
        """Say that something was seen, first or again."""
        with self._database.transaction() as connection:
            strays.note(connection, str(kind), subject, count, example, connection.now)

    def note_loss(self, kind: StrayKind, example: str, namespace: str, token: str) -> None:
        """Say what became of a broker, and remember its present mark, in one commit."""
        with self._database.transaction() as connection:
            strays.note(connection, str(kind), f"{namespace} {token}", 1, example, connection.now)
            strays.remember_mark(connection, namespace, token, connection.now)

    def settle(self, kind: StrayKind, subject: str) -> bool:
        """It is gone, or somebody has read of it; False where nothing is known of it."""
        with self._database.transaction() as connection:
            return strays.remove(connection, str(kind), subject)

    def mark(self, namespace: str) -> str | None:
        """The token that workers of these books left in the broker of this namespace."""
        found = self._database.execute_query("SELECT token FROM broker_marks WHERE namespace = ?", (storable(namespace),))
        return found[0][0] if found else None

    def last_numbers(self) -> dict[str, int]:
        """The highest number that arrived of every producer, for a broker that knows none."""
        return dict(self._database.execute_query("SELECT producer, highest FROM producers"))

    def remember_mark(self, namespace: str, token: str) -> None:
        """Keep the token of the mark in a broker."""
        with self._database.transaction() as connection:
            strays.remember_mark(connection, namespace, token, connection.now)

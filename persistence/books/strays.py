"""The rows of strays: what workers found in the broker that nobody claims, and the mark they left there."""

from __future__ import annotations

from jarvis_client.contract.instants import to_datetime
from persistence.books.quarantine import storable
from persistence.domain.strays import Stray, StrayKind
from persistence.engine.contract import Connection


def find_open(connection: Connection) -> list[Stray]:
    """What was seen and is neither gone nor settled, the oldest first."""
    sql = "SELECT kind, subject, first_seen, last_seen, count, example FROM strays ORDER BY first_seen, kind, subject"
    return [
        Stray(StrayKind(kind), subject, to_datetime(first), to_datetime(last), count, example)
        for kind, subject, first, last, count, example in connection.execute(sql)
    ]


def note(connection: Connection, kind: str, subject: str, count: int, example: str, now: int) -> None:
    """Say that something was seen, first or again."""
    connection.execute(
        "INSERT INTO strays (kind, subject, first_seen, last_seen, count, example) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (kind, subject) DO UPDATE SET last_seen = excluded.last_seen, count = excluded.count, example = excluded.example",
        (kind, storable(subject), now, now, count, storable(example)),
    )


def remove(connection: Connection, kind: str, subject: str) -> bool:
    """It is gone, or settled; False where nothing is known of it."""
    return connection.changed("DELETE FROM strays WHERE kind = ? AND subject = ?", (kind, storable(subject))) > 0


def remember_mark(connection: Connection, namespace: str, token: str, now: int) -> None:
    """Keep the token of the mark in a broker."""
    connection.execute(
        "INSERT INTO broker_marks (namespace, token, marked_at) VALUES (?, ?, ?) "
        "ON CONFLICT (namespace) DO UPDATE SET token = excluded.token, marked_at = excluded.marked_at",
        (storable(namespace), token, now),
    )

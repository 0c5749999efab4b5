"""Which rows of some tables a block changes, as they were and as they are: asked of the statements themselves, one by one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from persistence.engine.postgres.statements import Insert, arrays_of, kinds_of, many_keys

if TYPE_CHECKING:
    from persistence.engine.postgres.connect import PostgresConnection, PostgresCursor

_VERB = re.compile(r"(INSERT INTO|DELETE FROM|UPDATE) (\w+)")
_CONFLICT = re.compile(r"\(([^)]*)\) VALUES \(([^)]*)\) ON CONFLICT \(([^)]*)\)")
_WHERE = re.compile(r"\$(\d+)")


class Following:
    """The changes of rows of some tables: (table, before, after)."""

    def __init__(self, tables: frozenset[str]) -> None:
        self._tables = tables
        self.found: list[tuple[str, Any, Any]] = []

    def concerns(self, sql: str) -> bool:
        verb = _VERB.match(sql)
        return verb is not None and verb[2] in self._tables

    def run(self, connection: PostgresConnection, sql: str, text: str, bound: Sequence[Any]) -> PostgresCursor:
        """Run a statement, noting what it changes."""
        verb, table = _table_of(sql)
        before: list[Any] = []
        if verb == "UPDATE":
            before = connection.run(*_rows_met(table, text, bound)).fetchall()
        elif conflict := _CONFLICT.search(sql):
            key = [name.strip() for name in conflict[3].split(",")]
            names = [name.strip() for name in conflict[1].split(",")]
            before = _stored(connection, table, key, [[bound[names.index(name)] for name in key]])
        cursor = connection.run(f"{text} RETURNING *", bound)
        after = cursor.fetchall()
        if verb == "DELETE FROM":
            before, after = after, []
        self._note(table, before, after)
        return cursor

    def insert(self, connection: PostgresConnection, insert: Insert, rows: Sequence[Sequence[Any]]) -> int:
        """The same for many rows."""
        before: list[Any] = []
        if insert.rest.startswith("ON CONFLICT (") and "DO NOTHING" not in insert.rest:
            key = [name.strip() for name in insert.rest[len("ON CONFLICT (") : insert.rest.index(")")].split(",")]
            places = [insert.columns.index(name) for name in key]
            before = _stored(connection, insert.table, key, [[row[at] for at in places] for row in rows])
        cursor = connection.run(f"{insert.of_arrays(connection.types_of(insert.table))} RETURNING *", arrays_of(rows))
        after = cursor.fetchall()
        self._note(insert.table, before, after)
        return len(after)

    def _note(self, table: str, before: list[Any], after: list[Any]) -> None:
        self.found += [(table, row, None) for row in before] + [(table, None, row) for row in after]


def _table_of(sql: str) -> tuple[str, str]:
    verb = _VERB.match(sql)
    assert verb is not None
    return verb[1], verb[2]


def _stored(connection: PostgresConnection, table: str, key: Sequence[str], keys: Sequence[Sequence[Any]]) -> list[Any]:
    where = " AND ".join(f"{name} = ?" for name in key)
    sql = f"SELECT * FROM {table} WHERE {where}"
    return connection.run(many_keys(sql, kinds_of(keys[0])), arrays_of(keys)).fetchall()


def _rows_met(table: str, text: str, bound: Sequence[Any]) -> tuple[str, Sequence[Any]]:
    """The SELECT of the rows that an UPDATE is about to change."""
    head, _, where = text.partition(" WHERE ")
    spent = len(_WHERE.findall(head))
    return f"SELECT * FROM {table} WHERE " + _WHERE.sub(lambda n: f"${int(n[1]) - spent}", where), bound[spent:]


__all__ = ["Following"]

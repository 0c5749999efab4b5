"""Connections to a PostgreSQL server, with the verbs of the contract."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from persistence.engine.dialect import Dialect
from persistence.engine.postgres.errors import translated
from persistence.engine.postgres.following import Following
from persistence.engine.postgres.statements import arrays_of, insert_of, kinds_of, many_keys, translated_statement

#: From so many rows on they are copied in: two round trips instead of one, and a third of the client's processor time.
ROWS_WORTH_COPYING = 64
#: Rows of a stream that are fetched in one round trip: a megabyte or two.
ROWS_AT_ONCE = 2_000
#: What gives every commit that records something the same lock, shared: who wants to be alone takes it for itself.
WRITERS = "hashtextextended('jarvis writers ' || current_schema(), 0)"

DIALECT = Dialect(
    json_array="'[' || concat_ws(',', {}) || ']'",
    json_group="'[' || coalesce(string_agg({0}, ',' ORDER BY {1}), '') || ']'",
    hex="encode({}, 'hex')",
    json_item="coalesce(to_json({})::text, 'null')",
    held=" ORDER BY {} FOR NO KEY UPDATE",
)


class PostgresCursor(psycopg.RawCursor[Any]):
    """The rows of a statement."""

    @property
    def get(self) -> Any:
        row = self.fetchone()
        return row[0] if row is not None and len(row) == 1 else row


class PostgresConnection(psycopg.Connection[Any]):
    """A connection of the driver with the verbs of the contract. It is in autocommit: what begins and ends commits is said in SQL."""

    dialect = DIALECT
    now = 0
    _depth = 0
    _streams = 0
    _following: Following | None = None

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.types: dict[str, dict[str, str]] = {}

    def execute(self, sql: str, bindings: Any = (), /) -> PostgresCursor:  # type: ignore[override]
        statement = translated_statement(sql)
        bound = statement.bound(bindings)
        if self._following is not None and self._following.concerns(sql):
            return self._following.run(self, sql, statement.text, bound)
        return self.run(statement.text, bound)

    def run(self, text: str, bound: Sequence[Any]) -> PostgresCursor:
        """A statement that is in the server's words already."""
        cursor = PostgresCursor(self)
        cursor.execute(text.encode(), bound or None)
        return cursor

    def stream(self, sql: str, bindings: Any = (), /) -> Iterator[Any]:
        statement = translated_statement(sql)
        self._streams += 1
        name = f"rows_{self._streams}"
        self.run(f"DECLARE {name} NO SCROLL CURSOR FOR {statement.text}", statement.bound(bindings))
        while True:
            rows = self.run(f"FETCH {ROWS_AT_ONCE} FROM {name}", ()).fetchall()
            yield from rows
            if len(rows) < ROWS_AT_ONCE:
                break
        # One that nobody reads to its end goes with the transaction.
        self.run(f"CLOSE {name}", ())

    def executemany(self, sql: str, rows: Any, /) -> None:
        rows = list(rows)
        if not rows:
            return
        if insert_of(sql) is not None:
            self.insert_many(sql, rows)
        elif len(rows) == 1 or self._following is not None:
            for row in rows:
                self.execute(sql, row)
        else:
            statement = translated_statement(sql)
            # One round trip: the driver sends them all before it waits for the answers.
            PostgresCursor(self).executemany(statement.text.encode(), [statement.bound(row) for row in rows])

    def lookup(self, sql: str, keys: Sequence[Sequence[Any]], /) -> list[Any]:
        if not keys:
            return []
        return self.run(many_keys(sql, kinds_of(keys[0])), arrays_of(keys)).fetchall()

    def insert_many(self, sql: str, rows: Sequence[Sequence[Any]], /) -> int:
        if not rows:
            return 0
        insert = insert_of(sql)
        if insert is None:
            return sum(self.changed(sql, row) for row in rows)
        if self._following is not None and self._following.concerns(sql):
            return self._following.insert(self, insert, rows)
        if insert.rest or len(rows) < ROWS_WORTH_COPYING:
            return self.run(insert.of_arrays(self.types_of(insert.table)), arrays_of(rows)).rowcount
        cursor = PostgresCursor(self)
        with cursor.copy(insert.copy.encode()) as copy:
            for row in rows:
                copy.write_row(row)
        return cursor.rowcount

    def types_of(self, table: str) -> dict[str, str]:
        """The type of every column of a table, read once for each connection."""
        if not self.types:
            sql = "SELECT table_name::text, column_name::text, data_type::text FROM information_schema.columns WHERE table_schema = current_schema()"
            for name, column, kind in self.run(sql, ()):
                self.types.setdefault(name, {})[column] = kind
        return self.types[table]

    def changed(self, sql: str, bindings: Any = (), /) -> int:
        return max(self.execute(sql, bindings).rowcount, 0)

    @contextmanager
    def row_changes(self, tables: Sequence[str], /) -> Iterator[list[tuple[str, Any, Any]]]:
        self._following = following = Following(frozenset(tables))
        try:
            yield following.found
        finally:
            self._following = None

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        self._depth += 1
        name = f"part_{self._depth}"
        try:
            with translated("write to the books"):
                self.run(f"SAVEPOINT {name}", ())
                try:
                    yield
                except BaseException:
                    with suppress(psycopg.Error):
                        self.run(f"ROLLBACK TO {name}; RELEASE {name}", ())
                    raise
                self.run(f"RELEASE {name}", ())
        finally:
            self._depth -= 1

    def hold(self, name: str) -> None:
        self.run("SELECT pg_advisory_xact_lock(hashtextextended($1 || current_schema(), 0))", (f"jarvis {name} ",))

    def fact_numbers(self, count: int, /) -> list[int]:
        return [number for (number,) in self.run("SELECT nextval('fact_numbers') FROM generate_series(1, $1)", (count,)).fetchall()]

    def has_table(self, name: str, /) -> bool:
        return self.run("SELECT to_regclass(quote_ident(current_schema()) || '.' || $1) IS NOT NULL", (name,)).get is True

    def rows_came_over(self) -> None:
        numbered = [("facts", "fact_no", "'fact_numbers'")]
        sql = "SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = current_schema() AND is_identity = 'YES'"
        for table, column in self.run(sql, ()).fetchall():
            numbered.append((table, column, f"pg_get_serial_sequence('{table}', '{column}')"))
        for table, column, sequence in numbered:
            self.run(f"SELECT setval({sequence}, coalesce(max({column}), 1), max({column}) IS NOT NULL) FROM {table}", ())
        # Without figures of the rows, the planner takes tables for empty ones.
        self.run("ANALYZE", ())

    @contextmanager
    def at_most(self, seconds: float) -> Iterator[None]:
        """End a statement that runs on after so many seconds."""
        self.run(f"SET LOCAL statement_timeout = {max(1, int(seconds * 1_000))}", ())
        yield


__all__ = ["DIALECT", "WRITERS", "PostgresConnection", "PostgresCursor"]

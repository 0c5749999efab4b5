"""Both engines have the same books: tables, columns, keys, rules, triggers and views, read from their catalogs and tried row by row."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from importlib.resources import files
from typing import Any

import apsw
import psycopg
import pytest
from postgres import books_of_a_test

pytestmark = pytest.mark.slow

#: What an engine keeps for itself: PostgreSQL numbers its schema in a table, SQLite in the header of the file.
OF_POSTGRES_ALONE = {"schema_versions"}
FAMILIES = {"INTEGER": "whole number", "bigint": "whole number", "TEXT": "text", "text": "text", "BLOB": "bytes", "bytea": "bytes"}
FAMILIES |= {"REAL": "real", "double precision": "real"}
#: Tried in every column of their family, beside the words that a rule names itself.
TRIED: dict[str, list[Any]] = {
    "text": ["", " ", "0", "1", "-1", "0.5", "-0.5", "1.", ".", "-", "1e5", "+1", "1,5", "NaN", "Infinity", "x", "é", "1\n2", "A" * 16, "A" * 15, "é" * 16],
    "whole number": [-(2**63), -2, -1, 0, 1, 2, 3, 2**63 - 1],
    "bytes": [b"", b"\x00", b"1" * 32, b"1" * 33, b"1" * 41, b"1" * 82],
    "real": [-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5],
}  # fmt: skip
#: Rules over two columns: (table, {column: value}).
PAIRS = [
    ("producers", {"lowest": 2, "highest": 1}),
    ("producers", {"lowest": 1, "highest": 1}),
    ("gaps", {"first": 2, "last": 1}),
    ("gaps", {"first": 1, "last": 1}),
]


def schema_of(engine: str) -> str:
    return "".join(
        path.read_text() for path in sorted(files(f"persistence.engine.{engine}.schema").iterdir(), key=lambda p: p.name) if path.name.endswith(".sql")
    )


@pytest.fixture(scope="module")
def sqlite() -> Iterator[apsw.Connection]:
    connection = apsw.Connection(":memory:")
    connection.execute(schema_of("sqlite"))
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def postgres() -> Iterator[psycopg.Connection]:
    with books_of_a_test() as books, psycopg.connect(books.url, autocommit=True) as connection:
        connection.execute(schema_of("postgres"))
        yield connection


def tables_of_sqlite(connection: apsw.Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]


def columns_of_sqlite(connection: apsw.Connection) -> dict[str, tuple[Any, ...]]:
    """(family, may be empty, default, whether it is computed) of each column."""
    found = {}
    for table in tables_of_sqlite(connection):
        for _, name, kind, required, default, key, hidden in connection.execute(f"PRAGMA table_xinfo({table})"):
            found[f"{table}.{name}"] = (FAMILIES[kind], not (required or key), _default(default), hidden > 1)
    return found


def columns_of_postgres(connection: psycopg.Connection) -> dict[str, tuple[Any, ...]]:
    sql = (
        "SELECT c.relname, a.attname, format_type(a.atttypid, NULL), NOT a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attgenerated <> '' "
        "FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum "
        "WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY c.relname, a.attnum"
    )
    rows = [row for row in connection.execute(sql) if row[0] not in OF_POSTGRES_ALONE]
    return {f"{t}.{c}": (FAMILIES[kind], may, None if computed else _default(default), computed) for t, c, kind, may, default, computed in rows}


def _default(text: str | None) -> str | None:
    """A default in words that both engines share."""
    if text is None:
        return None
    if "unixepoch" in text or "instant_now" in text:
        return "now"
    return re.sub(r"::\w+", "", text).strip("()'")


def keys_of_sqlite(connection: apsw.Connection) -> set[tuple[Any, ...]]:
    """Primary and unique keys, and references with what they do when their target goes."""
    found: set[tuple[Any, ...]] = set()
    for table in tables_of_sqlite(connection):
        columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
        primary = tuple(name for _, name in sorted((key, name) for _, name, _, _, _, key in columns if key))
        found.add((table, "primary key", primary))
        for _, index, unique, origin, _ in connection.execute(f"PRAGMA index_list({table})").fetchall():
            if unique and origin != "pk":
                found.add((table, "unique", tuple(sorted(name for _, _, name in connection.execute(f"PRAGMA index_info({index})")))))
        for _, _, target, column, _, _, on_delete, _ in connection.execute(f"PRAGMA foreign_key_list({table})").fetchall():
            found.add((table, "references", column, target, on_delete))
    return found


def keys_of_postgres(connection: psycopg.Connection) -> set[tuple[Any, ...]]:
    found: set[tuple[Any, ...]] = set()
    sql = (
        "SELECT i.indrelid::regclass::text, i.indisprimary, array_agg(a.attname::text ORDER BY k.place) FROM pg_index i "
        "CROSS JOIN unnest(i.indkey) WITH ORDINALITY k(number, place) JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number "
        "JOIN pg_class c ON c.oid = i.indrelid WHERE c.relnamespace = current_schema()::regnamespace AND i.indisunique GROUP BY 1, 2, i.indexrelid"
    )
    for table, is_primary, columns in connection.execute(sql):
        found.add((table, "primary key", tuple(columns)) if is_primary else (table, "unique", tuple(sorted(columns))))
    sql = (
        "SELECT k.conrelid::regclass::text, a.attname, k.confrelid::regclass::text, k.confdeltype FROM pg_constraint k "
        "JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1] WHERE k.contype = 'f' AND k.connamespace = current_schema()::regnamespace"
    )
    for table, column, target, on_delete in connection.execute(sql):
        found.add((table, "references", column, target, {"c": "CASCADE", "a": "NO ACTION"}[on_delete]))
    return {key for key in found if key[0] not in OF_POSTGRES_ALONE}


def views_of_sqlite(connection: apsw.Connection) -> dict[str, list[str]]:
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'view'")]
    return {name: [row[1] for row in connection.execute(f"PRAGMA table_info({name})")] for name in names}


def views_of_postgres(connection: psycopg.Connection) -> dict[str, list[str]]:
    sql = "SELECT table_name, column_name FROM information_schema.columns JOIN information_schema.views USING (table_schema, table_name)"
    found: dict[str, list[str]] = {}
    for view, column in connection.execute(sql + " WHERE table_schema = current_schema() ORDER BY table_name, ordinal_position"):
        found.setdefault(view, []).append(column)
    return found


def test_tables_have_the_same_columns_of_the_same_families_and_defaults(sqlite, postgres):
    assert columns_of_postgres(postgres) == columns_of_sqlite(sqlite)


def test_keys_and_references_are_the_same(sqlite, postgres):
    assert keys_of_postgres(postgres) == keys_of_sqlite(sqlite)


def test_indexes_have_the_same_columns_and_conditions(sqlite, postgres):
    made = r"CREATE (?:UNIQUE )?INDEX (\w+) ON (\w+) \(([^)]*)\)(?:\s+WHERE ([^;]*))?;"
    ours, theirs = ({m[0]: tuple(re.sub(r"\s+", " ", part) for part in m[1:]) for m in re.findall(made, schema_of(e))} for e in ("sqlite", "postgres"))
    assert theirs == ours


def test_the_same_triggers_watch_the_same_tables(sqlite, postgres):
    ours = sqlite.execute("SELECT name, tbl_name FROM sqlite_schema WHERE type = 'trigger' ORDER BY name").fetchall()
    sql = "SELECT t.tgname, c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal"
    assert postgres.execute(f"{sql} AND c.relnamespace = current_schema()::regnamespace ORDER BY 1").fetchall() == ours


def test_views_show_the_same_columns(sqlite, postgres):
    assert views_of_postgres(postgres) == views_of_sqlite(sqlite)


def test_texts_sort_by_code_point_whatever_the_server_prefers(postgres):
    sql = (
        "SELECT c.relname || '.' || a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_collation l ON l.oid = a.attcollation "
        "WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'v') AND a.attnum > 0 AND l.collname <> 'C'"
    )
    assert [name for (name,) in postgres.execute(sql + " AND c.relkind = 'r'")] == []


def _words(schema: str) -> list[str]:
    """Every word that a rule of a schema quotes."""
    return sorted({word for rule in re.findall(r"CHECK \((.*)", schema) for word in re.findall(r"'([^']*)'", rule)})


def _bare(text: str) -> str:
    """A table with its rules alone: nothing is required, unique, or refers to another table."""
    text = re.sub(r"(?m)^\s*(PRIMARY KEY|FOREIGN KEY|UNIQUE) \(.*$", "", text)
    text = re.sub(r"NOT NULL|PRIMARY KEY|UNIQUE|REFERENCES \w+( ON DELETE CASCADE)?|DEFAULT (\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)|[^\s,]+)", "", text)
    return re.sub(r",\s*\)", ")", re.sub(r"\)\s*STRICT(, WITHOUT ROWID)?\s*$", ") STRICT", text))


def taken_by_sqlite(table: str, rows: list[dict[str, Any]], connection: apsw.Connection) -> list[bool]:
    text = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (table,)).get
    with_rules = apsw.Connection(":memory:")
    with_rules.execute(_bare(text))
    found = []
    for row in rows:
        try:
            with_rules.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", tuple(row.values()))
            found.append(True)
        except apsw.ConstraintError:
            found.append(False)
    with_rules.close()
    return found


def taken_by_postgres(table: str, rows: list[dict[str, Any]], connection: psycopg.Connection) -> list[bool]:
    found = []
    with suppress(psycopg.Rollback), connection.transaction():
        connection.execute(f"CREATE TEMP TABLE tried (LIKE {table} INCLUDING CONSTRAINTS INCLUDING GENERATED) ON COMMIT DROP")
        columns = [column.name for column in connection.execute("SELECT * FROM tried").description or ()]
        connection.execute(f"ALTER TABLE tried {', '.join(f'ALTER {name} DROP NOT NULL' for name in columns)}")
        for row in rows:
            try:
                with connection.transaction():
                    connection.execute(f"INSERT INTO tried ({', '.join(row)}) VALUES ({', '.join(['%s'] * len(row))})", list(row.values()))
                found.append(True)
            except psycopg.errors.CheckViolation:
                found.append(False)
    return found


def test_what_one_engine_refuses_the_other_refuses_too(sqlite, postgres):
    words = sorted({*_words(schema_of("sqlite")), *_words(schema_of("postgres"))})
    columns = columns_of_sqlite(sqlite)
    refused = 0
    for table in tables_of_sqlite(sqlite):
        rows = [values for name, values in PAIRS if name == table]
        for name, (family, _, _, computed) in columns.items():
            if name.startswith(f"{table}.") and not computed:
                values = [*TRIED[family], *(words if family == "text" else [])]
                rows += [{name.partition(".")[2]: value} for value in values]
        ours, theirs = taken_by_sqlite(table, rows, sqlite), taken_by_postgres(table, rows, postgres)
        assert [(table, row) for row, a, b in zip(rows, ours, theirs, strict=True) if a != b] == []
        refused += ours.count(False)
    assert refused > 1_000

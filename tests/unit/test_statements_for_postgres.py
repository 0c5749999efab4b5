"""What the books say in SQL, in PostgreSQL's words; what the server answers, as families of errors. No server is needed."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import psycopg
import pytest

from jarvis_client.contract.errors import Invalid, Unavailable
from persistence.domain.address import is_server, password_of, shown
from persistence.domain.errors import Damaged, Overtaken, RuleBroken, TookTooLong, WrongDatabase
from persistence.engine.bound_values import storable
from persistence.engine.postgres.errors import as_ours
from persistence.engine.postgres.statements import arrays_of, insert_of, many_keys, translated_statement


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("SELECT a FROM t WHERE b = ? AND c = ?", "SELECT a FROM t WHERE b = $1 AND c = $2"),
        ("UPDATE t SET a = ?1, b = ?1 WHERE c = ?2", "UPDATE t SET a = $1, b = $1 WHERE c = $2"),
        ("SELECT '?' || a, 'it''s ?1' FROM t WHERE b = ?", "SELECT '?' || a, 'it''s ?1' FROM t WHERE b = $1"),
        ("SELECT a::text FROM t WHERE b = :of AND c = :of AND d = :at", "SELECT a::text FROM t WHERE b = $1 AND c = $1 AND d = $2"),
        ("SELECT a FROM t CROSS JOIN orders o ON o.id = t.id", "SELECT a FROM t JOIN orders o ON o.id = t.id"),
        ("SELECT a FROM t CROSS JOIN u", "SELECT a FROM t CROSS JOIN u"),
        ("SELECT a FROM t WHERE name LIKE 'contract %'", "SELECT a FROM t WHERE name LIKE 'contract %'"),
    ],
)
def test_parameters_are_numbered_and_literals_left_alone(sql, text):
    assert translated_statement(sql).text == text


def test_named_parameters_come_in_the_order_of_their_first_use():
    statement = translated_statement("SELECT :b, :a, :b")
    assert statement.bound({"a": 1, "b": 2, "c": 3}) == [2, 1]
    with pytest.raises(Invalid, match="'a'"):
        statement.bound({"b": 2})


@pytest.mark.parametrize(
    ("sql", "kinds", "text"),
    [
        ("SELECT x FROM t WHERE id = ?", (str,), "SELECT x FROM t WHERE id = ANY($1::text[])"),
        (
            "SELECT x FROM t WHERE id = ? AND no = ? AND state = 0",
            (str, int),
            "SELECT x FROM t WHERE (id, no) IN (SELECT * FROM unnest($1::text[], $2::bigint[])) AND state = 0",
        ),
    ],
)
def test_many_keys_are_looked_up_at_once(sql, kinds, text):
    assert many_keys(sql, kinds) == text


def test_rows_are_inserted_as_arrays_or_copied():
    insert = insert_of("INSERT INTO t (a, b) VALUES (?, ?) ON CONFLICT (a) DO NOTHING")
    assert insert.of_arrays({"a": "bigint", "b": "text"}) == "INSERT INTO t (a, b) SELECT * FROM unnest($1::bigint[], $2::text[]) ON CONFLICT (a) DO NOTHING"
    assert insert_of("INSERT INTO t (a, b) VALUES (?, ?)").copy == "COPY t (a, b) FROM STDIN"


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t (a, b) VALUES (?, 'fixed')",
        "INSERT INTO t (a, b) VALUES (?1, ?1)",
        "INSERT INTO t (a) VALUES (?) ON CONFLICT (a) DO UPDATE SET a = ?",
        "INSERT INTO t (a) SELECT ?",
        "UPDATE t SET a = ?",
    ],
)
def test_what_is_no_plain_insert_is_run_row_by_row(sql):
    assert insert_of(sql) is None


def test_an_array_holds_whatever_a_text_holds():
    rows = [(1, 'say "no"', b"\x00\xff", 0.1), (-2, "back\\slash, {brace}", None, None), (None, None, b"", 1e300), (3, "", b"x", 2.0), (4, "NULL", b"y", 0.0)]
    assert arrays_of(rows) == [
        "{1,-2,NULL,3,4}",
        '{"say \\"no\\"","back\\\\slash, {brace}",NULL,"","NULL"}',
        '{"\\\\x00ff",NULL,"\\\\x","\\\\x78","\\\\x79"}',
        "{0.1,NULL,1e+300,2.0,0.0}",
    ]


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (Decimal("1.50"), "1.5"),
        (datetime(2026, 1, 1, tzinfo=UTC), 1_767_225_600_000_000),
        (date(2026, 1, 1), "2026-01-01"),
        (True, 1),
        (b"\x01", b"\x01"),
        (None, None),
    ],
)
def test_values_are_stored_as_on_sqlite(given, stored):
    assert storable(given) == stored
    assert type(storable(given)) is type(stored)


def test_what_the_books_cannot_hold_is_refused():
    with pytest.raises(Invalid, match="give text, bytes, a number"):
        storable(object())


@pytest.mark.parametrize(
    ("code", "family"),
    [
        ("23505", Overtaken),  # a row that two commits made first
        ("40001", Overtaken),
        ("40P01", Overtaken),  # a deadlock
        ("55P03", Overtaken),  # a lock that did not come in time
        ("23514", RuleBroken),
        ("23502", RuleBroken),
        ("23001", RuleBroken),
        ("22003", RuleBroken),
        ("54000", RuleBroken),
        ("57P01", Unavailable),  # somebody stops the server
        ("53100", Unavailable),  # its disk is full
        ("08006", Unavailable),
        ("57014", TookTooLong),
        ("XX001", Damaged),
        ("28P01", WrongDatabase),
        ("3D000", WrongDatabase),
        ("42501", WrongDatabase),
        ("42P01", WrongDatabase),
        ("25006", Invalid),
    ],
)
def test_the_family_of_an_error_says_what_to_do(code, family):
    assert type(as_ours(psycopg.errors.lookup(code)("of a test"), "write")) is family


def test_a_connection_that_is_lost_is_no_fault_of_a_fact():
    assert type(as_ours(psycopg.OperationalError("server closed the connection unexpectedly"), "write")) is Unavailable


@pytest.mark.parametrize(
    ("url", "said", "password"),
    [
        ("postgresql://jarvis:hunter2@db.example:5432/books?sslmode=require", "postgresql://jarvis@db.example:5432/books", "hunter2"),
        ("postgres://db.example/books", "postgresql://db.example/books", None),
        ("postgresql:///books?host=/run/postgresql&password=hunter2", "postgresql:///run/postgresql/books", "hunter2"),
        ("postgresql://jarvis:p%40ss@[::1]/books", "postgresql://jarvis@[::1]/books", "p%40ss"),
    ],
)
def test_a_server_is_named_without_its_password(url, said, password):
    assert is_server(url)
    assert shown(url) == said
    assert password_of(url) == password


@pytest.mark.parametrize("place", ["data/books.db", "sqlite:///books.db", ":memory:", "/postgresql/books.db"])
def test_anything_else_is_a_file(place):
    assert not is_server(place)

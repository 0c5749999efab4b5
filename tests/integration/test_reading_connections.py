"""Connections that are lent for reading: they never write, never wait for ever, and see one moment inside a snapshot."""

from __future__ import annotations

import heapq
import threading
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from books import deposit

from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from persistence.domain import Account, Invalid, Unavailable
from persistence.engine.sqlite.connect import SQLiteConnection
from persistence.repositories import SQLiteAccountRepository, SQLiteTransactionRepository


def test_a_database_is_opened_and_closed_by_its_block(tmp_path):
    with DatabaseManager(tmp_path / "new" / "books.db") as db:
        SQLiteAccountRepository(db).save(Account("acc"))
        assert SQLiteAccountRepository(db).exists("acc")
    with DatabaseManager(tmp_path / "new" / "books.db") as db:
        assert SQLiteAccountRepository(db).exists("acc")


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE accounts SET name = 'evil'",
        "UPDATE accounts SET name = 'evil' RETURNING name",
        "DELETE FROM accounts",
        "INSERT INTO accounts (account_id, name) VALUES ('b', 'b')",
        "DROP TABLE balances",
        "CREATE TABLE mine (x)",
        "BEGIN IMMEDIATE",
    ],
)
def test_a_query_can_not_write(database, ledger, sql):
    ledger.post([deposit()])
    with pytest.raises(Invalid, match=r"for reading; write inside .*transaction\(\)"):
        database.execute_query(sql)
    with pytest.raises(Invalid, match="for reading"), database.get_connection() as connection:
        connection.execute(sql)
    with pytest.raises(Invalid, match="for reading"), database.snapshot() as connection:
        connection.execute(sql)
    assert database.execute_query("SELECT name FROM accounts") == [("acc",)]
    assert database.execute_update("UPDATE accounts SET name = 'mine'") == 1, "the same connection still commits"


def test_what_is_written_in_a_transaction_may_be_written_by_a_query_too(database, ledger):
    ledger.post([deposit()])
    with database.transaction():
        assert database.execute_query("UPDATE accounts SET name = 'x' RETURNING name") == [("x",)]
    assert database.execute_query("SELECT name FROM accounts") == [("x",)]


def test_a_commit_does_not_pay_for_the_reads_beside_it(database, ledger, monkeypatch):
    ledger.post([deposit(0)])
    with database.get_connection(), database.transaction():
        pass  # one connection of either kind
    turned = []
    monkeypatch.setattr(SQLiteConnection, "pragma", lambda _, name, *value: turned.append((name, *value)))
    for n in range(1, 4):
        ledger.post([deposit(n)])
        database.execute_query("SELECT 1")
    assert turned == []


def test_streams_that_take_every_connection_say_so_instead_of_waiting_for_ever(tmp_path):
    with DatabaseManager(tmp_path / "b.db", max_connections=5, busy_timeout_ms=100) as db:
        Ledger(db).post([deposit(n, account_id=f"a{n}") for n in range(6)])
        transactions = SQLiteTransactionRepository(db)
        streams = [transactions.stream(f"a{n}") for n in range(6)]
        with pytest.raises(Unavailable, match=r"all 5 connections are in use.* close a stream or raise max_connections"):
            list(heapq.merge(*streams, key=lambda t: t.occurred_at))
        for stream in streams:
            stream.close()
        assert transactions.count("a0") == 1, "closed streams give their connections back"


def test_everything_read_inside_a_snapshot_is_of_one_moment(database, ledger):
    transactions, accounts = SQLiteTransactionRepository(database), SQLiteAccountRepository(database)
    ledger.post([deposit(1)])

    def meanwhile(n: int) -> None:
        writer = threading.Thread(target=lambda: ledger.post([deposit(n)]))
        writer.start()
        writer.join()

    def seen() -> list[object]:
        return [
            transactions.count("acc"), len(transactions.find_by_account("acc")), len(list(transactions.stream("acc"))),
            str(accounts.find_by_id("acc").balance), database.execute_query("SELECT count(*) FROM facts")[0][0],
        ]  # fmt: skip

    with database.snapshot():
        meanwhile(2)
        first = seen()
        meanwhile(3)
        with database.snapshot(), database.get_connection():
            assert seen() == first == [1, 1, 1, "1000 USDT", 1]
        assert seen() == first
    assert seen() == [3, 3, 3, "3000 USDT", 3]


def test_a_commit_inside_a_snapshot_is_its_own_and_shows_afterwards(database, ledger):
    transactions = SQLiteTransactionRepository(database)
    with database.snapshot():
        ledger.post([deposit(1)])
        assert transactions.count("acc") == 0
        with database.transaction():
            assert transactions.count("acc") == 1
    assert transactions.count("acc") == 1


def test_a_snapshot_that_failed_leaves_nothing_behind(database, ledger):
    with pytest.raises(ZeroDivisionError), database.snapshot():
        1 / 0  # noqa: B018
    ledger.post([deposit(1)])
    assert database.execute_query("SELECT count(*) FROM facts")[0][0] == 1


def test_parameters_are_taken_as_the_books_hold_them(database, ledger):
    at = datetime(2026, 1, 1, tzinfo=UTC)
    ledger.post([deposit(1, amount="1000.5", occurred_at=at)])
    sql = "SELECT record_id FROM facts f JOIN transactions t ON t.fact_no = f.fact_no WHERE t.amount = ? AND t.occurred_at = ?"
    assert database.execute_query(sql, (Decimal("1000.50"), at)) == [("d1",)]
    assert database.execute_query("SELECT ?", (date(2026, 1, 1),)) == [("2026-01-01",)]


@pytest.mark.parametrize(
    ("sql", "params", "said"),
    [
        ("SELECT ?", (object(),), "parameter 1 is <object"),
        ("SELECT ?", (datetime(2026, 1, 1),), "has no offset"),
        ("SELECT ?", (2**80,), "64 bits"),
        ("SELECT ?", ("\ud800",), "half a character"),
        ("SELECT :a", {}, "'a', which is not given"),
        ("SELECT ?", 5, "give a tuple"),
        ("SELECT ?, ?", (1,), "bindings"),
        ("SELEC", (), "syntax error"),
    ],
)
def test_what_a_statement_can_not_take_is_refused_in_the_words_of_the_books(database, sql, params, said):
    for run in (database.execute_query, database.execute_update, lambda s, p: database.execute_many(s, [p])):
        with pytest.raises(Invalid, match=said):
            run(sql, params)


def test_a_column_that_is_not_there_is_named_with_those_that_are(database):
    [row] = database.execute_query("SELECT 1 AS a, 2 AS b")
    with pytest.raises(Invalid, match="no column 'c'; there are a, b"):
        row["c"]

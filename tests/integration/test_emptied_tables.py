"""Tables that a rebuild fills from nothing are the same tables afterwards, with their indexes, triggers and rules."""

from __future__ import annotations

import pytest
from books import deposit, fill

from persistence.domain.errors import RuleBroken
from persistence.engine.sqlite.emptying import emptied
from persistence.engine.sqlite.migrations import schema_texts
from persistence.proof.books_checks import FILE_CHECKS, run_checks

TABLES = ("transactions", "transaction_totals", "balances", "orders")


def test_a_table_is_empty_within_and_whole_afterwards(database, ledger):
    ledger.post([deposit(), fill(1)])
    with database.transaction() as connection:
        before = schema_texts(connection)
        rows = connection.execute("SELECT transaction_no, account_id, occurred_at, type, currency, kind, amount FROM transactions").fetchall()
        with emptied(connection, TABLES):
            assert [connection.execute(f"SELECT count(*) FROM {table}").get for table in TABLES] == [0, 0, 0, 0]
            connection.executemany(
                "INSERT INTO transactions (transaction_no, account_id, occurred_at, type, currency, kind, amount) VALUES (?, ?, ?, ?, ?, ?, ?)", rows
            )
        assert schema_texts(connection) == before
    assert run_checks(database, FILE_CHECKS) == []
    assert database.execute_query("SELECT count(*) FROM transactions INDEXED BY transactions_by_time WHERE account_id = 'acc'")[0][0] == len(rows)
    with pytest.raises(RuleBroken, match="never updated"):
        database.execute_update("UPDATE transactions SET amount = '5'")


def test_what_is_undone_leaves_the_rows_as_they_were(database, ledger):
    ledger.post([deposit(), fill(1)])
    before = database.execute_query("SELECT count(*) FROM transactions")[0][0]
    with pytest.raises(ZeroDivisionError), database.transaction() as connection, emptied(connection, TABLES):
        raise ZeroDivisionError
    assert database.execute_query("SELECT count(*) FROM transactions")[0][0] == before

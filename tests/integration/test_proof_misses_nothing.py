"""Whatever is changed in a row that others follow from, a check finds it: where the store itself compares, too."""

from __future__ import annotations

import pytest
from books import deposit, fill, placed, void

from persistence.proof.books_checks import CHECKS, check_books, guarded

#: A buy and a sell, a rebate, no fee, a fee that is not known, several fees; contracts, linear and inverse; a price below zero; orders of one
#: and several fills, placed or not, filled or not; and a fill that is voided.
FACTS = (
    deposit(), placed(1), fill(1, order_id="o1"), fill(2, side="sell", order_id="o2", fee="-0.5"), fill(3, order_id="o2", side="sell", fee=0),
    fill(4, fee=None, order_id="o4", order_type="limit", order_price="1.5"), fill(5, order_id=None, fee=0, fees=[{"currency": "BNB", "amount": "1"}, {"currency": "USDT", "amount": "2"}]),
    fill(6, symbol="BTC/USDT:USDT", contract=True, multiplier="0.01", order_id="o6"), fill(7, symbol="BTC/USD:BTC", contract=True, inverse=True, quote_quantity="0.01", order_id="o7"),
    fill(8, price="-3", order_id="o8"), placed(9), fill(10, order_id="o10"), void(1, "fill", "f10"),
)  # fmt: skip
#: Columns of which these checks say nothing, by table: the chain seals when a record arrived.
NOT_COMPARED = {
    "fills": {"given_time"},
    "transactions": set(),
    "orders": {"order_no"},
    "facts": {"sort_key", "occurred_at", "sequence", "producer", "recorded_at", "state"},
}


@pytest.fixture
def kept(database, ledger):
    ledger.post(list(FACTS))
    assert check_books(database) == []
    return database


def _changed(column: str, value: object) -> object:
    """Another value of the same kind."""
    if column in ("fact_no", "transaction_no"):
        return value + 1_000
    match value:
        case None:
            return "1"
        case bytes():
            return bytes(len(value))
        case int():
            return 1 - value if value in (0, 1) else value + 1
        case "buy" | "sell":
            return "sell" if value == "buy" else "buy"
        case str() if value.strip("-.0123456789") == "":
            return f"{value}1" if "." in value else f"{value}.1"
    return f"{value}x"


@pytest.mark.parametrize("table", NOT_COMPARED)
def test_every_change_of_every_column_is_found(kept, table):
    columns = [row[0] for row in kept.execute_query(f"SELECT name FROM pragma_table_info('{table}')") if row[0] not in NOT_COMPARED[table]]
    tried = 0
    with kept.get_connection(writing=True) as connection:
        connection.pragma("foreign_keys", False)
        connection.pragma("ignore_check_constraints", True)
        connection.execute("DROP TRIGGER transactions_immutable")
        for column in columns:
            for rowid, value in connection.execute(f"SELECT rowid, {column} FROM {table}").fetchall():
                connection.execute("SAVEPOINT damage")
                connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (_changed(column, value), rowid))
                assert _found(connection), f"nobody finds that {column} of row {rowid} of {table} is {_changed(column, value)!r} in place of {value!r}"
                connection.execute("ROLLBACK TO damage")
                connection.execute("RELEASE damage")
                tried += 1
        assert _found(connection) == []
    assert tried > 50


def _found(connection) -> list:
    return [finding for check in CHECKS for finding in guarded(check.__name__, check(connection))]

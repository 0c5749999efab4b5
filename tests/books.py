"""Shorthand for facts, and the books as comparable text."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

from jarvis_client.contract.decimals import EXACT
from jarvis_client.contract.facts import BalanceReport, Deposit, EquitySnapshot, Fee, Fill, OrderEvent, Rate, Void, Withdrawal
from persistence import exports
from persistence.database import DatabaseManager
from persistence.repositories import SQLiteAccountRepository

#: 2026-01-01T00:00:00Z.
NEW_YEAR = 1_767_225_600_000_000
SECOND = 1_000_000


def fill(number: int | str = 1, **changes: Any) -> Fill:
    values: dict[str, Any] = {
        "fill_id": f"f{number}", "account_id": "acc", "order_id": "o1", "symbol": "BTC/USDT", "side": "buy", "quantity": "1", "price": "100",
        "executed_at": NEW_YEAR, "fee": "0.1",
    }  # fmt: skip
    return Fill(**{**values, **changes})


def deposit(number: int | str = 1, **changes: Any) -> Deposit:
    values: dict[str, Any] = {"deposit_id": f"d{number}", "account_id": "acc", "currency": "USDT", "amount": "1000", "occurred_at": NEW_YEAR}
    return Deposit(**{**values, **changes})


def withdrawal(number: int | str = 1, **changes: Any) -> Withdrawal:
    values: dict[str, Any] = {"withdrawal_id": f"w{number}", "account_id": "acc", "currency": "USDT", "amount": "100", "occurred_at": NEW_YEAR}
    return Withdrawal(**{**values, **changes})


def placed(number: int | str = 1, **changes: Any) -> OrderEvent:
    values: dict[str, Any] = {
        "event_id": f"e{number}", "account_id": "acc", "order_id": "o1", "status": "placed", "occurred_at": NEW_YEAR, "symbol": "BTC/USDT",
        "side": "buy", "order_type": "limit", "quantity": "3", "price": "100",
    }  # fmt: skip
    return OrderEvent(**{**values, **changes})


def ended(number: int | str = 1, status: str = "cancelled", **changes: Any) -> OrderEvent:
    values: dict[str, Any] = {"event_id": f"c{number}", "account_id": "acc", "order_id": "o1", "status": status, "occurred_at": NEW_YEAR + SECOND}
    return OrderEvent(**{**values, **changes})


def snapshot(number: int = 1, **changes: Any) -> EquitySnapshot:
    return EquitySnapshot(**{"account_id": "acc", "observed_at": NEW_YEAR + number, "total_value_usd": "1000", **changes})


def fee(number: int | str = 1, **changes: Any) -> Fee:
    values: dict[str, Any] = {
        "fee_id": f"x{number}", "account_id": "acc", "fill_id": "f1", "currency": "USDT", "amount": "0.3", "occurred_at": NEW_YEAR + SECOND,
    }  # fmt: skip
    return Fee(**{**values, **changes})


def rate(number: int = 1, **changes: Any) -> Rate:
    return Rate(**{"currency": "BTC", "usd_rate": "50000", "observed_at": NEW_YEAR + number, **changes})


def balance_report(number: int = 1, **changes: Any) -> BalanceReport:
    return BalanceReport(**{"account_id": "acc", "currency": "BTC", "total": "1", "observed_at": NEW_YEAR + number, **changes})


def void(number: int | str, kind: str, target: str, **changes: Any) -> Void:
    values: dict[str, Any] = {"void_id": f"v{number}", "account_id": "acc", "kind": kind, "id": target, "reason": "wrong", "occurred_at": NEW_YEAR + 5 * SECOND}
    return Void(**{**values, **changes})


def statuses(outcomes) -> list[str]:
    return [o.status for o in outcomes]


def exported(database: DatabaseManager, table: str, account_id: str | None = "acc", form: str = "csv") -> str:
    out = io.StringIO()
    exports.write(database, table, account_id, form, out)
    return out.getvalue()


def books(database: DatabaseManager) -> dict[str, str]:
    """Everything of every account that an export shows, and when accounts were opened."""
    found = {}
    for account in SQLiteAccountRepository(database).find_all():
        found[f"{account.account_id} opened"] = str(account.opened_at)
        for table, export in exports.TABLES.items():
            if export.account_column is not None:
                found[f"{account.account_id} {table}"] = exported(database, table, account.account_id)
            if export.kinds:
                found[f"{account.account_id} {table} as records"] = exported(database, table, account.account_id, "ndjson")
    return found


def unexplained(database: DatabaseManager) -> list[str]:
    """Balances that are not the exact sum of their transactions, added up apart from the ledger's own sums."""
    sums: dict[tuple[str, str, str], Decimal] = {}
    for *key, amount in database.execute_query("SELECT account_id, currency, kind, amount FROM transactions"):
        sums[tuple(key)] = EXACT.add(sums.get(tuple(key), Decimal(0)), Decimal(amount))
    wrong = []
    for account_id, currency, kind, available, reserved in database.execute_query("SELECT account_id, currency, kind, available, reserved FROM balances"):
        expected = sums.pop((account_id, currency, kind), Decimal(0))
        if EXACT.add(Decimal(available), Decimal(reserved)) != expected:
            wrong.append(f"{account_id} {currency}: {available} + {reserved} is not {expected}")
    return wrong + [f"{key} has no balance" for key, amount in sums.items() if amount]

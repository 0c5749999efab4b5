"""Accounts, transactions and orders, for people: the pages that the API answers, with the accounts that may be chosen."""

from __future__ import annotations

from typing import Any

from jarvis.reading.accounts import balances
from jarvis.web import asking, books, cursor
from jarvis.web.desk import Reading
from jarvis.web.pages.asking import STATUSES, TYPES, Listed, Orders, Transactions
from persistence.repositories import SQLiteAccountRepository

#: Accounts that a form offers to choose from; of more, one is typed.
MOST_OFFERED = 200


def accounts(reading: Reading, asked: Listed) -> dict[str, Any]:
    [after] = (None,) if asked.after is None else cursor.read(asked.after, str)
    found = SQLiteAccountRepository(reading.books).page(asked.limit + 1, after)
    shown = found[: asked.limit]
    return {"accounts": [(a, balances(a)) for a in shown], "next": cursor.written(shown[-1].account_id) if len(found) > len(shown) else None}


def transactions(reading: Reading, asked: Transactions) -> dict[str, Any]:
    offered, account = _chosen(reading, asked.account)
    if account is None:
        return {"account": None}
    wanted = asking.Transactions(account=account, limit=asked.limit, after=asked.after, type=asked.type, currency=asked.currency)
    return {"offered": offered, "account": account, "types": TYPES, "looked_through": books.MOST_LOOKED_THROUGH, **books.transactions(reading, wanted)}


def orders(reading: Reading, asked: Orders) -> dict[str, Any]:
    offered, account = _chosen(reading, asked.account)
    if account is None:
        return {"account": None}
    wanted = asking.Orders(account=account, limit=asked.limit, after=asked.after, status=asked.status, symbol=asked.symbol)
    return {"offered": offered, "account": account, "statuses": STATUSES, "looked_through": books.MOST_LOOKED_THROUGH, **books.orders(reading, wanted)}


def _chosen(reading: Reading, account: str | None) -> tuple[list[str], str | None]:
    """The ids that a form offers, and the account to show: the one that was asked for, or the first; None where there is none yet."""
    offered = offer(reading)
    return offered, account or next(iter(offered), None)


def offer(reading: Reading) -> list[str]:
    """The ids that a form offers."""
    return SQLiteAccountRepository(reading.books).ids(MOST_OFFERED)


__all__ = ["accounts", "offer", "orders", "transactions"]

"""Accounts, balances, orders, transactions; quarantine, gaps, notes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from jarvis.reading import accounts as plain_accounts
from jarvis.reading.movements import ORDER, TRANSACTION, order, transaction
from jarvis.reading.oddities import GAP, QUARANTINED, gap, quarantined
from jarvis.web import asking, cursor
from jarvis.web.desk import Reading
from jarvis.web.paging import named, page
from jarvis.web.problems import Problem, problem
from persistence.domain.account import Account
from persistence.domain.money import Currency
from persistence.domain.order import OrderStatus
from persistence.domain.transaction import TransactionType
from persistence.repositories import (
    SQLiteAccountRepository,
    SQLiteGapRepository,
    SQLiteOrderRepository,
    SQLiteQuarantineRepository,
    SQLiteTransactionRepository,
)
from persistence.repositories.orders import OrderPlace
from persistence.repositories.quarantine import Filter
from persistence.repositories.transactions import FREQUENT, TransactionPlace
from scheduler.notes import look_for_notes

#: Orders or transactions that one request looks through for what a filter lets through: 20 ms. The next page goes on from there.
MOST_LOOKED_THROUGH = 50_000
#: What is found by an index, however few there are.
_INDEXED = ("open", *(str(status) for status in OrderStatus if status.is_open))


def accounts(reading: Reading, asked: asking.Accounts) -> Any:
    repository = SQLiteAccountRepository(reading.books)
    found = repository.find_all_active() if asked.active else repository.find_all()
    listed = page(found, asked)
    return {**listed, "items": [plain_accounts.account(a) for a in listed["items"]]}


def balances(reading: Reading, asked: asking.PagedOfAccount) -> Any:
    return page(plain_accounts.balances(_account(reading, asked.account)), asked)


def orders(reading: Reading, asked: asking.Orders) -> Any:
    return _orders(reading, asked, asked.status, asked.symbol)


def open_orders(reading: Reading, asked: asking.OpenOrders) -> Any:
    return _orders(reading, asked, "open", asked.symbol)


def _orders(reading: Reading, asked: asking.PagedOfAccount, status: str | None, symbol: str | None) -> Any:
    known(reading, asked.account)
    after = None if asked.after is None else OrderPlace(*cursor.read(asked.after, int, str, str, str, str))
    repository = SQLiteOrderRepository(reading.books, reading.settings.conventions)
    # Open orders have an index of their own; what else a filter lets through may lie anywhere, or nowhere.
    reach = repository.reach(asked.account, MOST_LOOKED_THROUGH, after) if status not in (None, *_INDEXED) or symbol is not None else None
    found = repository.page(asked.account, asked.limit + 1, after, status=status, symbol=symbol, since=reach)
    shown = found[: asked.limit]
    following = OrderPlace.of(shown[-1]) if len(found) > len(shown) else reach
    return {"items": [named(ORDER, order(o)) for o in shown], "next": None if following is None else cursor.written(*following)}


def transactions(reading: Reading, asked: asking.Transactions) -> Any:
    known(reading, asked.account)
    after = None if asked.after is None else TransactionPlace(*cursor.read(asked.after, int, int, str, bytes, int))
    wanted = None if asked.type is None else TransactionType(asked.type)
    currency = None if asked.currency is None else Currency(asked.currency)
    repository = SQLiteTransactionRepository(reading.books)
    scattered = (currency is not None or wanted in FREQUENT) and repository.ever_had(asked.account, currency, wanted)
    reach = repository.reach(asked.account, MOST_LOOKED_THROUGH, after) if scattered else None
    found = repository.page(asked.account, asked.limit + 1, after, transaction_type=wanted, currency=currency, since=reach)
    shown = found[: asked.limit]
    following = shown[-1][1] if len(found) > len(shown) else reach
    return {"items": [named(TRANSACTION, transaction(t)) for t, _ in shown], "next": None if following is None else cursor.written(*following)}


def quarantine(reading: Reading, asked: asking.Quarantine) -> Any:
    [after] = (None,) if asked.after is None else cursor.read(asked.after, int)
    wanted = Filter(state=None if asked.state == "all" else asked.state, account_id=asked.account, after=after)
    found = list(SQLiteQuarantineRepository(reading.books).stream(wanted, asked.limit + 1))
    shown = found[: asked.limit]
    rows = [named(QUARANTINED, quarantined(q)) for q in shown]
    return {"items": rows, "next": cursor.written(shown[-1].quarantine_no) if len(found) > len(shown) else None}


def quarantine_summary(reading: Reading, _asked: asking.Asked) -> Any:
    by_reason = SQLiteQuarantineRepository(reading.books).held_by_reason()
    return {"held": sum(by_reason.values()), "by_reason": by_reason}


def gaps(reading: Reading, asked: asking.Gaps) -> Any:
    return page((named(GAP, gap(g)) for g in SQLiteGapRepository(reading.books).find_open(asked.producer)), asked)


def notes(reading: Reading, asked: asking.Notes) -> Any:
    found = look_for_notes(reading.books, reading.settings.rollup_plan, reading.now, known=True).notes
    return page((asdict(n) for n in found if asked.account in (None, n.account_id)), asked)


def known(reading: Reading, account_id: str) -> None:
    """Raises `Problem` where there is no such account."""
    if not SQLiteAccountRepository(reading.books).exists(account_id):
        raise _unknown(account_id)


def _account(reading: Reading, account_id: str) -> Account:
    found = SQLiteAccountRepository(reading.books).find_by_id(account_id)
    if found is None:
        raise _unknown(account_id)
    return found


def _unknown(account_id: str) -> Problem:
    return problem(404, "there is no such account", "/api/v1/accounts lists those that there are", parameter="account", value=account_id)

"""The statement of a period: per currency what there was, what moved, what there is, and what of it nobody can explain: nothing.

opening + deposits - withdrawals + traded in - traded out - fees + income + loans + conversions + adjustments + unexplained = closing
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date as Date
from decimal import Decimal
from typing import NamedTuple

from jarvis_client.contract.decimals import EXACT, ZERO
from jarvis_client.contract.instants import end_of_day, start_of_day
from persistence.books.account_history import AccountBooks
from persistence.domain.rollup import name_and_kind
from persistence.domain.transaction import TransactionType
from scheduler.rollup.days import ONE_DAY, day_of
from scheduler.rollup.options import RollupOptions


class StatementLine(NamedTuple):
    """One currency's period. `fees` are net of rebates; `income` is funding, interest, dividends, bonuses and other; `loans` what was
    borrowed less what was given back; `conversions` what splits and renames put in or took out, which is neither gain nor loss."""

    currency: str
    opening: Decimal
    deposits: Decimal
    withdrawals: Decimal
    traded_in: Decimal
    traded_out: Decimal
    fees: Decimal
    income: Decimal
    loans: Decimal
    conversions: Decimal
    adjustments: Decimal
    closing: Decimal
    unexplained: Decimal


def line(currency: str, opening: Decimal, movements: Iterable[tuple[str, Decimal]], closing: Decimal) -> StatementLine:
    """The line of a currency from its movements, (type, signed amount) each."""
    sums = dict.fromkeys(("deposits", "withdrawals", "traded_in", "traded_out", "fees", "income", "loans", "conversions", "adjustments"), ZERO)
    explained = opening
    for kind, amount in movements:
        explained = EXACT.add(explained, amount)
        column, signed = _column(kind, amount)
        sums[column] = EXACT.add(sums[column], signed)
    return StatementLine._make((currency, opening, *sums.values(), closing, EXACT.subtract(closing, explained)))


def _column(kind: str, amount: Decimal) -> tuple[str, Decimal]:
    match kind:
        case TransactionType.DEPOSIT:
            return "deposits", amount
        case TransactionType.WITHDRAWAL:
            return "withdrawals", EXACT.minus(amount)
        case TransactionType.TRANSFER:
            return ("deposits", amount) if amount > 0 else ("withdrawals", EXACT.minus(amount))
        case TransactionType.TRADE_IN:
            return "traded_in", amount
        case TransactionType.TRADE_OUT:
            return "traded_out", EXACT.minus(amount)
        case TransactionType.FEE | TransactionType.REBATE:
            return "fees", EXACT.minus(amount)
        case TransactionType.LOAN:
            return "loans", amount
        case TransactionType.SPLIT | TransactionType.RENAME:
            return "conversions", amount
        case TransactionType.ADJUSTMENT:
            return "adjustments", amount
    return "income", amount


def statement(books: AccountBooks, options: RollupOptions, first: Date, last: Date | None = None) -> list[StatementLine]:
    """The statement of [first, last], by default of one day: each currency that moved in it, or was held before or after.

    Opening and closing come from the holdings that rollups kept and from the balances that the ledger keeps; the movements from
    the transactions themselves, those of the period alone. What does not fit shows as unexplained.
    """
    last = first if last is None else last
    start, end = start_of_day(first, options.zone), end_of_day(last, options.zone) + 1
    by_currency = books.movements_by_type(start, end)
    found = []
    for key in books.holdings():
        opening, closing = holding(books, options, key, first - ONE_DAY), holding(books, options, key, last)
        moved = by_currency.get(key, [])
        if opening or closing or moved:
            found.append(line(name_and_kind(key)[0], opening, moved, closing))
    return found


def holding(books: AccountBooks, options: RollupOptions, currency: str, day: Date) -> Decimal:
    """What was held of a currency at the end of a day.

    From the nearest figure that can be trusted: what a rollup kept for that day or before it, where nothing came since, else the
    present balance less everything that moved after that day.
    """
    mark, progress = books.mark(), books.progress()
    clean = progress is not None and progress.stale_from is None and day <= progress.rolled_to
    if clean and mark is not None:
        since = [i for i in (mark.dirty_since, mark.recheck_since) if i is not None]
        clean = not since or day < day_of(min(since), options.zone)
    if clean:
        return books.close_before(currency, day + ONE_DAY)[0]
    after = books.moved_since(currency, end_of_day(day, options.zone) + 1)
    return EXACT.subtract(books.balance(currency), after)

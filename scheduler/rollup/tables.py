"""Open lots, open positions and disposals as rows of plain values: what commands list and exports write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date as Date
from decimal import Decimal
from typing import Any, NamedTuple

from jarvis_client.contract.decimals import EXACT, QUOTIENT, ZERO, canonical
from jarvis_client.contract.instants import to_text
from persistence.books.account_history import AccountBooks
from scheduler.rollup.days import day_of
from scheduler.rollup.disposals import Disposal, disposals
from scheduler.rollup.options import RollupOptions
from scheduler.rollup.standing import Standing

Row = tuple[Any, ...]

LOTS = ("account_id", "currency", "quantity", "cost_usd", "average_cost_usd", "since", "brought_by", "worth_usd", "unrealised_usd")
POSITIONS = ("account_id", "instrument", "kind", "quantity", "average_price", "cash_currency", "since", "fills", "unrealised_usd")
DISPOSALS = (
    "account_id", "occurred_at", "currency", "taken_as", "quantity", "proceeds_usd", "cost_usd", "gain_usd", "since", "days_held", "record_kind", "record_id",
)  # fmt: skip
TOTALS = ("currency", "disposals", "proceeds_usd", "cost_usd", "gain_usd", "without_rate")


def lots(books: AccountBooks, options: RollupOptions, day: Date) -> list[Row]:
    """Every lot that was open at the end of a day, the oldest of an asset first."""
    return [
        (
            books.account_id, lot.currency, canonical(lot.quantity), _text(lot.cost_usd),
            None if lot.cost_usd is None else canonical(QUOTIENT.divide(lot.cost_usd, lot.quantity)), _instant(lot.opened_at), lot.brought_by,
            _text(lot.worth_usd), _text(lot.unrealised_usd),
        )
        for lot in Standing(books, options, day).lots()
    ]  # fmt: skip


def positions(books: AccountBooks, options: RollupOptions, day: Date) -> list[Row]:
    """Every position that was open at the end of a day."""
    return [
        (
            books.account_id, p.instrument, "spot" if p.kind == "currency" else p.kind, canonical(p.quantity), _text(p.average_price), p.cash_currency or None,
            _instant(p.opened_at), p.fills, _text(p.unrealised_usd),
        )
        for p in Standing(books, options, day).positions()
    ]  # fmt: skip


def disposed(books: AccountBooks, found: Iterable[Disposal]) -> list[Row]:
    """Disposals, each with the record that it comes from."""
    return [
        (
            books.account_id, to_text(d.instant), d.asset, d.taken_as, canonical(d.quantity), _text(d.proceeds), _text(d.cost), _text(d.gain),
            _instant(d.opened_at), d.days_held, *books.identity_of(d.fact_no),
        )
        for d in found
    ]  # fmt: skip


def totals(found: Sequence[Disposal]) -> list[Row]:
    """Disposals added up by asset. What lacks a rate is counted, and left out of the sums."""
    rows = []
    for asset in sorted({d.asset for d in found}):
        of_it = [d for d in found if d.asset == asset]
        told = [d for d in of_it if d.gain is not None]
        sums = (canonical(_sum(getattr(d, name) for d in told)) for name in ("proceeds", "cost", "gain"))
        rows.append((asset, len(of_it), *sums, len(of_it) - len(told)))
    return rows


class Period(NamedTuple):
    """Instants [start, end) that an export is bounded by; `now` stands for an end that is not given."""

    start: int | None
    end: int | None
    now: int

    def last_day(self, options: RollupOptions) -> Date:
        return day_of(self.now if self.end is None else self.end - 1, options.zone)

    def first_day(self, books: AccountBooks, options: RollupOptions) -> Date:
        mark = books.mark()
        beginning = mark.opened_at if mark is not None and mark.opened_at is not None else self.now
        return day_of(beginning if self.start is None else self.start, options.zone)


def _disposals_in(books: AccountBooks, options: RollupOptions, period: Period) -> list[Row]:
    found = disposals(books, options, period.first_day(books, options), period.last_day(options))
    start, end = period.start, period.end
    return disposed(books, [d for d in found if (start is None or d.instant >= start) and (end is None or d.instant < end)])


class Computed(NamedTuple):
    """An export that is computed, not read: of everything up to the end of a period or, if it `bounds` it, of the period alone."""

    columns: tuple[str, ...]
    rows: Callable[[AccountBooks, RollupOptions, Period], list[Row]]
    bounds: bool


COMPUTED = {
    "lots": Computed(LOTS, lambda books, options, period: lots(books, options, period.last_day(options)), bounds=False),
    "positions": Computed(POSITIONS, lambda books, options, period: positions(books, options, period.last_day(options)), bounds=False),
    "disposals": Computed(DISPOSALS, _disposals_in, bounds=True),
}


def _sum(amounts: Iterable[Decimal | None]) -> Decimal:
    total = ZERO
    for amount in amounts:
        assert amount is not None
        total = EXACT.add(total, amount)
    return total


def _text(number: Decimal | None) -> str | None:
    return None if number is None else canonical(number)


def _instant(instant: int | None) -> str | None:
    return None if instant is None else to_text(instant)


__all__ = ["COMPUTED", "DISPOSALS", "LOTS", "POSITIONS", "TOTALS", "Computed", "Period", "disposed", "lots", "positions", "totals"]

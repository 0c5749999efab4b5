"""Records in, everything that the pages say of one account out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from reference.days import Row, far_snapshots, moments_of, rows_of
from reference.facts import facts_of
from reference.lots import Disposal, Lot
from reference.numbers import ZERO
from reference.positions import ClosedTrade
from reference.replay import Account, Options
from reference.valuation import in_usd, realised, unrealised, value


@dataclass
class OpenPosition:
    instrument: str
    quantity: Fraction
    average_price: Fraction | None
    opened_at: int | None
    fills: list[str]


@dataclass
class Result:
    balances: dict[tuple[str, str], Fraction]
    trades: list[ClosedTrade]
    positions: list[OpenPosition]
    lots: dict[str, list[Lot]]
    disposals: list[Disposal]
    rows: list[Row]
    notes: list[dict[str, object]]
    broken: list[str]
    refused: list[str]
    value: Fraction | None
    realised: Fraction | None
    unrealised: Fraction | None
    fees: Fraction | None
    income: Fraction | None
    #: Realised + unrealised - fees + income, at the end and at each moment that has a row.
    told_pnl: dict[int, Fraction | None]


def reckon(records: Iterable[Mapping[str, object]], account: str, options: Options | None = None) -> Result:
    options = options or Options()
    facts, refused = facts_of(records, options.quote_currencies)
    heard = [f for f in facts if f.account == account or f.kind == "rate"]
    own = [f for f in heard if f.account == account]
    books = Account(account, heard, options).replay(moments_of(own, options))
    end = max((f.instant for f in heard), default=0)
    rows = rows_of(books)
    return Result(
        balances={asset: total for asset in books.assets() if (total := books.total(asset))},
        trades=books.positions.closed,
        positions=[
            OpenPosition(p.instrument.name, p.quantity, p.average_price, p.trade.opened_at if p.trade else None, list(p.trade.fills) if p.trade else [])
            for p in sorted(books.positions.all.values(), key=lambda p: p.instrument.name)
            if p.quantity
        ],
        lots={currency: lots.open for currency, lots in sorted(books.lots.items()) if lots.open},
        disposals=books.disposals(),
        rows=rows,
        notes=[*books.notes, *notes_of_now(books), *far_snapshots(books), *missing_notes(books)],
        broken=books.broken,
        refused=refused,
        value=value(books, end),
        realised=realised(books),
        unrealised=unrealised(books, end),
        fees=books.fees,
        income=books.income,
        told_pnl=books.told_pnl,
    )


def notes_of_now(books: Account) -> list[dict[str, object]]:
    """6: a currency below zero now, by more than dust or of unknown rate; a fee that is not known yet."""
    found: list[dict[str, object]] = []
    last = books.own[-1].instant if books.own else 0
    for (code, kind), amount in sorted(books.balances.items()):
        worth = in_usd(books, code, amount, last) if kind == "currency" and amount < 0 else ZERO
        if worth is None or -worth > books.options.dust_notional_usd:
            found.append({"check": "balance below zero", "account": books.name, "subject": code, "balance": amount})
    waiting = [fill for fill in books.fills if not fill.fee_known and not fill.later_fees]
    return found + [{"check": "fee not known", "account": books.name, "subject": fill.id, "instant": fill.instant} for fill in waiting]


def missing_notes(books: Account) -> list[dict[str, object]]:
    """6: a rate that is missing, with what it withholds; one note per currency."""
    found: dict[str, set[str]] = {}
    for missing in books.missing:
        found.setdefault(missing.currency, set()).add(missing.withholds)
    return [{"check": "missing rate", "account": books.name, "subject": code, "withholds": sorted(what)} for code, what in sorted(found.items())]

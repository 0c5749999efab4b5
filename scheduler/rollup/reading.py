"""What single facts say, as a replay reads them: the rates they carry, their fees, what a contract is worth by a fill of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from jarvis_client.contract.decimals import EXACT, ONE
from jarvis_client.contract.facts import Charge
from jarvis_client.contract.facts.fill import more_charges
from persistence.books.account_facts import EntryRow, FeeRow, FillRow, FlowRow
from persistence.books.account_history import ContractValue
from persistence.domain.rollup import PAR, UsdRate
from scheduler.rollup.trades import TradeFill

Other = FlowRow | FeeRow | EntryRow


def by_instant(rows: Iterable[FillRow | Other]) -> Iterator[list[FillRow | Other]]:
    """The facts of one instant together."""
    group: list[FillRow | Other] = []
    for row in rows:
        if group and group[0].instant != row.instant:
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def rate_of(rate: str) -> UsdRate:
    return PAR if rate == "1" else UsdRate(Decimal(rate))


def carried(row: FillRow | Other) -> Iterator[tuple[str, UsdRate]]:
    """The rates that a record gives of currencies."""
    if type(row) is FillRow:
        cash_currency = row.settle or row.quote
        if row.quote_rate is not None:
            yield cash_currency, rate_of(row.quote_rate)
        if row.fee_rate is not None or row.more_fees is not None:
            yield from ((c.currency, UsdRate(c.usd_rate)) for c in given_charges(row) if c.usd_rate is not None and c.currency != cash_currency)
    elif (type(row) is FeeRow and row.usd_rate is not None) or (type(row) is FlowRow and row.usd_rate is not None and row.kind == "currency"):
        yield row.currency, rate_of(row.usd_rate)


def given_charges(row: FillRow) -> tuple[Charge, ...]:
    """The fees of a fill as they were given."""
    found = [] if row.fee in (None, "0") else [Charge(row.fee_currency, Decimal(str(row.fee)), None if row.fee_rate is None else Decimal(row.fee_rate))]
    if row.more_fees is not None:
        found += more_charges(row.more_fees)
    return tuple(found)


def contract_value(fill: TradeFill) -> ContractValue:
    """What one contract is worth by a fill of it: by its price, of a quanto by its cash per contract."""
    if fill.is_quanto or (fill.inverse and fill.price <= 0):
        return ContractValue(EXACT.minus(fill.cash) if fill.inverse else fill.cash, fill.quantity, fill.quote)
    if fill.inverse:
        return ContractValue(EXACT.minus(fill.multiplier), fill.price, fill.quote)
    return ContractValue(EXACT.multiply(fill.price, fill.multiplier), ONE, fill.quote)


__all__ = ["Other", "by_instant", "carried", "contract_value", "given_charges", "rate_of"]

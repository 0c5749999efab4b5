"""The fields of each kind of record, as types: for a record that is a dictionary. What each means says `records`."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, Required, SupportsFloat, TypedDict

#: numpy's and pandas' numbers too; a float stands for its shortest text, so give what must be exact as a Decimal or as text.
Number = Decimal | int | float | str | SupportsFloat
#: A datetime with an offset, RFC 3339, or integer microseconds since 1970.
Moment = datetime | str | int
Day = date | str
Side = Literal["buy", "sell"]
Status = Literal["placed", "amended", "cancelled", "rejected", "expired", "filled", "canceled", "open", "new"]
Category = Literal["external", "transfer", "funding", "interest", "dividend", "bonus", "fee", "split", "loan", "rename", "other"]
Liquidity = Literal["maker", "taker"]
VoidableKind = Literal["fill", "fee", "deposit", "withdrawal", "order", "metrics", "balance", "rate", "transaction", "adjustment"]
Job = Literal["rollup", "checkpoint", "seal", "statistics", "backup", "verification", "restore_drill", "export", "clean_up"]


class Charge(TypedDict, total=False):
    currency: Required[str]
    amount: Required[Number]
    usd_rate: Number | None


class _Produced(TypedDict, total=False):
    producer: str | None
    sequence: int | None


class _Instrument(TypedDict, total=False):
    base: str | None
    quote: str | None
    settle: str | None
    contract: bool | None
    inverse: bool | None
    multiplier: Number | None


class FillFields(_Produced, _Instrument, total=False):
    fill_id: Required[str]
    account_id: Required[str]
    symbol: Required[str]
    side: Required[Side]
    quantity: Required[Number]
    price: Required[Number]
    executed_at: Required[Moment]
    order_id: str | None
    fee: Number | None
    fee_currency: str | None
    fees: Sequence[Charge] | None
    quote_quantity: Number | None
    quote_usd_rate: Number | None
    fee_usd_rate: Number | None
    liquidity: Liquidity | None
    order_type: str | None
    order_quantity: Number | None
    order_price: Number | None


class FeeFields(_Produced, total=False):
    fee_id: Required[str]
    account_id: Required[str]
    fill_id: Required[str]
    currency: Required[str]
    amount: Required[Number]
    occurred_at: Required[Moment]
    usd_rate: Number | None


class _Flow(_Produced, total=False):
    account_id: Required[str]
    currency: Required[str]
    amount: Required[Number]
    occurred_at: Required[Moment]
    category: Category | None
    usd_rate: Number | None
    fee: Number | None
    fee_currency: str | None
    description: str | None
    reference: str | None
    symbol: str | None


class DepositFields(_Flow, total=False):
    deposit_id: Required[str]


class WithdrawalFields(_Flow, total=False):
    withdrawal_id: Required[str]


class OrderFields(_Produced, _Instrument, total=False):
    event_id: Required[str]
    order_id: Required[str]
    account_id: Required[str]
    status: Required[Status]
    occurred_at: Required[Moment]
    symbol: str | None
    side: Side | None
    order_type: str | None
    quantity: Number | None
    price: Number | None
    cost: Number | None
    closes_position: bool | None
    reserve: bool | None


class MetricsFields(_Produced, total=False):
    account_id: Required[str]
    total_value_usd: Required[Number]
    observed_at: Moment | None
    date: Day | None
    snapshot_id: str | None
    pnl_daily: Number | None
    pnl_total: Number | None
    sharpe_ratio: Number | None
    sortino_ratio: Number | None
    max_drawdown: Number | None
    win_rate: Number | None
    profit_factor: Number | None
    trades_count: int | None


class BalanceFields(_Produced, total=False):
    account_id: Required[str]
    currency: Required[str]
    total: Required[Number]
    observed_at: Required[Moment]


class RateFields(_Produced, total=False):
    currency: Required[str]
    usd_rate: Required[Number]
    observed_at: Required[Moment]
    source: str | None


class VoidFields(_Produced, total=False):
    void_id: Required[str]
    kind: Required[VoidableKind]
    id: Required[str]
    reason: Required[str]
    occurred_at: Required[Moment]
    account_id: str | None

"""Records by keyword: one function per kind, which takes the fields of that kind and no others.

    records.fill(fill_id="binance:BTCUSDT:42", account_id="main", symbol="BTC/USDT", side="buy", quantity="0.015", price="64250.10",
                 executed_at=datetime.now(UTC))

`Publisher.publish_fill` takes the same arguments. None means that nothing is said; for the fees of a fill it says "not known yet". Fields of
the engine's own stand in `extra`. Nothing is checked here: a publisher does that before it sends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Final, Generic, Literal, NamedTuple, TypeVar, cast

from jarvis_client.contract.errors import MalformedRecord
from jarvis_client.fields import (
    BalanceFields,
    Category,
    Charge,
    Day,
    DepositFields,
    FeeFields,
    FillFields,
    Liquidity,
    MetricsFields,
    Moment,
    Number,
    OrderFields,
    RateFields,
    Side,
    Status,
    VoidableKind,
    VoidFields,
    WithdrawalFields,
)

Fields = TypeVar("Fields")


class _Said(Enum):
    NOT_SAID = "not said"


#: Stands where None would say something.
NOT_SAID: Final = _Said.NOT_SAID
NotSaid = Literal[_Said.NOT_SAID]
Extra = Mapping[str, Any]


class Record(NamedTuple, Generic[Fields]):
    """A record on its way: its kind, and its fields."""

    kind: str
    fields: Fields


def _record(kind: str, given: dict[str, Any], fields: type[Fields]) -> Record[Fields]:
    """A record of a function's arguments. Raises `MalformedRecord` where `extra` holds a field that has an argument."""
    extra = given.pop("extra") or {}
    if double := sorted(given.keys() & extra.keys()):
        raise MalformedRecord(f"{kind}: extra holds {double[0]}, which is a field of the record: give it as {double[0]}=…")
    said = {name: value for name, value in given.items() if value is not None and value is not NOT_SAID}
    said |= {name: None for name in ("fee", "fees") if kind == "fill" and given.get(name, NOT_SAID) is None}
    return Record(kind, cast(Fields, said | dict(extra)))


def fill(
    *,
    fill_id: str,
    account_id: str,
    symbol: str,
    side: Side,
    quantity: Number,
    price: Number,
    executed_at: Moment,
    order_id: str | None = None,
    fee: Number | NotSaid | None = NOT_SAID,
    fee_currency: str | None = None,
    fees: Sequence[Charge] | NotSaid | None = NOT_SAID,
    quote_quantity: Number | None = None,
    base: str | None = None,
    quote: str | None = None,
    settle: str | None = None,
    contract: bool | None = None,
    inverse: bool | None = None,
    multiplier: Number | None = None,
    quote_usd_rate: Number | None = None,
    fee_usd_rate: Number | None = None,
    liquidity: Liquidity | None = None,
    order_type: str | None = None,
    order_quantity: Number | None = None,
    order_price: Number | None = None,
    producer: str | None = None,
    sequence: int | None = None,
    extra: Extra | None = None,
) -> Record[FillFields]:
    """One execution. Its id is unique over all symbols of the account: venue:symbol:trade_id.

    `quote_quantity` is the venue's own cash amount (default quantity × price × multiplier). `fee` is negative for a rebate, None where it is
    not known yet; several stand in `fees`.
    """
    return _record("fill", locals(), FillFields)


def fee(
    *,
    fee_id: str,
    account_id: str,
    fill_id: str,
    currency: str,
    amount: Number,
    occurred_at: Moment,
    usd_rate: Number | None = None,
    producer: str | None = None,
    sequence: int | None = None,
    extra: Extra | None = None,
) -> Record[FeeFields]:
    """A further fee of a fill, for one that was not known when it was published. Negative is a rebate."""
    return _record("fee", locals(), FeeFields)


def deposit(
    *,
    deposit_id: str,
    account_id: str,
    currency: str,
    amount: Number,
    occurred_at: Moment,
    category: Category | None = None,
    usd_rate: Number | None = None,
    fee: Number | None = None,
    fee_currency: str | None = None,
    description: str | None = None,
    reference: str | None = None,
    symbol: str | None = None,
    producer: str | None = None,
    sequence: int | None = None,
    extra: Extra | None = None,
) -> Record[DepositFields]:
    """Money that came to the account: `amount` is above zero. `category` says why, by default `external`: capital."""
    return _record("deposit", locals(), DepositFields)


def withdrawal(
    *,
    withdrawal_id: str,
    account_id: str,
    currency: str,
    amount: Number,
    occurred_at: Moment,
    category: Category | None = None,
    usd_rate: Number | None = None,
    fee: Number | None = None,
    fee_currency: str | None = None,
    description: str | None = None,
    reference: str | None = None,
    symbol: str | None = None,
    producer: str | None = None,
    sequence: int | None = None,
    extra: Extra | None = None,
) -> Record[WithdrawalFields]:
    """Money that left the account: `amount` is above zero here, too. `category` says why, by default `external`: capital."""
    return _record("withdrawal", locals(), WithdrawalFields)


def order(
    *,
    event_id: str,
    order_id: str,
    account_id: str,
    status: Status,
    occurred_at: Moment,
    symbol: str | None = None,
    side: Side | None = None,
    order_type: str | None = None,
    quantity: Number | None = None,
    price: Number | None = None,
    cost: Number | None = None,
    closes_position: bool | None = None,
    reserve: bool | None = None,
    base: str | None = None,
    quote: str | None = None,
    settle: str | None = None,
    contract: bool | None = None,
    inverse: bool | None = None,
    multiplier: Number | None = None,
    producer: str | None = None,
    sequence: int | None = None,
    extra: Extra | None = None,
) -> Record[OrderFields]:
    """A step in an order's life that is no execution. `event_id` is that of the step: o-1:placed.

    With `placed` come symbol, side, order_type and quantity; a market order may give its `cost` in quote instead, one that closes a position
    `closes_position`.
    """
    return _record("order", locals(), OrderFields)


def metrics(
    *,
    account_id: str,
    total_value_usd: Number,
    observed_at: Moment | None = None,
    date: Day | None = None,
    snapshot_id: str | None = None,
    pnl_daily: Number | None = None,
    pnl_total: Number | None = None,
    sharpe_ratio: Number | None = None,
    sortino_ratio: Number | None = None,
    max_drawdown: Number | None = None,
    win_rate: Number | None = None,
    profit_factor: Number | None = None,
    trades_count: int | None = None,
    producer: str | None = None,
    sequence: int | None = None,
    extra: Extra | None = None,
) -> Record[MetricsFields]:
    """What the account was worth in USD, at `observed_at` or at the end of the day `date`: one of the two. The figures are kept as reported."""
    return _record("metrics", locals(), MetricsFields)


def balance(
    *,
    account_id: str,
    currency: str,
    total: Number,
    observed_at: Moment,
    producer: str | None = None,
    sequence: int | None = None,
    extra: Extra | None = None,
) -> Record[BalanceFields]:
    """What the venue says the account holds of a currency, or of a contract by its symbol. It books nothing."""
    return _record("balance", locals(), BalanceFields)


def rate(
    *,
    currency: str,
    usd_rate: Number,
    observed_at: Moment,
    source: str | None = None,
    producer: str | None = None,
    sequence: int | None = None,
    extra: Extra | None = None,
) -> Record[RateFields]:
    """What one unit of a currency was worth in USD; 0 says worthless. Of no account."""
    return _record("rate", locals(), RateFields)


def void(
    *,
    void_id: str,
    kind: VoidableKind,
    id: str,
    reason: str,
    occurred_at: Moment,
    account_id: str | None = None,
    producer: str | None = None,
    sequence: int | None = None,
    extra: Extra | None = None,
) -> Record[VoidFields]:
    """The record of this kind and id counts as never having been. The void of a rate leaves `account_id` out."""
    return _record("void", locals(), VoidFields)

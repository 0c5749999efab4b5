"""What is answered, as models: each answer is checked against its own, and they are what the description says."""

from __future__ import annotations

from datetime import UTC, datetime
from datetime import date as Date
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model

from jarvis_client.contract.instants import to_instant, to_text


def _utc(value: object) -> object:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return to_text(to_instant(value.astimezone(UTC))) if isinstance(value, datetime) else value


Amount = Annotated[str, Field(pattern=r"^-?[0-9]+(\.[0-9]+)?$", description="an exact decimal", examples=["0.1"])]
Instant = Annotated[str, BeforeValidator(_utc), Field(description="RFC 3339 in UTC, to the microsecond", json_schema_extra={"format": "date-time"})]
Row = TypeVar("Row")


class Shape(BaseModel):
    """What has just these fields."""

    model_config = ConfigDict(extra="forbid")


class Page(Shape, Generic[Row]):
    """Some rows of a listing."""

    items: list[Row]
    next: str | None = Field(description="`after` of the next page; null where this is the last")


def page_of(row: type[BaseModel]) -> Any:
    """The model of a page of such rows, under a name of its own."""
    return create_model(f"{row.__name__}Page", __base__=Page[row], __doc__=Page.__doc__)  # type: ignore[valid-type]


class Held(Shape):
    available: Amount
    reserved: Amount
    total: Amount


class HeldContract(Shape):
    total: Amount


class Account(Shape):
    account_id: str
    name: str
    is_active: bool
    opened_at: Instant | None = Field(description="the instant of its first record")
    balances: dict[str, Held] = Field(description="by currency")
    contracts: dict[str, HeldContract] = Field(description="by the contract's code")


class Balance(Shape):
    currency: str
    kind: str = Field(description="`currency`, or `contract`: its quantity")
    available: Amount | None
    reserved: Amount | None
    total: Amount


class Order(Shape):
    created_at: Instant | None
    order_id: str
    instrument: str | None
    side: str | None
    status: str
    quantity: Amount | None
    filled: Amount
    price: Amount | None
    average_price: Amount | None
    symbol: str = Field(description="as the engine writes the instrument")


class Transaction(Shape):
    occurred_at: Instant
    type: str
    amount: Amount = Field(description="signed as the balance moves")
    currency: str
    transaction_id: str
    description: str


class Position(Shape):
    account_id: str
    instrument: str
    kind: str
    quantity: Amount = Field(description="below zero for a short")
    average_price: Amount | None
    cash_currency: str | None
    since: Instant | None
    fills: int
    unrealised_usd: Amount | None = Field(description="null where a rate is missing")


class Lot(Shape):
    account_id: str
    currency: str
    quantity: Amount
    cost_usd: Amount | None = Field(description="without fees; null where a rate was missing")
    average_cost_usd: Amount | None
    since: Instant | None = Field(description="null for averaged lots")
    brought_by: str
    worth_usd: Amount | None
    unrealised_usd: Amount | None


class DailyRow(Shape):
    """A day's figures in USD."""

    date: Date
    source: str = Field(description="`rollup`, or `manual` for a row that was saved by hand, which has no daily_return and what follows it")
    total_value_usd: Amount
    pnl_daily: Amount | None
    pnl_total: Amount | None
    sharpe_ratio: float | None
    sortino_ratio: float | None
    max_drawdown: float | None
    win_rate: float | None
    profit_factor: float | None
    trades_count: int
    daily_return: float | None
    drawdown: float | None
    inflow: Amount | None
    outflow: Amount | None
    warnings: str | None


class Rate(Shape):
    """USD a unit, as an exact quotient."""

    usd: Amount
    per: Amount


class ConvertedRow(Shape):
    """A day's figures in another currency than USD; null where no rate is known."""

    date: Date
    currency: str
    usd_rate: Rate | None
    total_value: Amount | None
    pnl_daily: Amount | None
    pnl_total: Amount | None
    daily_return: float | None
    drawdown: float | None
    inflow: Amount | None
    outflow: Amount | None
    sharpe_ratio: float | None
    sortino_ratio: float | None
    max_drawdown: float | None
    win_rate: float | None
    profit_factor: float | None
    trades_count: int


class PerformancePage(Shape):
    """Daily rows, the oldest first: in USD, or converted."""

    items: list[DailyRow] | list[ConvertedRow]
    next: str | None


class Trades(Shape):
    trades: int
    wins: int
    losses: int
    untold: int = Field(description="trades whose profit cannot be told for want of a rate")
    win_rate: float | None
    profit_factor: float | None
    pnl: Amount | None
    average_win: Amount | None
    average_loss: Amount | None
    fees: Amount | None
    average_holding_seconds: float | None
    median_holding_seconds: float | None


class TradesOfInstrument(Trades):
    instrument: str
    side: str


class DatedReturn(Shape):
    date: Date
    value: float


class Drawdown(Shape):
    depth: float
    peak: Date | None
    trough: Date
    recovery: Date | None


class Withheld(Shape):
    date: Date
    reason: str


class PeriodSummary(Shape):
    """The figures of a period; what is undefined is null."""

    account_id: str
    currency: str
    days_in: str = Field(description="the zone that bounds days")
    days_without_row: int
    days_without_rate: int
    rows_by_hand: int
    first: Date
    last: Date
    rows: int
    calendar_days: int
    rows_without_return: int
    rows_without_pnl: int
    opening_value: Amount | None
    closing_value: Amount | None
    pnl: Amount | None
    inflow: Amount | None
    outflow: Amount | None
    revalued: Amount | None
    total_return: float | None
    cagr: float | None
    no_cagr: str | None
    volatility: float | None
    sharpe: float | None
    sortino: float | None
    calmar: float | None
    max_drawdown: float | None
    drawdowns: list[Drawdown]
    best_day: DatedReturn | None
    worst_day: DatedReturn | None
    best_month: DatedReturn | None
    worst_month: DatedReturn | None
    months: list[DatedReturn]
    years: list[DatedReturn]
    trades: Trades
    by_instrument: list[TradesOfInstrument]
    withheld: list[Withheld]


class StatementLine(Shape):
    """opening + deposits - withdrawals + traded_in - traded_out - fees + income + loans + conversions + adjustments + unexplained = closing"""

    currency: str
    opening: Amount
    deposits: Amount
    withdrawals: Amount
    traded_in: Amount
    traded_out: Amount
    fees: Amount
    income: Amount
    loans: Amount
    conversions: Amount
    adjustments: Amount
    closing: Amount
    unexplained: Amount


class Statement(Shape):
    model_config = ConfigDict(extra="forbid", populate_by_name=True, serialize_by_alias=True)

    account_id: str
    first: Date = Field(alias="from")
    last: Date = Field(alias="to")
    days_in: str = Field(description="the zone that bounds days")
    currencies: list[StatementLine]


class Quarantined(Shape):
    number: int
    received_at: Instant
    state: str
    kind: str | None
    account_id: str | None
    record_id: str | None
    reason: str
    deliveries: int
    detail: str


class QuarantineSummary(Shape):
    """What waits for a decision."""

    held: int
    by_reason: dict[str, int]


class Gap(Shape):
    """The numbers `first` to `last` of a producer never arrived."""

    producer: str
    first: int
    last: int
    missing: int
    noticed_at: Instant


class Note(Shape):
    """What was recorded and is odd."""

    number: int | None = Field(description="what `jarvis notes accept` takes; null while it is new")
    check: str
    account_id: str
    subject: str
    count: int
    records: list[str]
    where: str
    expected: str
    found: str
    look: str = Field(description="what settles it")
    level: str

"""What a rollup leaves behind its rows: trades, closes with the state to go on from, and why a row is missing or changed."""

from __future__ import annotations

from datetime import date as Date
from decimal import Decimal
from typing import Any, NamedTuple


class ClosedTrade(NamedTuple):
    """A round trip. Money in USD; `pnl` is net of fees and None where a rate was missing; `estimated` where one was not given
    by the record. `closing_fact_no` is the fill that closed it."""

    position: str
    direction: str
    opened_at: int
    closed_at: int
    closing_fact_no: int
    fills: int
    peak: Decimal
    pnl: Decimal | None
    fees: Decimal | None
    estimated: bool


class RollupRow(NamedTuple):
    """One observed day: what its raw facts boil down to, and the state from which the next day goes on.

    `value` is the close; `close_at` its instant; `close_fact_no` its snapshot, None where the books were valued.
    """

    date: Date
    close_at: int
    close_fact_no: int | None
    value: Decimal
    inflow: Decimal
    outflow: Decimal
    pnl_daily: Decimal
    pnl_total: Decimal
    daily_return: float | None
    profit: Decimal
    loss: Decimal
    wins: int
    losses: int
    trades: int
    warnings: str | None
    observations: int
    mean: float
    squares: float
    downside: float
    downside_rest: float
    depth: float
    drawdown: float
    total_profit: Decimal
    total_loss: Decimal
    total_wins: int
    total_losses: int
    total_trades: int


class Progress(NamedTuple):
    """How far an account is rolled up. `stale_from`: everything derived on or after that day has to be redone. `seen_fact_no`:
    facts with a higher number have not been looked at. `estimates`: rates beyond what records gave were used."""

    options_digest: str
    valuation: str
    rolled_to: Date
    stale_from: Date | None
    seen_fact_no: int
    estimates: bool
    withheld_from: Date | None
    generation: int


class DirtyMark(NamedTuple):
    """What recording commits left for the rollup: the least instants that came or changed in place, and how many commits."""

    opened_at: int | None
    dirty_since: int | None
    recheck_since: int | None
    dirty_count: int
    recheck_count: int


class NewFact(NamedTuple):
    """A fact that came after its day had been rolled up."""

    fact_no: int
    kind: str
    record_id: str
    instant: int
    #: The key of the position that it changes, if it changes one.
    position: str | None
    needs_rate: bool
    voided: bool = False


class Revision(NamedTuple):
    """A row of figures that changed: what it said, what it says (None: no row), and why."""

    account_id: str
    date: Date
    revised_at: int
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    cause: str
    facts: list[dict[str, Any]]


class Withheld(NamedTuple):
    """A day that has no row although it was observed, and why."""

    account_id: str
    date: Date
    reason: str


_CONTRACT = "contract "


def holding_key(name: str, kind: str) -> str:
    """The key of a holding or a position: a currency's code or BASE/QUOTE, and a contract apart from both (a code has no blank)."""
    return name if kind == "currency" else _CONTRACT + name


def name_and_kind(key: str) -> tuple[str, str]:
    """What `holding_key` made a key of."""
    return (key.removeprefix(_CONTRACT), "contract") if key.startswith(_CONTRACT) else (key, "currency")


FIGURE_COLUMNS = ("total_value_usd", "pnl_daily", "pnl_total", "sharpe_ratio", "sortino_ratio", "max_drawdown", "win_rate", "profit_factor", "trades_count")
#: The figures of a row as they are stored: money as canonical text.
Figures = tuple[str, str, str, float | None, float | None, float | None, float | None, float | None, int]

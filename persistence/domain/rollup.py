"""What a rollup leaves behind its rows: trades, closes with the state to go on from, and why a row is missing or changed."""

from __future__ import annotations

from datetime import date as Date
from decimal import Decimal
from typing import Any, NamedTuple

from jarvis_client.contract.decimals import EXACT, ONE, QUOTIENT


class UsdRate(NamedTuple):
    """USD per unit, as the fraction usd / per: an amount is multiplied first and divided once."""

    usd: Decimal
    per: Decimal = ONE

    def of(self, amount: Decimal) -> Decimal:
        """What an amount is worth in USD."""
        if self is PAR:
            return amount
        product = EXACT.multiply(amount, self.usd)
        return product if self.per == 1 else QUOTIENT.divide(product, self.per)

    def times(self, factor: Decimal, per: Decimal = ONE) -> UsdRate:
        """The rate of what is worth factor / per units of this."""
        return UsdRate(QUOTIENT.multiply(self.usd, factor), QUOTIENT.multiply(self.per, per))


#: What is worth a dollar.
PAR = UsdRate(ONE)


class KnownRate(NamedTuple):
    """What a unit of a currency was worth, and since when. `carried`: a record said it, rather than that a price told it."""

    at: int
    rate: UsdRate
    carried: bool = False


class FlowValue(NamedTuple):
    """Capital that came (positive) or left (negative), and what it was worth then; None where no rate was known."""

    fact_no: int
    instant: int
    amount: Decimal
    usd: Decimal | None


class Lot(NamedTuple):
    """What a fact brought of an asset: signed (negative: taken beyond what there was), with its cost in USD, fees aside; None where no
    rate was known. `number` is its place among the lots of a day."""

    date: Date
    number: int
    opened_at: int
    quantity: Decimal
    cost: Decimal | None
    brought_by: str
    fact_no: int


class Oddity(NamedTuple):
    """Something odd that replaying facts showed: which check says it, of what, and why."""

    check: str
    subject: str
    fact_no: int
    detail: str


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

    `value` is the close; `close_at` its instant; `close_fact_no` its snapshot, None where the books were valued. `unrated` are flows
    without a rate, `untold` trades whose profit cannot be told. `books_value` is what the books were worth, where every rate is known.
    """

    date: Date
    close_at: int
    close_fact_no: int | None
    value: Decimal
    inflow: Decimal
    outflow: Decimal
    pnl_daily: Decimal | None
    pnl_total: Decimal | None
    daily_return: float | None
    profit: Decimal
    loss: Decimal
    wins: int
    losses: int
    trades: int
    untold: int
    unrated: int
    books_value: Decimal | None
    warnings: str | None
    observations: int
    mean: float
    squares: float
    downside: float
    downside_rest: float
    depth: float
    max_drawdown: float
    total_profit: Decimal
    total_loss: Decimal
    total_wins: int
    total_losses: int
    total_trades: int
    total_untold: int


class Progress(NamedTuple):
    """How far an account is rolled up. `snapshots_from`: rows from that day on are valued by snapshots, earlier ones by the books.
    `stale_from`: everything derived on or after that day has to be redone. `seen_fact_no`: facts of the account with a higher number have not
    been looked at, nor rates with a higher one than `seen_rate_no`. `usd_like`: what counts as a dollar under its options."""

    options_digest: str
    snapshots_from: Date | None
    rolled_to: Date
    stale_from: Date | None
    seen_fact_no: int
    seen_rate_no: int
    generation: int
    usd_like: tuple[str, ...]


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
    """What is missing of a day for want of a rate, its row or figures of it, and why."""

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
Figures = tuple[str, str | None, str | None, float | None, float | None, float | None, float | None, float | None, int]

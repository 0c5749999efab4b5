"""Daily performance: one row per account and day."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date as Date
from datetime import datetime
from decimal import Decimal
from numbers import Integral
from pathlib import Path

from jarvis_client.contract.conventions import identifier
from jarvis_client.contract.decimals import Number, exact
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.instants import day_of


@dataclass(slots=True)
class PerformanceMetrics:
    """The figures of one account and day, closes of that day in USD. Profit is None while a flow in it has no USD rate.

    Money is exact; ratios are floats; what is undefined is None, never an invented number. `trades_count`, `win_rate` and
    `profit_factor` cover all trades closed up to the end of the day. `max_drawdown` lies in [-1, 0].
    """

    account_id: str
    date: Date
    total_value_usd: Decimal
    pnl_daily: Decimal | None = Decimal(0)
    pnl_total: Decimal | None = Decimal(0)
    sharpe_ratio: float | None = None
    sortino_ratio: float | None = None
    max_drawdown: float | None = None
    win_rate: float | None = None
    profit_factor: float | None = None
    trades_count: int = 0
    source: str = "manual"
    created_at: datetime | None = None
    updated_at: datetime | None = None

    def __init__(
        self,
        account_id: str,
        date: Date,
        total_value_usd: Number,
        pnl_daily: Number | None = 0,
        pnl_total: Number | None = 0,
        sharpe_ratio: float | None = None,
        sortino_ratio: float | None = None,
        max_drawdown: float | None = None,
        win_rate: float | None = None,
        profit_factor: float | None = None,
        trades_count: int = 0,
        source: str = "manual",
        created_at: datetime | None = None,
        updated_at: datetime | None = None,
    ) -> None:
        self.account_id, self.date, self.source = identifier(account_id, "account_id"), day_of(date), identifier(source, "source")
        self.total_value_usd = _money(total_value_usd, "total_value_usd", source)
        self.pnl_daily = None if pnl_daily is None else _money(pnl_daily, "pnl_daily", source)
        self.pnl_total = None if pnl_total is None else _money(pnl_total, "pnl_total", source)
        self.sharpe_ratio, self.sortino_ratio = _finite(sharpe_ratio, "sharpe_ratio"), _finite(sortino_ratio, "sortino_ratio")
        self.max_drawdown, self.win_rate = _finite(max_drawdown, "max_drawdown"), _finite(win_rate, "win_rate")
        self.profit_factor = _finite(profit_factor, "profit_factor")
        _within(self.max_drawdown, "max_drawdown", -1, 0)
        _within(self.win_rate, "win_rate", 0, 1)
        _within(self.profit_factor, "profit_factor", 0, float("inf"))
        if isinstance(trades_count, bool) or not isinstance(trades_count, Integral) or not 0 <= trades_count < 2**63:
            raise Invalid(f"trades_count is {trades_count!r:.60}; a count is a whole number, never below zero")
        self.trades_count = int(trades_count)
        self.created_at, self.updated_at = created_at, updated_at

    def checked(self) -> PerformanceMetrics:
        """The same row with everything checked again: fields may have been set since. Raises `Invalid`."""
        return replace(self)


def _money(value: Number, name: str, source: str) -> Decimal:
    """An amount within the limits of what may be recorded; what a rollup derived has as many digits as its quotients."""
    return value if source == "rollup" and isinstance(value, Decimal) and value.is_finite() else exact(value, name)


def _finite(value: float | None, name: str) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise Invalid(f"{name} is {value!r:.60}; it must be a number that a float can hold, or None where it is undefined") from error
    if number != number or number in (float("inf"), float("-inf")):
        raise Invalid(f"{name} is {number}; what is undefined is None")
    return number


def _within(value: float | None, name: str, least: float, most: float) -> None:
    if value is not None and not least <= value <= most:
        raise Invalid(f"{name} is {value}; it lies between {least:g} and {most:g}")


#: The figures that averages are taken of.
FIGURES = (
    "total_value_usd", "pnl_daily", "pnl_total", "sharpe_ratio", "sortino_ratio", "max_drawdown", "win_rate", "profit_factor", "trades_count",
)  # fmt: skip


class PerformanceRepository(ABC):
    """Daily rows by account. What is saved here by hand is marked `manual`."""

    @abstractmethod
    def save(self, metrics: PerformanceMetrics) -> None:
        """Create or replace the row of its account and day; an unknown account is opened."""

    @abstractmethod
    def save_many(self, metrics: Iterable[PerformanceMetrics]) -> None:
        """All of them in one commit, or none."""

    @abstractmethod
    def find_by_id(self, metrics_id: tuple[str, Date]) -> PerformanceMetrics | None:
        """By (account, day)."""

    @abstractmethod
    def find_by_date(self, account_id: str, date: Date) -> PerformanceMetrics | None: ...

    @abstractmethod
    def find_range(self, account_id: str, start: Date, end: Date) -> list[PerformanceMetrics]:
        """Both days included, the oldest first."""

    @abstractmethod
    def find_all(self, account_id: str | None = None) -> list[PerformanceMetrics]: ...

    @abstractmethod
    def stream(self, account_id: str, start: Date | None = None, end: Date | None = None) -> Iterator[PerformanceMetrics]: ...

    @abstractmethod
    def delete(self, account_id: str, date: Date) -> bool: ...

    @abstractmethod
    def exists(self, account_id: str, date: Date) -> bool: ...

    @abstractmethod
    def get_best_day(self, account_id: str) -> PerformanceMetrics | None:
        """By daily profit; the earlier of equal days."""

    @abstractmethod
    def get_worst_day(self, account_id: str) -> PerformanceMetrics | None:
        """By daily profit; the earlier of equal days."""

    @abstractmethod
    def get_total_pnl(self, account_id: str) -> Decimal | None:
        """The newest row's `pnl_total`, None where it cannot be told; zero without rows."""

    @abstractmethod
    def get_average_metrics(self, account_id: str, days: int = 30) -> dict[str, Decimal | float | None]:
        """Means over the rows of the last `days` calendar days up to the newest row; None for a figure that is never defined."""

    @abstractmethod
    def export_to_csv(self, account_id: str, path: str | Path) -> None: ...

    @abstractmethod
    def export_to_json(self, account_id: str, path: str | Path) -> None: ...

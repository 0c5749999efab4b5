"""Daily performance rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date as Date
from decimal import Decimal
from functools import reduce
from pathlib import Path
from typing import Any

from jarvis_client.contract.decimals import EXACT, SHOWN, ZERO, canonical
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.instants import day_of, to_datetime
from persistence import exports
from persistence.books import accounts, events
from persistence.books.performance import DERIVED, row_digest
from persistence.domain.performance import FIGURES, PerformanceMetrics, PerformanceRepository
from persistence.engine.contract import Connection, Database
from persistence.repositories.asked import limit_of

_COLUMNS = (
    "account_id, date, total_value_usd, pnl_daily, pnl_total, sharpe_ratio, sortino_ratio, max_drawdown, win_rate, profit_factor, trades_count, "
    "source, created_at, updated_at"
)
_MONEY = ("total_value_usd", "pnl_daily", "pnl_total")


def _note(connection: Connection, account_id: str, date: str, now: int) -> None:
    """Record the digest of a row that was saved by hand: no fact explains it."""
    content = {"account_id": account_id, "date": date, "digest": row_digest(connection, account_id, date)}
    events.record(connection, events.SAVED_BY_HAND, now, content)


class SQLitePerformanceRepository(PerformanceRepository):
    """Performance rows in SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, metrics: PerformanceMetrics) -> None:
        self.save_many([metrics])

    def save_many(self, metrics: Iterable[PerformanceMetrics]) -> None:
        rows = [m.checked() for m in metrics]
        with self._database.transaction() as connection:
            now = connection.now
            accounts.hold(connection, (m.account_id for m in rows))
            _open_accounts(connection, rows, now)
            connection.executemany(
                f"INSERT INTO performance_metrics ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (account_id, date) DO UPDATE SET total_value_usd = excluded.total_value_usd, pnl_daily = excluded.pnl_daily, "
                "pnl_total = excluded.pnl_total, sharpe_ratio = excluded.sharpe_ratio, sortino_ratio = excluded.sortino_ratio, "
                "max_drawdown = excluded.max_drawdown, win_rate = excluded.win_rate, profit_factor = excluded.profit_factor, "
                "trades_count = excluded.trades_count, source = excluded.source, updated_at = excluded.updated_at",
                [
                    (
                        m.account_id, m.date.isoformat(), canonical(m.total_value_usd), _text(m.pnl_daily), _text(m.pnl_total),
                        m.sharpe_ratio, m.sortino_ratio, m.max_drawdown, m.win_rate, m.profit_factor, m.trades_count, m.source, now, now,
                    )
                    for m in rows
                ],
            )  # fmt: skip
            for m in rows:
                if m.source == "manual":
                    _note(connection, m.account_id, m.date.isoformat(), now)

    def find_by_id(self, metrics_id: tuple[str, Date]) -> PerformanceMetrics | None:
        if not isinstance(metrics_id, tuple) or len(metrics_id) != 2:
            raise Invalid(f"{metrics_id!r:.60} is no id of a daily row; it takes the account and the day: find_by_id((account_id, date))")
        return self.find_by_date(*metrics_id)

    def find_by_date(self, account_id: str, date: Date) -> PerformanceMetrics | None:
        return self._one("account_id = ? AND date = ?", (account_id, day_of(date).isoformat()))

    def find_range(self, account_id: str, start: Date, end: Date) -> list[PerformanceMetrics]:
        return list(self.stream(account_id, start, end))

    def find_all(self, account_id: str | None = None) -> list[PerformanceMetrics]:
        where, params = ("TRUE", ()) if account_id is None else ("account_id = ?", (account_id,))
        return self._select(where, params, "account_id, date")

    def stream(self, account_id: str, start: Date | None = None, end: Date | None = None) -> Iterator[PerformanceMetrics]:
        where, params = "account_id = ?", [account_id]
        if start is not None:
            where, params = f"{where} AND date >= ?", [*params, day_of(start, "start").isoformat()]
        if end is not None:
            where, params = f"{where} AND date <= ?", [*params, day_of(end, "end").isoformat()]
        with self._database.get_connection() as connection:
            for row in connection.execute(f"SELECT {_COLUMNS} FROM performance_metrics WHERE {where} ORDER BY date", tuple(params)):
                yield _entity(row)

    def delete(self, account_id: str, date: Date) -> bool:
        day = day_of(date).isoformat()
        with self._database.transaction() as connection:
            by_hand = row_digest(connection, account_id, day) not in (None, DERIVED)
            sql = "DELETE FROM performance_metrics WHERE account_id = ? AND date = ?"
            found = self._database.execute_update(sql, (account_id, day)) > 0
            if by_hand:
                _note(connection, account_id, day, connection.now)
            return found

    def exists(self, account_id: str, date: Date) -> bool:
        return self.find_by_date(account_id, date) is not None

    def get_best_day(self, account_id: str) -> PerformanceMetrics | None:
        return self._extreme(account_id, max)

    def get_worst_day(self, account_id: str) -> PerformanceMetrics | None:
        return self._extreme(account_id, min)

    def get_total_pnl(self, account_id: str) -> Decimal | None:
        newest = self._one("account_id = ?", (account_id,), "date DESC")
        return ZERO if newest is None else newest.pnl_total

    def get_average_metrics(self, account_id: str, days: int = 30) -> dict[str, Decimal | float | None]:
        span = limit_of(days, "days", least=1)
        newest = self._one("account_id = ?", (account_id,), "date DESC")
        if newest is None:
            return dict.fromkeys(FIGURES)
        rows = self.find_range(account_id, Date.fromordinal(max(1, newest.date.toordinal() - span + 1)), newest.date)
        return {name: _mean([getattr(row, name) for row in rows]) for name in FIGURES}

    def export_to_csv(self, account_id: str, path: str | Path) -> None:
        exports.to_file(self._database, "performance", account_id, "csv", path)

    def export_to_json(self, account_id: str, path: str | Path) -> None:
        exports.to_file(self._database, "performance", account_id, "json", path)

    def _extreme(self, account_id: str, choose: Callable[[Iterable[Decimal]], Decimal]) -> PerformanceMetrics | None:
        """The earliest of the days whose profit is chosen; amounts are texts, so they are compared here."""
        with self._database.get_connection() as connection:
            sql = "SELECT date, pnl_daily FROM performance_metrics WHERE account_id = ? AND pnl_daily IS NOT NULL ORDER BY date"
            profits = {date: Decimal(pnl) for date, pnl in connection.execute(sql, (account_id,))}
        if not profits:
            return None
        wanted = choose(profits.values())
        return self.find_by_date(account_id, Date.fromisoformat(next(date for date, pnl in profits.items() if pnl == wanted)))

    def _one(self, where: str, params: tuple[Any, ...], order: str = "date") -> PerformanceMetrics | None:
        return next(iter(self._select(where, params, f"{order} LIMIT 1")), None)

    def _select(self, where: str, params: tuple[Any, ...], order: str) -> list[PerformanceMetrics]:
        with self._database.get_connection() as connection:
            return [_entity(row) for row in connection.execute(f"SELECT {_COLUMNS} FROM performance_metrics WHERE {where} ORDER BY {order}", params)]


def _open_accounts(connection: Connection, rows: Sequence[PerformanceMetrics], now: int) -> None:
    for account_id in dict.fromkeys(m.account_id for m in rows):
        if connection.execute("SELECT 1 FROM accounts WHERE account_id = ?", (account_id,)).get is None:
            accounts.open_unknown(connection, [account_id], now, reopen=True)


def _text(number: Decimal | None) -> str | None:
    return None if number is None else canonical(number)


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _mean(values: Sequence[Decimal | float | None]) -> Decimal | float | None:
    known = [v for v in values if v is not None]
    if not known:
        return None
    if isinstance(known[0], Decimal):
        return SHOWN.divide(reduce(EXACT.add, (Decimal(v) for v in known)), Decimal(len(known)))
    return float(sum(float(v) for v in known)) / len(known)


def _entity(row: Sequence[Any]) -> PerformanceMetrics:
    account_id, date, value, daily, total, sharpe, sortino, drawdown, wins, factor, trades, source, created, updated = row
    return PerformanceMetrics(
        account_id, Date.fromisoformat(date), Decimal(value), _number(daily), _number(total), sharpe, sortino, drawdown, wins, factor, trades, source,
        to_datetime(created), to_datetime(updated),
    )  # fmt: skip

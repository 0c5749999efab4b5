"""The classic mistakes, each planted in a copy of the code: the reference vectors catch every one of them."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import rollup_vectors as vectors

from jarvis_client.contract.instants import to_instant
from persistence.database import DatabaseManager
from persistence.repositories.rollups import SQLiteRollupRepository

R = "scheduler.rollup."
MISTAKES = {
    "population instead of sample deviation": (R + "ratios", "(series.count - 1)", "series.count", "01_basic_utc"),
    "252 days a year for a market that never closes": (R + "ratios", "math.sqrt(options.annualization)", "math.sqrt(252)", "01_basic_utc"),
    "the annual risk-free rate taken for a daily one": (R + "options", "** (1.0 / self.annualization)", "** 1.0", "12_weekdays_252_rf"),
    "no guard against zero dispersion": (R + "ratios", "NO_DISPERSION = 1e-12", "NO_DISPERSION = -1.0", "07b_constant_growth"),
    "drawdown not anchored at the start": (
        R + "ratios", "min(1.0, self.depth * (1.0 + value))", "1.0 if not self.count else min(1.0, self.depth * (1.0 + value))", "03_funded_first_day_loss",
    ),
    "drawdown of equity instead of returns": (R + "ratios", "depth - 1.0)", "depth * 0.99 - 1.0)", "02_flows"),
    "Sortino over the losing days alone": (R + "ratios", "self.downside_rest + lost, depth", "self.downside_rest + lost + shortfall, depth", "01_basic_utc"),
    "infinity where no trade lost": (R + "ratios", "if sums.losses and not sums.untold else None", 'if sums.losses else float("inf") if sums.trades else None', "07_zero_variance_all_wins"),
    "breakeven as a win": (R + "ratios", "if pnl > 0:", "if pnl >= 0:", "08_round_trips"),
    "a deposit as profit": (R + "returns", "EXACT.subtract(gain, interval.inflow)", "gain", "02_flows"),
    "a withdrawal as loss": (R + "returns", "return EXACT.add(EXACT.subtract(gain, interval.inflow), interval.outflow)", "return EXACT.subtract(gain, interval.inflow)", "02_flows"),
    "a deposit that works only from tomorrow": (R + "returns", "base, worth = EXACT.add(before, inflow), ", "base, worth = before, ", "02_flows"),
    "no floor under ruin": (R + "returns", "float(max(_MINUS_ONE, WIDE.subtract(growth, Decimal(1))))", "float(WIDE.subtract(growth, Decimal(1)))", "06_ruin_negative_equity"),
    "returns on next to nothing": (R + "returns", "if base < options.min_base_usd:\n        return None\n    return _floored(WIDE.divide(worth, base))", "return _floored(WIDE.divide(worth, base or 1))", "06_ruin_negative_equity"),
    "the first snapshot of the day as its close": (R + "rows", "self._books.last_snapshot(", "self._books.first_snapshot(", "01_basic_utc"),
    "the day closed one instant late": (R + "rows", "found = self._books.last_snapshot(start_of_day(day, zone), end_of_day(day, zone) + 1)", "found = self._books.last_snapshot(start_of_day(day, zone), end_of_day(day, zone) + 2)", "01_basic_utc"),
    "flows by calendar day": (R + "rows", "flows, unrated = self._flows(previous.close_at, close.instant)", "flows, unrated = self._flows(start_of_day(date, self._options.zone) - 1, end_of_day(date, self._options.zone))", "02_flows"),
    "funding taken for profit on the first day": (R + "rows", "if any(f.amount > 0 for f in self._replay.flows(_EVER, opening.instant)):", "if False:", "03_funded_first_day_loss"),
    "weekends observed": (R + "options", 'self.observation_days == "all" or day.weekday() < 5', "True", "12_weekdays_252_rf"),
    "fee in base dropped": (R + "trades", "move = _subtract(move, fee)", "move = move", "09_fees_dust"),
    "fee in quote dropped": (R + "trades", "quote_fees, usd = _add(quote_fees, fee), None", "quote_fees, usd = quote_fees, None", "08_round_trips"),
    "fee in a third currency dropped": (R + "trades", "other = _sum_known(other, usd)", "other = ZERO", "09_fees_dust"),
    "a crossing's cash all to the trade that closes": (R + "trades", "closing, opening = part.split(held.copy_abs(), move.copy_abs())", "closing, opening = part, _Part(ZERO, ZERO, ZERO)", "08_round_trips"),
    "dust that keeps a trade open": (R + "trades", "return fill.quote_rate.of(_multiply(quantity.copy_abs(), _multiply(fill.price.copy_abs(), fill.multiplier))) < options.dust_notional_usd", "return False", "09_fees_dust"),
    "profit at the opening rate": (R + "trades", "fill.quote_rate.of(_subtract(part.cash, part.quote_fees))", "_subtract(part.cash, part.quote_fees)", "09_fees_dust"),
    "every reducing fill a trade": (R + "trades", "return [self._close(fill)] if flat else []", "return [self._close(fill)] if flat or reduces else []", "08_round_trips"),
}  # fmt: skip


@contextmanager
def planted(name: str, right: str, wrong: str) -> Iterator[None]:
    """A copy of a module with a mistake in it, in place of the right one wherever its functions and classes are used."""
    original = importlib.import_module(name)
    source = Path(original.__file__).read_text()
    assert source.count(right) >= 1, f"{name} no longer says {right!r}: plant the mistake anew"
    copy = types.ModuleType(name)
    copy.__file__ = original.__file__
    sys.modules[name] = copy
    exec(compile(source.replace(right, wrong), name, "exec"), copy.__dict__)
    swapped = []
    for module in [m for n, m in sys.modules.items() if n.startswith(("scheduler.", "rollup_vectors")) and m is not copy]:
        for attribute, value in list(vars(module).items()):
            if getattr(value, "__module__", None) == name and module is not original and hasattr(copy, attribute):
                swapped.append((module, attribute, value))
                setattr(module, attribute, getattr(copy, attribute))
    try:
        yield
    finally:
        sys.modules[name] = original
        for module, attribute, value in swapped:
            setattr(module, attribute, value)


def wrong_figures(folder: Path, name: str) -> list[str]:
    doc = vectors.vector(name)
    options = vectors.options_of(doc["config"])
    with closing(DatabaseManager(folder / "books.db")) as database:
        database.initialize()
        try:
            vectors.rolled(database, vectors.facts_of(doc), options)
        except Exception as error:
            return [f"it fails: {type(error).__name__}: {error}"]
        wrong = vectors.differences(vectors.rows(database), doc["expected"])
        with SQLiteRollupRepository(database).reading(vectors.ACCOUNT) as books:
            sums = [(r.inflow, r.outflow, r.total_profit, r.total_loss) for r in books.rows_from(date(1970, 1, 1))]
        expected = [tuple(map(Decimal, (e["inflow"], e["outflow"], e["gross_profit"], e["gross_loss"]))) for e in doc["expected"]]
        return wrong + ["sums differ"] * (sums != expected)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_mistake_is_caught(tmp_path, mistake):
    module, right, wrong, vector = MISTAKES[mistake]
    with planted(module, right, wrong):
        assert wrong_figures(tmp_path, vector), f"nobody would notice: {mistake}"


def test_without_a_mistake_nothing_is_caught(tmp_path):
    with planted(R + "ratios", "if pnl > 0:", "if pnl > 0 :"):
        assert wrong_figures(tmp_path, "08_round_trips") == []


def test_the_local_date_in_place_of_the_days_bounds_is_caught():
    bounds = "    while instant < start_of_day(day, zone):\n        day -= ONE_DAY\n    while instant >= start_of_day(day + ONE_DAY, zone):\n        day += ONE_DAY\n"
    with planted(R + "days", bounds, ""):
        zone = ZoneInfo("America/St_Johns")
        instants = [to_instant(datetime(2010, 11, 7, 2, minute, tzinfo=UTC)) for minute in range(25, 60)]
        days = [sys.modules[R + "days"].day_of(i, zone) for i in instants]
        assert days != sorted(days), "the local date runs backwards"
    from scheduler.rollup.days import day_of

    days = [day_of(i, zone) for i in instants]
    assert days == sorted(days)
    assert set(days) == {date(2010, 11, 6), date(2010, 11, 7)}

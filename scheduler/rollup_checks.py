"""Checks of what rollups derived: statements close, rows follow from the facts, and a rebuild gives the same rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import date as Date
from decimal import Decimal
from functools import lru_cache
from itertools import islice

from jarvis_client.contract.decimals import EXACT, ZERO, canonical
from jarvis_client.contract.instants import end_of_day, start_of_day
from persistence.books.account_history import AccountBooks
from persistence.books.derived import DERIVED, digest_of_rows
from persistence.domain.finding import SHOWN, Finding
from persistence.domain.performance import PerformanceMetrics
from persistence.domain.rollup import RollupRow
from persistence.engine.contract import Database
from persistence.proof import rebuild
from persistence.repositories import SQLitePerformanceRepository
from persistence.repositories.rollups import SQLiteRollupRepository
from scheduler.rollup.account import roll_up
from scheduler.rollup.assets import Asset
from scheduler.rollup.days import ONE_DAY, day_of
from scheduler.rollup.lots import Pool
from scheduler.rollup.options import RollupPlan
from scheduler.rollup.ratios import TradeSums
from scheduler.rollup.rows import carried_on, figures_of, series_of_row, totals_of_row

#: Later than every record.
_EVER = 2**62
#: Days whose movements are kept while the currencies of an account are compared: more than ten years.
DAYS_REMEMBERED = 4_096
#: How many checks there are below.
ROLLUP_CHECKS = 3


def check_rollups(database: Database, plan: RollupPlan) -> list[Finding]:
    """Check every account's derived rows, each account in one snapshot."""
    repository = SQLiteRollupRepository(database)
    findings: list[Finding] = []
    for account_id in repository.account_ids():
        with repository.reading(account_id) as books:
            for check in (statements_close, rows_follow, positions_are_covered):
                try:
                    findings += islice(check(books, plan), SHOWN)
                except (ArithmeticError, ValueError, TypeError) as error:
                    look = f"jarvis rollup --account {account_id} --rebuild"
                    findings.append(Finding("derived rows can be read", account_id, "readable rows", f"{type(error).__name__}: {error}", look))
    return findings


def rows_follow(books: AccountBooks, plan: RollupPlan) -> Iterator[Finding]:
    """Each row is its close, flows and trades taken on from the row before, and the figures say what the row says."""
    options, progress = plan.of(books.account_id), books.progress()
    if progress is None or progress.stale_from is not None or progress.options_digest != options.digest:
        return
    name = "rows follow from what stands behind them"
    figures = books.figures_from(Date.min)
    previous: RollupRow | None = None
    trades = books.trades(None, progress.rolled_to)
    waiting = next(trades, None)
    for row in books.rows_from(Date.min):
        where, look = (
            f"{books.account_id} {row.date}",
            f"jarvis performance explain {books.account_id} {row.date}; jarvis rollup --account {books.account_id} --rebuild",
        )
        sums = TradeSums()
        while waiting is not None and waiting[0] <= row.date:
            sums = sums.with_trade(waiting[1].pnl)
            waiting = next(trades, None)
        expected = carried_on(previous, row, sums, options)
        if expected != row:
            wrong = next(n for n, a, b in zip(RollupRow._fields, expected, row, strict=True) if a != b)
            yield Finding(name, where, f"{wrong} {getattr(expected, wrong)}", str(getattr(row, wrong)), look)
        close = row.value if row.close_fact_no is None else books.snapshot_value(row.close_fact_no)
        if close != row.value:
            yield Finding(name, where, f"a close of {close}", str(row.value), look)
        source, stored = figures.get(row.date, ("rollup", None))
        if source == "rollup":
            said = figures_of(row, series_of_row(row), totals_of_row(row), options)
            # In a window the ratios are those of its returns; the money is the row's own.
            count = 3 if options.window_days is not None else len(said)
            if stored is None or stored[:count] != said[:count]:
                yield Finding(name, where, f"figures {said[:count]}", "none" if stored is None else str(stored[:count]), look)
        previous = row


def positions_are_covered(books: AccountBooks, plan: RollupPlan) -> Iterator[Finding]:
    """At the end of every day the longs of an asset are at most its balance and the shorts at most what is owed, the cash of open contracts
    left out."""
    options, progress = plan.of(books.account_id), books.progress()
    if progress is None or progress.stale_from is not None or progress.options_digest != options.digest:
        return
    for key, day, close in books.closes_from(Date.min):
        if '"positions"' not in close.state:
            continue
        asset = Asset(key, close.state, close.closing, lambda _: Pool("", par=False))
        if asset.is_contract:
            continue
        long, short = asset.uncovered()
        if long or short:
            where, look = f"{books.account_id} {key} {day}", f"jarvis rollup --account {books.account_id} --rebuild"
            held = f"longs and shorts within a balance of {canonical(asset.counted)}"
            yield Finding("positions are covered by balances", where, held, f"{canonical(long or short)} {'long' if long else 'short'} beyond it", look)


def statements_close(books: AccountBooks, plan: RollupPlan) -> Iterator[Finding]:
    """What each day's movements add up to is what was held at its end, and the last of it, with what moved since, is the balance."""
    options, progress, mark = plan.of(books.account_id), books.progress(), books.mark()
    if progress is None or mark is None or progress.stale_from is not None or progress.options_digest != options.digest:
        return  # the next rollup reads everything anew
    marks = [i for i in (mark.dirty_since, mark.recheck_since) if i is not None]
    last = progress.rolled_to
    if marks:
        last = min(last, day_of(min(marks), options.zone) - ONE_DAY)

    # A day's movements are read once, not once for each currency that moved on it.
    @lru_cache(maxsize=DAYS_REMEMBERED)
    def movements_of(day: Date) -> Mapping[str, Decimal]:
        return books.movements(start_of_day(day, options.zone), end_of_day(day, options.zone) + 1)

    since = books.movements(end_of_day(last, options.zone) + 1, _EVER)
    for currency in books.holdings():
        held = None
        for day, moved, closing in books.closes(currency, last):
            found = movements_of(day).get(currency, ZERO)
            where, look = f"{books.account_id} {currency} {day}", f"jarvis statement {books.account_id} --date {day}"
            if found != moved:
                yield Finding("statements close", where, f"movements of {canonical(moved)}", canonical(found), look)
            elif held is not None and EXACT.add(held, moved) != closing:
                yield Finding("statements close", where, f"a closing of {canonical(EXACT.add(held, moved))}", canonical(closing), look)
            held = closing
        expected = EXACT.add(books.close_before(currency, last + ONE_DAY)[0], since.get(currency, ZERO))
        if expected != (balance := books.balance(currency)):
            where = f"{books.account_id} {currency}"
            yield Finding("statements close", where, f"a balance of {canonical(expected)}", canonical(balance), f"jarvis statement {books.account_id}")


def compare_rows(stored: Database, scratch: Database, plan: RollupPlan, now: int) -> list[Finding]:
    """Every account's rows as they are stored, against those that a rebuild in a scratch copy derives."""
    found = []
    repository, performance = SQLiteRollupRepository(stored), SQLitePerformanceRepository(stored)
    for account_id in repository.account_ids():
        with repository.reading(account_id) as books:
            progress, mark = books.progress(), books.mark()
            rows = {r.date: r for r in books.rows_from(Date.min)}
        options = plan.of(account_id)
        settled = mark is not None and mark.dirty_since is None and mark.recheck_since is None
        if progress is None or not settled or progress.stale_from is not None or progress.options_digest != options.digest:
            continue  # its rows are due for a change
        before = _derived_rows(performance, account_id)
        roll_up(scratch, account_id, options, progress.rolled_to, now=now, rebuild=True)
        after = _derived_rows(SQLitePerformanceRepository(scratch), account_id)
        with SQLiteRollupRepository(scratch).reading(account_id) as books:
            states = {r.date: r for r in books.rows_from(Date.min)}
        with stored.get_connection() as ours, scratch.get_connection() as theirs:
            found_digest, expected = (digest_of_rows(c, account_id, DERIVED).hex()[:16] for c in (ours, theirs))
        if found_digest != expected:
            look = f"jarvis rollup --account {account_id} --rebuild"
            found.append(Finding(rebuild.NAME, f"what rollups of {account_id} build upon", f"rows of digest {expected}", found_digest, look))
        for day in sorted(d for d in {*rows, *states} if rows.get(d) != states.get(d) and before.get(d) == after.get(d)):
            look = f"jarvis rollup --account {account_id} --rebuild"
            found.append(Finding(rebuild.NAME, f"state of {day} of {account_id}", str(states.get(day)), str(rows.get(day)), look))
        for day in sorted({*before, *after}):
            if before.get(day) != after.get(day):
                look = f"jarvis performance explain {account_id} {day}; jarvis rollup --account {account_id} --rebuild"
                found.append(Finding(rebuild.NAME, f"row {day} of {account_id}", *_differing(after.get(day), before.get(day)), look))
    return found


def _differing(expected: PerformanceMetrics | None, found: PerformanceMetrics | None) -> tuple[str, str]:
    """The figures of two rows that are not the same."""
    if expected is None or found is None:
        return ("a row", "none") if found is None else ("none", "a row")
    names = [f.name for f in fields(expected) if getattr(expected, f.name) != getattr(found, f.name)]
    said = [", ".join(f"{n} {getattr(row, n)}" for n in names) for row in (expected, found)]
    return said[0], said[1]


def _derived_rows(repository: SQLitePerformanceRepository, account_id: str) -> dict[Date, PerformanceMetrics]:
    rows = {r.date: r for r in repository.find_all(account_id) if r.source == "rollup"}
    for row in rows.values():
        row.created_at = row.updated_at = None
    return rows

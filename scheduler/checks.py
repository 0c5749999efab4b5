"""Checks of what rollups derived. A finding says what was expected, what was found, where, and which command shows more."""

from __future__ import annotations

from collections.abc import Iterator

from persistence.database import DatabaseManager
from persistence.domain.instants import end_of_day, start_of_day
from persistence.domain.money import EXACT, canonical
from persistence.integrity import SHOWN, Finding
from persistence.repositories.rollups import AccountBooks, SQLiteRollupRepository
from scheduler.rollup.days import ONE_DAY, day_of
from scheduler.rollup.options import RollupPlan

#: How many checks there are below.
ROLLUP_CHECKS = 2


def check_rollups(database: DatabaseManager, plan: RollupPlan) -> list[Finding]:
    """Check every account's derived rows, each account in one snapshot."""
    repository = SQLiteRollupRepository(database)
    findings = [
        Finding("every observed day has its row", f"{w.account_id} {w.date}", "a row", w.reason, f"jarvis performance explain {w.account_id} {w.date}")
        for w in repository.withheld()[:SHOWN]
    ]
    for account_id in repository.account_ids():
        with repository.reading(account_id) as books:
            findings += [f for f, _ in zip(statements_close(books, plan), range(SHOWN), strict=False)]
    return findings


def statements_close(books: AccountBooks, plan: RollupPlan) -> Iterator[Finding]:
    """What each day's movements add up to is what was held at its end, and the last of it, with what moved since, is the balance."""
    options, progress, mark = plan.of(books.account_id), books.progress(), books.mark()
    if progress is None or mark is None or progress.stale_from is not None or progress.options_digest != options.digest:
        return  # the next rollup reads everything anew
    marks = [i for i in (mark.dirty_since, mark.recheck_since) if i is not None]
    last = progress.rolled_to
    if marks:
        last = min(last, day_of(min(marks), options.zone) - ONE_DAY)
    for currency in books.currencies():
        held = None
        for day, moved, closing in books.closes(currency, last):
            found = books.movements(start_of_day(day, options.zone), end_of_day(day, options.zone) + 1).get(currency)
            where, look = f"{books.account_id} {currency} {day}", f"jarvis statement {books.account_id} --date {day}"
            if found is None or found != moved:
                yield Finding("statements close", where, f"movements of {canonical(moved)}", "none" if found is None else canonical(found), look)
            elif held is not None and EXACT.add(held, moved) != closing:
                yield Finding("statements close", where, f"a closing of {canonical(EXACT.add(held, moved))}", canonical(closing), look)
            held = closing
        after = books.moved_since(currency, end_of_day(last, options.zone) + 1)
        expected = EXACT.add(books.closing_before(currency, last + ONE_DAY), after)
        if expected != (balance := books.balance(currency)):
            where = f"{books.account_id} {currency}"
            yield Finding("statements close", where, f"a balance of {canonical(expected)}", canonical(balance), f"jarvis statement {books.account_id}")

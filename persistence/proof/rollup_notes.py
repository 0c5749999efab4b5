"""Notes of what the daily rollup met: rates that are missing, flows that stand alone, snapshots far off the books.

The rollup keeps what it finds odd beside its rows, so a rollup that mends it takes the note away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal

from jarvis_client.contract.decimals import EXACT, SHOWN, canonical
from persistence.proof.notes import Look, NoteCheck, Oddity

#: A day's closing snapshot may be so far off what the books are worth at that moment.
MOST_OFF = Decimal("0.1")


def _met(oddity: str) -> Callable[[Look], Iterator[Oddity]]:
    """What the rollup kept under a name, by account and subject."""

    def find(look: Look) -> Iterator[Oddity]:
        sql = (
            "SELECT account_id, subject, count(*), max(fact_no), min(date), max(date), min(date || ' ' || detail) FROM rollup_oddities "
            "WHERE oddity = ? GROUP BY account_id, subject ORDER BY account_id, subject"
        )
        for account_id, subject, count, newest, first, last, told in look.connection.execute(sql, (oddity,)):
            more = "" if count == 1 else f"; {count:,} in all, from {first} to {last}"
            yield Oddity(account_id, subject, newest, f"{told[11:]}{more}", first)

    return find


def _without_rate(look: Look) -> Iterator[Oddity]:
    yield from _met("rate missing")(look)
    sql = "SELECT account_id, currency, count(*), min(date), max(date) FROM withheld_currencies GROUP BY account_id, currency ORDER BY account_id, currency"
    for account_id, currency, count, first, last in look.connection.execute(sql):
        days = f"the row of {first} is" if count == 1 else f"{count:,} rows from {first} to {last} are"
        yield Oddity(account_id, currency, 1, f"{currency} is held, and {days} withheld for want of its USD rate", first)


def _far_snapshots(look: Look) -> Iterator[Oddity]:
    sql = (
        "SELECT account_id, date, close_fact_no, value, books_value FROM rollup_rows WHERE close_fact_no IS NOT NULL AND books_value IS NOT NULL "
        "AND abs(CAST(value AS DOUBLE PRECISION) - CAST(books_value AS DOUBLE PRECISION)) > 0.09 * abs(CAST(books_value AS DOUBLE PRECISION)) "
        "ORDER BY account_id, date"
    )
    far: dict[str, list[tuple[str, int, Decimal, Decimal]]] = {}
    for account_id, date, number, value, books in look.connection.execute(sql):
        said, worth = Decimal(value), Decimal(books)
        if EXACT.subtract(said, worth).copy_abs() > EXACT.multiply(MOST_OFF, worth.copy_abs()):
            far.setdefault(account_id, []).append((date, number, said, worth))
    for account_id, days in far.items():
        date, _, said, worth = days[0]
        more = "" if len(days) == 1 else f"; {len(days):,} days in all, the last {days[-1][0]}"
        found = f"the closing snapshot of {date} says {canonical(said)} USD, the books were worth {_shown(worth)}{more}"
        yield Oddity(account_id, "snapshots", max(day[1] for day in days), found, date)


def _shown(usd: Decimal) -> str:
    return f"{SHOWN.plus(usd).normalize():f}"


ROLLUP_NOTES: Iterable[NoteCheck] = (
    NoteCheck("a rate is missing", "a USD rate of it", "publish a rate record of it; `jarvis rollup` then fills in what was withheld", _without_rate),
    NoteCheck("a rename has one half", "a withdrawal and a deposit of one reference and instant", "publish the other half", _met("rename")),
    NoteCheck("a split with nothing held", "something held before a split", "publish what was held before, or void the split", _met("split")),
    NoteCheck("a loan repaid beyond the debt", "at most what is owed", "publish the loan that is missing, or void what is too much", _met("loan")),
    NoteCheck("funding without an open trade", "an open trade in its instrument", "publish the fills that are missing; or accept it", _met("funding")),
    NoteCheck("a snapshot is far off the books", "at most 10 % off", "publish what is missing, or void the snapshot", _far_snapshots),
)

"""What was taken of an account's assets and what that realised, told by reading the facts of a period again from what was left before it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date as Date
from decimal import Decimal
from typing import NamedTuple

from jarvis_client.contract.decimals import EXACT, ZERO
from jarvis_client.contract.instants import start_of_day
from persistence.books.account_history import AccountBooks
from persistence.domain.rollup import name_and_kind
from persistence.repositories.rollups import Changes
from scheduler.rollup.days import ONE_DAY, day_of
from scheduler.rollup.movements import Moved
from scheduler.rollup.options import RollupOptions
from scheduler.rollup.replay import Replay

_DAY = 86_400_000_000


class Disposal(NamedTuple):
    """What was taken of one lot: as what (sale, spent, fee, withdrawal …), when, with what it brought, what it had cost and how long it was
    held. `quantity` is below zero where something owed was given back. USD, fees aside; None where a rate was missing, `days_held`
    where lots are averaged."""

    asset: str
    instant: int
    fact_no: int
    taken_as: str
    quantity: Decimal
    proceeds: Decimal | None
    cost: Decimal | None
    gain: Decimal | None
    opened_at: int | None
    days_held: int | None


def first_to_read(books: AccountBooks, options: RollupOptions, wanted: Date) -> Date:
    """The day from which facts have to be read for what is so from `wanted` on: that day where everything before it is rolled up, else
    the first that is not. Where nothing that is stored can be used, it is not used again."""
    mark, known = books.mark(), books.progress()
    if mark is None or mark.opened_at is None:
        return wanted  # nothing was ever recorded
    first = day_of(mark.opened_at, options.zone)
    if known is None or known.options_digest != options.digest:
        books.floor = Date.max
        return first
    changed = [mark.dirty_since, mark.recheck_since, *(least for _, least, _ in books.rates_since(known.seen_rate_no))]
    stale = [day_of(instant, options.zone) for instant in changed if instant is not None]
    if known.stale_from is not None:
        stale.append(known.stale_from)
    return max(first, min([known.rolled_to + ONE_DAY, wanted, *stale]))


def read_again(books: AccountBooks, options: RollupOptions, first: Date, last: Date, listener: Callable[[Moved], None]) -> Replay:
    """Read the facts of [first, last] again for who wants to hear of every movement; nothing is stored."""
    replay = Replay(books, options, Changes.none(last), first, listener=listener)
    replay.run(last)
    return replay


def disposals(books: AccountBooks, options: RollupOptions, first: Date, last: Date) -> list[Disposal]:
    """Everything that was taken in [first, last], in the order of facts. What is like a dollar counts only where it gained or lost."""
    found: list[Disposal] = []
    beginning = start_of_day(first, options.zone)

    def hear(moved: Moved) -> None:
        if moved.origin.instant < beginning:
            return
        name = name_and_kind(moved.asset)[0]
        for t in moved.taken:
            if not t.gain and (name in options.usd_like or name == "USD") and t.cost is not None:
                continue
            held = None if t.opened_at is None else (moved.origin.instant - t.opened_at) // _DAY
            found.append(
                Disposal(name, moved.origin.instant, moved.origin.fact_no, moved.origin.what, t.quantity, t.proceeds, t.cost, t.gain, t.opened_at, held)
            )

    _read(books, options, first, last, hear)
    return found


def realised_by_fact(books: AccountBooks, options: RollupOptions, first: Date, last: Date) -> dict[int, Decimal | None]:
    """What each fact of [first, last] realised, fees aside; a contract's profit counts with the fill that closes its trade."""
    found: dict[int, Decimal | None] = {}

    beginning = start_of_day(first, options.zone)

    def hear(moved: Moved) -> None:
        if moved.origin.instant < beginning or moved.origin.what in ("fee", "rebate"):
            return
        gains = [t.gain for t in moved.taken]
        if moved.origin.what == "contract":
            gains.append(moved.value)
        for gain in gains:
            before = found.get(moved.origin.fact_no, ZERO)
            found[moved.origin.fact_no] = None if before is None or gain is None else EXACT.add(before, gain)

    _read(books, options, first, last, hear)
    return found


def _read(books: AccountBooks, options: RollupOptions, first: Date, last: Date, listener: Callable[[Moved], None]) -> None:
    start = first_to_read(books, options, first)
    if start <= last:
        read_again(books, options, start, last, listener)


__all__ = ["Disposal", "disposals", "first_to_read", "read_again", "realised_by_fact"]

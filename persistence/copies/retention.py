"""Which backups may go: a pure function of what there is."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from jarvis_client.contract.instants import is_ahead, to_instant

#: However old they are and whatever the clock says, this many of the newest proved ones stay.
KEPT_AT_LEAST = 7
#: A clock that jumped must not empty the folder in one run.
REMOVED_AT_MOST = 2


class Dated(Protocol):
    """A backup: when it was taken, whether it was restored and compared, and how far what it holds reaches."""

    @property
    def taken_at(self) -> datetime: ...
    @property
    def proved(self) -> bool: ...
    @property
    def reach(self) -> tuple[int, ...]: ...


B = TypeVar("B", bound=Dated)


def expired(backups: Sequence[B], now: datetime, retention_days: int, *, keep_weekly: int = 0, keep_monthly: int = 0, forced: bool = False) -> list[B]:
    """Which of these, all of the same books, may go, the oldest first: older than the retention, and none of the seven proved ones that
    reach furthest, nor the first of each of the last `keep_weekly` weeks and `keep_monthly` months.

    Nothing goes where the newest one is not proved, and at most two a run unless `forced`. What a clock that was ahead dated stands
    for no week, no month and not for the newest.
    """
    newest_first = sorted(backups, key=lambda b: b.taken_at, reverse=True)
    past = [b for b in newest_first if not is_ahead(to_instant(b.taken_at), to_instant(now))]
    if not past or not past[0].proved:
        return []
    kept = {id(b) for b in sorted((b for b in newest_first if b.proved), key=lambda b: (b.reach, b.taken_at), reverse=True)[:KEPT_AT_LEAST]}
    proved = [b for b in past if b.proved]
    kept |= _firsts(proved, lambda b: tuple(b.taken_at.isocalendar()[:2]), keep_weekly)
    kept |= _firsts(proved, lambda b: (b.taken_at.year, b.taken_at.month), keep_monthly)
    limit = now - timedelta(days=retention_days)
    old = [b for b in reversed(newest_first) if b.taken_at < limit and id(b) not in kept]
    return old if forced else old[:REMOVED_AT_MOST]


def _firsts(newest_first: Sequence[B], period: Callable[[B], Hashable], count: int) -> set[int]:
    """The earliest of each of the newest `count` periods that have any."""
    earliest: dict[Hashable, int] = {}
    for backup in newest_first:
        key = period(backup)
        if key not in earliest and len(earliest) >= count:
            break
        earliest[key] = id(backup)
    return set(earliest.values()) if count else set()

"""Instants: integer microseconds since 1970-01-01T00:00:00Z, the unit of every time in the books."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from jarvis_client.contract.errors import Invalid

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
#: A clock that is kept in time is never set back by more; whatever is stored further ahead of now was written by one that was wrong.
MOST_AHEAD = 60_000_000
#: Zones whose days are remembered: more than anybody trades in.
_REMEMBERED = 64


class DaysEndingAt(NamedTuple):
    """Days of a zone that end at another time of the clock than midnight. A day has the name of the date on which it ends."""

    zone: ZoneInfo
    ends: time


#: What bounds days: a zone, its days ending at midnight, or at another time.
DayZone = ZoneInfo | DaysEndingAt


@lru_cache(_REMEMBERED)
def day_zone(name: str) -> DayZone:
    """The days that `day_zone_name` names. Raises ValueError, or what ZoneInfo raises, for anything else."""
    zone, _, ends = name.partition("@")
    return DaysEndingAt(ZoneInfo(zone), time.fromisoformat(ends)) if ends else ZoneInfo(zone)


def day_zone_name(zone: str, ends: str = "00:00") -> str:
    """One name for a zone and the time at which its days end: the zone's own for midnight, else such as America/New_York@17:00."""
    return zone if ends == "00:00" else f"{zone}@{ends}"


def to_instant(moment: datetime) -> int:
    """Raises `Invalid` for a naive datetime, which names no instant without an offset, and for what is no datetime."""
    if not isinstance(moment, datetime):
        raise Invalid(f"{moment!r:.60} is no instant; give a datetime with an offset, such as datetime(2026, 1, 1, tzinfo=UTC)")
    if moment.tzinfo is None:
        raise Invalid(f"{moment.isoformat()} has no offset; give one, such as {moment.isoformat()}+00:00")
    return (moment - EPOCH) // MICROSECOND


def to_datetime(instant: int) -> datetime:
    return EPOCH + timedelta(microseconds=instant)


def to_text(instant: int) -> str:
    """RFC 3339 in UTC, always to the microsecond, so that texts sort as instants do."""
    return f"{to_datetime(instant).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def is_ahead(stored: int, now: int) -> bool:
    """Whether a stored instant lies in the future: a clock that was ahead wrote it, so it says nothing. Nobody waits for it, nothing
    is preferred for it. The one rule for every instant that is read back and held against now; in SQL, compare with `now + MOST_AHEAD`."""
    return stored > now + MOST_AHEAD


def is_recent(stored: int | None, now: int, within: int) -> bool:
    """Whether a stored instant is one of the last `within` microseconds, and not ahead."""
    return stored is not None and stored >= now - within and not is_ahead(stored, now)


def now() -> int:
    """The wall clock. Only entry points ask it; everything deeper is handed its time."""
    return to_instant(datetime.now(UTC))


def day_of(value: date | str, name: str = "date") -> date:
    """The day that a date or its ISO text names. Raises `Invalid`; a datetime names a day only in some time zone, so it is refused."""
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError as error:
            raise Invalid(f"{name} is {value!r:.60}; write a day as 2026-01-31, or give a date") from error
    if isinstance(value, datetime) or not isinstance(value, date):
        raise Invalid(f"{name} is {value!r:.60}; give a date: date(2026, 1, 31), or of a datetime the .date() in the zone that is meant")
    return value


def start_of_day(day: date, zone: DayZone) -> int:
    """The instant at which `day` begins in `zone`: the earlier of two where clocks fall back, the transition where they skip it."""
    if isinstance(zone, DaysEndingAt):
        return _on_the_clock(datetime.combine(day - timedelta(days=1), zone.ends, zone.zone))
    return to_instant(datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC))


def _on_the_clock(moment: datetime) -> int:
    """The first instant at which a clock shows a time, or has gone past it."""
    late = to_instant(moment.astimezone(UTC))
    shown = to_datetime(late).astimezone(moment.tzinfo).replace(tzinfo=None)
    if shown == moment.replace(tzinfo=None):
        return late
    # Clocks skip it: the transition lies between what the time means by the offset after it and by the one before.
    early = to_instant(moment.replace(fold=1).astimezone(UTC))
    before = to_datetime(early).astimezone(moment.tzinfo).utcoffset()
    while late - early > 1:
        middle = (early + late) // 2
        early, late = (middle, late) if to_datetime(middle).astimezone(moment.tzinfo).utcoffset() == before else (early, middle)
    return late


def end_of_day(day: date, zone: DayZone) -> int:
    """The last microsecond of `day` in `zone`."""
    return start_of_day(day + timedelta(days=1), zone) - 1

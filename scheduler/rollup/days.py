"""Days of a zone: half-open intervals of instants, 23 to 25 hours long where clocks change, empty where a date was skipped. They end at
midnight, or at the time that the zone's days end at.

Instants are assigned by these boundaries and never by the local date alone, which runs backwards where clocks fall back
across midnight.
"""

from __future__ import annotations

from datetime import date as Date
from datetime import timedelta

from jarvis_client.contract.instants import DaysEndingAt, DayZone, start_of_day, to_datetime

ONE_DAY = timedelta(days=1)


def day_of(instant: int, zone: DayZone) -> Date:
    """The day that contains an instant."""
    day = to_datetime(instant).astimezone(zone.zone if isinstance(zone, DaysEndingAt) else zone).date()
    while instant < start_of_day(day, zone):
        day -= ONE_DAY
    while instant >= start_of_day(day + ONE_DAY, zone):
        day += ONE_DAY
    return day


def last_closed_day(now: int, zone: DayZone, grace_microseconds: int = 0) -> Date:
    """The newest day that had ended by `now`, the grace after its end included."""
    return day_of(now - grace_microseconds, zone) - ONE_DAY


class Calendar:
    """Days of one zone for instants that mostly come in order: remembers the bounds of the day it answered last."""

    def __init__(self, zone: DayZone) -> None:
        self._zone = zone
        self._start = self._end = 0
        self._day = Date.min

    def day_of(self, instant: int) -> Date:
        if not self._start <= instant < self._end:
            self._day = day_of(instant, self._zone)
            self._start, self._end = start_of_day(self._day, self._zone), start_of_day(self._day + ONE_DAY, self._zone)
        return self._day

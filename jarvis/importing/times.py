"""Times as files write them. A local time needs its zone, and one that a clock showed twice, or never, needs to be told which is meant."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jarvis_client.contract.conventions import EARLIEST, LATEST
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.instants import to_instant
from jarvis_client.contract.showing import shown

Fold = Literal["first", "second"]

#: Words of `times` that are no formats of `strptime`.
ISO, SECONDS, MILLISECONDS, MICROSECONDS = "iso", "epoch_s", "epoch_ms", "epoch_us"
_UNITS = {SECONDS: 1_000_000, MILLISECONDS: 1_000, MICROSECONDS: 1}
#: What every file means by these.
OFFSETS = {"UTC": "+00:00", "GMT": "+00:00", "Z": "+00:00"}
#: Between these: an offset of a day moves no instant out of the years that records may have, 1970 to 2099.
FIRST_YEAR, LAST_YEAR = 1970, 2099
_ISO = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?\s?(?:[Zz]|[+-]\d\d(?::?\d\d)?)?", re.ASCII)
_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?(\d\d))?", re.ASCII)
_IN_HEADING = re.compile(r"\b(?:UTC|GMT)(?:\s*([+-]\d{1,2}(?::?\d\d)?))?(?![A-Za-z])", re.ASCII)


@lru_cache(64)
def zone_of(name: str) -> tzinfo:
    """The zone of an IANA name or an offset such as +02:00 or UTC+2. Raises `Invalid`."""
    if found := _OFFSET.fullmatch(name):
        hours, minutes = int(found[2]), int(found[3] or 0)
        if hours > 14 or minutes > 59:
            raise Invalid(f"{name} is no offset; they reach from -12:00 to +14:00")
        ahead = timedelta(hours=hours, minutes=minutes)
        return timezone(-ahead if found[1] == "-" else ahead)
    if name in OFFSETS:
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Invalid(f"unknown time zone {name!r:.60}; use an IANA name such as Europe/London, or an offset such as +02:00") from None


def zone_in_heading(heading: str) -> str | None:
    """The zone that a column's heading names: `Date(UTC)`, `UTC_Time`, `Time (UTC+8)`; None where it names none."""
    found = _IN_HEADING.search(heading.replace("_", " "))
    return None if found is None else (found[1] or "UTC")


def format_rule(form: str) -> str | None:
    """What is wrong with a form of times; None for one that can be used."""
    if form == ISO or form in _UNITS or "%" in form:
        return None
    return f"{form!r} is no form of a time; there are iso, epoch_s, epoch_ms, epoch_us and formats such as %d/%m/%Y %H:%M:%S"


class Clock:
    """Reads the times of one column."""

    def __init__(self, formats: Sequence[str], zone: str | None, fold: Fold | None, offsets: Mapping[str, str]) -> None:
        """`zone`: of times that say none themselves. `fold`: which of two a local time means, by the clock before or after its change."""
        self._formats, self._zone, self._fold = formats, zone, fold
        self._offsets = OFFSETS | dict(offsets)

    def instant(self, text: str) -> int:
        """Microseconds UTC; finer fractions are cut. Raises `Invalid`."""
        moment = self._moment(text)
        if isinstance(moment, int):
            return moment
        if not FIRST_YEAR < moment.year < LAST_YEAR:
            raise Invalid(f"it is {shown(text)}; times from {FIRST_YEAR + 1} to {LAST_YEAR - 1} are taken")
        if moment.tzinfo is not None:
            return to_instant(moment)
        if self._zone is None:
            raise Invalid("it says no offset; say --zone (a profile: zone), such as --zone Europe/London")
        return self._local(moment, self._zone)

    def on_the_wall(self, text: str) -> str:
        """A time in one form, without regard to zones: told another zone, a row is the same row at another instant. Any other text as it is."""
        try:
            moment = self._moment(text)
        except Invalid:
            return text
        return str(moment) if isinstance(moment, int) else moment.isoformat()

    def _moment(self, text: str) -> datetime | int:
        plain, offset = text, None
        if " " in text and (word := text.rpartition(" "))[2] in self._offsets:
            plain, offset = word[0].rstrip(), zone_of(self._offsets[word[2]])
        for form in self._formats:
            found = _read(plain, form)
            if isinstance(found, datetime):
                return found if offset is None or found.tzinfo is not None else found.replace(tzinfo=offset)
            if found is not None:
                return found
        written = " or ".join("as 2026-01-31 10:15:30" if form == ISO else form for form in self._formats)
        day = "; a day alone names no instant" if len(plain) <= 10 else ""
        raise Invalid(f"it is {shown(text)}; a time is written {written} here{day}")

    def _local(self, moment: datetime, zone: str) -> int:
        before, after = (moment.replace(tzinfo=zone_of(zone), fold=fold) for fold in (0, 1))
        if before.utcoffset() == after.utcoffset():
            return to_instant(before.astimezone(UTC))
        if self._fold is None:
            # Where clocks go back, the clock before the change is the one that is further ahead.
            showed = "showed twice" if (before.utcoffset() or timedelta()) > (after.utcoffset() or timedelta()) else "never showed"
            raise Invalid(f"it is a local time that clocks of {zone} {showed}; say --fold first (by the clock before its change) or --fold second")
        return to_instant((before if self._fold == "first" else after).astimezone(UTC))


def _read(text: str, form: str) -> datetime | int | None:
    try:
        if form == ISO:
            return datetime.fromisoformat(text.replace(" ", "T", 1).replace(" ", "").upper()) if _ISO.fullmatch(text) else None
        if unit := _UNITS.get(form):
            whole, _, decimals = text.partition(".")
            if not (whole + decimals).isascii() or not whole.isdigit() or not (decimals or "0").isdigit():
                return None
            instant = int(whole) * unit + int((decimals + "000000")[:6]) * unit // 1_000_000
            # A number outside is one of another unit.
            return instant if EARLIEST <= instant < LATEST else None
        return datetime.strptime(text, form)  # noqa: DTZ007 a format without %z is of a local time, whose zone the caller knows
    except (ValueError, OverflowError):
        return None

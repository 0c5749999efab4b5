"""Times, lengths and sizes as a message writes them: whoever reads it may be anywhere, so times are in UTC and say so."""

from __future__ import annotations

from jarvis_client.contract.instants import to_datetime

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def moment(instant: int) -> str:
    """`2026-11-25 03:00:00 UTC`."""
    return f"{to_datetime(instant):%Y-%m-%d %H:%M:%S} UTC"


def lasting(seconds: float) -> str:
    """In two units at most: `28 s`, `1 min 20 s`, `3 h 5 min`, `2 days 4 h`."""
    whole = max(0, round(seconds))
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return _two(whole, _MINUTE, "min", 1, "s")
    if whole < _DAY:
        return _two(whole, _HOUR, "h", _MINUTE, "min")
    return _two(whole, _DAY, "day" if whole < 2 * _DAY else "days", _HOUR, "h")


def _two(whole: int, great: int, great_unit: str, small: int, small_unit: str) -> str:
    rest = whole % great // small
    return f"{whole // great:,} {great_unit}" + (f" {rest} {small_unit}" if rest else "")


def size(number: float) -> str:
    """`512 B`, `1.2 kB`, `244 MB`."""
    unit = 0
    while number >= 1_000 and unit < len(_UNITS) - 1:
        number /= 1_000
        unit += 1
    return f"{number:.1f} {_UNITS[unit]}" if unit and number < 10 else f"{number:,.0f} {_UNITS[unit]}"


def count_of(noun: str, number: int) -> str:
    """`1 alarm`, `1,200 alarms`."""
    return f"{number:,} {noun}{'s' * (number != 1)}"

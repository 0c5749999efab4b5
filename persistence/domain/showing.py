"""What is said: nouns with their number, names that were meant, sizes in their unit, lengths of time, instants."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from jarvis_client.contract.instants import to_datetime
from jarvis_client.contract.showing import first_few


def count_of(noun: str, number: int, plural: str = "") -> str:
    """`1 record`, `1,200 records`; a `plural` that is not the noun and an s is given."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """What to say of a name that is none of those there are: the nearest one, else the first few."""
    known = {known.lower(): known for known in sorted(names, reverse=True)}
    close = get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    if close:
        return f"did you mean {known[close[0]]}?"
    listed = first_few(sorted(known.values()))
    return f"there are {listed}" if len(known) > 1 else f"there is only {listed}" if listed else "there is none yet"


_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def size(number: int | None) -> str:
    """Bytes in the units that disks are sold in, to three digits: `512 B`, `1.2 kB`, `244 MB`; "" for None."""
    if number is None:
        return ""
    shown, unit = float(number), 0
    while shown >= 999.5 and unit < len(_UNITS) - 1:
        shown /= 1_000
        unit += 1
    return f"{shown:.3g} {_UNITS[unit]}" if shown < 999.5 else f"{shown:,.0f} {_UNITS[unit]}"


_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_STEPS = ((_MINUTE, "s", 1), (_HOUR, "min", _MINUTE), (2 * _DAY, "h", _HOUR), (float("inf"), "days", _DAY))
#: Below this many seconds, tenths are worth a look.
_SHORT = 10


def length(seconds: float) -> str:
    """About how long, in one unit: `28 s`, `12 min`, `3 h`, `5 days`."""
    _, unit, whole = next(step for step in _STEPS if seconds < step[0])
    return f"{int(seconds // whole):,} {unit}"


def lasting(seconds: float) -> str:
    """How long something took, in two units at most: `0.4 s`, `28 s`, `1 min 20 s`, `3 h 5 min`, `2 days 4 h`. An int has no tenths."""
    if seconds < _SHORT and not isinstance(seconds, int):
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return _two(*divmod(whole, _MINUTE), "min", "s")
    if whole < _DAY:
        return _two(*divmod(whole // _MINUTE, 60), "h", "min")
    days, hours = divmod(whole // _HOUR, 24)
    return _two(days, hours, "day" if days == 1 else "days", "h")


def _two(great: int, small: int, great_unit: str, small_unit: str) -> str:
    return f"{great:,} {great_unit}" + (f" {small} {small_unit}" if small else "")


def moment(instant: int) -> str:
    """`2026-11-25 03:00:00 UTC`, for a sentence whose reader may be anywhere."""
    return f"{to_datetime(instant):%Y-%m-%d %H:%M:%S} UTC"

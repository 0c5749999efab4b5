"""The values that fields of records hold: each function gives the checked value, or refuses it with the rule and the remedy.

Its sentence is the rest of one that begins with the field's name: "quantity: it is -1; it must be above zero".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from datetime import date as Date
from decimal import Decimal
from typing import Any, NamedTuple

from jarvis_client.contract.conventions import LATEST, instant_of
from jarvis_client.contract.decimals import ZERO, canonical, exact
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.instants import EPOCH, MICROSECOND, to_datetime
from jarvis_client.contract.showing import shown

_SHORT_DECIMAL = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,20})?", re.ASCII)
#: No hour 24: newer Pythons would take it, older ones would not.
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ](?:[01]\d|2[0-3]):\d\d:\d\d(?:\.(\d{1,40}))?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
#: Half a character (a lone surrogate) is no text.
_TEXT = re.compile(r"[^\x00-\x08\x0b-\x1f\ud800-\udfff]{0,2000}")
LONGEST_ID, LONGEST_WORD, LONGEST_CODE, LONGEST_TEXT = 128, 64, 32, 2_000
#: Stores keep the number of a record in eight bytes.
SEQUENCES_END = 2**63
COUNTS_END = 10**31

# -- numbers --------------------------------------------------------------------------------------------------------------


def number(value: Any) -> Decimal:
    # Nearly all numbers are short plain strings, which need none of the careful checks.
    if type(value) is str and _SHORT_DECIMAL.fullmatch(value):
        return Decimal(value)
    return exact(value, "it")


def positive(value: Any) -> Decimal:
    found = number(value)
    if found <= ZERO:
        raise Invalid(f"it is {canonical(found)}; it must be above zero")
    return found


def not_negative(value: Any) -> Decimal:
    found = number(value)
    if found < ZERO:
        raise Invalid(f"it is {canonical(found)}; a rate is not below zero")
    return found


def sequence(value: Any) -> int:
    return _whole(value, SEQUENCES_END, "2^63")


def count(value: Any) -> int:
    return _whole(value, COUNTS_END, "10^31")


def _whole(value: Any, end: int, said: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < end:
        raise Invalid(f"is {shown(value)}; it must be a whole number from 0 on, below {said}")
    return value


def flag(value: Any) -> bool:
    if value is not True and value is not False:
        raise Invalid(f"is {shown(value)}; it must be true or false")
    return value


# -- times ----------------------------------------------------------------------------------------------------------------


class Time(NamedTuple):
    """An instant, and its text where that is finer than a microsecond."""

    instant: int
    given: str | None

    @property
    def moment(self) -> datetime:
        """The instant for the constructors of facts, which take an integer before the year 2000 for milliseconds."""
        return to_datetime(self.instant)


def time(value: Any) -> Time:
    if type(value) is not str:
        return Time(instant_of(value), None)
    match = _RFC_3339.fullmatch(value)
    if match is None:
        raise Invalid(f"it is {value!r:.60}; a time is RFC 3339 with an offset, such as 2026-11-22T10:15:30.123456Z, or integer microseconds")
    fraction = match[1]
    is_leap = value[17:19] == "60"
    try:
        instant = _leap_second(value) if is_leap else (datetime.fromisoformat(value if value[-1] != "z" else value.upper()) - EPOCH) // MICROSECOND
    except Invalid:
        raise
    except ValueError:
        raise Invalid(f"it is {value!r:.60}, a time that no calendar has; it must be RFC 3339 with an offset, such as 2026-11-22T10:15:30.123456Z") from None
    if not 0 <= instant < LATEST:
        raise Invalid(f"it is {value}; times from 1970 to 2100 are taken")
    return Time(instant, value if is_leap or (fraction is not None and len(fraction) > 6 and fraction[6:].strip("0")) else None)


def _leap_second(value: str) -> int:
    """The last microsecond of the minute that a leap second ends. Raises `Invalid` where no minute of UTC's day ends."""
    moment = datetime.fromisoformat(f"{value[:17]}59{value[19:].upper()}").astimezone(UTC).replace(microsecond=999_999)
    if (moment.hour, moment.minute) != (23, 59):
        raise Invalid(f"it is {value}; second 60 is for the end of a day in UTC")
    return (moment - EPOCH) // MICROSECOND


def day(value: Any) -> Date:
    try:
        if type(value) is not str or not _DAY.fullmatch(value):
            raise ValueError
        found = Date.fromisoformat(value)
        if not 1970 <= found.year < 2100:
            raise ValueError
    except ValueError:
        raise Invalid(f"it is {repr(value)[:60]}; a date is YYYY-MM-DD between 1970 and 2100") from None
    return found


# -- texts ----------------------------------------------------------------------------------------------------------------


def identity(value: Any) -> str:
    if type(value) is str and 0 < len(value) <= LONGEST_ID and value.isprintable() and value[0] != " " != value[-1]:
        return value
    raise Invalid(f"is {shown(value)}; it must be 1 to {LONGEST_ID} printable characters, without blanks at its ends")


def word(value: Any) -> str:
    if type(value) is str and 0 < len(value) <= LONGEST_WORD and value.isprintable() and value[0] != " " != value[-1]:
        return value
    raise Invalid(f"is {shown(value)}; it must be 1 to {LONGEST_WORD} printable characters, without blanks at its ends")


def currency(value: Any) -> str:
    if type(value) is str and 0 < len(value) <= LONGEST_CODE and value.isprintable() and " " not in value:
        return value
    raise Invalid(f'is {shown(value)}; it must be 1 to {LONGEST_CODE} printable characters without spaces, such as "USDT"')


def text(value: Any) -> str:
    if type(value) is str and _TEXT.fullmatch(value):
        return value
    raise Invalid(f"is {shown(value)}; it must be at most {LONGEST_TEXT:,} characters without control characters")


class OneOf:
    """A word of a closed set."""

    def __init__(self, *words: str) -> None:
        self.words = tuple(map(str, words))
        self._known = {word: word for word in self.words}

    def read(self, value: Any) -> str:
        found = self._known.get(value) if type(value) is str else None
        if found is None:
            raise Invalid(f"is {shown(value)}; it must be {either(self.words)}")
        return found


def either(words: Iterable[str]) -> str:
    """`'a', 'b' or 'c'`"""
    *others, last = (repr(word) for word in words)
    return f"{', '.join(others)} or {last}" if others else last

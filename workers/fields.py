"""The types of the fields of records: each refuses what the contract does not take, with the rule and the remedy."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from datetime import date as Date
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, PlainValidator
from pydantic_core import PydanticCustomError

from jarvis_client.contract.conventions import LATEST, instant_of
from jarvis_client.contract.decimals import ZERO, canonical, exact
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.instants import EPOCH, MICROSECOND, to_datetime
from workers.schema_words import named

_SHORT_DECIMAL = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,20})?", re.ASCII)
#: No hour 24: newer Pythons would take it, older ones would not.
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ](?:[01]\d|2[0-3]):\d\d:\d\d(?:\.(\d{1,40}))?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
#: What `str.isprintable` says, no blank at either end, in the dialect of the validator, which checks it without calling Python.
_PRINTABLE = r"^[^\p{C}\p{Z}](?:(?: |[^\p{C}\p{Z}])*[^\p{C}\p{Z}])?$"


def _number(value: Any) -> Decimal:
    # Nearly all numbers are short plain strings, which need none of the careful checks.
    if type(value) is str and _SHORT_DECIMAL.fullmatch(value):
        return Decimal(value)
    try:
        return exact(value, "it")
    except Invalid as error:
        raise PydanticCustomError("number", "{reason}", {"reason": str(error)}) from None


def _not_negative(value: Any) -> Decimal:
    number = _number(value)
    if number < ZERO:
        raise PydanticCustomError("rate", "it is {value}; a rate is not below zero", {"value": canonical(number)})
    return number


def _positive(value: Any) -> Decimal:
    number = _number(value)
    if number <= ZERO:
        raise PydanticCustomError("positive", "it is {value}; it must be above zero", {"value": canonical(number)})
    return number


class Time(NamedTuple):
    """An instant, and its text where that is finer than a microsecond."""

    instant: int
    given: str | None

    @property
    def moment(self) -> datetime:
        """The instant for the constructors of facts, which take an integer before the year 2000 for milliseconds."""
        return to_datetime(self.instant)


def _time(value: Any) -> Time:
    try:
        if type(value) is str:
            match = _RFC_3339.fullmatch(value)
            if match is None:
                raise Invalid(f"it is {value!r:.60}; a time is RFC 3339 with an offset, such as 2026-11-22T10:15:30.123456Z, or integer microseconds")
            fraction = match[1]
            instant = (
                _leap_second(value) if value[17:19] == "60" else (datetime.fromisoformat(value if value[-1] != "z" else value.upper()) - EPOCH) // MICROSECOND
            )
            if not 0 <= instant < LATEST:
                raise Invalid(f"it is {value}; times from 1970 to 2100 are taken")
            if value[17:19] == "60":
                return Time(instant, value)
            return Time(instant, value if fraction is not None and len(fraction) > 6 and fraction[6:].strip("0") else None)
        return Time(instant_of(value), None)
    except Invalid as error:
        raise PydanticCustomError("time", "{reason}", {"reason": str(error)}) from None
    except ValueError:
        said = f"it is {value!r:.60}, a time that no calendar has; it must be RFC 3339 with an offset, such as 2026-11-22T10:15:30.123456Z"
        raise PydanticCustomError("time", "{reason}", {"reason": said}) from None


def _leap_second(value: str) -> int:
    """The last microsecond of the minute that a leap second ends. Raises `Invalid` where no minute of UTC's day ends."""
    moment = datetime.fromisoformat(f"{value[:17]}59{value[19:].upper()}").astimezone(UTC).replace(microsecond=999_999)
    if (moment.hour, moment.minute) != (23, 59):
        raise Invalid(f"it is {value}; second 60 is for the end of a day in UTC")
    return (moment - EPOCH) // MICROSECOND


def _date(value: Any) -> Date:
    try:
        if type(value) is not str or not _DAY.fullmatch(value):
            raise ValueError
        day = Date.fromisoformat(value)
        if not 1970 <= day.year < 2100:
            raise ValueError
        return day
    except ValueError:
        raise PydanticCustomError("date", "it is {value}; a date is YYYY-MM-DD between 1970 and 2100", {"value": repr(value)[:60]}) from None


Number = Annotated[Decimal, PlainValidator(_number), named("number")]
Positive = Annotated[Decimal, PlainValidator(_positive), named("positive")]
UsdRate = Annotated[Decimal, PlainValidator(_not_negative), named("not_negative")]
Moment = Annotated[Time, PlainValidator(_time), named("time")]
Day = Annotated[Date, PlainValidator(_date), named("day")]

Id = Annotated[str, Field(min_length=1, max_length=128, pattern=_PRINTABLE), named("id")]
Code = Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[^\p{C}\p{Z}]+$"), named("code")]
Word = Annotated[str, Field(min_length=1, max_length=64, pattern=_PRINTABLE), named("word")]
Text = Annotated[str, Field(max_length=2_000, pattern=r"^[^\x00-\x08\x0b-\x1f]*$"), named("text")]
#: The id of a rate is CURRENCY:SOURCE:MICROSECONDS.
RateCode = Annotated[Code, named("code", type="string", pattern="^[^:]*$")]
RateSource = Annotated[Id, named("id", type="string", pattern="^[^:]*$")]

Side = Literal["buy", "sell"]
StatusName = Literal["placed", "amended", "cancelled", "rejected", "expired", "filled", "canceled", "open", "new"]
CategoryName = Literal["external", "transfer", "funding", "interest", "dividend", "bonus", "fee", "split", "loan", "rename", "other"]

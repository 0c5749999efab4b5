"""What the books make of the values that a statement is run with, whichever engine runs it."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from numbers import Integral
from typing import Any

from jarvis_client.contract.decimals import canonical
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.instants import to_instant

#: What every driver takes as it is.
_TAKEN = frozenset({type(None), str, int, float, bytes})


def storable(value: Any, number: int | None = None) -> Any:
    """A value as the books hold it: decimals as text, instants in microseconds, days as text. Raises `Invalid`, with the parameter's number."""
    if type(value) in _TAKEN:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Decimal):
        return canonical(value)
    if isinstance(value, datetime):
        return to_instant(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    which = "a parameter" if number is None else f"parameter {number}"
    raise Invalid(f"{which} is {value!r:.60}; give text, bytes, a number, a datetime with an offset, a date or None")


__all__ = ["storable"]

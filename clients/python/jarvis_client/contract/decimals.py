"""Exact decimals: what a number means, the limits of the contract, and the one text of each.

A float stands for its shortest text (`0.1` is 0.1), so nothing here ever sees a binary fraction.
"""

from __future__ import annotations

import re
from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow
from numbers import Integral, Rational, Real

from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.showing import shown

#: Wide enough for any sum or product of accepted numbers (31 digits before the point, 60 after it, three factors); a result that
#: still did not fit would raise, because the context traps every rounding.
EXACT = Context(prec=2_000, Emin=-100_000, Emax=100_000, traps=[Inexact, InvalidOperation, Overflow, DivisionByZero])

#: Quotients of figures, such as an average cost, are taken to 50 significant digits; what is left of the amount is exact again.
QUOTIENT = Context(prec=50, Emin=-100_000, Emax=100_000)

#: Quotients for display (an average price) are taken to this many significant digits.
SHOWN = Context(prec=28)

#: Limits of the wire contract: more digits than any venue prints, and sizes that keep every product printable.
MAX_DIGITS = 40
MAX_PLACES = 60
#: Numbers have at most so many digits before the point.
MAX_WHOLE_DIGITS = 31

Number = Decimal | int | str | float

ZERO = Decimal(0)
ONE = Decimal(1)

#: ASCII on purpose: Decimal itself would take other scripts' digits and underscores.
_PLAIN_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?", re.ASCII)


def exact(value: Number, name: str = "amount") -> Decimal:
    """The exact decimal that a number or its text means; a float means its shortest text, numpy's numbers their value.

    Raises `Invalid` for NaN, infinities, booleans, text that is no plain number, and numbers beyond the limits.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        if value.bit_length() > 140:
            raise Invalid(f"{name} has more than {MAX_DIGITS} digits; send at most {MAX_DIGITS}")
        return within_limits(Decimal(int(value)), name)
    if isinstance(value, Decimal):
        return within_limits(value, name)
    text = _text_of(value)
    if text is None:
        raise Invalid(f'{name} is {shown(value)}; it must be a number: a decimal string such as "0.015"')
    if len(text) > 120 or not _PLAIN_NUMBER.fullmatch(text):
        raise Invalid(f'{name} is {shown(value)}; it must be a plain finite number such as "0.015"')
    return within_limits(Decimal(text), name)


def _text_of(value: object) -> str | None:
    """The text of a number that is neither an int nor a Decimal; None for what is no number."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return float.__repr__(value)  # a subclass may say its name along with its value
    if isinstance(value, Integral):
        return str(int(value))
    return None if isinstance(value, Rational) or not isinstance(value, Real) else float.__repr__(float(value))


def within_limits(number: Decimal, name: str = "amount") -> Decimal:
    """The same number, once it is finite, below 10^31, of at most 40 digits and 60 places after the point. Raises `Invalid`."""
    _, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int):
        raise Invalid(f"{name} is {number}; it must be a finite number")
    if not number:
        return ZERO
    if len(digits) > MAX_DIGITS:
        raise Invalid(f"{name} has {len(digits)} digits; at most {MAX_DIGITS} are taken, nothing is rounded")
    if exponent < -MAX_PLACES:
        raise Invalid(f"{name} is {shown(number)} with {-exponent} places after the point; at most {MAX_PLACES} are taken, nothing is rounded")
    if number.adjusted() >= MAX_WHOLE_DIGITS:
        raise Invalid(f"{name} is {shown(number)}; numbers below 10^31 are taken")
    return number


def canonical(number: Decimal) -> str:
    """The one text of a number: no exponent, no trailing zeros, no plus, no negative zero (`1.50` → `1.5`, `1E+3` → `1000`)."""
    if number is ONE:
        return "1"
    if number is ZERO:
        return "0"
    text = str(number)
    if text[-1] != "0" and "E" not in text:
        return text  # nearly every one
    if "E" in text:
        text = format(number, "f")
    if text[-1] == "0" and "." in text:
        text = text.rstrip("0")
    if text[-1] == ".":
        text = text[:-1]
    return "0" if text == "-0" else text

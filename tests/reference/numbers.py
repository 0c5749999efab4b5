"""Exact numbers: sums and products are fractions, a quotient is taken once and to 50 digits (meaning.md, 7)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction

#: Emax and Emin stand so wide that no amount of 40 digits and 60 places ever meets them.
_FIFTY = Context(prec=50, rounding=ROUND_HALF_EVEN, Emax=999_999, Emin=-999_999)

ZERO = Fraction(0)
ONE = Fraction(1)


def rounded(exact: Fraction) -> Fraction:
    return Fraction(_FIFTY.divide(Decimal(exact.numerator), Decimal(exact.denominator)))


def part(total: Fraction, piece: Fraction, whole: Fraction) -> Fraction:
    """7: total × piece / whole; the whole takes all of it."""
    return total if piece == whole else rounded(total * piece / whole)


def shares(total: Fraction, weights: Sequence[Fraction]) -> list[Fraction]:
    """A share for every weight; the last that is not 0 takes the remainder, so the sum is exact."""
    last = max((n for n, weight in enumerate(weights) if weight), default=0)
    found = [part(total, weight, sum(weights, ZERO)) if weight and n != last else ZERO for n, weight in enumerate(weights)]
    found[last] = total - sum(found, ZERO)
    return found


def plus(*amounts: Fraction | None) -> Fraction | None:
    """A sum; what is not known makes it unknown."""
    return None if any(a is None for a in amounts) else sum((a for a in amounts if a is not None), ZERO)


def maybe_part(total: Fraction | None, piece: Fraction, whole: Fraction) -> Fraction | None:
    return None if total is None else part(total, piece, whole)

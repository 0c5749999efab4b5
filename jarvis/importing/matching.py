"""Whether a cell is what a profile describes: a text, a text with *, an empty one, or the sign of a number."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

from jarvis.importing.cells import amount_of
from jarvis_client.contract.errors import Invalid

_SIGNS: dict[str, Callable[[int], bool]] = {">0": lambda sign: sign > 0, "<0": lambda sign: sign < 0, "0": lambda sign: sign == 0}


def matches(cell: str, described: Iterable[str], decimal: str | None) -> bool:
    """Whether a cell is one of these. Case does not matter; `0` is any zero, `>0` and `<0` any number of that sign."""
    return any(_matches(cell, one, decimal) for one in described)


def _matches(cell: str, described: str, decimal: str | None) -> bool:
    if described in _SIGNS:
        return cell != "" and (sign := _sign(cell, decimal)) is not None and _SIGNS[described](sign)
    if "*" in described:
        return _glob(described).fullmatch(cell) is not None
    return cell.casefold() == described.casefold()


def _sign(cell: str, decimal: str | None) -> int | None:
    try:
        # Whichever way 1,234 is read, its sign is the same.
        number = amount_of(cell, decimal or ".").number
    except Invalid:
        return None
    return (number > 0) - (number < 0)


@lru_cache(1_024)
def _glob(described: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, described.split("*"))), re.IGNORECASE | re.DOTALL)

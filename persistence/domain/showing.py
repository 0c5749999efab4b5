"""What is said: nouns with their number, names that were meant, sizes in their unit."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

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

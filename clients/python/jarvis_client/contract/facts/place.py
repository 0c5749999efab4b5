"""The order of facts: (instant, sequence or −1, producer or "", kind, id). Total, and independent of arrival.

Ids are compared as people read them: cut into runs of ASCII digits and of the rest, digits by their value and before text, text
by code point, what ends first before what goes on; equal ones by the whole text. `sort_key` says kind and id in bytes that compare
so, kept beside the id: SQL, views and every engine sort alike.
"""

from __future__ import annotations

import re
from functools import lru_cache

#: Kinds in their order at one instant: what brings money before what uses it, observations after what they observe.
KINDS = ("rate", "deposit", "fill", "fee", "withdrawal", "transaction", "adjustment", "order", "metrics", "balance", "void")
_RANKS = {kind: bytes((n,)) for n, kind in enumerate(KINDS, 1)}
_DIGITS = re.compile("([0-9]+)", re.ASCII)
_LEADING_ZERO = re.compile("(?:^|[^0-9])0", re.ASCII)


class _Values(dict[str, str]):
    """Runs of digits as texts that compare by their value; those of up to three digits are kept."""

    def __missing__(self, digits: str) -> str:
        value = digits.lstrip("0")
        # Below every printable character, so that digits come before text; more digits are a larger number.
        text = f"\x01{chr(len(value) + 1)}{value}"
        if len(digits) <= 3:
            self[digits] = text
        return text


_value = _Values().__getitem__


@lru_cache(maxsize=1_024)
def _is_without_digits(head: str) -> bool:
    # Venues and symbols: the same few come again and again.
    return _DIGITS.search(head) is None


def sort_key(kind: str, record_id: str) -> bytes:
    """Bytes that compare as kind and id do."""
    head = record_id.rstrip("0123456789")
    if len(head) < len(record_id) and _is_without_digits(head):
        # Most ids are a name and a number: a third of the time.
        value = record_id[len(head) :].lstrip("0")
        key, has_leading_zero = f"{head}\x01{chr(len(value) + 1)}{value}", len(head) + len(value) < len(record_id)
    else:
        parts = _DIGITS.split(record_id)
        parts[1::2] = map(_value, parts[1::2])
        key, has_leading_zero = "".join(parts), _LEADING_ZERO.search(record_id) is not None
    # Ids that differ in leading zeros alone have the same runs: the one without any is the greatest by its whole text.
    return _RANKS[kind] + (f"{key}\x00{record_id}" if has_leading_zero else f"{key}\x01").encode()


__all__ = ["KINDS", "sort_key"]

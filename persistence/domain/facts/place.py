"""The order of facts: (instant, sequence or −1, producer or "", kind, id). Total, and independent of arrival.

Ids are compared as people read them: cut into runs of ASCII digits and of the rest, digits by their value and before text, text
by code point, what ends first before what goes on; equal ones by the whole text. `sort_key` says kind and id in bytes that compare
so, kept beside the id: SQL, views and every engine sort alike.
"""

from __future__ import annotations

import re

#: Kinds in their order at one instant: what brings money before what uses it, observations after what they observe.
KINDS = ("rate", "deposit", "fill", "fee", "withdrawal", "transaction", "adjustment", "order", "metrics", "balance", "void")
_RANKS = {kind: bytes((n,)) for n, kind in enumerate(KINDS, 1)}
_DIGITS = re.compile("[0-9]+", re.ASCII)
_LEADING_ZERO = re.compile("(?:^|[^0-9])0", re.ASCII)


def _by_value(run: re.Match[str]) -> str:
    digits = run[0].lstrip("0")
    # Below every printable character, so that digits come before text; more digits are a larger number.
    return f"\x01{chr(len(digits) + 1)}{digits}"


def sort_key(kind: str, record_id: str) -> bytes:
    """Bytes that compare as kind and id do."""
    key = _DIGITS.sub(_by_value, record_id)
    # Ids that differ in leading zeros alone have the same runs: the one without any is the greatest by its whole text.
    rest = f"\x00{record_id}" if _LEADING_ZERO.search(record_id) else "\x01"
    return _RANKS[kind] + f"{key}{rest}".encode()


__all__ = ["KINDS", "sort_key"]

"""What callers ask by, checked before it meets a statement."""

from __future__ import annotations

from numbers import Integral

from jarvis_client.contract.errors import Invalid
from persistence.engine.contract import NO_LIMIT


def limit_of(limit: int | None, name: str = "limit", least: int = 0) -> int:
    """How many at most; None means all. Raises `Invalid` for what is no whole number from `least` to 2^62."""
    if limit is None:
        return NO_LIMIT
    if isinstance(limit, bool) or not isinstance(limit, Integral) or not least <= limit <= NO_LIMIT:
        raise Invalid(f"{name} is {limit!r:.60}; give a whole number from {least} to 2^62, or None for all")
    return int(limit)

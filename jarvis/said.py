"""What a job did and what an event holds, as a command, a screen and an alarm say it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from persistence.domain.showing import moment

#: What an instant is called where it is no text: in the content of events.
_INSTANTS = ("scheduled_for", "recorded_until", "taken_at")
#: A digest in hexadecimal is told by its first digits.
_DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")


def words(value: Any, at: Callable[[int], str] = moment) -> str:
    """A value of JSON for people: `accounts 1, added 3`. `at` says an instant."""
    if isinstance(value, dict):
        said = {name: at(inner) if isinstance(inner, int) and name in _INSTANTS else words(inner, at) for name, inner in value.items() if inner is not None}
        return ", ".join(f"{name.replace('_', ' ')} {inner}" for name, inner in said.items())
    if isinstance(value, list):
        return "none" if not value else " ".join(words(inner, at) for inner in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else _DIGEST.sub(r"\1…", str(value))

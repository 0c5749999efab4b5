"""Where a page of a listing goes on: a text that only the server reads."""

from __future__ import annotations

import base64
import json
from typing import Any

from jarvis.web.problems import Problem, problem

#: What it holds is a place of one row; the longest ids fit ten times.
LONGEST = 4_000


def written(*place: int | str | bytes) -> str:
    """The cursor of a place."""
    plain = [{"hex": part.hex()} if isinstance(part, bytes) else part for part in place]
    return base64.urlsafe_b64encode(json.dumps(plain, separators=(",", ":")).encode()).decode().rstrip("=")


def read(text: str, *kinds: type) -> tuple[Any, ...]:
    """The place of a cursor, of values of these kinds. Raises `Problem` for a text that `written` did not write for such a place."""
    try:
        if len(text) > LONGEST:
            raise ValueError(text)
        plain = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
        place = tuple(bytes.fromhex(part["hex"]) if isinstance(part, dict) else part for part in plain)
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _foreign(text) from None
    if len(place) != len(kinds) or any(type(part) is not kind for part, kind in zip(place, kinds, strict=True)):
        raise _foreign(text)
    if any(isinstance(part, int) and not -(2**63) <= part < 2**63 for part in place):
        raise _foreign(text)
    return place


def _foreign(text: str) -> Problem:
    return problem(400, "must be the `next` of the page before, of the same listing", "leave it out for the first page", parameter="after", value=text)

"""Times as people read them: short, in UTC, or how long ago. `--json` has the exact ones."""

from __future__ import annotations

from jarvis_client.contract.instants import to_datetime

_STEPS = ((60, "s", 1), (3_600, "min", 60), (2 * 86_400, "h", 3_600), (float("inf"), "days", 86_400))


def short(instant: int | None, now: int) -> str:
    """`25 Nov 03:00Z`, with the year where it is another; "" for None."""
    if instant is None:
        return ""
    moment = to_datetime(instant)
    year = "" if moment.year == to_datetime(now).year else f" {moment.year}"
    return f"{moment.day} {moment:%b}{year} {moment:%H:%M}Z"


def length(seconds: float) -> str:
    """`28 s`, `12 min`, `3 h`, `5 days`."""
    _, unit, size = next(step for step in _STEPS if seconds < step[0])
    return f"{int(seconds // size)} {unit}"


def ago(instant: int | None, now: int) -> str:
    """How long ago, or in how long; "" for None."""
    if instant is None:
        return ""
    seconds = (now - instant) / 1_000_000
    return f"in {length(-seconds)}" if seconds < -1 else f"{length(max(0, seconds))} ago"

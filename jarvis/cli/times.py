"""Times for people: to the second, in the zone they chose, or how long ago. `--json` has the exact ones, in UTC.

One rule for all: a cell of a table is `2026-11-25 03:00:00`, and the table's heading names the zone once; a sentence names it
with the time.
"""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, available_timezones

from jarvis.cli.common import CHOSEN
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.instants import to_datetime
from persistence.domain.showing import did_you_mean, length

#: What --time-zone takes besides the names of zones.
LOCAL = "local"


def check_zone(name: str) -> None:
    """Raises `Invalid` for what --time-zone cannot be."""
    if name == LOCAL:
        return
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        meant = did_you_mean(name.replace(" ", "_"), [*available_timezones(), LOCAL])
        raise Invalid(f"{name!r:.60} is no time zone; {meant if meant.endswith('?') else f'write it as Europe/Berlin, UTC or {LOCAL}'}") from None


def times_are() -> str:
    """What stands in the heading of a table that shows times."""
    return "local times" if CHOSEN.time_zone == LOCAL else f"times in {CHOSEN.time_zone}"


def at(instant: int | None) -> str:
    """`2026-11-25 03:00:00`, for a table whose heading names the zone; "" for None. With its offset where clocks showed it twice."""
    if instant is None:
        return ""
    moment = _seen(instant)
    again = moment.replace(fold=1 - moment.fold)
    twice = moment.utcoffset() != again.utcoffset()
    return moment.isoformat(" ", "seconds") if twice else f"{moment:%Y-%m-%d %H:%M:%S}"


def moment_of(instant: int) -> str:
    """`2026-11-25 03:00:00 UTC`, for a sentence."""
    return f"{at(instant)} {_seen(instant).tzname()}"


def ago(instant: int | None, now: int) -> str:
    """How long ago, or in how long; "" for None, and `now` for what is due within the second."""
    if instant is None:
        return ""
    seconds = (now - instant) / 1_000_000
    return f"{length(seconds)} ago" if seconds >= 0 else "now" if seconds > -1 else f"in {length(-seconds)}"


def _seen(instant: int) -> datetime:
    zone: tzinfo | None = UTC if CHOSEN.time_zone == "UTC" else None if CHOSEN.time_zone == LOCAL else ZoneInfo(CHOSEN.time_zone)
    return to_datetime(instant).astimezone(zone)

"""The jobs and their hours, as data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from jarvis_client.contract.instants import to_datetime, to_instant


@dataclass(frozen=True, slots=True)
class Entry:
    """One job's place in the timetable. `cron` in the standard sense (Sunday is 0 or 7), in `zone` (None: the timetable's own).

    `every_missed`: after downtime each missed run is done, in order; otherwise only the newest.
    """

    name: str
    cron: str
    says: str
    every_missed: bool = False
    enabled: bool = True
    limit_seconds: float = 3600.0
    zone: str | None = None


TIMETABLE: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry("rollup", "5 0 * * *", "one row of figures per account for the day that has ended, in each zone at its own end of the day", every_missed=True),
        Entry("checkpoint", "*/15 * * * *", "move the write-ahead log into the database file", limit_seconds=600),
        Entry("seal", "*/10 * * * *", "seal what was recorded since into the hash chain"),
        Entry("statistics", "10 0 * * *", "keep a report of rows, sizes and times"),
        Entry("backup", "0 3 * * *", "copy the database, check the copy, drop backups past their retention"),
        Entry("verification", "0 4 * * *", "check that the books add up, statements close and rows follow from the facts"),
        Entry("restore_drill", "30 5 * * 0", "bring the newest backup back to a scratch place, rebuild its rows, compare"),
        Entry("export", "30 0 * * *", "write the exports that the settings name, each into a file with the date in its name"),
        Entry("clean_up", "30 4 * * *", "drop finished job runs and old statistics; never facts, identities or quarantine"),
    )
}


def timetable(changes: Mapping[str, tuple[str, bool]], rollup_zones: Iterable[str] = ("UTC",)) -> dict[str, Entry]:
    """The timetable with (cron, enabled) of some jobs changed, and a rollup for each zone: the first is `rollup` itself, the
    others are `rollup@Zone/Name`, of days that end at another time than midnight `rollup@Zone/Name@17:00`: as long after their end as
    the rollup is after midnight."""
    entries = {name: replace(e, cron=changes[name][0], enabled=changes[name][1]) if name in changes else e for name, e in TIMETABLE.items()}
    asked = entries["rollup"]
    first, *others = rollup_zones
    entries["rollup"] = _at_the_end_of_days(asked, first)
    return entries | {f"rollup@{zone}": replace(_at_the_end_of_days(asked, zone), name=f"rollup@{zone}") for zone in others}


def _at_the_end_of_days(entry: Entry, days: str) -> Entry:
    """A job for a zone's days; hours that are lists or steps stay as they are on its clock."""
    zone, _, ends = days.partition("@")
    minute, hour, *rest = entry.cron.split()
    if ends and minute.isdecimal() and hour.isdecimal():
        hours, minutes = map(int, ends.split(":"))
        later = (int(hour) + hours) * 60 + int(minute) + minutes
        return replace(entry, zone=zone, cron=" ".join((str(later % 60), str(later // 60 % 24), *rest)))
    return replace(entry, zone=zone)


class Cron:
    """A cron expression in a zone. Where clocks skip its time it fires right after the gap, where they repeat it once.

    Raises ValueError, with the rule, for anything that is no five-field expression.
    """

    def __init__(self, text: str, zone: str) -> None:
        fields = text.split()
        if len(fields) != 5:
            raise ValueError(f'{text!r} has {len(fields)} fields; cron has five: minute hour day month weekday, such as "30 4 * * *"')
        self._text = text
        self._zone = ZoneInfo(zone)
        try:
            CronSim(text, to_datetime(0))
        except CronSimError as error:
            raise ValueError(f"{text!r} is no cron expression: {error}") from None

    def slots(self, after: int, until: int) -> Iterator[int]:
        """The instants in (after, until] at which it fires, in order."""
        for fires in CronSim(self._text, to_datetime(after).astimezone(self._zone)):
            slot = to_instant(fires.astimezone(UTC))
            if slot > until:
                return
            if slot > after:
                yield slot

"""The jobs and their hours, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from apscheduler.triggers.cron import CronTrigger


@dataclass(frozen=True, slots=True)
class Entry:
    """One job's place in the timetable. `cron` in the standard sense (Sunday is 0 or 7), in the timetable's zone.

    `every_missed`: after downtime each missed run is done, in order; otherwise only the newest.
    """

    name: str
    cron: str
    says: str
    every_missed: bool = False
    enabled: bool = True
    limit_seconds: float = 3600.0


TIMETABLE: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry("checkpoint", "*/15 * * * *", "move the write-ahead log into the database file", limit_seconds=600),
        Entry("statistics", "10 0 * * *", "keep a report of rows, sizes and times"),
        Entry("backup", "0 3 * * *", "copy the database, check the copy, drop backups past their retention"),
        Entry("clean_up", "30 4 * * *", "drop finished job runs and old statistics; never facts, identities or quarantine"),
    )
}

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")


def timetable(changes: Mapping[str, tuple[str, bool]]) -> dict[str, Entry]:
    """The timetable with (cron, enabled) of some jobs changed."""
    return {name: replace(e, cron=changes[name][0], enabled=changes[name][1]) if name in changes else e for name, e in TIMETABLE.items()}


def cron_trigger(text: str, zone: str) -> CronTrigger:
    """The trigger of a cron expression in the standard sense: APScheduler counts days from Monday, cron from Sunday.

    Raises ValueError, with the rule, for anything that is no five-field expression.
    """
    fields = text.split()
    if len(fields) != 5:
        raise ValueError(f'{text!r} has {len(fields)} fields; cron has five: minute hour day month weekday, such as "30 4 * * *"')
    minute, hour, day, month, weekday = fields
    try:
        return CronTrigger(minute=minute, hour=hour, day=day, month=month, day_of_week=_weekdays(weekday), timezone=zone)
    except ValueError as error:
        raise ValueError(f"{text!r} is no cron expression: {error}") from None


def _weekdays(text: str) -> str:
    """`0` and `7` as sun, `1-5` as mon-fri; ranges over Sunday and steps are spelled out."""
    if text == "*":
        return text
    days: list[str] = []
    for part in text.lower().split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        if span == "*":
            low, high = 0, 6
        else:
            low = _number_of(first)
            high = _number_of(last) if last else (6 if step else low)
            if high < low:
                high += 7
        if (step and not step.isdigit()) or step == "0":
            raise ValueError(f"the step {step!r} of the weekday is no number above zero")
        days += [_DAYS[d % 7] for d in range(low, high + 1, int(step or 1))]
    return ",".join(dict.fromkeys(days))


def _number_of(name: str) -> int:
    if name in _DAYS:
        return _DAYS.index(name)
    if not name.isdigit() or int(name) > 7:
        raise ValueError(f"the weekday {name!r} is not 0 to 7 or sun to sat")
    return int(name)

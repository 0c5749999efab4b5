"""The timetable as the settings say: apart from the scheduler, so that who only looks does not load it."""

from __future__ import annotations

from dataclasses import replace

from jarvis.settings import Settings
from scheduler.timetable import Entry, timetable


def entries_of(settings: Settings) -> dict[str, Entry]:
    """The jobs by name; those that need backups are off where none are taken, exports where none is named."""
    entries = timetable({name: (job.cron, job.enabled) for name, job in settings.scheduler.jobs.items()}, settings.rollup_plan.zones)
    backup = settings.database.backup
    if not (backup.enabled and backup.daily_backup):
        entries |= {name: replace(entries[name], enabled=False) for name in ("backup", "restore_drill")}
    if not settings.exports:
        entries["export"] = replace(entries["export"], enabled=False)
    return entries

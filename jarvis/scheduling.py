"""The scheduler and its jobs as the settings say: apart from the processes, so that no command loads the worker."""

from __future__ import annotations

from dataclasses import replace

from jarvis.settings import Settings
from persistence.copies.second_place import SecondPlace
from persistence.database import DatabaseManager
from scheduler.daemon import Scheduler
from scheduler.jobs import JOBS, back_up, drill, roll_up_zone, verify
from scheduler.timetable import timetable


def create_scheduler(settings: Settings, database: DatabaseManager) -> Scheduler:
    backup = settings.database.backup
    jobs = dict(JOBS)
    jobs["backup"] = back_up(
        backup.path, backup.retention_days, keep_weekly=backup.keep_weekly, keep_monthly=backup.keep_monthly, compress=backup.compress,
        elsewhere=elsewhere(settings),
    )  # fmt: skip
    chosen = settings.scheduler
    plan = settings.rollup_plan
    jobs |= {"rollup": roll_up_zone(plan), "verification": verify(plan, backup.path if backup.enabled and backup.daily_backup else None)}
    jobs["restore_drill"] = drill(backup.path, plan)
    jobs |= {f"rollup@{zone}": roll_up_zone(plan, zone) for zone in plan.zones[1:]}
    entries = timetable({name: (job.cron, job.enabled) for name, job in chosen.jobs.items()}, plan.zones)
    if not (backup.enabled and backup.daily_backup):
        entries |= {name: replace(entries[name], enabled=False) for name in ("backup", "restore_drill")}
    return Scheduler(database, entries, zone=chosen.time_zone, tick_seconds=chosen.tick_seconds, catchup_days=chosen.catchup_days, jobs=jobs)


def elsewhere(settings: Settings) -> SecondPlace | None:
    """The second place for backups; None where there is none."""
    chosen = settings.database.backup.second
    if chosen.path is None and chosen.command is None:
        return None
    return SecondPlace(chosen.path, chosen.recipient, chosen.retention_days, chosen.command)

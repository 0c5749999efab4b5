"""The scheduler and its jobs as the settings say: apart from the processes, so that no command loads the worker."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from jarvis.hours import entries_of
from jarvis.settings import Settings
from jarvis_client.contract import instants
from persistence.copies.second_place import SecondPlace
from persistence.engine.contract import LiveBooks
from scheduler.daemon import Scheduler
from scheduler.exporting import Standing, Wanted, write_standing
from scheduler.jobs import JOBS, back_up, drill, roll_up_zone, verify


def create_scheduler(settings: Settings, database: LiveBooks, config: Path | None = None) -> Scheduler:
    """`config`: the folder of the settings. Where they were changed meanwhile, a job that fails says so."""
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
    jobs["export"] = write_standing(standing_exports(settings), plan)
    jobs |= {f"rollup@{zone}": roll_up_zone(plan, zone) for zone in plan.zones[1:]}
    entries = entries_of(settings)
    started = instants.now()
    return Scheduler(
        database, entries, zone=chosen.time_zone, tick_seconds=chosen.tick_seconds, catchup_days=chosen.catchup_days, jobs=jobs,
        hint=lambda: None if config is None else changed_since(config, started),
    )  # fmt: skip


def changed_since(config: Path, started: int) -> str | None:
    """What to say where files of the settings were changed after a scheduler read them; None where none was."""
    changed: list[str] = []
    with suppress(OSError):
        written = {f.name: f.stat().st_mtime_ns // 1_000 for f in config.glob("*.yaml")}
        changed = sorted(name for name, at in written.items() if at > started and not instants.is_ahead(at, instants.now()))
    if not changed:
        return None
    return f"{', '.join(changed)} changed after the scheduler started; it reads settings at its start, so restart it to have them count"


def elsewhere(settings: Settings) -> SecondPlace | None:
    """The second place for backups; None where there is none."""
    chosen = settings.database.backup.second
    if chosen.path is None and chosen.command is None:
        return None
    return SecondPlace(chosen.path, chosen.recipient, chosen.retention_days, chosen.command)


def standing_exports(settings: Settings) -> dict[str, Standing]:
    """The exports that the timetable makes, by name."""
    return {
        name: Standing(Wanted(chosen.table, chosen.form, None if chosen.accounts is None else tuple(chosen.accounts)), chosen.folder, chosen.days)
        for name, chosen in settings.exports.items()
    }

"""The scheduler's jobs: what there is, what ran, running one, pausing one."""

from __future__ import annotations

import json
import time
from datetime import date as Date
from typing import Annotated, Any

import typer

from jarvis.broker import broker_url
from jarvis.cli.common import Exit, say
from jarvis.cli.context import CONTEXT
from jarvis.cli.options import Json, parse_date
from jarvis.cli.output import print_rows
from jarvis.scheduling import create_scheduler
from persistence.domain import instants
from persistence.domain.instants import to_text
from persistence.domain.jobs import JOB_NAMES
from persistence.repositories.job_runs import STALE_AFTER_MICROSECONDS, SQLiteJobRunRepository
from workers.publisher import Publisher

Name = Annotated[str, typer.Argument(metavar="NAME", help="rollup, checkpoint, seal, statistics, backup, verification, restore_drill or clean_up.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="The scheduler's jobs: what there is, what ran, running one, pausing one.", no_args_is_help=True)
    for name, command in (("list", list_), ("history", history), ("run", run), ("pause", pause), ("resume", resume)):
        group.command(name)(command)
    app.add_typer(group, name="jobs")


def list_(as_json: Json = False) -> None:
    """List the jobs: their hours, when each last succeeded, when it is next due, how it stands."""
    database = CONTEXT.database()
    runs, scheduler = SQLiteJobRunRepository(database), create_scheduler(CONTEXT.settings, database)
    now, paused = instants.now(), runs.paused()
    rows = []
    for entry in scheduler.entries:
        success = runs.last_success(entry.name, now)
        newest = next(iter(runs.history(entry.name, 1)), None)
        state = "" if newest is None else newest.state
        if newest is not None and newest.state == "claimed":
            alive = (newest.heartbeat_at or 0) >= now - STALE_AFTER_MICROSECONDS
            over = now - (newest.claimed_at or now) > entry.limit_seconds * 1_000_000
            state = "running" + (", beyond its limit" if over else "") if alive else "left by a scheduler that died"
        if not entry.enabled:
            state = f"off, runs when asked for{', ' + state if state else ''}"
        if {entry.name, entry.name.partition("@")[0]} & set(paused):
            state = f"paused{', ' + state if state else ''}"
        age = None if success is None else (now - success) // 1_000_000
        upcoming = scheduler.next_slot(entry.name, now) if entry.enabled else None
        rows.append(
            (
                entry.name,
                entry.cron,
                entry.zone or CONTEXT.settings.scheduler.time_zone,
                success and to_text(success),
                age,
                upcoming and to_text(upcoming),
                state,
                entry.says,
            )
        )
    columns = ("job", "cron", "zone", "last_success", "last_success_age_seconds", "next", "state", "what")
    print_rows("Jobs", columns, rows, right=("last_success_age_seconds",), as_json=as_json)
    if not runs.scheduler_alive(now):
        say("no scheduler is running: start `jarvis up`, or `jarvis scheduler run`")


def history(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Only this job.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="At most this many, the newest.", min=1)] = 20,
    as_json: Json = False,
) -> None:
    """List what ran, the newest first: for which slot, how it ended, what it did or why it failed."""
    if name is not None:
        _known(name)
    found = SQLiteJobRunRepository(CONTEXT.database()).history(name, limit)
    rows = [
        (
            r.job, to_text(r.scheduled_for), "asked for" if r.request_id else "timetable", r.state, r.attempts, r.finished_at and to_text(r.finished_at),
            r.error or r.result, r.arguments,
        )
        for r in found
    ]  # fmt: skip
    print_rows("Runs", ("job", "scheduled_for", "by", "state", "attempts", "finished_at", "said", "arguments"), rows, right=("attempts",), as_json=as_json)


def run(
    name: Name,
    account: Annotated[str | None, typer.Option("--account", "-a", help="Rollup: only this account.")] = None,
    date: Annotated[str | None, typer.Option("--date", metavar="DATE", help="Rollup: read this day anew.")] = None,
    start: Annotated[str | None, typer.Option("--from", metavar="DATE", help="Rollup: read everything from this day on anew.")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="DATE", help="Rollup: up to this day.")] = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Rollup: derive everything anew.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it has ended; exit 1 where it failed.")] = False,
    here: Annotated[bool, typer.Option("--here", help="Run it in this process instead of the scheduler's.")] = False,
    through_broker: Annotated[bool, typer.Option("--through-broker", help="Ask by a message, from a machine without the database.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds that --wait waits; exit 3 after.", min=0)] = 3600.0,
) -> None:
    """Ask the scheduler to run a job now. The request is filed in the table of runs; the scheduler takes it with its next tick."""
    _known(name)
    arguments = {
        "account_id": account, "date": _text(parse_date(date, "--date")), "start": _text(parse_date(start, "--from")),
        "end": _text(parse_date(end, "--to")), "rebuild": rebuild or None,
    }  # fmt: skip
    arguments = {n: v for n, v in arguments.items() if v is not None}
    if arguments and name != "rollup":
        raise typer.BadParameter(f"{name} takes no arguments; --account, --date, --from, --to and --rebuild are for rollup", param_hint="NAME")
    if through_broker:
        if wait or here:
            raise typer.BadParameter("a message has no answer to wait for; leave out --wait and --here", param_hint="--through-broker")
        _publish(name, arguments)
        return
    database = CONTEXT.database()
    database.initialize()
    runs = SQLiteJobRunRepository(database)
    now = instants.now()
    if not here and wait and not runs.scheduler_alive(now):
        say("no scheduler is running, so nobody would take it: start `jarvis up` or `jarvis scheduler run`, or run it here with --here")
        raise typer.Exit(Exit.FAILED)
    if not here and {name, name.partition("@")[0]} & set(runs.paused()):
        say(f"{name} is paused: the scheduler takes it once it is resumed (`jarvis jobs resume {name}`)")
    filed = runs.request(name, now, arguments)
    if here:
        create_scheduler(CONTEXT.settings, database).run_now(name, filed.scheduled_for)
    elif not wait:
        say(f"filed: {name}; `jarvis jobs history {name}` tells what became of it")
        return
    deadline = time.monotonic() + timeout
    while True:
        found = runs.find(name, filed.scheduled_for)
        if found is None or found.state in ("succeeded", "failed"):
            break
        if time.monotonic() > deadline:
            say(f"{name} has not ended after {timeout:g} seconds; it goes on, `jarvis jobs history {name}` tells what becomes of it")
            raise typer.Exit(Exit.FAILED)
        time.sleep(0.2)
    if found is None or found.state == "failed":
        say(f"{name} failed: {found.error if found else 'its run is gone'}")
        raise typer.Exit(Exit.FINDINGS)
    said = json.loads(found.result or "null")
    say(f"{name} done" + (f": {', '.join(f'{k} {v}' for k, v in said.items())}" if isinstance(said, dict) else ""))


def pause(name: Name) -> None:
    """Let the scheduler pass a job over until it is resumed; what it misses is caught up with then."""
    _known(name)
    done = SQLiteJobRunRepository(CONTEXT.database()).pause(name, instants.now())
    say(f"{name} is paused" if done else f"{name} was paused already")


def resume(name: Name) -> None:
    """Let the scheduler run a paused job again."""
    _known(name)
    done = SQLiteJobRunRepository(CONTEXT.database()).resume(name)
    say(f"{name} is resumed" if done else f"{name} was not paused")


def _publish(name: str, arguments: dict[str, Any]) -> None:
    settings = CONTEXT.settings
    named = {{"start": "from", "end": "to"}.get(n, n): v for n, v in arguments.items()}
    message_id = Publisher(broker_url(settings), namespace=settings.broker.namespace).request_job(name, **named)
    say(f"asked for {name} by message {message_id}")


def _known(name: str) -> None:
    known = (*JOB_NAMES, *(f"rollup@{zone}" for zone in CONTEXT.settings.rollup_plan.zones[1:]))
    if name not in known:
        raise typer.BadParameter(f"{name!r} is no job; there are {', '.join(known)}", param_hint="NAME")


def _text(day: Date | None) -> str | None:
    return None if day is None else day.isoformat()

"""The scheduler's jobs: what there is, what ran, running one, pausing one."""

from __future__ import annotations

import json
import time
from datetime import date as Date
from typing import Annotated, Any

import typer

from jarvis.broker import publisher_of
from jarvis.cli.common import Exit, say
from jarvis.cli.context import CONTEXT
from jarvis.cli.options import Json, Limit, Wide, parse_date
from jarvis.cli.output import doing, print_json, print_rows, print_values, tell_limit, words
from jarvis.cli.times import ago, at, moment_of
from jarvis.hours import entries_of
from jarvis.scheduling import changed_since, create_scheduler
from jarvis.status.jobs import read_jobs
from jarvis.status.words import job_stands
from jarvis_client.contract import instants
from jarvis_client.contract.instants import to_text
from jarvis_client.contract.jobs import JOB_NAMES
from persistence.repositories.job_runs import JobRun, SQLiteJobRunRepository

Name = Annotated[str, typer.Argument(metavar="NAME", help="rollup, checkpoint, seal, statistics, backup, verification, restore_drill, export or clean_up.")]


#: How often --wait looks whether there is still somebody to wait for.
LOOK_AROUND_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 2.0

NO_SCHEDULER = "no scheduler is running: start `jarvis up`, or `jarvis scheduler run`"


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="The scheduler's jobs: what there is, what ran, running one, pausing one.", no_args_is_help=True)
    for name, command in (("list", list_), ("history", history), ("show", show), ("run", run), ("pause", pause), ("resume", resume)):
        group.command(name)(command)
    app.add_typer(group, name="jobs")


def list_(wide: Wide = False, as_json: Json = False) -> None:
    """List the jobs: their hours (cron, in UTC or the zone named), when each last succeeded, when it is next due, how it stands."""
    runs, now, zone = SQLiteJobRunRepository(CONTEXT.database()), instants.now(), CONTEXT.settings.scheduler.time_zone
    exact: list[tuple[Any, ...]] = []
    for_people: list[tuple[Any, ...]] = []
    for job in read_jobs(runs, entries_of(CONTEXT.settings), zone, now):
        age = None if job.last_success_at is None else max(0, now - job.last_success_at) // 1_000_000
        said, success, upcoming, next_try = job_stands(job, now), _exactly(job.last_success_at), _exactly(job.next_at), _exactly(job.next_try_at)
        exact.append((job.name, job.cron, job.zone, success, age, upcoming, next_try, said, job.says))
        hours = job.cron if job.zone == "UTC" or job.name.endswith(f"@{job.zone}") else f"{job.cron} {job.zone}"
        for_people.append((job.name, said, ago(job.last_success_at, now), at(job.next_at), hours))
    if as_json:
        columns = ("job", "cron", "zone", "last_success", "last_success_age_seconds", "next", "next_try", "state", "what")
        print_rows("Jobs", columns, exact, as_json=True)
    else:
        heads = ("job", "state", "last_success", "next", "hours")
        print_rows("Jobs", heads, for_people, whole=("job", "last_success", "next", "hours"), seldom=("hours",), timed=True, wide=wide)
    started = runs.scheduler_since(now)
    if started is None:
        say(NO_SCHEDULER)
    elif (changed := changed_since(CONTEXT.config, started)) is not None:
        say(changed)


def history(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Only this job.")] = None,
    limit: Limit = 20,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """List what ran, the newest first: for which slot, how it ended, what it did or why it failed."""
    if name is not None:
        _known(name)
    found, now = SQLiteJobRunRepository(CONTEXT.database()).history(name, limit), instants.now()
    if as_json:
        columns = ("job", "scheduled_for", "by", "state", "attempts", "next_try", "finished_at", "said", "arguments", "request_id", "clock_was_ahead")
        print_rows("Runs", columns, [
            (
                r.job, to_text(r.scheduled_for), _by(r), r.state, r.attempts, _next_try(r, now), _exactly(r.finished_at), r.error or r.result,
                r.arguments, r.request_id, bool(r.ahead),
            )
            for r in found
        ], as_json=True)  # fmt: skip
        return
    rows = [
        (
            r.job, at(r.scheduled_for), _by(r), ", ".join([r.state, *([f"{r.attempts} tries"] * (r.attempts > 1)), *(["clock ahead"] * r.ahead)]),
            ago(r.finished_at, now), _said(r),
        )
        for r in found
    ]  # fmt: skip
    print_rows(
        "Runs", ("job", "due", "by", "state", "ended", "said"), rows, whole=("job", "due", "by", "ended"), below=("said",), timed=True, wide=wide,
        none="no job has run yet",
    )  # fmt: skip
    tell_limit(len(rows), limit)


def show(
    request_id: Annotated[str, typer.Argument(metavar="REQUEST_ID", help="The request's id, or that of the message that asked.")], as_json: Json = False
) -> None:
    """Show what became of a run that was asked for. Exit code 1 where it failed, 3 where no such request was filed."""
    run = SQLiteJobRunRepository(CONTEXT.database()).asked_for(request_id)
    if run is None:
        refused = "`jarvis quarantine list --kind job` shows what it refuses"
        say(f"no run was asked for as {request_id}: a worker files what comes by message (does one run?); {refused}")
        raise typer.Exit(Exit.FAILED)
    now = instants.now()
    told = {
        "request_id": run.request_id, "job": run.job, "arguments": json.loads(run.arguments or "{}"), "asked_at": to_text(run.scheduled_for),
        "state": run.state, "attempts": 0 if run.state == "requested" else run.attempts, "next_try": _next_try(run, now),
        "finished_at": _exactly(run.finished_at), "error": run.error, "result": json.loads(run.result or "null"),
    }  # fmt: skip
    if as_json:
        print_json(told)
    else:
        instants_of = {"asked_at": run.scheduled_for, "next_try": run.waits_until(now) if told["next_try"] else None, "finished_at": run.finished_at}
        shown = {**told, "arguments": words(told["arguments"]), "result": words(told["result"])}
        shown |= {name: instant if instant is None else moment_of(instant) for name, instant in instants_of.items()}
        print_values([(name, str(value)) for name, value in shown.items() if value not in (None, "")])
    if run.state == "failed":
        raise typer.Exit(Exit.FINDINGS)


def run(
    name: Name,
    account: Annotated[str | None, typer.Option("--account", "-a", help="Rollup: only this account.")] = None,
    date: Annotated[str | None, typer.Option("--date", metavar="DATE", help="Rollup: read this day anew.")] = None,
    start: Annotated[str | None, typer.Option("--from", metavar="DATE", help="Rollup: read everything from this day on anew.")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="DATE", help="Rollup: up to this day.")] = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Rollup: derive everything anew.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it has ended; exit 1 where it failed, 3 where nobody would take it.")] = False,
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
    if not here:
        _refuse_to_wait_in_vain(name, runs, wait=wait)
    filed = runs.request(name, instants.now(), arguments)
    if here:
        create_scheduler(CONTEXT.settings, database).run_now(name, filed.scheduled_for)
    elif not wait:
        say(f"filed: {name}; `jarvis jobs show {filed.request_id}` tells what became of it")
        return
    with doing(f"waiting for {name}"):
        found = _ended(name, filed, runs, timeout)
    if found is None or found.state == "failed":
        say(f"{name} failed: {found.error if found else 'its run is gone'}")
        raise typer.Exit(Exit.FINDINGS)
    result = json.loads(found.result or "null")
    said = words(result)
    say(f"{name} done" + (", with a warning" if isinstance(result, dict) and "warning" in result else "") + (f": {said}" if said else ""))


def _refuse_to_wait_in_vain(name: str, runs: SQLiteJobRunRepository, *, wait: bool) -> None:
    """Say why nobody would take a request now; who wants to wait for it need not."""
    if {name, name.partition("@")[0]} & set(runs.paused()):
        if wait:
            say(f"{name} is paused, so nobody would take it: `jarvis jobs resume {name}` first, or run it here with --here")
            raise typer.Exit(Exit.FAILED)
        say(f"{name} is paused: the scheduler takes it once it is resumed (`jarvis jobs resume {name}`)")
    if not runs.scheduler_alive(instants.now()):
        if wait:
            say("no scheduler is running, so nobody would take it: start `jarvis up` or `jarvis scheduler run`, or run it here with --here")
            raise typer.Exit(Exit.FAILED)
        say(f"{NO_SCHEDULER}; what is filed is done then")


def _ended(name: str, filed: JobRun, runs: SQLiteJobRunRepository, timeout: float) -> JobRun | None:
    """The run once it has ended; None where it is gone. Looks more and more rarely."""
    started = looked = time.monotonic()
    pause = 0.05
    while True:
        found = runs.find(name, filed.scheduled_for)
        if found is None or found.state in ("succeeded", "failed"):
            return found
        now = time.monotonic()
        if now - started > timeout:
            say(f"{name} has not ended after {timeout:g} seconds; it goes on, `jarvis jobs show {filed.request_id}` tells what becomes of it")
            raise typer.Exit(Exit.FAILED)
        if found.state == "requested" and now - looked > LOOK_AROUND_SECONDS:
            _refuse_to_wait_in_vain(name, runs, wait=True)
            looked = now
        time.sleep(min(pause, max(0.0, started + timeout - now) + 0.01))
        pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)


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


def _said(run: JobRun) -> str:
    return ", ".join(said for said in (run.error or words(json.loads(run.result or "null")), words(json.loads(run.arguments or "{}"))) if said)


def _by(run: JobRun) -> str:
    return "asked for" if run.request_id else "timetable"


def _next_try(run: JobRun, now: int) -> str | None:
    return None if run.state != "failed" or run.retry_at is None else to_text(run.waits_until(now) or now)


def _exactly(instant: int | None) -> str | None:
    return None if instant is None else to_text(instant)


def _publish(name: str, arguments: dict[str, Any]) -> None:
    named = {{"start": "from", "end": "to"}.get(n, n): v for n, v in arguments.items()}
    message_id = publisher_of(CONTEXT.settings).request_job(name, **named)
    say(f"asked for {name} by message {message_id}; on the machine of the books, `jarvis jobs show {message_id}` tells what became of it")


def _known(name: str) -> None:
    known = (*JOB_NAMES, *(f"rollup@{zone}" for zone in CONTEXT.settings.rollup_plan.zones[1:]))
    if name not in known:
        raise typer.BadParameter(f"{name!r} is no job; there are {', '.join(known)}", param_hint="NAME")


def _text(day: Date | None) -> str | None:
    return None if day is None else day.isoformat()

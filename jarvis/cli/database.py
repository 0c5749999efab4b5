"""`jarvis db`: the books where they are kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from jarvis.cli.common import Exit, say
from jarvis.cli.context import CONTEXT
from jarvis.cli.move import db_move
from jarvis.cli.options import Json
from jarvis.cli.output import doing, print_json, print_rows, tell_findings
from jarvis.cli.times import at
from jarvis.restoring import nobody_else
from jarvis_client.contract import instants
from jarvis_client.contract.errors import Unavailable
from jarvis_client.contract.instants import to_instant
from persistence.books.book import book_id
from persistence.books.housekeeping import statistics
from persistence.copies.choosing import last_taken
from persistence.copies.going_back import accept_loss
from persistence.database import DatabaseManager
from persistence.domain.finding import Finding
from persistence.domain.progress import Progress
from persistence.domain.showing import count_of, length, size
from persistence.engine.contract import LiveBooks
from persistence.engine.sqlite.salvage import readable, salvage
from persistence.proof.books_checks import CHECKS, FILE_CHECKS, check_books, guarded
from persistence.proof.remedies import RESTORE
from persistence.proof.surroundings import no_commit_is_missing
from persistence.repositories.job_runs import SQLiteJobRunRepository
from scheduler.rollup_checks import ROLLUP_CHECKS, check_rollups
from scheduler.verification import check_opens, check_pages


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="The books where they are kept: a file, or a server.", no_args_is_help=True)
    for name, command in (
        ("init", db_init),
        ("stats", db_stats),
        ("check", db_check),
        ("move", db_move),
        ("salvage", db_salvage),
        ("accept-loss", db_accept_loss),
    ):
        group.command(name)(command)
    app.add_typer(group, name="db")


def db_init(
    anew: Annotated[bool, typer.Option("--anew", help="Start new, empty books where the old ones are gone; what is left of those is kept aside.")] = False,
) -> None:
    """Create the database, or bring its schema up to date.

    Where there is none and something says that there was one (its -mark or -wal, backups, a disk that is not mounted), exit code 4.
    """
    database = CONTEXT.database()
    if anew:
        with nobody_else(CONTEXT.settings.data_folder):
            for kept in CONTEXT.file("--anew", "create an empty database and name it in database.url").start_anew():
                say(f"kept aside: {kept}")
        say("these are new books: where a broker knows the old ones, start with `jarvis up --take-over` or `jarvis worker run --take-over`")
    else:
        database.initialize()
    database.close()
    say(f"{database.path} is ready")


def db_stats(as_json: Json = False) -> None:
    """Show rows, sizes, first and last times, and how long ago a backup, a verification and a restore last succeeded."""
    database = CONTEXT.database(looking=True)
    report, now = asdict(statistics(database)), instants.now()
    runs, taken = SQLiteJobRunRepository(database), None
    with suppress(Unavailable), database.get_connection() as connection:
        taken = last_taken(CONTEXT.settings.database.backup.path, book_id(connection), now)
    for name, instant in (
        ("last_backup", taken), ("last_verification", runs.last_success("verification", now)),
        ("last_restore_drill", runs.last_success("restore_drill", now)),
    ):  # fmt: skip
        report[f"{name}_age_seconds"] = None if instant is None else max(0, now - instant) // 1_000_000
    if as_json:
        print_json(report)
        return
    rows = report.pop("rows")
    print_rows("Database", ("what", "value"), [_for_people(name, value) for name, value in report.items()], timed=True)
    print_rows("Rows", ("table", "rows"), [(name, f"{count:,}") for name, count in rows.items()], right=("rows",))


def _for_people(name: str, value: Any) -> tuple[str, str]:
    """A line of the statistics: sizes in their unit, ages as such, times to the second."""
    plain = name.replace("_", " ").replace("wal bytes", "write-ahead log bytes")
    for ending, shown in ((" age seconds", lambda seconds: f"{length(seconds)} ago"), (" bytes", size), (" at", _at)):
        if ending in plain:
            return plain.replace(ending, ""), "never" if value is None else shown(value)
    return plain, str(value)


def _at(text: str) -> str:
    return at(to_instant(datetime.fromisoformat(text)))


def db_check(as_json: Json = False) -> None:
    """Check the file: what of it can be read, whether its pages are what was written, whether the books add up. Exit code 1 with findings."""
    database = CONTEXT.database(looking=True)
    with doing("reading the pages", wanted=not as_json) as progress:
        findings = _found(database, progress)
    tell_findings(findings, f"{len(FILE_CHECKS) + len(CHECKS) + ROLLUP_CHECKS + 3} checks, no findings: the books add up", as_json=as_json)


def _found(database: LiveBooks, progress: Progress) -> list[Finding]:
    if not isinstance(database, DatabaseManager):
        return [*check_books(database, progress), *guarded("rows follow from what stands behind them", _of_rollups(database))]
    findings = [*guarded("pages match their checksums", check_pages(database)), *check_opens(database)]
    if not any(f.check == "the file can be opened" for f in findings):
        findings += guarded("no commit is missing", no_commit_is_missing(database))
        unread = [t for t in readable(CONTEXT.settings.database.path, progress) if t.lost]
        findings += [Finding("tables can be read", t.name, "all rows", f"{count_of('row', t.read)}; lost: {'; '.join(t.lost)}", RESTORE) for t in unread]
        if not unread:
            findings += check_books(database, progress)
            progress("checking the rows of figures", 0, 0)
            findings += guarded("rows follow from what stands behind them", _of_rollups(database))
    return findings


def _of_rollups(database: LiveBooks) -> Iterator[Finding]:
    yield from check_rollups(database, CONTEXT.settings.rollup_plan)


def db_salvage(target: Annotated[Path, typer.Argument(metavar="NEW-FILE", help="Where the recovered database goes.")]) -> None:
    """Recover what can be read of a damaged database into a new file, and list what is missing. The damaged one stays as it is.

    Exits 0 where everything came over, 1 where something is missing.
    """
    damaged = CONTEXT.file("`jarvis db salvage`", "a damaged server is brought back by its administrator, or `jarvis restore` fills a new one", looking=True)
    with doing("reading the damaged file") as progress:
        found = salvage(Path(damaged.path), target, progress)
    rows = [(t.name, f"{t.read - t.refused:,}", f"{t.refused:,}" if t.refused else "", "; ".join(t.lost)) for t in found]
    print_rows("Recovered", ("table", "rows", "left_out", "lost"), rows, right=("rows", "left_out"))
    missing = [t for t in found if t.lost or t.refused]
    say(
        f"recovered to {target}. To go on with it: stop everything, move the damaged file and its -wal, -shm and -mark aside, put this one in its place, "
        "then `jarvis rebuild`" + ("" if not missing else "; publish again from the engine what is missing, what is known counts as a duplicate")
    )
    if missing:
        raise typer.Exit(Exit.FINDINGS)


def db_accept_loss(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Go on with books that end before what was made durable, as after a damaged write-ahead log. Says what to publish again."""
    settings = CONTEXT.settings
    database = CONTEXT.file("`jarvis db accept-loss`", "a server that lost commits is brought back by its administrator", looking=True)
    stands, noted, _ = database.durability()
    if noted is None or not noted.is_beyond(stands):
        say("no commit is missing")
        return
    if not yes:
        typer.confirm(f"missing: {count_of('commit', noted.commit_no - stands.commit_no)}. Go on without?", abort=True, err=True)
    with nobody_else(settings.data_folder):
        loss = accept_loss(database)
        database.close()
    assert loss is not None
    say(f"accepted: commits {loss.first_commit:,} to {loss.last_commit:,} are missing, {count_of('record', loss.facts)} in them")
    say(f"publish again from the engine everything recorded {'after ' + loss.since if loss.since else 'so far'}; what is known counts as a duplicate")

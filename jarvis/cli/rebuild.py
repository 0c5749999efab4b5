"""`jarvis rebuild`: everything derived, derived anew."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from jarvis.cli.common import say
from jarvis.cli.context import CONTEXT
from jarvis.cli.options import Json
from jarvis.cli.output import doing, print_json, tell_findings
from jarvis.restoring import nobody_else, stop_holders
from jarvis_client.contract import instants
from persistence.copies import backups
from persistence.database import DatabaseManager
from persistence.domain.showing import count_of
from scheduler import rebuild as rebuilding
from scheduler.verification import check_rebuild


def register(app: typer.Typer) -> None:
    app.command()(rebuild)


def rebuild(
    check: Annotated[bool, typer.Option("--check", help="Only compare, change nothing; workers may run. Exits 1 with findings.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Stop the workers and the scheduler that hold the books first.")] = False,
    as_json: Json = False,
) -> None:
    """Derive balances, orders and daily figures from the recorded facts alone and compare; without --check, put them in place, after a backup."""
    settings = CONTEXT.settings
    now = instants.now()
    database = CONTEXT.database(looking=True)
    if check:
        with doing("copying the books", wanted=not as_json) as progress, database.copied(settings.data_folder) as copy:
            findings = list(check_rebuild(copy, settings.rollup_plan, now, progress))
        tell_findings(findings, "everything derived equals a rebuild", as_json=as_json)
        return
    if stop:
        stop_holders(settings.data_folder, beside=settings.database.path)
    with nobody_else(settings.data_folder, beside=settings.database.path):
        with doing("deriving from the facts", wanted=not as_json) as progress:

            def keep() -> None:
                kept = backups.keep_as_is(database, settings.database.backup.path, now, progress)
                say(f"the books as they were are kept as {kept}")

            if isinstance(database, DatabaseManager):
                findings = rebuilding.replace(database, settings.rollup_plan, now, keep, progress)
            else:
                findings = rebuilding.replace_on_server(database, settings.rollup_plan, now, keep, progress)
        database.close()
    if as_json:
        print_json([asdict(f) for f in findings])
    for f in () if as_json else findings:
        print(f"{f.where}: {f.found} is {f.expected} now")
    say(f"rebuilt; {count_of('difference', len(findings))}" if findings else "rebuilt; nothing was different")

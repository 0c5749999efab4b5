"""`jarvis import-json`: what an engine kept in JSON files, into the books."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jarvis.cli.common import Exit, say
from jarvis.cli.context import CONTEXT
from jarvis.cli.options import Json
from jarvis.cli.output import print_json, print_rows, printable
from jarvis.cli.progress import doing
from jarvis.importing.times import zone_of
from jarvis.migration import layout
from jarvis.migration.entities import Facts
from jarvis.migration.moving import Moved, archive, record, rehearse
from jarvis.migration.plan import Plan, TradesFrom, plan_of
from jarvis.migration.values import EPOCH_UNITS, Reading
from jarvis_client.contract import instants
from persistence.domain.showing import count_of
from persistence.domain.transaction import TransactionType
from persistence.proof.chain import seal
from workers.meanings import meaning_of

#: Problems that are named one by one.
SHOWN = 20

Source = Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder with the JSON files.")]


def register(app: typer.Typer) -> None:
    app.command("import-json")(import_json)


def import_json(
    folder: Source,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do all of it in books in memory, and show what would come of it.")] = False,
    opening_balances: Annotated[
        bool, typer.Option("--opening-balances", help="Record what transactions do not explain of a balance as a deposit before the first record.")
    ] = False,
    trades_from: Annotated[
        TradesFrom, typer.Option("--trades-from", help="Where the money of trades stands; auto looks at the types of transactions.")
    ] = TradesFrom.AUTO,
    zone: Annotated[str | None, typer.Option("--zone", metavar="ZONE", help="Of times without an offset: UTC, Europe/Berlin, +02:00.")] = None,
    epoch: Annotated[
        str | None, typer.Option("--epoch", metavar="UNIT", help="The unit of times that are numbers: seconds, milliseconds or microseconds.")
    ] = None,
    types: Annotated[
        list[str] | None, typer.Option("--type", metavar="OLD=TYPE", help="What a type of transactions means: BONUS_CREDIT=bonus. May be given several times.")
    ] = None,
    archived: Annotated[bool, typer.Option("--archive", help="Once everything is recorded and verified, move FOLDER to FOLDER.archived-TIME.")] = False,
    as_json: Json = False,
) -> None:
    """Bring accounts, balances, transactions, orders and metrics of an engine's JSON files into the books, verified against them.

    It is rehearsed in books in memory first. What does not add up is refused
    with both figures, and nothing is recorded: exit code 4, with --dry-run 1.
    Importing the same files again changes nothing, and goes on where an import
    was killed. docs/migrating.md says what a folder may look like.
    """
    source = folder.expanduser()
    reading = Reading(None if zone is None else zone_of(zone), _unit(epoch), _types(types or []))
    plan = plan_of(layout.read(source), Facts(reading, CONTEXT.settings.conventions), trades_from)
    for remark in plan.remarks:
        say(printable(f"note: {remark}"))
    if plan.problems:
        _tell_problems(plan, as_json=as_json)
        raise typer.Exit(Exit.FINDINGS if dry_run else Exit.REFUSED)
    if not plan.accounts:
        raise typer.BadParameter(f"no JSON file in {folder} holds accounts, transactions, orders or metrics", param_hint="FOLDER")
    with doing("rehearsing", wanted=not as_json) as progress:
        rehearsed = rehearse(plan, progress, opening_balances=opening_balances)
    for opening in plan.openings:
        say(f"note: {opening.account_id}: {meaning_of(opening)} before its first record, which no transaction explains")
    if dry_run or not rehearsed.agrees:
        _tell(plan, rehearsed, as_json=as_json)
        if not rehearsed.agrees:
            _tell_disagreement(rehearsed)
            say("nothing was recorded")
            raise typer.Exit(Exit.FINDINGS if dry_run else Exit.REFUSED)
        say(f"would record {_records(plan)}; run it without --dry-run")
        return
    database = CONTEXT.database()
    database.initialize()
    with doing("recording", wanted=not as_json) as progress:
        moved = record(database, plan, progress)
    seal(database, instants.now())
    database.close()
    _tell(plan, moved, as_json=as_json)
    if not moved.agrees:
        _tell_disagreement(moved)
        raise typer.Exit(Exit.FINDINGS)
    say(f"imported {_records(plan)}: {moved.applied:,} applied, {count_of('duplicate', moved.duplicate)}; the books agree with the source")
    if archived:
        say(f"archived: {archive(source, instants.to_datetime(instants.now()))}")


def _records(plan: Plan) -> str:
    return f"{count_of('record', len(plan.everything))} of {count_of('account', len(plan.accounts))}"


def _tell(plan: Plan, moved: Moved, *, as_json: bool) -> None:
    if as_json:
        told = {"applied": moved.applied, "duplicate": moved.duplicate, "refused": moved.refused, "checks": [c._asdict() for c in moved.checks]}
        print_json({"problems": [], "notes": plan.remarks, **told})
        return
    rows = [(c.account, c.figure, c.source, c.books, "" if c.agrees else "differs") for c in moved.checks]
    print_rows("Source and books", ("account", "figure", "source", "books", ""), rows, right=("source", "books"), whole=("figure",))


def _tell_problems(plan: Plan, *, as_json: bool) -> None:
    if as_json:
        print_json({"problems": plan.problems, "notes": plan.remarks})
    for problem in plan.problems[:SHOWN]:
        say(printable(problem))
    more = len(plan.problems) - SHOWN
    say(f"{f'… and {more:,} more; ' * (more > 0)}nothing was recorded; mend the files, or say how to read them (docs/migrating.md)")


def _tell_disagreement(moved: Moved) -> None:
    for refused in moved.refused[:SHOWN]:
        say(printable(f"refused: {refused}"))
    for check in moved.checks:
        if not check.agrees:
            say(printable(f"{check.account}: {check.figure}: the source says {check.source}, its records make {check.books}"))
    if any(not check.agrees and check.figure.startswith("balance ") for check in moved.checks):
        say("the records do not explain a balance: add the transactions that are missing, or record the difference with --opening-balances")


def _unit(name: str | None) -> str | None:
    if name is not None and name not in EPOCH_UNITS:
        raise typer.BadParameter(f"{name!r} is no unit; there are {', '.join(EPOCH_UNITS)}", param_hint="--epoch")
    return name


def _types(given: list[str]) -> dict[str, str]:
    found = {}
    for text in given:
        old, separator, new = text.partition("=")
        if not separator or new.strip().casefold() not in list(TransactionType):
            raise typer.BadParameter(f"{text!r} is not OLD=TYPE with one of {', '.join(TransactionType)}", param_hint="--type")
        found[old.strip().casefold()] = new.strip().casefold()
    return found

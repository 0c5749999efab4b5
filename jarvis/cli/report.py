"""`jarvis report`: an account on a page, or on the terminal."""

from __future__ import annotations

import re
from datetime import date as Date
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import typer

from jarvis.cli.common import Exit, say
from jarvis.cli.context import CONTEXT
from jarvis.cli.curve import labelled
from jarvis.cli.known import known_account
from jarvis.cli.options import Wide, parse_date
from jarvis.cli.period import checked, tell_summary
from jarvis.cli.progress import doing
from jarvis.cli.times import moment_of
from jarvis.report.figures import Report, Reported, report_of
from jarvis.report.page import index, page
from jarvis_client.contract import instants
from persistence import exports
from persistence.domain.showing import count_of
from persistence.repositories.rollups import SQLiteRollupRepository
from scheduler.notes import look_for_notes

PAGE, FOLDER = Path("report.html"), Path("reports")
#: Of an account's id, so much stands in the name of its file.
_NAMED = 60


def register(app: typer.Typer) -> None:
    app.command()(report)


def report(
    account: Annotated[str | None, typer.Argument(metavar="ACCOUNT", help="The account's id.")] = None,
    every: Annotated[bool, typer.Option("--all", help="A page for each account, and an index, into a folder.")] = False,
    start: Annotated[str | None, typer.Option("--from", metavar="DATE", help="From this day on.")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="DATE", help="Up to this day, included.")] = None,
    benchmark: Annotated[
        str | None, typer.Option("--benchmark", metavar="CURRENCY", help="Beside the return, what one of this currency did, such as BTC.")
    ] = None,
    other: Annotated[
        str | None, typer.Option("--beside", metavar="ACCOUNT", help="Another account beside it: both over the days that both have, in one picture and table.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help=f"The file, {PAGE} where none is named; with --all the folder, {FOLDER}.")] = None,
    terminal: Annotated[bool, typer.Option("--terminal", help="The summary here, with its curves, instead of a file.")] = False,
    wide: Wide = False,
) -> None:
    """Write an account's report: one page to look at, to print, to send. It needs no network and runs no script.

    It shows what the last rollup has: `jarvis rollup` brings it up to date. Its figures are those of `jarvis performance --summary`.
    """
    database = CONTEXT.database()
    if (account is None) != every:
        raise typer.BadParameter("name an account, or say --all for every one of them", param_hint="ACCOUNT")
    if terminal and (every or output is not None or benchmark is not None or other is not None):
        raise typer.BadParameter("goes with one account, --from and --to alone", param_hint="--terminal")
    if other is not None and (every or other == account):
        raise typer.BadParameter(
            "takes another account than the one that is reported; with --all, the index has all of them in one table", param_hint="--beside"
        )
    days = first, last = parse_date(start, "--from"), parse_date(end, "--to")
    if first is not None and last is not None and last < first:
        raise typer.BadParameter(f"{last} is before {first}", param_hint="--to")
    currency = None if benchmark is None else checked(benchmark, "--benchmark")
    if account is None:
        _all(days, currency, output or FOLDER)
        return
    known_account(account)
    plan = CONTEXT.settings.rollup_plan
    options = plan.of(account)
    if other is not None:
        known_account(other, "--beside")
    if terminal:
        _on_the_terminal(account, days, wide=wide)
        return
    with doing("reading the books"):
        notes = look_for_notes(database, plan, instants.now()).notes
        beside = None if other is None else Reported(other, plan.of(other))
        found = report_of(database, account, options, days, currency, other=beside, notes=notes)
    if found is None:
        say(f"{account} has no row in that period: `jarvis performance {account}` lists those it has, `jarvis rollup` brings them up to date")
        raise typer.Exit(Exit.FINDINGS)
    _tell_benchmark(found)
    if other is not None and found.beside is None:
        say(f"{other} has no figures of any day that {account} has in that period, so it is not beside it")
    target = output or PAGE
    write(found, target)
    say(f"wrote {target}: {account}, {found.summary.figures.first} to {found.summary.figures.last}")


def write(found: Report, target: Path) -> None:
    """Write the page of a report into a file, whole or not at all. Raises `Unavailable` where that cannot be done."""
    text = page(found, moment_of(instants.now()))
    exports.into_file(target, lambda out: out.write(text))


def file_of(account: str) -> str:
    """The name of an account's page: its id where that can be a file's name, else what of it can, and a digest of the whole."""
    plain = re.sub(r"[^a-z0-9_-]", "_", account.lower())[:_NAMED]
    return f"{plain}.html" if plain == account != "index" else f"{plain}-{sha256(account.encode()).hexdigest()[:8]}.html"


def _all(days: tuple[Date | None, Date | None], currency: str | None, folder: Path) -> None:
    database, plan = CONTEXT.database(), CONTEXT.settings.rollup_plan
    entries, without = [], []
    with doing("looking for notes"):
        notes = look_for_notes(database, plan, instants.now()).notes
    for account in SQLiteRollupRepository(database).account_ids():
        with doing(f"reading {account}"):
            found = report_of(database, account, plan.of(account), days, currency, notes=notes)
        if found is None:
            without.append(account)
            continue
        _tell_benchmark(found)
        write(found, folder / file_of(account))
        entries.append((account, file_of(account), found))
    text = index(entries, without, moment_of(instants.now()))
    exports.into_file(folder / "index.html", lambda out: out.write(text))
    said = f"; without figures in that period: {', '.join(without)}" if without else ""
    say(f"wrote {count_of('report', len(entries))} and {folder / 'index.html'}{said}")


def _tell_benchmark(found: Report) -> None:
    if found.benchmark_currency is not None and not found.benchmark:
        say(f"{found.account}: no rate of {found.benchmark_currency} is known in that period, so it is not drawn; publish records of kind rate for it")


def _on_the_terminal(account: str, days: tuple[Date | None, Date | None], *, wide: bool) -> None:
    options, repository = CONTEXT.settings.rollup_plan.of(account), SQLiteRollupRepository(CONTEXT.database())
    first, last = days
    with repository.reading(account) as books:
        rows = [r for r in books.rows_from(first or Date.min) if last is None or r.date <= last]
    if rows:
        print(labelled([float(r.value) for r in rows], f"value, {rows[0].date} to {rows[-1].date}"))
        print(labelled([r.depth for r in rows], "below the peak since the beginning"))
        print()
    tell_summary(repository, account, options, days, "USD", wide=wide, as_json=False)

"""`jarvis export`: exact figures out."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from jarvis.cli.common import say
from jarvis.cli.context import CONTEXT
from jarvis.cli.known import known_account
from jarvis.cli.options import parse_time
from jarvis.cli.output import doing
from jarvis.settings_sources import did_you_mean
from jarvis_client.contract import instants
from persistence.columns import COMPUTED, FORMATS, OF_NO_ACCOUNT, READ
from persistence.domain.showing import count_of
from scheduler import exporting
from scheduler.exporting import MOMENTARY, Wanted

NAMES = (*READ, *COMPUTED)
From = Annotated[str | None, typer.Option("--from", metavar="DATE|TIME", help="From this date (UTC) or time on.")]
To = Annotated[str | None, typer.Option("--to", metavar="DATE|TIME", help="Up to this date (included) or time (not included).")]


def register(app: typer.Typer) -> None:
    app.command()(export)


def export(
    table: Annotated[str, typer.Argument(metavar="TABLE", help=", ".join(NAMES) + ".")],
    named: Annotated[list[str] | None, typer.Argument(metavar="ACCOUNT", help="Accounts, by their ids; all without one.", show_default=False)] = None,
    account: Annotated[list[str] | None, typer.Option("--account", "-a", metavar="ACCOUNT", help="The same; may be repeated.")] = None,
    form: Annotated[str, typer.Option("--format", "-f", help=f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}.")] = "csv",
    start: From = None,
    end: To = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file instead of stdout. It appears whole or not at all.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="CSV: leave texts that a spreadsheet would run as formulas as they are.")] = False,
) -> None:
    """Export exact figures in a fixed order: the same facts give the same bytes, whatever order they came in.

    A line is a row, one account's after the other's. NDJSON of fills, deposits, orders, metrics and rates holds records instead, which
    `jarvis import` takes again: withdrawals stand with deposits, fees with fills, reported balances with metrics, each record with its voids.

    Parquet has amounts as decimals (what has more than 38 digits as text, which is said), instants as timestamps in UTC, dates as dates.

    Lots and positions are those at the end of --to, balances those of now.
    """
    if table not in NAMES:
        raise typer.BadParameter(f"{table!r} cannot be exported{did_you_mean(table, list(NAMES))}; there are {', '.join(NAMES)}", param_hint="TABLE")
    if form not in FORMATS:
        raise typer.BadParameter(f"{form!r} is no format; there are {', '.join(FORMATS)}", param_hint="--format")
    if form == "parquet" and output is None:
        raise typer.BadParameter("parquet is no text; name the file that it goes to", param_hint="--output")
    accounts = (*(named or ()), *(account or ()))
    if accounts and table in OF_NO_ACCOUNT:
        raise typer.BadParameter(f"{table} are of no account; leave it out", param_hint="--account")
    if table in MOMENTARY and start is not None:
        other = "they are those of now" if table in READ else "--to says which"
        raise typer.BadParameter(f"{table} are those at one moment; leave it out, {other}", param_hint="--from")
    if table in MOMENTARY and table in READ and end is not None:
        raise typer.BadParameter(f"{table} are those of now; leave it out", param_hint="--to")
    first, last = parse_time(start, "--from"), parse_time(end, "--to", end=True)
    if first is not None and last is not None and last <= first:
        raise typer.BadParameter(f"nothing lies between {start} and {end}", param_hint="--to")
    for account_id in accounts:
        known_account(account_id, "--account")

    since, until = (None if moment is None else instants.to_instant(moment) for moment in (first, last))
    wanted = Wanted(table, form, accounts or None, since, until, raw)
    database, plan = CONTEXT.database(), CONTEXT.settings.rollup_plan
    if output is not None:
        with doing(f"exporting {table}"):
            count = exporting.into_file(database, plan, wanted, output, say)
        say(f"wrote {count_of('row', count)} to {output}")
        return
    # A slow reader of our output must not hold a snapshot of the books, and with it their write-ahead log.
    with tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as spool:
        with doing(f"exporting {table}"):
            exporting.write(database, plan, wanted, spool)
        spool.seek(0)
        shutil.copyfileobj(spool, sys.stdout)

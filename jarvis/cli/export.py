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
from jarvis.cli.options import parse_time
from persistence import exports

From = Annotated[str | None, typer.Option("--from", metavar="DATE|TIME", help="From this date (UTC) or time on.")]
To = Annotated[str | None, typer.Option("--to", metavar="DATE|TIME", help="Up to this date (included) or time (not included).")]


def register(app: typer.Typer) -> None:
    app.command()(export)


def export(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="transactions, fills, deposits, orders, metrics, balances, performance or rates.")],
    account: Annotated[str | None, typer.Option("--account", "-a", help="The account's id; rates are of none.")] = None,
    form: Annotated[str, typer.Option("--format", "-f", help="csv, json or ndjson.")] = "csv",
    start: From = None,
    end: To = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file instead of stdout.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="CSV: leave texts that a spreadsheet would run as formulas as they are.")] = False,
) -> None:
    """Export exact figures in a fixed order: the same facts give the same bytes, whatever order they came in.

    CSV and JSON hold rows. NDJSON of fills, deposits, orders, metrics and rates holds records, which `jarvis import` takes again:
    withdrawals stand with deposits, fees with fills, reported balances with metrics, each record with its voids.
    """
    database = CONTEXT.database()
    if table not in exports.TABLES:
        raise typer.BadParameter(f"{table!r} cannot be exported; there are {', '.join(exports.TABLES)}", param_hint="TABLE")
    if form not in exports.FORMATS:
        raise typer.BadParameter(f"{form!r} is no format; there are {', '.join(exports.FORMATS)}", param_hint="--format")
    if account is None and exports.TABLES[table].account_column is not None:
        raise typer.BadParameter(f"{table} are exported for one account at a time; name it", param_hint="--account")
    bounds = parse_time(start, "--from"), parse_time(end, "--to", end=True)
    if output is None:
        # A slow reader of our output must not hold a snapshot of the books, and with it their write-ahead log.
        with tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as spool:
            exports.write(database, table, account, form, spool, *bounds, raw=raw)
            spool.seek(0)
            shutil.copyfileobj(spool, sys.stdout)
    else:
        count = exports.to_file(database, table, account, form, output, *bounds, raw=raw)
        say(f"wrote {count:,} rows to {output}")

"""`jarvis export`: exact figures out."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated, TextIO

import typer

from jarvis.cli.common import say
from jarvis.cli.context import CONTEXT
from jarvis.cli.known import known_account
from jarvis.cli.options import parse_time
from jarvis.cli.output import doing
from jarvis_client.contract import instants
from persistence import exports
from persistence.domain.showing import count_of
from persistence.repositories.rollups import SQLiteRollupRepository
from scheduler.rollup.tables import COMPUTED, Period

From = Annotated[str | None, typer.Option("--from", metavar="DATE|TIME", help="From this date (UTC) or time on.")]
To = Annotated[str | None, typer.Option("--to", metavar="DATE|TIME", help="Up to this date (included) or time (not included).")]


NAMES = ", ".join((*exports.TABLES, *COMPUTED))


def register(app: typer.Typer) -> None:
    app.command()(export)


def export(
    table: Annotated[str, typer.Argument(metavar="TABLE", help=NAMES + ".")],
    account: Annotated[str | None, typer.Option("--account", "-a", help="The account's id; rates are of none.")] = None,
    form: Annotated[str, typer.Option("--format", "-f", help="csv, json or ndjson.")] = "csv",
    start: From = None,
    end: To = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file instead of stdout.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="CSV: leave texts that a spreadsheet would run as formulas as they are.")] = False,
) -> None:
    """Export exact figures in a fixed order: the same facts give the same bytes, whatever order they came in.

    CSV and JSON hold rows. NDJSON of fills, deposits, orders, metrics and rates holds records, which `jarvis import` takes again:
    withdrawals stand with deposits, fees with fills, reported balances with metrics, each record with its voids. What is derived
    (trades, equity, flows, snapshots, lots, positions, disposals) has no NDJSON, so that it is never taken for records.

    Lots and positions are those at the end of --to.
    """
    database = CONTEXT.database()
    computed, stored = COMPUTED.get(table), exports.TABLES.get(table)
    if computed is None and stored is None:
        raise typer.BadParameter(f"{table!r} cannot be exported; there are {NAMES}", param_hint="TABLE")
    if form not in exports.FORMATS:
        raise typer.BadParameter(f"{form!r} is no format; there are {', '.join(exports.FORMATS)}", param_hint="--format")
    formats = exports.ROW_FORMATS if stored is None else stored.formats
    if form not in formats:
        raise typer.BadParameter(f"{form} is the form of records, and {table} are derived from them; take {' or '.join(formats)}", param_hint="--format")
    if account is None and (stored is None or stored.account_column is not None):
        raise typer.BadParameter(f"{table} are exported for one account at a time; name it", param_hint="--account")
    if computed is not None and not computed.bounds and start is not None:
        raise typer.BadParameter(f"{table} are those at one moment; leave it out, --to says which", param_hint="--from")
    first, last = bounds = parse_time(start, "--from"), parse_time(end, "--to", end=True)
    if first is not None and last is not None and last <= first:
        raise typer.BadParameter(f"nothing lies between {start} and {end}", param_hint="--to")

    if account is not None:
        known_account(account, "--account")

    def write(out: TextIO) -> int:
        if computed is None:
            return exports.write(database, table, account, form, out, *bounds, raw=raw)
        assert account is not None
        since, until = (None if moment is None else instants.to_instant(moment) for moment in bounds)
        period = Period(since, until, instants.now())
        with SQLiteRollupRepository(database).reading(account) as books:
            rows = computed.rows(books, CONTEXT.settings.rollup_plan.of(account), period)
        return exports.write_rows(computed.columns, rows, form, out, raw=raw)

    if output is None:
        # A slow reader of our output must not hold a snapshot of the books, and with it their write-ahead log.
        with tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as spool:
            with doing(f"exporting {table}"):
                write(spool)
            spool.seek(0)
            shutil.copyfileobj(spool, sys.stdout)
    else:
        with doing(f"exporting {table}"):
            count = exports.into_file(output, write)
        say(f"wrote {count_of('row', count)} to {output}")

"""`jarvis statement`: a day, currency by currency."""

from __future__ import annotations

from typing import Annotated

import typer

from jarvis.cli.common import Exit, say
from jarvis.cli.context import CONTEXT
from jarvis.cli.options import Json, parse_date
from jarvis.cli.output import print_json, print_rows
from jarvis.cli.performance import known
from persistence.domain import instants
from persistence.domain.money import canonical
from persistence.repositories.rollups import SQLiteRollupRepository
from scheduler.rollup.days import last_closed_day
from scheduler.rollup.statement import StatementLine
from scheduler.rollup.statement import statement as stated

Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's id.")]


def register(app: typer.Typer) -> None:
    app.command()(statement)


def statement(
    account: Account,
    date: Annotated[str | None, typer.Option("--date", metavar="DATE", help="The day in the account's zone; without it, yesterday.")] = None,
    as_json: Json = False,
) -> None:
    """Show a day's statement: per currency what there was, what moved, what there is, and that nothing is unexplained.

    Exits 1 where something is.
    """
    database = CONTEXT.database()
    known(account)
    options = CONTEXT.settings.rollup_plan.of(account)
    day = parse_date(date, "--date") or last_closed_day(instants.now(), options.zone)
    with SQLiteRollupRepository(database).reading(account) as books:
        lines = stated(books, options, day)
    columns = StatementLine._fields
    rows = [(line.currency, *(canonical(v) for v in line[1:])) for line in lines]
    if as_json:
        print_json({"account_id": account, "date": day, "timezone": options.timezone, "currencies": [dict(zip(columns, row, strict=True)) for row in rows]})
    else:
        print_rows(f"Statement of {account}, {day} ({options.timezone})", columns, rows, right=columns[1:])
    if any(line.unexplained for line in lines):
        say("something is unexplained: look further with `jarvis db check`")
        raise typer.Exit(Exit.FINDINGS)

"""`jarvis statement`: a day, a month, a year or any period, currency by currency."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date as Date
from typing import Annotated

import typer

from jarvis.cli.common import Exit, say
from jarvis.cli.context import CONTEXT
from jarvis.cli.known import known_account
from jarvis.cli.lots import tell_not_over
from jarvis.cli.options import Json, Wide, parse_date
from jarvis.cli.output import print_json, print_rows
from jarvis.reading.statement import FIRST_YEAR, LAST_YEAR, bounds, days_of_month, days_of_year
from jarvis.reading.statement import statement as as_plain
from jarvis_client.contract import instants
from jarvis_client.contract.decimals import canonical
from persistence.repositories.rollups import SQLiteRollupRepository
from scheduler.rollup.statement import StatementLine
from scheduler.rollup.statement import statement as stated

Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's id.")]
#: Columns that people see only where there is something in them.
SELDOM = ("income", "loans", "conversions", "adjustments")


def register(app: typer.Typer) -> None:
    app.command()(statement)


def statement(
    account: Account,
    date: Annotated[str | None, typer.Option("--date", metavar="DATE", help="One day in the account's zone; without any period, yesterday.")] = None,
    start: Annotated[str | None, typer.Option("--from", metavar="DATE", help="From this day on; without it, from the first record on.")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="DATE", help="Up to this day, included; without it, up to yesterday.")] = None,
    month: Annotated[str | None, typer.Option("--month", metavar="MONTH", help="A month, such as 2026-03.")] = None,
    year: Annotated[str | None, typer.Option("--year", metavar="YEAR", help="A calendar year, such as 2026.")] = None,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """Show the statement of a period: per currency what there was, what moved, what there is, and that nothing is unexplained.

    Exits 1 where something is.
    """
    periods = (date, month, year, None if start is None and end is None else "--from")
    if sum(given is not None for given in periods) > 1:
        raise typer.BadParameter("give one of --date, --month, --year, or --from and --to", param_hint="--date")
    days = _period(date, month, year)
    given = parse_date(start, "--from"), parse_date(end, "--to")
    database = CONTEXT.database()
    known_account(account)
    options = CONTEXT.settings.rollup_plan.of(account)
    with SQLiteRollupRepository(database).reading(account) as books:
        first, last = days or bounds(books, options, *given, instants.now())
        if last < first:
            wrong, hint = (f"{last} is before {first}", "--to") if end is not None else (f"{first} is after {last}", "--from")
            raise typer.BadParameter(wrong, param_hint=hint)
        if not FIRST_YEAR <= first.year <= last.year <= LAST_YEAR:
            raise typer.BadParameter(f"{first} to {last} lies outside the years {FIRST_YEAR} to {LAST_YEAR}, of which records can be", param_hint="--from")
        lines = stated(books, options, first, last)
    tell_not_over(last, options)
    columns = StatementLine._fields
    if as_json:
        print_json(as_plain(account, options, first, last, lines))
    else:
        shown = [n for n, name in enumerate(columns) if name not in SELDOM or any(line[n] for line in lines)]
        named = [columns[n] for n in shown]
        period = f"{first}" if first == last else f"{first} to {last}"
        table = [[line[n] if n == 0 else canonical(line[n]) for n in shown] for line in lines]  # type: ignore[arg-type]
        print_rows(
            f"Statement of {account}, {period} ({options.day_zone})",
            named,
            table,
            right=named[1:],
            sideways=True,
            none=f"{account} holds nothing, and nothing moved",
            wide=wide,
        )
    if any(line.unexplained for line in lines):
        say("something is unexplained: look further with `jarvis db check`")
        raise typer.Exit(Exit.FINDINGS)


def _period(date: str | None, month: str | None, year: str | None) -> tuple[Date, Date] | None:
    """The first and the last day of what was named."""
    if (day := parse_date(date, "--date")) is not None:
        return day, day
    if month is not None:
        return _named(days_of_month, month, "--month", "no month; write it as 2026-03")
    if year is not None:
        return _named(days_of_year, year, "--year", "no year; write it as 2026")
    return None


def _named(days_of: Callable[[str], tuple[Date, Date]], given: str, name: str, rule: str) -> tuple[Date, Date]:
    try:
        return days_of(given)
    except ValueError:
        raise typer.BadParameter(f"{given!r} is {rule}", param_hint=name) from None

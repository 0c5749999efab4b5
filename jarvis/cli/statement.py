"""`jarvis statement`: a day, a month, a year or any period, currency by currency."""

from __future__ import annotations

from datetime import date as Date
from datetime import timedelta
from typing import Annotated

import typer

from jarvis.cli.common import Exit, say
from jarvis.cli.context import CONTEXT
from jarvis.cli.known import known_account
from jarvis.cli.lots import tell_not_over
from jarvis.cli.options import Json, Wide, parse_date
from jarvis.cli.output import print_json, print_rows
from jarvis_client.contract import instants
from jarvis_client.contract.decimals import canonical
from persistence.repositories.rollups import SQLiteRollupRepository
from scheduler.rollup.days import day_of, last_closed_day
from scheduler.rollup.statement import StatementLine
from scheduler.rollup.statement import statement as stated

Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's id.")]
#: Columns that people see only where there is something in them.
SELDOM = ("income", "loans", "conversions", "adjustments")
#: Of which records can be (`jarvis_client.contract.conventions`).
FIRST_YEAR, LAST_YEAR = 2000, 2099


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
    yesterday = last_closed_day(instants.now(), options.zone)
    with SQLiteRollupRepository(database).reading(account) as books:
        mark = books.mark()
        opened = yesterday if end is None or mark is None or mark.opened_at is None else day_of(mark.opened_at, options.zone)
        first, last = days or (given[0] or opened, given[1] or yesterday)
        if last < first:
            wrong, hint = (f"{last} is before {first}", "--to") if end is not None else (f"{first} is after {last}", "--from")
            raise typer.BadParameter(wrong, param_hint=hint)
        if not FIRST_YEAR <= first.year <= last.year <= LAST_YEAR:
            raise typer.BadParameter(f"{first} to {last} lies outside the years {FIRST_YEAR} to {LAST_YEAR}, of which records can be", param_hint="--from")
        lines = stated(books, options, first, last)
    tell_not_over(last, options)
    columns = StatementLine._fields
    if as_json:
        rows = [dict(zip(columns, (line.currency, *map(canonical, line[1:])), strict=True)) for line in lines]
        print_json({"account_id": account, "from": first, "to": last, "days_in": options.day_zone, "currencies": rows})
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
        first = _first_day(f"{month}-01", month, "--month", "no month; write it as 2026-03")
        return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    if year is not None:
        first = _first_day(f"{year}-01-01", year, "--year", "no year; write it as 2026")
        return first, first.replace(month=12, day=31)
    return None


def _first_day(text: str, given: str, name: str, rule: str) -> Date:
    try:
        return parse_date(text, name) or Date.min
    except typer.BadParameter:
        raise typer.BadParameter(f"{given!r} is {rule}", param_hint=name) from None

"""`jarvis disposals`: what was taken of an account's assets, and what that realised."""

from __future__ import annotations

from typing import Annotated

import typer

from jarvis.cli.common import say
from jarvis.cli.context import CONTEXT
from jarvis.cli.known import known_account
from jarvis.cli.lots import tell_not_over
from jarvis.cli.options import AccountArgument, Json, Wide, parse_date
from jarvis.cli.output import print_json, print_rows, shown_quantity, shown_usd
from jarvis_client.contract import instants
from persistence.domain.showing import count_of
from persistence.repositories.rollups import SQLiteRollupRepository
from scheduler.rollup.days import day_of
from scheduler.rollup.disposals import disposals as found_disposals
from scheduler.rollup.tables import DISPOSALS, TOTALS, Period, disposed, totals

From = Annotated[str | None, typer.Option("--from", metavar="DATE", help="From this day in the account's zone on; without it, from the beginning.")]
To = Annotated[str | None, typer.Option("--to", metavar="DATE", help="Up to this day, included; without it, up to now.")]


def register(app: typer.Typer) -> None:
    app.command()(disposals)


def disposals(account: AccountArgument, start: From = None, end: To = None, wide: Wide = False, as_json: Json = False) -> None:
    """List what was taken of an account's assets: as what (sale, spent, fee, withdrawal …), when, from which lots, with proceeds, cost and gain.

    A line is what was taken of one lot: `since` is the day on which that came, and is empty where lots are averaged. Dollars, and what is
    like them, are listed where they gained or lost. Sums of each asset stand below.
    """
    database = CONTEXT.database()
    known_account(account)
    options = CONTEXT.settings.rollup_plan.of(account)
    first, last = parse_date(start, "--from"), parse_date(end, "--to")
    now = instants.now()
    with SQLiteRollupRepository(database).reading(account) as books:
        first = first or Period(None, None, now).first_day(books, options)
        last = last or day_of(now, options.zone)
        if last < first:
            wrong, hint = (f"{last} is before {first}", "--to") if end is not None else (f"{first} is after {last}", "--from")
            raise typer.BadParameter(wrong, param_hint=hint)
        found = found_disposals(books, options, first, last)
        rows = disposed(books, found)
    sums = totals(found)
    tell_not_over(last, options)
    if as_json:
        print_json({
            "account_id": account, "from": first, "to": last, "timezone": options.timezone, "cost_basis": options.cost_basis,
            "disposals": [dict(zip(DISPOSALS, row, strict=True)) for row in rows], "totals": [dict(zip(TOTALS, row, strict=True)) for row in sums],
        })  # fmt: skip
        return
    shown = [
        (day_of(d.instant, options.zone), d.asset, d.taken_as, shown_quantity(d.quantity), *map(shown_usd, (d.proceeds, d.cost, d.gain)),
         None if d.opened_at is None else day_of(d.opened_at, options.zone), d.days_held)
        for d in found
    ]  # fmt: skip
    columns = ("date", "asset", "as", "quantity", "proceeds", "cost_usd", "gain_usd", "since", "days")
    print_rows(
        f"Disposals of {account}, {first} to {last}",
        columns,
        shown,
        right=("quantity", "proceeds", "cost_usd", "gain_usd", "days"),
        whole=("date", "as", "since"),
        seldom=("days", "since"),
        wide=wide,
    )
    if sums:
        heads = ("asset", "disposals", "proceeds", "cost_usd", "gain_usd")
        print_rows("Sums", heads, [(asset, count, *map(shown_usd, usd)) for asset, count, *usd, _ in sums], right=heads[1:])
    for asset, _, *_, untold in sums:
        if untold:
            say(f"{count_of('disposal', untold)} of {asset} without a USD rate, left out of the sums: `jarvis rates {asset}` says what is missing")

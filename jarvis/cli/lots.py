"""`jarvis lots`: what of an account's assets is open, at which cost."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from jarvis.cli.context import CONTEXT
from jarvis.cli.options import AccountArgument, Json, parse_date
from jarvis.cli.output import print_json, print_rows, shown_quantity, shown_usd
from jarvis.cli.performance import known
from jarvis_client.contract import instants
from persistence.repositories.rollups import SQLiteRollupRepository
from scheduler.rollup.days import day_of
from scheduler.rollup.tables import LOTS
from scheduler.rollup.tables import lots as open_lots

Day = Annotated[str | None, typer.Option("--date", metavar="DATE", help="As it stood at the end of this day in the account's zone; without it, now.")]


def shown_day(instant: str | None, zone: instants.DayZone) -> str:
    """The day of an instant, for people."""
    return "" if instant is None else f"{day_of(instants.to_instant(datetime.fromisoformat(instant)), zone)}"


def register(app: typer.Typer) -> None:
    app.command()(lots)


def lots(account: AccountArgument, date: Day = None, as_json: Json = False) -> None:
    """List an account's open lots: what is held of each asset, its cost without fees, since when, and what it would gain if it were sold.

    With cost_basis fifo the lots stand one by one, else each asset's as one. What is taken beyond the lots is a lot below zero.
    """
    database = CONTEXT.database()
    known(account)
    options = CONTEXT.settings.rollup_plan.of(account)
    day = parse_date(date, "--date") or day_of(instants.now(), options.zone)
    with SQLiteRollupRepository(database).reading(account) as books:
        found = open_lots(books, options, day)
    if as_json:
        print_json([dict(zip(LOTS, row, strict=True)) for row in found])
        return
    shown = [
        (code, shown_quantity(quantity), shown_usd(cost), shown_usd(average), shown_day(since, options.zone), by, shown_usd(worth), shown_usd(gain))
        for _, code, quantity, cost, average, since, by, worth, gain in found
    ]
    columns = ("asset", "quantity", "cost_usd", "average", "since", "by", "worth_usd", "gain_usd")
    print_rows(f"Lots of {account}, {day}", columns, shown, right=("quantity", "cost_usd", "average", "worth_usd", "gain_usd"), whole=("asset", "since", "by"))

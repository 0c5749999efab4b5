"""`jarvis positions`: the instruments in which an account has something open."""

from __future__ import annotations

import typer

from jarvis.cli.context import CONTEXT
from jarvis.cli.known import known_account
from jarvis.cli.lots import Day, shown_day, tell_not_over
from jarvis.cli.options import AccountArgument, Json, Wide, parse_date
from jarvis.cli.output import print_json, print_rows, shown_quantity, shown_usd
from jarvis_client.contract import instants
from persistence.repositories.rollups import SQLiteRollupRepository
from scheduler.rollup.days import day_of
from scheduler.rollup.tables import POSITIONS
from scheduler.rollup.tables import positions as open_positions


def register(app: typer.Typer) -> None:
    app.command()(positions)


def positions(account: AccountArgument, date: Day = None, wide: Wide = False, as_json: Json = False) -> None:
    """List an account's open positions: what its own fills hold or owe of each instrument, at which average price, since when.

    Below zero is a short. Coins that were deposited are in no position: `jarvis lots` has them.
    """
    database = CONTEXT.database()
    known_account(account)
    options = CONTEXT.settings.rollup_plan.of(account)
    day = parse_date(date, "--date") or day_of(instants.now(), options.zone)
    tell_not_over(day, options)
    with SQLiteRollupRepository(database).reading(account) as books:
        found = open_positions(books, options, day)
    if as_json:
        print_json([dict(zip(POSITIONS, row, strict=True)) for row in found])
        return
    shown = [
        (instrument, kind, shown_quantity(quantity), shown_quantity(price), cash, shown_day(since, options.zone), fills, shown_usd(gain))
        for _, instrument, kind, quantity, price, cash, since, fills, gain in found
    ]
    columns = ("instrument", "kind", "quantity", "average", "in", "since", "fills", "gain_usd")
    print_rows(
        f"Positions of {account}, {day}", columns, shown, right=("quantity", "average", "fills", "gain_usd"), whole=("kind", "in", "since"),
        seldom=("fills", "kind"), none=f"{account} has no open position", wide=wide,
    )  # fmt: skip

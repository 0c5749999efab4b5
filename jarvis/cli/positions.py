"""`jarvis positions`: the instruments in which an account has something open."""

from __future__ import annotations

import typer

from jarvis.cli.lots import Day, shown_day, standing_at
from jarvis.cli.options import AccountArgument, Json, Wide
from jarvis.cli.output import print_json, print_rows, shown_quantity, shown_usd
from scheduler.rollup.tables import POSITIONS
from scheduler.rollup.tables import positions as open_positions


def register(app: typer.Typer) -> None:
    app.command()(positions)


def positions(account: AccountArgument, date: Day = None, wide: Wide = False, as_json: Json = False) -> None:
    """List an account's open positions: what its own fills hold or owe of each instrument, at which average price, since when.

    Below zero is a short. Coins that were deposited are in no position: `jarvis lots` has them.
    """
    with standing_at(account, date) as (books, options, day):
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

"""`jarvis lots`: what of an account's assets is open, at which cost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date as Date
from datetime import datetime
from typing import Annotated

import typer

from jarvis.cli.common import say
from jarvis.cli.context import CONTEXT
from jarvis.cli.known import known_account
from jarvis.cli.options import AccountArgument, Json, Wide, parse_date
from jarvis.cli.output import print_json, print_rows, shown_quantity, shown_usd
from jarvis_client.contract import instants
from persistence.books.account_history import AccountBooks
from persistence.repositories.rollups import SQLiteRollupRepository
from scheduler.rollup.days import day_of, last_closed_day
from scheduler.rollup.options import RollupOptions
from scheduler.rollup.tables import LOTS
from scheduler.rollup.tables import lots as open_lots

Day = Annotated[str | None, typer.Option("--date", metavar="DATE", help="As it stood at the end of this day in the account's zone; without it, now.")]


def shown_day(instant: str | None, zone: instants.DayZone) -> str:
    """The day of an instant, for people."""
    return "" if instant is None else f"{day_of(instants.to_instant(datetime.fromisoformat(instant)), zone)}"


def tell_not_over(day: Date, options: RollupOptions) -> None:
    """Say of a day that has not ended that its figures will still change."""
    if day > last_closed_day(instants.now(), options.zone):
        say(f"{day} is not over in {options.day_zone}: this is how it stands so far")


@contextmanager
def standing_at(account: str, date: str | None) -> Iterator[tuple[AccountBooks, RollupOptions, Date]]:
    """The account's books, its options, and the day that `--date` names, or today's. Raises `typer.BadParameter` for no date, or no account."""
    database = CONTEXT.database()
    known_account(account)
    options = CONTEXT.settings.rollup_plan.of(account)
    day = parse_date(date, "--date") or day_of(instants.now(), options.zone)
    tell_not_over(day, options)
    with SQLiteRollupRepository(database).reading(account) as books:
        yield books, options, day


def register(app: typer.Typer) -> None:
    app.command()(lots)


def lots(account: AccountArgument, date: Day = None, wide: Wide = False, as_json: Json = False) -> None:
    """List an account's open lots: what is held of each asset, its cost without fees, since when, and what it would gain if it were sold.

    With cost_basis fifo the lots stand one by one, else each asset's as one. What is taken beyond the lots is a lot below zero.
    """
    with standing_at(account, date) as (books, options, day):
        found = open_lots(books, options, day)
    if as_json:
        print_json([dict(zip(LOTS, row, strict=True)) for row in found])
        return
    shown = [
        (code, shown_quantity(quantity), shown_usd(cost), shown_usd(average), shown_day(since, options.zone), by, shown_usd(worth), shown_usd(gain))
        for _, code, quantity, cost, average, since, by, worth, gain in found
    ]
    columns = ("asset", "quantity", "cost_usd", "average", "since", "by", "worth_usd", "gain_usd")
    print_rows(
        f"Lots of {account}, {day}", columns, shown, right=("quantity", "cost_usd", "average", "worth_usd", "gain_usd"), whole=("since", "by"),
        seldom=("average", "by"), none=f"{account} has no open lot", wide=wide,
    )  # fmt: skip

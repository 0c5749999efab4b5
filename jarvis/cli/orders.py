"""`jarvis orders`: an account's orders."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import typer

from jarvis.cli.context import CONTEXT
from jarvis.cli.options import Account, Json, Limit
from jarvis.cli.output import print_rows, tell_limit
from jarvis.cli.times import short
from jarvis.reading.movements import ORDER, order
from jarvis_client.contract import instants
from jarvis_client.contract.decimals import canonical
from jarvis_client.contract.instants import to_instant
from persistence.domain.order import OrderStatus
from persistence.repositories import SQLiteOrderRepository

#: Longer ids break, or nothing else would have room on eighty columns.
LONGEST_UNBROKEN_ID = 13


def register(app: typer.Typer) -> None:
    app.command()(orders)


def orders(
    account: Account,
    status: Annotated[str | None, typer.Option(help="Only these: pending, partially_filled, filled, cancelled, rejected, expired.")] = None,
    symbol: Annotated[str | None, typer.Option(help="Only this instrument, in any notation.")] = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """List an account's orders, the newest first.

    Times are UTC; --json has them exactly.
    """
    repository = SQLiteOrderRepository(CONTEXT.database(), CONTEXT.settings.conventions)
    if status is not None and status not in set(OrderStatus):
        raise typer.BadParameter(f"{status!r} is no status; there are {', '.join(OrderStatus)}", param_hint="--status")
    found = repository.page(account, limit, status=status, symbol=symbol)

    def number(value: Decimal | None) -> str | None:
        return None if value is None else canonical(value)

    tell_limit(len(found), limit)
    if as_json:
        print_rows("Orders", ORDER, map(order, found), as_json=True)
        return
    now = instants.now()
    rows = [
        (
            o.created_at and short(to_instant(o.created_at), now), o.order_id, f"{o.side or ''} {o.instrument}".strip(), str(o.status).replace("_", " "),
            " of ".join(n for n in (number(o.filled_quantity), number(o.quantity)) if n is not None), number(o.price), number(o.average_price),
        )
        for o in found
    ]  # fmt: skip
    whole = ("created", "order_id") if all(len(o.order_id) <= LONGEST_UNBROKEN_ID for o in found) else ("created",)
    print_rows("Orders", ("created", "order_id", "what", "status", "filled", "price", "average"), rows, right=("price", "average"), whole=whole)

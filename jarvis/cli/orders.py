"""`jarvis orders`: an account's orders."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import typer

from jarvis.cli.context import CONTEXT
from jarvis.cli.known import known_account
from jarvis.cli.options import Account, Json, Limit, Wide
from jarvis.cli.output import print_rows, tell_limit
from jarvis.cli.times import at
from jarvis.reading.movements import ORDER, order
from jarvis_client.contract.decimals import canonical
from jarvis_client.contract.instants import to_instant
from persistence.domain.order import OrderStatus
from persistence.repositories import SQLiteOrderRepository


def register(app: typer.Typer) -> None:
    app.command()(orders)


def orders(
    account: Account,
    status: Annotated[str | None, typer.Option(help="Only these: pending, partially_filled, filled, cancelled, rejected, expired.")] = None,
    symbol: Annotated[str | None, typer.Option(help="Only this instrument, in any notation.")] = None,
    limit: Limit = 20,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """List an account's orders, the newest first.

    --json has every digit, and times exactly.
    """
    repository = SQLiteOrderRepository(CONTEXT.database(), CONTEXT.settings.conventions)
    if status is not None and status not in set(OrderStatus):
        raise typer.BadParameter(f"{status!r} is no status; there are {', '.join(OrderStatus)}", param_hint="--status")
    known_account(account, "--account")
    found = repository.page(account, limit, status=status, symbol=symbol)

    def number(value: Decimal | None) -> str | None:
        return None if value is None else canonical(value)

    if as_json:
        print_rows("Orders", ORDER, map(order, found), as_json=True)
        tell_limit(len(found), limit)
        return
    rows = [
        (
            o.created_at and at(to_instant(o.created_at)), f"{o.side or ''} {o.instrument}".strip(),
            " of ".join(n for n in (number(o.filled_quantity), number(o.quantity)) if n is not None), number(o.price), number(o.average_price),
            str(o.status).replace("_", " "), o.order_id,
        )
        for o in found
    ]  # fmt: skip
    heads = ("created", "what", "filled", "price", "average", "status", "order")
    print_rows(
        f"Orders of {account}", heads, rows, right=("price", "average"), whole=("created",), below=("status", "order"), timed=True, wide=wide,
    )  # fmt: skip
    tell_limit(len(found), limit)

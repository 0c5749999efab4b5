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
from jarvis_client.contract.decimals import canonical
from jarvis_client.contract.instants import to_instant, to_text
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
    if symbol is not None:
        found = repository.find_by_symbol(account, symbol, limit if status is None else None)
        found = [o for o in found if status is None or o.status == status][:limit]
    elif status is not None:
        found = repository.find_by_status(account, OrderStatus(status), limit)
    else:
        found = repository.find_by_account(account, limit)

    def number(value: Decimal | None) -> str | None:
        return None if value is None else canonical(value)

    if as_json:
        columns = ("created_at", "order_id", "instrument", "side", "status", "quantity", "filled", "price", "average_price", "symbol")
        print_rows("Orders", columns, [
            (
                o.created_at and to_text(to_instant(o.created_at)), o.order_id, o.instrument, o.side and str(o.side), str(o.status), number(o.quantity),
                number(o.filled_quantity), number(o.price), number(o.average_price), o.symbol,
            )
            for o in found
        ], as_json=True)  # fmt: skip
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

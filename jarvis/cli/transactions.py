"""`jarvis transactions`: an account's movements of money."""

from __future__ import annotations

from typing import Annotated

import typer

from jarvis.cli.context import CONTEXT
from jarvis.cli.options import Account, Json, Limit
from jarvis.cli.output import print_rows, tell_limit
from jarvis.cli.times import short
from jarvis.reading.movements import TRANSACTION, transaction
from jarvis_client.contract import instants
from persistence.domain.money import Currency
from persistence.domain.transaction import TransactionType
from persistence.repositories import SQLiteTransactionRepository


def register(app: typer.Typer) -> None:
    app.command()(transactions)


def transactions(
    account: Account,
    kind: Annotated[str | None, typer.Option("--type", help="Only this type, such as deposit or fee.")] = None,
    currency: Annotated[str | None, typer.Option(help="Only this currency.")] = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """List an account's transactions, the newest first."""
    repository = SQLiteTransactionRepository(CONTEXT.database())
    if kind is not None and kind not in set(TransactionType):
        raise typer.BadParameter(f"{kind!r} is no type; there are {', '.join(TransactionType)}", param_hint="--type")
    wanted = None if kind is None else TransactionType(kind)
    found = [t for t, _ in repository.page(account, limit, transaction_type=wanted, currency=None if currency is None else str(Currency(currency)))]
    rows = [transaction(t) for t in found]
    if not as_json:
        now = instants.now()
        rows = [(short(instants.to_instant(t.occurred_at), now), *row[1:]) for t, row in zip(found, rows, strict=True)]
    print_rows("Transactions", TRANSACTION, rows, right=("amount",), whole=("occurred_at",), as_json=as_json)
    tell_limit(len(rows), limit)

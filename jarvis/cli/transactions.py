"""`jarvis transactions`: an account's movements of money."""

from __future__ import annotations

from typing import Annotated

import typer

from jarvis.cli.context import CONTEXT
from jarvis.cli.known import known_account
from jarvis.cli.options import Account, Json, Limit, Wide
from jarvis.cli.output import print_rows, tell_limit
from jarvis.cli.times import at
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
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """List an account's transactions, the newest first."""
    repository = SQLiteTransactionRepository(CONTEXT.database())
    if kind is not None and kind not in set(TransactionType):
        raise typer.BadParameter(f"{kind!r} is no type; there are {', '.join(TransactionType)}", param_hint="--type")
    known_account(account, "--account")
    wanted = None if kind is None else TransactionType(kind)
    found = [t for t, _ in repository.page(account, limit, transaction_type=wanted, currency=None if currency is None else Currency(currency))]
    rows = [transaction(t) for t in found]
    if not as_json:
        rows = [(at(instants.to_instant(t.occurred_at)), *row[1:]) for t, row in zip(found, rows, strict=True)]
    print_rows(
        f"Transactions of {account}", TRANSACTION, rows, right=("amount",), whole=("occurred_at",), below=("transaction_id", "description"), timed=True,
        wide=wide, as_json=as_json,
    )  # fmt: skip
    tell_limit(len(rows), limit)

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
from persistence.domain.transaction import Transaction, TransactionType
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
    if kind is not None:
        found = _of_type(repository, account, TransactionType(kind), currency, limit)
    elif currency is not None:
        found = repository.find_by_currency(account, Currency(currency), limit)
    else:
        found = repository.find_by_account(account, limit)
    rows = [transaction(t) for t in found]
    if not as_json:
        now = instants.now()
        rows = [(short(instants.to_instant(t.occurred_at), now), *row[1:]) for t, row in zip(found, rows, strict=True)]
    print_rows("Transactions", TRANSACTION, rows, right=("amount",), whole=("occurred_at",), as_json=as_json)
    tell_limit(len(rows), limit)


def _of_type(repository: SQLiteTransactionRepository, account: str, kind: TransactionType, currency: str | None, limit: int) -> list[Transaction]:
    """The newest of a type, in one currency where one is named: read on until there are enough."""
    asked = limit
    while True:
        of_type = repository.find_by_type(account, kind, asked)
        found = [t for t in of_type if currency is None or t.currency == currency]
        if len(found) >= limit or len(of_type) < asked:
            return found[:limit]
        asked *= 10

"""`jarvis transactions`: an account's movements of money."""

from __future__ import annotations

from typing import Annotated

import typer

from jarvis.cli.context import CONTEXT
from jarvis.cli.known import known_account
from jarvis.cli.options import Account, Json, Limit, Wide
from jarvis.cli.output import print_rows, tell_limit
from jarvis.cli.times import at
from jarvis_client.contract import instants
from jarvis_client.contract.decimals import canonical
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
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """List an account's transactions, the newest first."""
    repository = SQLiteTransactionRepository(CONTEXT.database())
    if kind is not None and kind not in set(TransactionType):
        raise typer.BadParameter(f"{kind!r} is no type; there are {', '.join(TransactionType)}", param_hint="--type")
    known_account(account, "--account")
    if kind is not None:
        found = _of_type(repository, account, TransactionType(kind), currency, limit)
    elif currency is not None:
        found = repository.find_by_currency(account, Currency(currency), limit)
    else:
        found = repository.find_by_account(account, limit)

    def when(t: Transaction) -> str:
        instant = instants.to_instant(t.occurred_at)
        return instants.to_text(instant) if as_json else at(instant)

    rows = [(when(t), str(t.transaction_type), canonical(t.movement.amount), str(t.currency), t.transaction_id, t.description) for t in found]
    columns = ("occurred_at", "type", "amount", "currency", "transaction_id", "description")
    print_rows(
        f"Transactions of {account}", columns, rows, right=("amount",), whole=("occurred_at",), below=("transaction_id", "description"), timed=True, wide=wide,
        as_json=as_json,
    )  # fmt: skip
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

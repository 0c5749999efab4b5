"""Reading the books: accounts, transactions, orders, exports."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from jarvis.cli.common import CONTEXT, Exit, parse_time, print_rows, say

Json = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
Account = Annotated[str, typer.Option("--account", "-a", help="The account's id.")]
From = Annotated[str | None, typer.Option("--from", metavar="DATE|TIME", help="From this date (UTC) or time on.")]
To = Annotated[str | None, typer.Option("--to", metavar="DATE|TIME", help="Up to this date (included) or time (not included).")]
Limit = Annotated[int, typer.Option("--limit", "-n", help="At most this many, the newest.", min=1)]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Accounts: list them and what they hold; delete one.", invoke_without_command=True)
    group.callback()(accounts)
    group.command("delete")(delete)
    app.add_typer(group, name="accounts", rich_help_panel="Books")
    for command in (transactions, orders, export):
        app.command(rich_help_panel="Books")(command)


def accounts(ctx: typer.Context, active: Annotated[bool, typer.Option("--active", help="Only active ones.")] = False, as_json: Json = False) -> None:
    """List accounts and what they hold; `delete` removes one."""
    if ctx.invoked_subcommand is not None:
        return
    from persistence.domain.money import canonical
    from persistence.repositories import SQLiteAccountRepository

    repository = SQLiteAccountRepository(CONTEXT.database())
    found = repository.find_all_active() if active else repository.find_all()
    if as_json:
        from jarvis.cli.common import print_json

        print_json([
            {
                "account_id": a.account_id, "name": a.name, "is_active": a.is_active, "opened_at": a.opened_at and a.opened_at.isoformat(),
                "balances": {
                    str(c): {
                        "available": canonical(a.balance.available(c).amount), "reserved": canonical(a.balance.reserved(c).amount),
                        "total": canonical(a.balance.total(c).amount),
                    }
                    for c in a.balance.currencies
                },
            }
            for a in found
        ])  # fmt: skip
        return
    rows = []
    for a in found:
        name = a.account_id if a.name == a.account_id else f"{a.account_id} ({a.name})"
        for i, currency in enumerate(a.balance.currencies or [""]):
            free, held, total = ("", "", "") if not currency else (
                canonical(a.balance.available(currency).amount), canonical(a.balance.reserved(currency).amount), canonical(a.balance.total(currency).amount)
            )  # fmt: skip
            first = i == 0
            rows.append((name if first else "", ("active" if a.is_active else "closed") if first else "", currency, free, held, total))
    print_rows("Accounts", ("account", "state", "currency", "available", "reserved", "total"), rows, right=("available", "reserved", "total"))


def delete(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's id.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete an account with everything it holds, after a backup. The hash chain keeps the identities and digests of what went.

    Messages never bring it back: a redelivery counts as a duplicate, a new record goes to quarantine.
    """
    from persistence.copies import backups
    from persistence.domain import instants
    from persistence.domain.errors import Invalid
    from persistence.repositories import SQLiteAccountRepository

    database, chosen = CONTEXT.database(), CONTEXT.settings.database.backup
    repository = SQLiteAccountRepository(database)
    if not repository.exists(account):
        raise Invalid(f"account {account} does not exist; `jarvis accounts` lists those that do")
    if not yes:
        typed = typer.prompt(f"This deletes account {account} with its transactions, orders and figures. Type its id to go on", err=True)
        if typed != account:
            say("nothing was deleted")
            raise typer.Exit(Exit.USAGE)
    made = backups.create(database, chosen.path, backups.free_second(chosen.path, instants.now()), compress=chosen.compress)
    say(f"backed up and proved: {made.path}")
    repository.delete(account)
    database.close()
    say(f"deleted {account}; `jarvis restore {made.path} --to FILE` shows it again")


def transactions(
    account: Account,
    kind: Annotated[str | None, typer.Option("--type", help="Only this type, such as deposit or fee.")] = None,
    currency: Annotated[str | None, typer.Option(help="Only this currency.")] = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """List an account's transactions, the newest first."""
    from persistence.domain.instants import to_instant, to_text
    from persistence.domain.money import Currency, canonical
    from persistence.domain.transaction import TransactionType
    from persistence.repositories import SQLiteTransactionRepository

    repository = SQLiteTransactionRepository(CONTEXT.database())
    if kind is not None and kind not in set(TransactionType):
        raise typer.BadParameter(f"{kind!r} is no type; there are {', '.join(TransactionType)}", param_hint="--type")
    if kind is not None:
        found = repository.find_by_type(account, TransactionType(kind), limit)
        found = [t for t in found if currency is None or t.currency == currency]
    elif currency is not None:
        found = repository.find_by_currency(account, Currency(currency), limit)
    else:
        found = repository.find_by_account(account, limit)
    rows = [
        (to_text(to_instant(t.occurred_at)), str(t.transaction_type), canonical(t.movement.amount), str(t.currency), t.transaction_id, t.description)
        for t in found
    ]
    columns = ("occurred_at", "type", "amount", "currency", "transaction_id", "description")
    print_rows("Transactions", columns, rows, right=("amount",), as_json=as_json)


def orders(
    account: Account,
    status: Annotated[str | None, typer.Option(help="Only these: pending, partially_filled, filled, cancelled, rejected, expired.")] = None,
    symbol: Annotated[str | None, typer.Option(help="Only this symbol.")] = None,
    limit: Limit = 20,
    as_json: Json = False,
) -> None:
    """List an account's orders, the newest first."""
    from persistence.domain.instants import to_instant, to_text
    from persistence.domain.money import canonical
    from persistence.domain.order import OrderStatus
    from persistence.repositories import SQLiteOrderRepository

    repository = SQLiteOrderRepository(CONTEXT.database(), CONTEXT.settings.conventions)
    if status is not None and status not in set(OrderStatus):
        raise typer.BadParameter(f"{status!r} is no status; there are {', '.join(OrderStatus)}", param_hint="--status")
    if status is not None:
        found = [o for o in repository.find_by_status(account, OrderStatus(status), limit) if symbol is None or o.symbol == symbol]
    elif symbol is not None:
        found = repository.find_by_symbol(account, symbol, limit)
    else:
        found = repository.find_by_account(account, limit)

    def number(value: object) -> str | None:
        return None if value is None else canonical(value)  # type: ignore[arg-type]

    rows = [
        (
            o.created_at and to_text(to_instant(o.created_at)), o.order_id, o.symbol, o.side and str(o.side), str(o.status), number(o.quantity),
            number(o.filled_quantity), number(o.price), number(o.average_price),
        )
        for o in found
    ]  # fmt: skip
    columns = ("created_at", "order_id", "symbol", "side", "status", "quantity", "filled", "price", "average_price")
    print_rows("Orders", columns, rows, right=("quantity", "filled", "price", "average_price"), as_json=as_json)


def export(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="transactions, fills, orders, performance or balances.")],
    account: Account,
    form: Annotated[str, typer.Option("--format", "-f", help="csv, json or ndjson.")] = "csv",
    start: From = None,
    end: To = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to this file instead of stdout.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="CSV: leave texts that a spreadsheet would run as formulas as they are.")] = False,
) -> None:
    """Export exact figures in a fixed order: the same facts give the same bytes, whatever order they came in."""
    from persistence import exports

    database = CONTEXT.database()
    if table not in exports.TABLES:
        raise typer.BadParameter(f"{table!r} cannot be exported; there are {', '.join(exports.TABLES)}", param_hint="TABLE")
    if form not in exports.FORMATS:
        raise typer.BadParameter(f"{form!r} is no format; there are {', '.join(exports.FORMATS)}", param_hint="--format")
    bounds = parse_time(start, "--from"), parse_time(end, "--to", end=True)
    if output is None:
        # A slow reader of our output must not hold a snapshot of the books, and with it their write-ahead log.
        with tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as spool:
            exports.write(database, table, account, form, spool, *bounds, raw=raw)
            spool.seek(0)
            shutil.copyfileobj(spool, sys.stdout)
    else:
        count = exports.to_file(database, table, account, form, output, *bounds, raw=raw)
        say(f"wrote {count:,} rows to {output}")

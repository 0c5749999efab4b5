"""`jarvis accounts`: list them and what they hold; close, open or delete one."""

from __future__ import annotations

from typing import Annotated

import typer

from jarvis.cli.common import Exit, say
from jarvis.cli.context import CONTEXT
from jarvis.cli.known import known_account
from jarvis.cli.options import Json, Wide
from jarvis.cli.output import doing, print_json, print_rows
from jarvis.reading.accounts import account
from jarvis_client.contract import instants
from jarvis_client.contract.decimals import canonical
from persistence.copies import backups
from persistence.repositories import SQLiteAccountRepository

Named = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's id.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Accounts: list them and what they hold; close, open or delete one.", invoke_without_command=True)
    group.callback()(accounts)
    for name, command in (("close", close), ("open", open_again), ("delete", delete)):
        group.command(name)(command)
    app.add_typer(group, name="accounts")


def accounts(
    ctx: typer.Context, active: Annotated[bool, typer.Option("--active", help="Only active ones.")] = False, wide: Wide = False, as_json: Json = False
) -> None:
    """List accounts and what they hold; `close` and `open` say whether more is expected, `delete` removes one."""
    if ctx.invoked_subcommand is not None:
        return
    repository = SQLiteAccountRepository(CONTEXT.database())
    found = repository.find_all_active() if active else repository.find_all()
    if as_json:
        print_json([account(a) for a in found])
        return
    rows = []
    for a in found:
        name = a.account_id if a.name == a.account_id else f"{a.account_id} ({a.name})"
        held = [
            (c, "currency", *(canonical(m.amount) for m in (a.balance.available(c), a.balance.reserved(c), a.balance.total(c)))) for c in a.balance.currencies
        ] + [(code, "contract", "", "", canonical(quantity)) for code, quantity in a.contracts.items()]
        for i, values in enumerate(held or [("",) * 5]):
            rows.append((*((name, "active" if a.is_active else "closed") if i == 0 else ("", "")), *values))
    columns = ("account", "state", "currency", "kind", "available", "reserved", "total")
    print_rows("Accounts", columns, rows, right=columns[4:], whole=("state", "currency", "kind"), seldom=("kind", "reserved"), wide=wide)


def close(account: Named) -> None:
    """Close an account: what is still recorded for it counts, and is noted. An event of the hash chain."""
    _set_active(account, "closed")


def open_again(account: Named) -> None:
    """Open an account that was closed. An event of the hash chain."""
    _set_active(account, "open")


def _set_active(account: str, state: str) -> None:
    database = CONTEXT.database()
    known_account(account)
    repository = SQLiteAccountRepository(database)
    (repository.activate if state == "open" else repository.deactivate)(account)
    database.close()
    say(f"account {account} is {state}")


def delete(
    account: Named,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete an account with everything it holds, after a backup. The hash chain keeps the identities and digests of what went.

    Messages never bring it back: a redelivery counts as a duplicate, a new record goes to quarantine.
    """
    database, chosen = CONTEXT.database(), CONTEXT.settings.database.backup
    known_account(account)
    repository = SQLiteAccountRepository(database)
    if not yes:
        typed = typer.prompt(f"This deletes account {account} with its transactions, orders and figures. Type its id to go on", err=True)
        if typed != account:
            say("nothing was deleted")
            raise typer.Exit(Exit.USAGE)
    with doing("copying the books") as progress:
        made = backups.create(database, chosen.path, instants.now(), compress=chosen.compress, progress=progress)
    say(f"backed up and proved: {made.path}")
    repository.delete(account)
    database.close()
    say(f"deleted {account}; `jarvis restore {made.path} --to FILE` shows it again")

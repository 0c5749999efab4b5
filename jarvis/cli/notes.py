"""`jarvis notes`: what was recorded and is odd."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from jarvis.cli.common import say
from jarvis.cli.context import CONTEXT
from jarvis.cli.known import known_account
from jarvis.cli.options import Json, Reason, Wide
from jarvis.cli.output import print_json, print_rows
from jarvis_client.contract import instants
from persistence.proof import notes as settled
from scheduler.notes import look_for_notes


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Notes: what was recorded and is odd; accept one.", invoke_without_command=True)
    group.callback()(notes)
    group.command("accept")(accept)
    app.add_typer(group, name="notes")


def notes(
    ctx: typer.Context,
    account: Annotated[str | None, typer.Option("--account", "-a", help="Only of this account.")] = None,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """List the notes that are open; `accept` settles one."""
    if ctx.invoked_subcommand is not None:
        return
    if account is not None:
        known_account(account, "--account")
    found = [n for n in look_for_notes(CONTEXT.database(), CONTEXT.settings.rollup_plan, instants.now()).notes if account in (None, n.account_id)]
    if as_json:
        print_json([asdict(n) for n in found])
        return
    columns = ("number", "check", "account", "subject", "count", "found", "what settles it")
    rows = [(n.number, n.check, n.account_id, n.subject, f"{n.count:,}", n.found, n.look) for n in found]
    print_rows("Notes", columns, rows, right=("number", "count"), below=("found", "what settles it"), wide=wide, none="no note is open")


def accept(number: Annotated[int, typer.Argument(metavar="NUMBER", help="The note's number, as `jarvis notes` lists it.")], reason: Reason) -> None:
    """Settle what a note named, as an event of the hash chain. What comes later, or becomes worse, is a new note."""
    database = CONTEXT.database()
    settled.accept(database, number, reason)
    database.close()
    say(f"note {number} is accepted")

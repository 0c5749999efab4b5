"""`jarvis chain`: the hash chain over everything recorded."""

from __future__ import annotations

import json

import typer

from jarvis.cli.context import CONTEXT
from jarvis.cli.options import Json, Wide
from jarvis.cli.output import print_json, print_rows, words
from jarvis.cli.times import at
from jarvis_client.contract import instants
from jarvis_client.contract.instants import to_text
from persistence.books import events
from persistence.proof import chain


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="The hash chain over everything recorded.", no_args_is_help=True)
    group.command("head")(chain_head)
    group.command("events")(chain_events)
    app.add_typer(group, name="chain")


def chain_head(as_json: Json = False) -> None:
    """Seal what is not sealed yet and print the chain's head, BLOCK:HASH. Keep it elsewhere: `jarvis verify --chain --head` proves it later."""
    database = CONTEXT.database()
    head = chain.seal(database, instants.now())
    database.close()
    if as_json:
        print_json({"block_no": head.block_no, "hash": head.hash.hex(), "facts_to": head.facts_to})
    else:
        print(head)


def chain_events(wide: Wide = False, as_json: Json = False) -> None:
    """List what happened to recorded rows: deleted accounts, decisions about quarantine, earlier places, going back to a backup."""
    with CONTEXT.database(looking=True).get_connection() as connection:
        found = [(number, instant, kind, json.loads(content)) for number, kind, instant, content in events.all_events(connection)]
    columns = ("event", "at", "kind", "content")
    if as_json:
        print_rows("Events of the chain", columns, [(number, to_text(instant), kind, content) for number, instant, kind, content in found], as_json=True)
        return
    shown = [(number, at(instant), kind, words(content)) for number, instant, kind, content in found]
    print_rows("Events of the chain", columns, shown, right=("event",), whole=("at",), below=("content",), timed=True, wide=wide)

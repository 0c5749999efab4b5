"""`jarvis gaps`: what a producer sent and never arrived."""

from __future__ import annotations

from typing import Annotated

import typer

from jarvis.cli.common import Exit
from jarvis.cli.context import CONTEXT
from jarvis.cli.options import Json
from jarvis.cli.output import print_rows
from persistence.repositories import SQLiteGapRepository


def register(app: typer.Typer) -> None:
    app.command()(gaps)


def gaps(producer: Annotated[str | None, typer.Option(help="Only this producer.")] = None, as_json: Json = False) -> None:
    """List the sequence numbers that a producer used and that never arrived. Exit code 1 where there are any."""
    found = SQLiteGapRepository(CONTEXT.database()).find_open(producer)
    columns = ("producer", "first", "last", "missing", "noticed_at")
    rows = [(g.producer, g.first, g.last, g.missing, g.noticed_at.isoformat(timespec="seconds")) for g in found]
    print_rows("Gaps", columns, rows, right=("first", "last", "missing"), as_json=as_json)
    if found:
        raise typer.Exit(Exit.FINDINGS)

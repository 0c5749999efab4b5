"""`jarvis import`: records straight into the books."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from jarvis.cli.common import Exit, say
from jarvis.cli.context import CONTEXT
from jarvis.cli.lines import Source, lines_of
from jarvis_client.contract import instants
from persistence.books.ledger import Ledger
from persistence.domain.showing import count_of
from persistence.imports import import_lines
from persistence.proof.chain import seal
from workers.app import tune_interpreter
from workers.messages import item_of_line


def register(app: typer.Typer) -> None:
    app.command("import")(import_)


def import_(
    source: Source,
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Exit 0 although something was quarantined.")] = False,
) -> None:
    """Record NDJSON records straight into the books, without a broker. Importing the same file again changes nothing.

    A malformed line goes to quarantine with its number, the rest is recorded, and the exit code is 1. A file that begins with no
    record at all is not taken: exit code 2, nothing recorded.
    """
    tune_interpreter()
    conventions = CONTEXT.settings.conventions
    with lines_of(source) as (lines, progress):
        database = CONTEXT.database()
        database.initialize()
        counts = import_lines(Ledger(database), lines, partial(item_of_line, conventions=conventions), progress)
    seal(database, instants.now())
    database.close()
    for problem in counts.problems:
        say(f"quarantined: {problem}")
    if counts.quarantined > len(counts.problems):
        say(f"and {counts.quarantined - len(counts.problems):,} more: `jarvis quarantine list`")
    taken = f"{counts.applied:,} applied, {count_of('duplicate', counts.duplicate)}, {counts.quarantined:,} quarantined"
    say(f"imported {count_of('record', counts.lines)}: {taken}")
    if counts.quarantined and not keep_going:
        raise typer.Exit(Exit.FINDINGS)

"""`jarvis import`: records straight into the books."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from jarvis.cli.common import Exit, say
from jarvis.cli.context import CONTEXT
from jarvis.cli.lines import Source, lines_of
from persistence.books.ledger import Ledger
from persistence.domain import instants
from persistence.imports import import_lines
from persistence.proof.chain import seal
from workers.app import tune_interpreter
from workers.messages import item_of_line


def register(app: typer.Typer) -> None:
    app.command("import")(import_)


def import_(
    source: Source,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 when anything was quarantined.")] = False,
) -> None:
    """Record NDJSON records straight into the books, without a broker. Importing the same file again changes nothing.

    A malformed line goes to quarantine with its number, the rest is recorded.
    """
    tune_interpreter()
    database = CONTEXT.database()
    database.initialize()
    conventions = CONTEXT.settings.conventions
    with lines_of(source) as (lines, progress):
        counts = import_lines(Ledger(database), lines, partial(item_of_line, conventions=conventions), progress)
    seal(database, instants.now())
    database.close()
    for problem in counts.problems:
        say(f"quarantined: {problem}")
    if counts.quarantined > len(counts.problems):
        say(f"… and {counts.quarantined - len(counts.problems):,} more: jarvis quarantine list")
    say(f"imported {counts.lines:,} records: {counts.applied:,} applied, {counts.duplicate:,} duplicates, {counts.quarantined:,} quarantined")
    if strict and counts.quarantined:
        raise typer.Exit(Exit.FINDINGS)

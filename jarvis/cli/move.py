"""`jarvis db move`: the books to another engine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jarvis.cli.common import say
from jarvis.cli.context import CONTEXT
from jarvis.cli.options import Json
from jarvis.cli.output import doing, print_json
from jarvis.moving import move_books
from persistence.domain.showing import count_of


def db_move(
    to: Annotated[str | None, typer.Option("--to", metavar="URL", help="postgresql://USER@HOST/DATABASE, or the path of a new SQLite file.")] = None,
    to_file: Annotated[Path | None, typer.Option("--to-file", metavar="FILE", help="A file that holds the URL, where that has a password.")] = None,
    stop: Annotated[bool, typer.Option("--stop", help="Stop the workers and the scheduler of this host first.")] = False,
    as_json: Json = False,
) -> None:
    """Move the books to another engine: from SQLite to PostgreSQL, or back. The books that are there stay as they are.

    Every row goes over, is read back and compared; whose books they are comes last, so nothing opens them before all is there. The same
    command goes on after one that was cut off. Stop the workers and schedulers of every host first: what is recorded in the old books
    meanwhile is noticed, and not moved.
    """
    if (to is None) == (to_file is None):
        raise typer.BadParameter("give one of --to URL and --to-file FILE", param_hint="--to")
    url = to if to is not None else _read(to_file)
    with doing("moving the books", wanted=not as_json) as progress:
        moved, place = move_books(CONTEXT.settings, url, stop=stop, progress=progress)
    if as_json:
        print_json({"to": place.shown, "facts": moved.facts, "rows": moved.rows, "rows_of_an_earlier_run": moved.were_there, "head": str(moved.head)})
        return
    earlier = f", {moved.were_there:,} of them in an earlier run" if moved.were_there else ""
    say(f"moved to {place.shown}: {count_of('record', moved.facts)} in {count_of('row', moved.rows)}{earlier}, each read back and compared")
    say(f"the chain has the same head: {moved.head}")
    say(f"next: {place.to_be_set}, then start. Start nothing on the old books again: what they record would be missing here")


def _read(file: Path | None) -> str:
    assert file is not None
    try:
        return file.read_text("utf-8").strip()
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}", param_hint="--to-file") from error

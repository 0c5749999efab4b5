"""`jarvis gaps`: what a producer sent and never arrived; accept what never will."""

from __future__ import annotations

from typing import Annotated

import typer

from jarvis.cli.common import Exit, say
from jarvis.cli.context import CONTEXT
from jarvis.cli.options import Json, Reason, Wide
from jarvis.cli.output import print_rows
from jarvis.cli.times import at
from jarvis.reading.oddities import GAP, gap
from jarvis_client.contract.instants import to_instant
from persistence.repositories import SQLiteGapRepository


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="List a producer's sequence numbers that never arrived (exit code 1 where there are any); `accept` settles some.",
        invoke_without_command=True,
    )
    group.callback()(gaps)
    group.command("accept")(accept)
    app.add_typer(group, name="gaps")


def gaps(
    ctx: typer.Context, producer: Annotated[str | None, typer.Option(help="Only this producer.")] = None, wide: Wide = False, as_json: Json = False
) -> None:
    """List a producer's sequence numbers that never arrived (exit code 1 where there are any); `accept` settles some."""
    if ctx.invoked_subcommand is not None:
        return
    found = SQLiteGapRepository(CONTEXT.database()).find_open(producer)
    if as_json:
        print_rows("Gaps", GAP, map(gap, found), as_json=True)
    else:
        # The numbers stand as `accept` takes them.
        rows = [(g.producer, g.first, g.last, f"{g.missing:,}", at(to_instant(g.noticed_at))) for g in found]
        print_rows("Gaps", GAP, rows, right=("first", "last", "missing"), whole=("noticed_at",), timed=True, wide=wide)
    if found:
        raise typer.Exit(Exit.FINDINGS)


def accept(
    producer: Annotated[str, typer.Argument(metavar="PRODUCER", help="Whose numbers, as `jarvis gaps` lists them.")],
    reason: Reason,
    numbers: Annotated[str | None, typer.Argument(metavar="FROM-TO", help="Only these numbers, such as 17-20, or 17.")] = None,
) -> None:
    """Settle numbers that will never arrive, for good: an event of the hash chain. A record that comes with one all the same is recorded."""
    first, last = (None, None) if numbers is None else _range(numbers)
    database = CONTEXT.database()
    settled = SQLiteGapRepository(database).accept(producer, first, last, reason)
    database.close()
    said = ", ".join(str(since) if since == until else f"{since}-{until}" for since, until in settled)
    say(f"accepted {said} of {producer}")


def _range(text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    if not (first.isdecimal() and (last.isdecimal() if dash else not last)):
        raise typer.BadParameter(f"{text!r} is no range of numbers; write it as 17-20, or 17", param_hint="FROM-TO")
    since, until = int(first), int(last or first)
    if until < since:
        raise typer.BadParameter(f"{text!r} ends before it begins; write it as {until}-{since}", param_hint="FROM-TO")
    return since, until

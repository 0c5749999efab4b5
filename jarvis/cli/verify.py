"""`jarvis verify`: is everything what was recorded?"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import Annotated

import typer

from jarvis.cli.common import Exit, say
from jarvis.cli.context import CONTEXT
from jarvis.cli.options import Json
from jarvis.cli.output import doing, print_json, tell_findings
from jarvis_client.contract import instants
from jarvis_client.contract.errors import BooksError
from persistence.books.events import all_events
from persistence.domain.errors import WrongDatabase
from persistence.domain.finding import Finding, Note
from persistence.engine.contract import LiveBooks
from persistence.proof.chain_checks import Anchor
from persistence.repositories import SQLiteQuarantineRepository
from scheduler import verification
from scheduler.notes import look_for_notes


def register(app: typer.Typer) -> None:
    app.command()(verify)


def verify(
    quick: Annotated[bool, typer.Option("--quick", help="Only what came since the last verification without findings.")] = False,
    full: Annotated[bool, typer.Option("--full", help="A rebuild from the facts compared with what is stored, and every backup read back, too.")] = False,
    chain: Annotated[bool, typer.Option("--chain", help="Only the hash chain, and the rows against it.")] = False,
    head: Annotated[
        list[str] | None, typer.Option("--head", metavar="BLOCK:HASH", help="A head of the chain that was kept elsewhere; may be given several times.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 for notes, too, and for what is held in quarantine.")] = False,
    as_json: Json = False,
) -> None:
    """Check everything: the file and its pages, the books, the hash chain, what rollups derived, gaps, quarantine, backups.

    A finding says that the books are damaged or incomplete. A note says that what was recorded is odd: it fails nothing, unless --strict;
    `jarvis notes accept` settles one. Exits 0 where all is well, 1 with findings (expected, found, where, how to look further), 3 where it
    could not be checked.
    """
    if quick + full + chain > 1:
        raise typer.BadParameter("give one of --quick, --full and --chain", param_hint="--quick")
    settings, database = CONTEXT.settings, CONTEXT.database(looking=True)
    chosen = settings.database.backup
    folder = chosen.path if chosen.enabled and chosen.daily_backup else None
    heads = [_head(text) for text in head or ()]
    notes: list[Note] = []
    held: dict[str, int] = {}
    try:
        if not (quick or as_json):
            with suppress(WrongDatabase):  # findings tell what is wrong with it
                _tell_events(database)
        if chain:
            with doing("checking the hash chain", wanted=not as_json) as progress:
                findings = verification.verify_chain(database, settings.rollup_plan, instants.now(), chosen.path, heads, progress)
        else:
            depth = verification.Depth.QUICK if quick else verification.Depth.FULL if full else verification.Depth.USUAL
            with doing("checking the books", wanted=not as_json) as progress:
                findings = verification.verify(
                    database, settings.rollup_plan, instants.now(), folder, depth=depth, heads=heads, second_folder=chosen.second.path, progress=progress
                )
            try:
                notes, unread = look_for_notes(database, settings.rollup_plan, instants.now(), anew=full)
                findings += unread
                held = SQLiteQuarantineRepository(database).held_by_reason()
            except WrongDatabase as error:
                said = str(error).partition(";")[0]
                findings.append(Finding("notes can be looked for", "books", "rows that can be read", said, verification.RESTORE))
    except (BooksError, OSError) as error:
        say(f"could not be checked: {error}")
        if as_json:
            print_json({"error": str(error)})
        raise typer.Exit(Exit.FAILED) from error
    finally:
        database.close()
    if held:
        said = ", ".join(f"{reason} ({count:,})" for reason, count in held.items())
        say(f"{sum(held.values()):,} held in quarantine: {said}: `jarvis quarantine list`")
    tell_findings(findings, "no findings", as_json=as_json, notes=notes, strict=strict and bool(notes or held))


def _tell_events(database: LiveBooks) -> None:
    """What the chain says happened to recorded rows: sound books may still hold what their owner did not do."""
    with database.get_connection() as connection:
        counts = Counter(kind for _, kind, _, _ in all_events(connection))
    if counts:
        say(f"events of the chain: {', '.join(f'{kind} ({n:,})' for kind, n in sorted(counts.items()))} (jarvis chain events)")


def _head(text: str) -> Anchor:
    number, _, digest = text.partition(":")
    try:
        if len(digest) != 64:
            raise ValueError
        return Anchor(int(number), bytes.fromhex(digest), f"--head {number}:{digest[:8]}…")
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no head; `jarvis chain head` prints one, such as 12:3fa9… with 64 hexadecimal digits", param_hint="--head"
        ) from None

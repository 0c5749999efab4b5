"""Proving the books: verification, the hash chain, a rebuild from the facts."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from jarvis.cli.common import CONTEXT, Exit, print_json, print_rows, say, tell_findings

if TYPE_CHECKING:
    from persistence.database import DatabaseManager

Json = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]


def register(app: typer.Typer) -> None:
    for command in (verify, rebuild):
        app.command(rich_help_panel="Look after")(command)
    group = typer.Typer(help="The hash chain over everything recorded.", no_args_is_help=True)
    group.command("head")(chain_head)
    group.command("events")(chain_events)
    app.add_typer(group, name="chain", rich_help_panel="Look after")


def verify(
    quick: Annotated[bool, typer.Option("--quick", help="Only what came since the last verification without findings.")] = False,
    full: Annotated[bool, typer.Option("--full", help="A rebuild from the facts compared with what is stored, and every backup read back, too.")] = False,
    chain: Annotated[bool, typer.Option("--chain", help="Only the hash chain, and the rows against it.")] = False,
    head: Annotated[
        list[str] | None, typer.Option("--head", metavar="BLOCK:HASH", help="A head of the chain that was kept elsewhere; may be given several times.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check everything: the file and its pages, the books, the hash chain, what rollups derived, gaps, quarantine, backups.

    Exits 0 where all is well, 1 with findings (expected, found, where, how to look further), 3 where it could not be checked.
    """
    from persistence.domain import instants
    from persistence.domain.errors import BooksError
    from scheduler import verification

    if quick + full + chain > 1:
        raise typer.BadParameter("give one of --quick, --full and --chain", param_hint="--quick")
    settings, database = CONTEXT.settings, CONTEXT.database(looking=True)
    chosen = settings.database.backup
    folder = chosen.path if chosen.enabled and chosen.daily_backup else None
    heads = [_head(text) for text in head or ()]
    try:
        if not (quick or as_json):
            _tell_events(database)
        if chain:
            findings = verification.verify_chain(database, settings.rollup_plan, instants.now(), chosen.path, heads)
        else:
            depth = verification.Depth.QUICK if quick else verification.Depth.FULL if full else verification.Depth.USUAL
            findings = verification.verify(database, settings.rollup_plan, instants.now(), folder, depth=depth, heads=heads, second_folder=chosen.second.path)
    except (BooksError, OSError) as error:
        say(f"could not be checked: {error}")
        if as_json:
            print_json({"error": str(error)})
        raise typer.Exit(Exit.FAILED) from error
    finally:
        database.close()
    tell_findings(findings, "no findings", as_json=as_json)


def _tell_events(database: DatabaseManager) -> None:
    """What the chain says happened to recorded rows: sound books may still hold what their owner did not do."""
    from collections import Counter

    from persistence.books.events import all_events

    with database.get_connection() as connection:
        counts = Counter(kind for _, kind, _, _ in all_events(connection))
    if counts:
        say(f"the chain tells of {', '.join(f'{kind} ({n:,})' for kind, n in sorted(counts.items()))}: `jarvis chain events`")


def _head(text: str):  # type: ignore[no-untyped-def]  # a lazy import keeps the command quick
    from persistence.proof.chain_checks import Anchor

    number, _, digest = text.partition(":")
    try:
        if len(digest) != 64:
            raise ValueError
        return Anchor(int(number), bytes.fromhex(digest), f"--head {number}:{digest[:8]}…")
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no head; `jarvis chain head` prints one, such as 12:3fa9… with 64 hexadecimal digits", param_hint="--head"
        ) from None


def chain_head(as_json: Json = False) -> None:
    """Seal what is not sealed yet and print the chain's head, BLOCK:HASH. Keep it elsewhere: `jarvis verify --chain --head` proves it later."""
    from persistence.domain import instants
    from persistence.proof import chain

    database = CONTEXT.database()
    head = chain.seal(database, instants.now())
    database.close()
    if as_json:
        print_json({"block_no": head.block_no, "hash": head.hash.hex(), "facts_to": head.facts_to})
    else:
        print(head)


def chain_events(as_json: Json = False) -> None:
    """List what happened to recorded rows: deleted accounts, decisions about quarantine, earlier places, going back to a backup."""
    from persistence.books import events
    from persistence.domain.instants import to_text

    with CONTEXT.database(looking=True).get_connection() as connection:
        rows = [(number, to_text(at), kind, json.loads(content) if as_json else content) for number, kind, at, content in events.all_events(connection)]
    print_rows("Events of the chain", ("event", "at", "kind", "content"), rows, right=("event",), as_json=as_json)


def rebuild(
    check: Annotated[bool, typer.Option("--check", help="Only compare, change nothing; workers may run. Exits 1 with findings.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Stop the workers and the scheduler that hold the books first.")] = False,
    as_json: Json = False,
) -> None:
    """Derive balances, orders and daily figures from the recorded facts alone and compare; without --check, put them in place, after a backup."""
    from jarvis.restoring import nobody_else, stop_holders
    from persistence.copies import backups
    from persistence.domain import instants
    from scheduler import rebuild as rebuilding
    from scheduler.verification import check_rebuild

    settings = CONTEXT.settings
    now = instants.now()
    database = CONTEXT.database(looking=True)
    if check:
        with database.copied(settings.data_folder) as copy:
            findings = list(check_rebuild(copy, settings.rollup_plan, now))
        tell_findings(findings, "everything derived equals a rebuild", as_json=as_json)
        return
    if stop:
        stop_holders(settings.data_folder)
    with nobody_else(settings.data_folder):
        kept = backups.keep_as_is(database, settings.database.backup.path, now)
        say(f"the books as they were are kept as {kept}")
        findings = rebuilding.replace(database, settings.rollup_plan, now)
        database.close()
    if as_json:
        print_json([asdict(f) for f in findings])
    for f in () if as_json else findings:
        print(f"{f.where}: {f.found} is {f.expected} now")
    say(f"rebuilt; {len(findings)} difference{'s' * (len(findings) != 1)}" if findings else "rebuilt; nothing was different")

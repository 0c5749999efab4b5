"""`jarvis restore`: coming back from a backup."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from jarvis.cli.backup import named
from jarvis.cli.common import say
from jarvis.cli.context import CONTEXT
from jarvis.cli.options import parse_time
from jarvis.restoring import restore_books
from persistence.copies import backups
from persistence.copies.backups import Backup
from persistence.copies.restoring import restore_copy
from persistence.copies.second_place import decrypt
from persistence.files import make_last_folder, scratch_folder


def register(app: typer.Typer) -> None:
    app.command()(restore)


def restore(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="The backup to restore.")] = None,
    latest: Annotated[bool, typer.Option("--latest", help="The newest proved backup.")] = False,
    at: Annotated[str | None, typer.Option("--at", metavar="TIME", help="The newest proved backup from this time or before.")] = None,
    to: Annotated[Path | None, typer.Option("--to", metavar="PATH", help="Into a new file, the present database stays as it is.")] = None,
    stop: Annotated[bool, typer.Option("--stop", help="Stop the workers and the scheduler that hold the books first.")] = False,
    unproved: Annotated[bool, typer.Option("--unproved", help="A backup without a readable manifest, too: only what it holds is checked then.")] = False,
    identity: Annotated[Path | None, typer.Option("--identity", metavar="KEYFILE", help="The age secret key of an encrypted copy (.age).")] = None,
) -> None:
    """Bring the books back from a backup. It is verified before anything is touched, and the present database is kept aside.

    What was recorded after the backup is written out as NDJSON where the present database can be read; `jarvis import` takes it.
    """
    if (file is not None) + latest + (at is not None) != 1:
        raise typer.BadParameter("name a FILE, or give one of --latest and --at TIME", param_hint="FILE")
    settings = CONTEXT.settings
    backup = named(file) if file is not None else backups.find(settings.database.backup.path, at=parse_time(at, "--at"))
    if backup.path.suffix == ".age":
        if identity is None:
            raise typer.BadParameter(f"{backup.path} is encrypted; name the file with its age secret key", param_hint="--identity")
        make_last_folder(settings.data_folder)
        with scratch_folder(settings.data_folder, "decrypted") as folder:
            _bring_back(decrypt(backup.path, identity, folder, unproved=unproved), to, stop, unproved)
        return
    _bring_back(backup, to, stop, unproved)


def _bring_back(backup: Backup, to: Path | None, stop: bool, unproved: bool) -> None:
    settings = CONTEXT.settings
    if to is not None:
        restore_copy(backup, to, unproved=unproved)
        say(f"restored {backup.path.name} to {to}")
        return
    done = restore_books(settings, backup, datetime.now(UTC), stop=stop, unproved=unproved)
    say(f"restored {backup.path.name} to {settings.database.path}")
    if done.aside is not None:
        say(f"the database that was there is kept as {done.aside}")
    if done.later is not None and done.later_count:
        say(f"{done.later_count:,} records came after this backup, they are in {done.later}: `jarvis import {done.later}` brings them back")
    elif done.by_hand:
        pass
    elif done.problem:
        say(f"what came after this backup could not be read from it ({done.problem}); publish it again from the engine, what is known counts as a duplicate")
    else:
        say("nothing was recorded after this backup")
    if done.by_hand:
        say(f"{done.by_hand:,} entries were saved by hand after this backup: only {done.aside} has them, save them again")
    for note in done.missing_notes:
        _, _, epoch, block_no = note.stem.split("-")
        content = f'{{"epoch": "{epoch}", "block_no": {block_no}}}'
        say(f"could not write {note}: without it `jarvis verify` takes the backups of what was left for a contradiction; put there yourself: {content}")
    if done.quarantined:
        say(f"{done.quarantined:,} records were quarantined after this backup: `JARVIS_DATABASE__PATH={done.aside} jarvis quarantine export` has them")
    say("go on with `jarvis rollup`, then start the workers and the scheduler")

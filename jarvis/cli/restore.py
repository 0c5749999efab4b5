"""`jarvis restore`: coming back from a backup."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from jarvis.cli.common import say
from jarvis.cli.context import CONTEXT
from jarvis.cli.options import parse_time
from jarvis.cli.output import doing
from jarvis.opening import open_database
from jarvis.restoring import restore_books
from jarvis_client.contract.instants import to_instant, to_text
from persistence.copies import backups
from persistence.copies.backups import Backup
from persistence.copies.choosing import choose, present_books
from persistence.copies.proving import is_encrypted
from persistence.copies.restoring import Restored, restore_copy
from persistence.copies.second_place import decrypt
from persistence.database import DatabaseManager
from persistence.domain.progress import Progress
from persistence.domain.showing import count_of, lasting
from persistence.files import make_last_folder, scratch_folder


def register(app: typer.Typer) -> None:
    app.command()(restore)


class _Asked(NamedTuple):
    """How a backup is to be brought back."""

    to: Path | None
    stop: bool
    unproved: bool
    until: datetime | None


def restore(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="The backup to restore, whatever it is called.")] = None,
    latest: Annotated[bool, typer.Option("--latest", help="The proved backup of these books that reaches furthest.")] = False,
    at: Annotated[str | None, typer.Option("--at", metavar="TIME", help="The books as they were recorded up to this time.")] = None,
    books: Annotated[str | None, typer.Option("--books", metavar="ID", help="Whose backup, where there are those of several and no database.")] = None,
    to: Annotated[Path | None, typer.Option("--to", metavar="PATH", help="Into a new file, the present database stays as it is.")] = None,
    stop: Annotated[bool, typer.Option("--stop", help="Stop the workers and the scheduler that hold the books first.")] = False,
    unproved: Annotated[bool, typer.Option("--unproved", help="A file without a readable manifest, too: only what it holds is checked then.")] = False,
    identity: Annotated[Path | None, typer.Option("--identity", metavar="KEYFILE", help="The age secret key of an encrypted copy (.age).")] = None,
) -> None:
    """Bring the books back from a backup. It is verified before anything is touched, and the present database is kept aside.

    What was recorded after the backup is written out as NDJSON where the present database can be read; `jarvis import` takes it. With
    --at what was recorded up to that time is brought in, too.
    """
    if (file is not None) + latest + (at is not None) != 1:
        raise typer.BadParameter("name a FILE, or give one of --latest and --at TIME", param_hint="FILE")
    if file is not None and books is not None:
        raise typer.BadParameter("a FILE says itself whose it is; --books goes with --latest and --at", param_hint="--books")
    settings, now = CONTEXT.settings, datetime.now(UTC)
    until = parse_time(at, "--at")
    backup = backups.identified(file) if file is not None else _chosen(to_instant(now), until, books)
    asked = _Asked(to, stop, unproved, until)
    if is_encrypted(backup.path):
        if identity is None:
            raise typer.BadParameter(f"{backup.path} is encrypted; name the file with its age secret key", param_hint="--identity")
        make_last_folder(settings.data_folder)
        with scratch_folder(settings.data_folder, "decrypted") as folder:
            _bring_back(decrypt(backup.path, identity, folder, unproved=unproved), asked, now)
        return
    _bring_back(backup, asked, now)


def _chosen(now: int, at: datetime | None, books: str | None) -> Backup:
    """The backup that --latest or --at means, what was passed over said."""
    settings = CONTEXT.settings
    with closing(open_database(settings)) as database:
        present = present_books(database)
    choice = choose(settings.database.backup.path, now, book=books or (present[0] if present else None), at=at, beside=settings.database.path)
    for remark in choice.remarks:
        say(remark)
    return choice.backup


def _bring_back(backup: Backup, asked: _Asked, now: datetime) -> None:
    settings = CONTEXT.settings
    with doing(f"restoring {backup.path.name}") as progress:
        done = _to_new_file(backup, asked, asked.to, progress) if asked.to is not None else restore_books(
            settings, backup, now, stop=asked.stop, unproved=asked.unproved, until=asked.until, progress=progress
        )  # fmt: skip
    say(f"restored {backup.path.name} to {asked.to or settings.database.said}")
    if asked.until is not None:
        say(_landed(backup, done, asked.until))
    if asked.to is not None:
        return
    if done.aside is not None:
        say(f"the database that was there is kept as {done.aside}")
    _tell_what_came_later(backup, done, asked.until)
    for note in done.missing_notes:
        _, _, epoch, block_no = note.stem.split("-")
        content = f'{{"epoch": "{epoch}", "block_no": {block_no}}}'
        say(f"could not write {note}: without it `jarvis verify` takes the backups of what was left for a contradiction; put there yourself: {content}")
    if done.quarantined:
        held = count_of("record", done.quarantined)
        say(f"quarantined after this backup: {held}; `JARVIS_DATABASE__PATH={done.aside} jarvis quarantine export` writes it out")
    say("go on with `jarvis rollup`, then start the workers and the scheduler")


def _to_new_file(backup: Backup, asked: _Asked, to: Path, progress: Progress) -> Restored:
    with closing(open_database(CONTEXT.settings)) as database:
        until = None if asked.until is None else to_instant(asked.until)
        present = database if isinstance(database, DatabaseManager) and Path(database.path).exists() else None
        return restore_copy(backup, to, unproved=asked.unproved, until=until, present=present, progress=progress)


def _landed(backup: Backup, done: Restored, until: datetime) -> str:
    """How far the books stand from the time that was asked for."""
    wanted = to_text(to_instant(until))
    if done.compared:
        but = f", but for {done.left_out:,} saved by hand or refused" if done.left_out else " exactly"
        taken = f"{count_of('record', done.brought_in)} of it from the database that was there"
        return f"the books stand at {wanted}{but}: what was recorded up to then is in them, {taken}"
    why = f"the present database could not be read ({done.problem})" if done.problem else "there is no database that the rest could be taken from"
    far = lasting((until - backup.taken_at).total_seconds())
    return f"the books stand {far} before {wanted}, at {backup.taken_at:%Y-%m-%dT%H:%M:%SZ}, because {why}"


def _tell_what_came_later(backup: Backup, done: Restored, until: datetime | None) -> None:
    after = "this backup" if until is None else to_text(to_instant(until))
    if done.later is not None:
        one = done.later_count == 1
        say(
            f"{count_of('record', done.later_count)} came after {after}, {'it is' if one else 'they are'} in {done.later}: "
            f"`jarvis import {done.later}` brings {'it' if one else 'them'} back"
        )
    elif not done.compared:
        reason = f"what came after {after} could not be read ({done.problem})" if done.problem else "there was no database to compare with"
        say(f"{reason}: publish it again from the engine, {_since(backup, done)}; what is known counts as a duplicate")
    elif not done.by_hand:
        say(f"nothing was recorded after {after}")
    if done.by_hand:
        say(f"saved by hand after this backup: {count_of('entry', done.by_hand, 'entries')}, which only {done.aside} has; save again what you need of it")


def _since(backup: Backup, done: Restored) -> str:
    if done.recorded_until is None:
        return "all of it: this backup holds no record"
    return f"everything since {to_text(done.recorded_until)} (the newest record of this backup; it was taken at {backup.taken_at:%Y-%m-%dT%H:%M:%SZ})"

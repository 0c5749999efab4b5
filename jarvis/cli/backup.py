"""Backups by hand, and coming back from one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jarvis.cli.common import CONTEXT, Exit, parse_time, print_rows, say

if TYPE_CHECKING:
    from persistence.copies.backups import Backup

Json = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Backups: copies that were restored and compared before they count.", no_args_is_help=True)
    for name, command in (("create", create), ("list", list_), ("verify", verify), ("prune", prune)):
        group.command(name)(command)
    app.add_typer(group, name="backup", rich_help_panel="Look after")
    app.command(rich_help_panel="Look after")(restore)


def create() -> None:
    """Take a backup now, while workers write, and prove it: restored apart, checked, compared with what was copied."""
    from jarvis.processes import elsewhere
    from persistence.copies import backups
    from persistence.copies.second_place import carry
    from persistence.domain import instants
    from scheduler.jobs import chain_of

    settings = CONTEXT.settings.database.backup
    made = backups.create(CONTEXT.database(), settings.path, instants.now(), compress=settings.compress)
    assert made.manifest is not None
    say(f"backed up and proved: {made.path} ({made.size:,} bytes of {made.manifest['content_bytes']:,})")
    say(f"head of the chain: {chain_of(made)}")
    if (second := elsewhere(CONTEXT.settings)) is not None and (copied := carry(made, second, instants.now())) is not None:
        say(f"copied to {copied}")


def list_(as_json: Json = False) -> None:
    """List the backups, the newest first: when each was taken, whether it was proved, what it holds."""
    from persistence.copies import backups

    rows = []
    for backup in backups.present(CONTEXT.settings.database.backup.path):
        held = backup.manifest or {}
        facts = held.get("tables", {}).get("facts", {}).get("rows")
        newest = (held.get("newest_transaction") or {}).get("occurred_at")
        rows.append((backup.path.name, f"{backup.taken_at:%Y-%m-%dT%H:%M:%SZ}", "yes" if backup.proved else "no", backup.size, facts, newest))
    columns = ("file", "taken_at", "proved", "bytes", "facts", "newest_transaction")
    print_rows("Backups", columns, rows, right=("bytes", "facts"), as_json=as_json)


def verify(
    files: Annotated[list[Path] | None, typer.Argument(metavar="[FILE …]", help="These; without any, every backup there is.")] = None,
) -> None:
    """Read backups back: against their manifests, decompressed, checked, every table compared. Exits 1 where one is not sound."""
    from persistence.copies import backups
    from persistence.domain.errors import BooksError

    present = backups.present(CONTEXT.settings.database.backup.path)
    chosen = present if not files else [_named(path) for path in files]
    if not chosen:
        say(f"there is no backup in {CONTEXT.settings.database.backup.path}; `jarvis backup create` takes one")
        raise typer.Exit(Exit.FINDINGS)
    bad = 0
    for backup in chosen:
        try:
            backups.verify(backup)
            say(f"sound: {backup.path}")
        except BooksError as error:
            bad += 1
            say(f"not sound: {error}")
    if bad:
        raise typer.Exit(Exit.FINDINGS)


def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, remove nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="More than two at once.")] = False,
) -> None:
    """Remove backups past their retention: never the newest seven proved ones, at most two a run, nothing where the newest failed."""
    from persistence.copies import backups
    from persistence.domain import instants

    chosen = CONTEXT.settings.database.backup
    gone = backups.prune(
        chosen.path, instants.now(), chosen.retention_days, keep_weekly=chosen.keep_weekly, keep_monthly=chosen.keep_monthly, forced=force, dry_run=dry_run
    )
    for backup in gone:
        say(f"{'would remove' if dry_run else 'removed'} {backup.path}")
    if not gone:
        say("nothing to remove")


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
    from persistence.copies import backups
    from persistence.copies.second_place import decrypt
    from persistence.files import scratch_folder

    if (file is not None) + latest + (at is not None) != 1:
        raise typer.BadParameter("name a FILE, or give one of --latest and --at TIME", param_hint="FILE")
    settings = CONTEXT.settings
    backup = _named(file) if file is not None else backups.find(settings.database.backup.path, at=parse_time(at, "--at"))
    if backup.path.suffix == ".age":
        if identity is None:
            raise typer.BadParameter(f"{backup.path} is encrypted; name the file with its age secret key", param_hint="--identity")
        settings.data_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with scratch_folder(settings.data_folder, "decrypted") as folder:
            _bring_back(decrypt(backup.path, identity, folder, unproved=unproved), to, stop, unproved)
        return
    _bring_back(backup, to, stop, unproved)


def _bring_back(backup: Backup, to: Path | None, stop: bool, unproved: bool) -> None:
    from jarvis.restoring import restore_books
    from persistence.copies.restoring import restore_copy

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


def _named(path: Path):  # type: ignore[no-untyped-def]  # a lazy import keeps the command quick
    from persistence.copies import backups

    found = next((b for b in backups.present(path.parent) if b.path.name == path.name), None)
    if found is None:
        raise typer.BadParameter(f"{path} is no backup; `jarvis backup list` shows what there is", param_hint="FILE")
    return found

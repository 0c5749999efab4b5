"""`jarvis backup`: copies that count."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from jarvis.cli.common import Exit, say
from jarvis.cli.context import CONTEXT
from jarvis.cli.options import Json
from jarvis.cli.output import print_rows
from jarvis.scheduling import elsewhere
from persistence.copies import backups
from persistence.copies.places import claim
from persistence.copies.second_place import carry
from persistence.domain import instants
from persistence.domain.errors import BooksError
from persistence.engine.sqlite.rescue import PATTERN as RESCUED
from scheduler.jobs import chain_of


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Backups: copies that were restored and compared before they count.", no_args_is_help=True)
    for name, command in (("create", create), ("list", list_), ("verify", verify), ("prune", prune), ("adopt", adopt)):
        group.command(name)(command)
    app.add_typer(group, name="backup")


def create() -> None:
    """Take a backup now, while workers write, and prove it: restored apart, checked, compared with what was copied."""
    settings = CONTEXT.settings.database.backup
    database = CONTEXT.database()
    made = backups.create(database, settings.path, instants.now(), compress=settings.compress)
    assert made.manifest is not None
    say(f"backed up and proved: {made.path} ({made.size:,} bytes of {made.manifest['content_bytes']:,})")
    say(f"head of the chain: {chain_of(made)}")
    second = elsewhere(CONTEXT.settings)
    if second is not None and second.folder is not None:
        claim(database, second.folder)
    if second is not None and (copied := carry(made, second, instants.now())) is not None:
        say(f"copied to {copied}")


def list_(as_json: Json = False) -> None:
    """List the backups, the newest first: when each was taken, whether it was proved, what it holds."""
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
    present = backups.present(CONTEXT.settings.database.backup.path)
    chosen = present if not files else [named(path) for path in files]
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
    chosen = CONTEXT.settings.database.backup
    gone = backups.prune(
        chosen.path, instants.now(), chosen.retention_days, keep_weekly=chosen.keep_weekly, keep_monthly=chosen.keep_monthly, forced=force, dry_run=dry_run
    )
    for backup in gone:
        say(f"{'would remove' if dry_run else 'removed'} {backup.path}")
    if not gone:
        say("nothing to remove")


def adopt(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder that backups, or their copies, go to.")],
) -> None:
    """Accept a folder for backups that these books have not used so far, or that has lost their mark, such as a new disk."""
    claim(CONTEXT.database(), folder, adopt=True)
    say(f"{folder.absolute()} keeps backups of these books from now on")


def named(path: Path) -> backups.Backup:
    found = next((b for b in backups.present(path.parent) if b.path.name == path.name), None)
    if found is None and path.match(RESCUED) and path.is_file():
        return backups.Backup(path, datetime.fromtimestamp(path.stat().st_mtime, UTC), 0)
    if found is None:
        raise typer.BadParameter(f"{path} is no backup; `jarvis backup list` shows what there is", param_hint="FILE")
    return found

"""`jarvis backup`: copies that count."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from jarvis.cli.common import Exit, say
from jarvis.cli.context import CONTEXT
from jarvis.cli.options import Json, Wide
from jarvis.cli.output import doing, print_rows
from jarvis.cli.times import at
from jarvis.reading.copies import listed
from jarvis.scheduling import elsewhere
from jarvis_client.contract import instants
from jarvis_client.contract.errors import BooksError
from jarvis_client.contract.instants import to_instant, to_text
from persistence.copies import backups
from persistence.copies.choosing import choose, present_books
from persistence.copies.kept_aside import kept_aside, remove_kept
from persistence.copies.places import claim
from persistence.copies.second_place import carry
from persistence.domain.showing import count_of, size
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
    with doing("copying the books") as progress:
        made = backups.create(database, settings.path, instants.now(), compress=settings.compress, progress=progress)
    assert made.manifest is not None
    say(f"backed up and proved: {made.path} ({size(made.size)}, {size(made.manifest['content_bytes'])} unpacked)")
    say(f"head of the chain: {chain_of(made)}")
    if (second := elsewhere(CONTEXT.settings)) is not None:
        if second.folder is not None:
            claim(database, second.folder)
        with doing("carrying it to the second place"):
            copied = carry(made, second, instants.now())
        if copied is not None:
            say(f"copied to {copied}")


def list_(
    aside: Annotated[bool, typer.Option("--kept-aside", help="What restores, failed proofs and rescues have left, instead.")] = False,
    wide: Wide = False,
    as_json: Json = False,
) -> None:
    """List the backups, the newest first: whose books, when each was taken, whether it was proved, what it holds."""
    settings = CONTEXT.settings.database
    kept = kept_aside(settings.path, settings.backup.path)
    if aside:
        if as_json:
            rows = [(str(k.path), k.what, to_text(to_instant(k.since)), k.bytes) for k in kept]
            print_rows("Kept aside", ("file", "what", "since", "bytes"), rows, as_json=True)
            return
        shown = [(at(to_instant(k.since)), size(k.bytes), k.what, str(k.path)) for k in kept]
        columns = ("since", "size", "what", "file")
        print_rows("Kept aside", columns, shown, right=("size",), whole=("since",), below=("file",), timed=True, none="nothing is kept aside", wide=wide)
        return
    present, now = _present(), instants.now()
    exact: list[tuple[Any, ...]] = []
    shown_rows: list[tuple[Any, ...]] = []
    for b in (listed(backup, present, now) for backup in backups.present(settings.backup.path)):
        proved, newest = "yes" if b.proved else "no", None if b.newest_at is None else to_text(b.newest_at)
        exact.append((b.file, to_text(b.taken_at), b.books, b.remark, proved, b.bytes, b.facts, newest))
        counted = None if b.facts is None else f"{b.facts:,}"
        shown_rows.append((at(b.taken_at), proved, size(b.bytes), counted, b.books, b.remark, at(b.newest_at), b.file))
    if as_json:
        print_rows("Backups", ("file", "taken_at", "books", "remark", "proved", "bytes", "facts", "newest_transaction"), exact, as_json=True)
        return
    print_rows(
        "Backups", ("taken", "proved", "size", "facts", "books", "remark", "newest_transaction", "file"), shown_rows, right=("size", "facts"),
        whole=("taken", "newest_transaction"), below=("newest_transaction", "file"), timed=True, none=f"no backup is in {settings.backup.path}", wide=wide,
    )  # fmt: skip
    if kept:
        say(f"kept aside besides: {count_of('file', len(kept))}, {size(sum(k.bytes for k in kept))}: `jarvis backup list --kept-aside`")


def _present() -> str | None:
    """The id of the books that stand at the configured path; None where there are none."""
    with closing(CONTEXT.database(looking=True)) as database:
        found = present_books(database)
    return None if found is None else found[0]


def verify(
    files: Annotated[list[Path] | None, typer.Argument(metavar="FILE", help="These; without any, every backup there is.")] = None,
) -> None:
    """Read backups back: against their manifests, decompressed, checked, every table compared. Exits 1 where one is not sound."""
    present = backups.present(CONTEXT.settings.database.backup.path)
    chosen = present if not files else [backups.identified(path) for path in files]
    if not chosen:
        say(f"there is no backup in {CONTEXT.settings.database.backup.path}; `jarvis backup create` takes one")
        raise typer.Exit(Exit.FINDINGS)
    bad = 0
    for backup in chosen:
        try:
            with doing(f"reading {backup.path.name} back") as progress:
                backups.verify(backup, progress=progress)
            say(f"sound: {backup.path}")
        except BooksError as error:
            bad += 1
            say(f"not sound: {error}")
    if bad:
        raise typer.Exit(Exit.FINDINGS)


def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, remove nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="More than two at once.")] = False,
    books: Annotated[str | None, typer.Option("--books", metavar="ID", help="Those of these books, where no database says whose.")] = None,
    aside: Annotated[bool, typer.Option("--kept-aside", help="What `backup list --kept-aside` shows, instead of backups. Asks first.")] = False,
    older_than: Annotated[int, typer.Option("--older-than", metavar="DAYS", help="With --kept-aside: only what is older.", min=0)] = 30,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove backups past their retention: never the newest seven proved ones, at most two a run, nothing where the newest failed.

    Backups of other books stay.
    """
    if aside:
        _prune_kept_aside(older_than, dry_run=dry_run, yes=yes)
        return
    chosen = CONTEXT.settings.database.backup
    gone = backups.prune(
        chosen.path, instants.now(), chosen.retention_days, book=_whose(books), keep_weekly=chosen.keep_weekly, keep_monthly=chosen.keep_monthly,
        forced=force, dry_run=dry_run,
    )  # fmt: skip
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


def _whose(books: str | None) -> str | None:
    """The books whose backups may go; None where the folder holds no proved one."""
    settings = CONTEXT.settings.database
    if not any(b.proved for b in backups.present(settings.backup.path)):
        return None
    return choose(settings.backup.path, instants.now(), book=books or _present(), beside=settings.path).backup.book


def _prune_kept_aside(days: int, *, dry_run: bool, yes: bool) -> None:
    settings, limit = CONTEXT.settings.database, datetime.now(UTC) - timedelta(days=days)
    old = [kept for kept in kept_aside(settings.path, settings.backup.path) if kept.since < limit]
    for kept in old:
        say(f"{'would remove' if dry_run or not yes else 'removed'} {kept.path}: {kept.what}, {size(kept.bytes)}, since {kept.since:%Y-%m-%d}")
    if not old:
        say(f"nothing is kept aside for more than {count_of('day', days)}")
    if dry_run or not old:
        return
    if not yes:
        typer.confirm(f"Remove {count_of('file', len(old))} for good?", abort=True, err=True)
    remove_kept(old)

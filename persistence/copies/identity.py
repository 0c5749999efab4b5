"""What says that there were books at a place. A database that is gone is not replaced by an empty one while anything speaks of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from glob import escape
from pathlib import Path

from jarvis_client.contract.errors import Unavailable
from jarvis_client.contract.instants import to_datetime, to_text
from persistence.copies import backups
from persistence.copies.places import books_of, marked
from persistence.domain.errors import BooksGone
from persistence.domain.showing import size
from persistence.engine.sqlite.database import BESIDE
from persistence.engine.sqlite.durable_mark import DurableMarkFile
from persistence.engine.sqlite.host import disk_not_mounted
from persistence.engine.sqlite.rescue import PATTERN
from persistence.files import fsync_folder

#: What lies beside a database and belongs to it, in the order of what it tells.
_LEFT = ("-mark", *BESIDE)
#: Lists in messages are cut after so many.
_NAMED = 3


def refuse_to_replace(path: Path, folders: Sequence[Path]) -> None:
    """Raises `BooksGone` where there is no database at a path and something beside it, or in the folders of its backups, says that there
    was one; also where its disk is not mounted."""
    if not is_missing(path):
        return
    found = list(remains(path, folders))
    # Another process may be the first to create it, and has made what lies beside it since.
    if found and is_missing(path):
        raise BooksGone(
            f"{path} {'is empty' if path.exists() else 'does not exist'}, but there were books here: {'; '.join(found)}. {_way_back(path, folders)} "
            "To start with new, empty books on purpose: `jarvis db init --anew`, which keeps what is left of the old ones aside"
        )
    if (point := disk_not_mounted(path.parent)) is not None:
        raise BooksGone(
            f"{path} does not exist, and /etc/fstab says that a disk belongs at {point}, where none is mounted: mount it. "
            "To start with new, empty books there on purpose: `jarvis db init --anew`"
        )


def what_is_missing(path: Path, folders: Sequence[Path], otherwise: str) -> str:
    """What to say where there is no database at a path; `otherwise` where nothing tells of an earlier one."""
    with suppress(Unavailable):
        if found := list(remains(path, folders)):
            return f"{path} does not exist, but there were books here: {'; '.join(found)}. {_way_back(path, folders)}"
    return otherwise


def remains(path: Path, folders: Sequence[Path]) -> Iterator[str]:
    """What says that there were books at a path: each as one would tell it."""
    marks, damaged = DurableMarkFile(path).read()
    if marks:
        last = max(marks, key=lambda mark: mark.at)
        yield f"{path}-mark notes commit {last.commit_no:,}, record {last.fact_no:,}, made durable at {to_text(last.at)}"
    elif damaged:
        yield f"{path}-mark, which cannot be read"
    # Not its -journal: another process that creates the file has one while the file is empty still.
    with suppress(OSError):
        if long := os.stat(f"{path}-wal").st_size:
            yield f"{path}-wal of {size(long)}"
    yield from _named(f"{path.name}.before-restore-", [p for p in path.parent.glob(f"{escape(path.name)}.before-restore-*") if not p.name.endswith(_LEFT)])
    for folder in dict.fromkeys((path.parent, *folders)):
        yield from _named("rescued-", list(folder.glob(PATTERN)))
    for folder in folders:
        proved = [backup for backup in backups.present(folder) if backup.proved]
        if proved:
            yield from _told(folder, proved)
        elif ids := marked(folder):
            yield f"{folder} is marked as the place for backups of the books {', '.join(ids[:_NAMED])}"


def set_aside(path: Path, now: int) -> list[Path]:
    """Give what is left of a database that is gone names of its own. Returns them."""
    stamp, kept = f"{to_datetime(now):%Y%m%dT%H%M%SZ}", []
    for suffix in ("", *_LEFT):
        left = Path(f"{path}{suffix}")
        if left.exists():
            aside = Path(f"{path}.before-anew-{stamp}{suffix}")
            if aside.exists():
                raise Unavailable(f"{aside} exists already; try again in a second")
            os.replace(left, aside)
            kept.append(aside)
    if kept:
        fsync_folder(path.absolute().parent)
    return kept


def is_missing(path: Path) -> bool:
    """True if there is no file at a path, or an empty one."""
    try:
        return path.stat().st_size == 0
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _named(what: str, paths: list[Path]) -> Iterator[str]:
    if paths:
        newest = max(paths, key=lambda path: path.name)
        yield str(newest) if len(paths) == 1 else f"{len(paths)} files {what}…, the newest {newest}"


def _told(folder: Path, proved: list[backups.Backup]) -> Iterator[str]:
    newest = proved[0]
    count = ((newest.manifest or {}).get("tables", {}).get("facts") or {}).get("rows")
    books = list(dict.fromkeys(books_of(backup.manifest) or "unknown" for backup in proved))
    yield (
        f"{len(proved)} proved backups of the books {', '.join(books[:_NAMED])} in {folder}, the newest from {newest.taken_at:%Y-%m-%dT%H:%M:%SZ} "
        f"with {'an unknown number of' if count is None else f'{count:,}'} facts ({newest.path.name})"
    )


def _way_back(path: Path, folders: Sequence[Path]) -> str:
    rescued = sorted((p for folder in dict.fromkeys((path.parent, *folders)) for p in folder.glob(PATTERN)), key=lambda p: p.name)
    from_backup = "`jarvis restore --latest` brings the newest backup back (is the disk mounted, and is database.path right?)."
    return from_backup if not rescued else f"`jarvis restore {rescued[-1]} --unproved` brings back what a running process saved of it; or {from_backup}"


__all__ = ["is_missing", "refuse_to_replace", "remains", "set_aside", "what_is_missing"]

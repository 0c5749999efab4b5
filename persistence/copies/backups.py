"""Backups: a copy is one once it was restored and compared.

Taken in one step while others write; compressed; then read back apart from the live file: decompressed, its integrity, its
references, the books' own invariants, and a digest of every table against the very snapshot it was taken from. Only then it gets
its name and its manifest. Names carry the UTC time and the schema version.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import zstandard

from jarvis_client.contract.errors import BooksError, Invalid, Unavailable
from jarvis_client.contract.instants import is_ahead, to_datetime, to_instant, to_text
from persistence.books.book import Reach
from persistence.copies.manifest import CHUNK, FORMAT, manifest_by_content, manifest_path, read_manifest, sha256, write_manifest
from persistence.copies.places import claim, enter
from persistence.copies.proving import compare_bytes, contents_of, is_encrypted, prove, unpacked
from persistence.copies.retention import expired
from persistence.domain.errors import WrongDatabase
from persistence.domain.progress import Progress, silent
from persistence.domain.showing import size
from persistence.engine.contract import Database
from persistence.engine.sqlite import migrations
from persistence.engine.sqlite.connect import connect, sqlite_version
from persistence.engine.sqlite.database import SQLiteDatabase
from persistence.engine.sqlite.digests import table_digest
from persistence.files import fsync_folder, locked_folder, make_file, scratch_folder
from persistence.program import program_version
from persistence.proof import chain

#: Books of 218 MB become 65 MB in half a second; zstandard's own default, 3, makes 60 MB of them in 1.4 s.
COMPRESSION_LEVEL = 1
#: A snapshot keeps the WAL from being emptied, so tables are digested within it for at most this long.
SNAPSHOT_SECONDS = 20.0
_NAME = re.compile(r"jarvis-(\d{8}T\d{6})Z-schema(\d{4})\.db(\.zst)?(\.age)?")


class BackupFailed(BooksError):
    """The copy could not be proved; it was kept aside for study."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup file. `proved`: its manifest says that it was restored and compared; `manifest` is None without one."""

    path: Path
    taken_at: datetime
    schema_version: int
    manifest: dict[str, Any] | None = None

    @property
    def proved(self) -> bool:
        return self.manifest is not None

    @property
    def book(self) -> str | None:
        """Whose it is; unknown without a manifest."""
        return None if self.manifest is None else str(self.manifest["book"])

    @property
    def reach(self) -> Reach:
        """How far the books in it reach: the order among backups of the same books, whatever the clock was when each was taken."""
        held = self.manifest or {}
        return Reach(held.get("generation", -1), held.get("commit_no", -1), held.get("newest_fact_no", -1))

    @property
    def recorded_until(self) -> int | None:
        """The instant at which the newest record in it was recorded; None where it holds none, or nothing says so."""
        text = (self.manifest or {}).get("newest_recorded_at")
        return None if text is None else to_instant(datetime.fromisoformat(text))

    def is_of(self, book: str | None) -> bool:
        return self.proved and self.book == book

    def is_ahead(self, now: int) -> bool:
        """Whether it was taken in the future: by a clock that was ahead."""
        return is_ahead(to_instant(self.taken_at), now)

    @property
    def size(self) -> int:
        return self.path.stat().st_size


def create(database: Database, folder: Path, now: int, *, compress: bool = True, progress: Progress = silent) -> Backup:
    """Copy the database while others write, prove the copy, put it in place, named by the second it was taken in or the next free one.

    Raises `WrongFolder` where the folder is not the one that these books used so far, `Unavailable` where it could not be written,
    `BackupFailed` where the copy is not what was copied.
    """
    schema = database.storage().schema_version
    enter(database, folder)
    with locked_folder(folder, "another backup is being taken"):
        now = _free_second(folder, now)
        taken_at = to_datetime(now)
        path = folder / f"jarvis-{taken_at:%Y%m%dT%H%M%S}Z-schema{schema:04d}.db{'.zst' if compress else ''}"
        partial = folder / f".{path.name}.partial"
        refuse_without_room(database, folder)
        claim(database, folder, remember=schema == migrations.newest_version())
        manifest = _take(database, path, partial, now, schema, compress=compress, progress=progress)
        os.replace(partial, path)
        write_manifest(path, manifest)
        fsync_folder(folder)
    return Backup(path, taken_at, schema, manifest)


def _take(database: Database, path: Path, partial: Path, now: int, schema: int, *, compress: bool, progress: Progress) -> dict[str, Any]:
    """Copy and prove, under a name that counts for nothing yet. Returns the manifest."""
    folder = path.parent
    with scratch_folder(folder, "taking") as scratch:
        copy = scratch / "copy.db"
        if schema == migrations.newest_version():
            # So that the head in the manifest stands for everything that the backup holds.
            chain.seal(database, now)
        progress("copying the books", 0, 0)
        content = database.copy_with(copy, lambda snapshot: contents_of(snapshot, SNAPSHOT_SECONDS))
        if late := [name for name, table in content["tables"].items() if table is None]:
            with closing(connect(str(copy))) as connection:
                content["tables"] |= {name: table_digest(connection, name) for name in late}
            content["held_against_chain"] = late
        _clear_partials(folder)
        progress("writing the backup", 0, 0)
        _write(copy, partial, compress=compress)
        manifest = {
            "format": FORMAT, "file": path.name, "taken_at": to_text(now), "bytes": partial.stat().st_size, "sha256": sha256(partial),
            "content_bytes": copy.stat().st_size, "content_sha256": sha256(copy), "schema_version": schema, "sqlite": sqlite_version(),
            "program": program_version(), **content,
        }  # fmt: skip
        copy.unlink()
        try:
            prove(partial, manifest, scratch, progress)
        except BooksError as error:
            aside = folder / f"failed-{path.name}"
            os.replace(partial, aside)
            raise BackupFailed(f"the backup was not what was copied, it is kept as {aside} for study: {error}") from error
    return manifest


def refuse_without_room(database: Database, folder: Path) -> None:
    """Raises `Unavailable` where a copy, its compressed form and the proof of it would not fit: better none than half a one."""
    needed, free = room_needed(database), shutil.disk_usage(folder).free
    if free < needed:
        raise Unavailable(
            f"a backup needs about {size(needed)} in {folder}, {size(free)} are free; free some space, or name another folder in database.backup.path"
        )


def room_needed(database: Database) -> int:
    """Bytes that a backup takes while it is being proved."""
    files = [Path(f"{database.path}{suffix}") for suffix in ("", "-wal") if Path(f"{database.path}{suffix}").exists()]
    size = sum(file.stat().st_size for file in files) if isinstance(database, SQLiteDatabase) else database.storage().file_bytes
    return int(size * 2.2)


def _free_second(folder: Path, instant: int) -> int:
    """The first full second from an instant on that no backup is named by."""
    taken = {to_instant(b.taken_at) for b in present(folder)}
    instant -= instant % 1_000_000
    while instant in taken:
        instant += 1_000_000
    return instant


def keep_as_is(database: Database, folder: Path, now: int, progress: Progress = silent) -> Path:
    """A backup where the books can be proved, else a plain copy of them as they are, for study or to go back to."""
    try:
        return create(database, folder, now, progress=progress).path
    except (BackupFailed, WrongDatabase):
        target = folder / f"unproved-{to_datetime(now):%Y%m%dT%H%M%S}Z.db"
        with database.copied(folder) as copy:
            copy.close()
            os.replace(copy.path, target)
        fsync_folder(folder)
        return target


def present(folder: Path) -> list[Backup]:
    """The backups of a folder, the newest first; other files are none of ours."""
    found = []
    for path in _names(folder, "jarvis-*.db*"):
        named = _named(path.name)
        if named is not None and path.is_file() and not path.is_symlink():
            found.append(Backup(path, *named, read_manifest(path)))
    return sorted(found, key=lambda backup: (backup.taken_at, backup.path.name), reverse=True)


def newest_failed(folder: Path, now: int) -> tuple[datetime, Path] | None:
    """When the newest copy was taken that failed its proof, and where it is kept. One that a clock dated ahead is not the newest."""
    failed = [(named[0], path) for path in _names(folder, "failed-jarvis-*") if (named := _named(path.name.removeprefix("failed-")))]
    return max((f for f in failed if not is_ahead(to_instant(f[0]), now)), default=None)


def manifests_alone(folder: Path) -> list[Path]:
    """Manifests whose backup is gone; pruning takes both."""
    return sorted(path for path in _names(folder, "jarvis-*.manifest.json") if not path.with_name(path.name.removesuffix(".manifest.json")).exists())


def _named(name: str) -> tuple[datetime, int] | None:
    """The time and the schema version in a backup's name; None where it is no such name."""
    match = _NAME.fullmatch(name)
    with suppress(ValueError):  # such as the 99th of a month
        return (datetime.strptime(match[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC), int(match[2])) if match else None
    return None


def identified(path: Path) -> Backup:
    """The backup in a file, whatever it is called: its manifest is the one of its name, else the one in its folder that describes its bytes.

    Raises `Invalid` where there is no such file.
    """
    if not path.is_file():
        raise Invalid(f"{path} is no backup: there is no such file; `jarvis backup list` shows what there is")
    manifest = read_manifest(path) or manifest_by_content(path)
    if manifest is not None:
        return Backup(path, datetime.fromisoformat(manifest["taken_at"]).replace(microsecond=0), manifest["schema_version"], manifest)
    named = _named(path.name)
    return Backup(path, *(named or (datetime.fromtimestamp(path.stat().st_mtime, UTC).replace(microsecond=0), 0)))


def _names(folder: Path, pattern: str) -> list[Path]:
    """What a folder holds; nothing where there is none. Raises `Unavailable` where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return [Path(entry.path) for entry in entries if fnmatch(entry.name, pattern)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Unavailable(f"could not read {folder}: {error.strerror}; check the folder, its owner and its mode") from error


def verify(backup: Backup, scratch: Path | None = None, progress: Progress = silent) -> None:
    """Read a backup back as when it was taken. Raises `WrongDatabase`, naming what does not fit."""
    if backup.manifest is None:
        reason = "has no readable manifest" if manifest_path(backup.path).exists() else "has no manifest"
        raise WrongDatabase(f"{backup.path} {reason}, so nothing says what it should hold")
    if is_encrypted(backup.path):
        # Only who has the private key can look further.
        compare_bytes(backup.path, backup.manifest)
        return
    with scratch_folder(scratch or tempfile.gettempdir(), "verifying") as folder:
        prove(backup.path, backup.manifest, folder, progress)


@contextmanager
def opened(backup: Backup, scratch: Path, *, unproved: bool = False, progress: Progress = silent) -> Iterator[Path]:
    """The backup's database as a plain file of its own, verified; gone after the block.

    Raises `WrongDatabase` where it is not what its manifest says, or has none, unless `unproved`: then what it holds is checked by itself.
    """
    if backup.manifest is None and not unproved:
        raise WrongDatabase(
            f"{backup.path} has no readable manifest: neither {manifest_path(backup.path).name} beside it nor another there describes these bytes, so nothing "
            "says what it should hold. Put its manifest beside it, name another (`jarvis backup list`), or restore it with --unproved: then only what it "
            "holds is checked"
        )
    with scratch_folder(scratch, "restoring") as folder:
        if backup.manifest is not None:
            yield prove(backup.path, backup.manifest, folder, progress)
        else:
            yield unpacked(backup.path, folder, progress)


def prune(
    folder: Path,
    now: int,
    retention_days: int,
    *,
    book: str | None = None,
    keep_weekly: int = 0,
    keep_monthly: int = 0,
    forced: bool = False,
    dry_run: bool = False,
) -> list[Backup]:
    """Remove what has expired of the backups of these books, with its manifest. Returns what went, or would.

    Those of other books stay, and count for nothing. Without `book` nothing goes where there are backups of several.
    """
    there = present(folder)
    books = {b.book for b in there if b.proved}
    if book is None and len(books) > 1:
        return []
    there = [b for b in there if not b.proved or b.book == (book or next(iter(books), None))]
    if (failed := newest_failed(folder, now)) is not None and not any(b.proved and b.taken_at >= failed[0] for b in there):
        return []  # nothing goes before a sound one stands again
    gone = expired(there, to_datetime(now), retention_days, keep_weekly=keep_weekly, keep_monthly=keep_monthly, forced=forced)
    for backup in () if dry_run else gone:
        # The manifest first: a backup without one counts for nothing, a manifest without its backup would count for one.
        with suppress(FileNotFoundError):
            manifest_path(backup.path).unlink()
        backup.path.unlink()
    return gone


def _write(source: Path, target: Path, *, compress: bool) -> None:
    target.unlink(missing_ok=True)
    with open(source, "rb") as plain, os.fdopen(make_file(target), "wb") as file:
        if compress:
            zstandard.ZstdCompressor(level=COMPRESSION_LEVEL, write_checksum=True).copy_stream(plain, file)
        else:
            shutil.copyfileobj(plain, file, CHUNK)
        file.flush()
        os.fsync(file.fileno())


def _clear_partials(folder: Path) -> None:
    """What a killed backup left."""
    for left in folder.glob(".jarvis-*.partial"):
        left.unlink()

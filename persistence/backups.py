"""Backups: a copy is one once it was restored and compared.

Taken in one step while others write; compressed; then read back apart from the live file: decompressed, its integrity, its
references, the books' own invariants, and a digest of every table against the very snapshot it was taken from. Only then it gets
its name and its manifest. Names carry the UTC time and the schema version.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatch
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import apsw
import apsw.sqlite_extra
import zstandard

from persistence import chain, migrations
from persistence.chain_checks import check_chain
from persistence.database import DatabaseManager
from persistence.domain.errors import BooksError, Invalid, Unavailable, WrongDatabase
from persistence.domain.instants import to_datetime, to_instant, to_text
from persistence.driver import connect, translated
from persistence.files import fsync_folder, locked_folder, scratch_folder
from persistence.integrity import check_books
from persistence.retention import expired

#: zstandard's own default: a third of the size at some hundred MB a second.
COMPRESSION_LEVEL = 3
FORMAT = 1
CHUNK = 1 << 20
#: A snapshot keeps the WAL from being emptied, so the one that is copied is not looked at for longer.
SNAPSHOT_SECONDS = 20.0
#: What the chain seals row by row: digested last, and held against it where the time was not enough.
SEALED = frozenset(("chain_blocks", "chain_events", "entries", "equity_snapshots", "facts", "fills", "flows", "order_events", "transactions", "voids"))

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
    def size(self) -> int:
        return self.path.stat().st_size


def manifest_path(path: Path) -> Path:
    return path.with_name(path.name + ".manifest.json")


def create(database: DatabaseManager, folder: Path, now: int, *, compress: bool = True) -> Backup:
    """Copy the database while others write, prove the copy, put it in place.

    Raises `Unavailable` where it could not be written, `BackupFailed` where the copy is not what was copied.
    """
    taken_at = to_datetime(now).replace(microsecond=0)
    with database.get_connection() as connection:
        schema = migrations.schema_version(connection, database.path)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"jarvis-{taken_at:%Y%m%dT%H%M%S}Z-schema{schema:04d}.db{'.zst' if compress else ''}"
    partial = folder / f".{path.name}.partial"
    with locked_folder(folder, "another backup is being taken"):
        if path.exists():
            raise Invalid(f"{path} exists already; backups are taken at most once a second")
        refuse_without_room(database, folder)
        manifest = _take(database, path, partial, now, schema, compress=compress)
        os.replace(partial, path)
        write_manifest(path, manifest)
        fsync_folder(folder)
    return Backup(path, taken_at, schema, manifest)


def _take(database: DatabaseManager, path: Path, partial: Path, now: int, schema: int, *, compress: bool) -> dict[str, Any]:
    """Copy and prove, under a name that counts for nothing yet. Returns the manifest."""
    folder = path.parent
    with scratch_folder(folder, "taking") as scratch:
        copy = scratch / "copy.db"
        if schema == migrations.newest_version():
            # So that the head in the manifest stands for everything that the backup holds.
            chain.seal(database, now)
        content = database.copy_with(copy, lambda snapshot: _contents(snapshot, SNAPSHOT_SECONDS))
        if late := [name for name, table in content["tables"].items() if table is None]:
            with closing(connect(str(copy))) as connection:
                content["tables"] |= {name: _table(connection, name) for name in late}
            content["held_against_chain"] = late
        _clear_partials(folder)
        _write(copy, partial, compress=compress)
        manifest = {
            "format": FORMAT, "file": path.name, "taken_at": to_text(now - now % 1_000_000), "bytes": partial.stat().st_size, "sha256": sha256(partial),
            "content_bytes": copy.stat().st_size, "content_sha256": sha256(copy), "schema_version": schema, "sqlite": apsw.sqlite_lib_version(),
            "program": _program_version(), **content,
        }  # fmt: skip
        copy.unlink()
        try:
            _prove(partial, manifest, scratch)
        except BooksError as error:
            aside = folder / f"failed-{path.name}"
            os.replace(partial, aside)
            raise BackupFailed(f"the backup was not what was copied, it is kept as {aside} for study: {error}") from error
    return manifest


def refuse_without_room(database: DatabaseManager, folder: Path) -> None:
    """Raises `Unavailable` where a copy, its compressed form and the proof of it would not fit: better none than half a one."""
    needed, free = room_needed(database), shutil.disk_usage(folder).free
    if free < needed:
        raise Unavailable(
            f"a backup needs about {needed:,} bytes in {folder}, {free:,} are free; free some space, or name another folder in database.backup.path"
        )


def room_needed(database: DatabaseManager) -> int:
    """Bytes that a backup takes while it is being proved."""
    size = sum(Path(f"{database.path}{suffix}").stat().st_size for suffix in ("", "-wal") if Path(f"{database.path}{suffix}").exists())
    return int(size * 2.2)


def free_second(folder: Path, instant: int) -> int:
    """The first full second from an instant on that no backup is named by."""
    taken = {to_instant(b.taken_at) for b in present(folder)}
    instant -= instant % 1_000_000
    while instant in taken:
        instant += 1_000_000
    return instant


def keep_as_is(database: DatabaseManager, folder: Path, now: int) -> Path:
    """A backup where the books can be proved, else a plain copy of them as they are, for study or to go back to."""
    try:
        return create(database, folder, free_second(folder, now)).path
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
            found.append(Backup(path, *named, _manifest(path)))
    return sorted(found, key=lambda backup: (backup.taken_at, backup.path.name), reverse=True)


def newest_failed(folder: Path) -> tuple[datetime, Path] | None:
    """When the newest copy was taken that failed its proof, and where it is kept."""
    failed = [(named[0], path) for path in _names(folder, "failed-jarvis-*") if (named := _named(path.name.removeprefix("failed-")))]
    return max(failed, default=None)


def manifests_alone(folder: Path) -> list[Path]:
    """Manifests whose backup is gone; pruning takes both."""
    return sorted(path for path in _names(folder, "jarvis-*.manifest.json") if not path.with_name(path.name.removesuffix(".manifest.json")).exists())


def _named(name: str) -> tuple[datetime, int] | None:
    """The time and the schema version in a backup's name; None where it is no such name."""
    match = _NAME.fullmatch(name)
    with suppress(ValueError):  # such as the 99th of a month
        return (datetime.strptime(match[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC), int(match[2])) if match else None
    return None


def _names(folder: Path, pattern: str) -> list[Path]:
    """What a folder holds; nothing where there is none. Raises `Unavailable` where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return [Path(entry.path) for entry in entries if fnmatch(entry.name, pattern)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Unavailable(f"could not read {folder}: {error.strerror}; check the folder, its owner and its mode") from error


def find(folder: Path, *, at: datetime | None = None) -> Backup:
    """The newest proved backup, or the newest one taken at or before `at`. Raises `Invalid` where there is none."""
    proved = [b for b in present(folder) if b.proved and (at is None or b.taken_at <= at)]
    if not proved:
        raise Invalid(
            f"{folder} holds no proved backup{'' if at is None else f' from {at:%Y-%m-%d %H:%M:%S} or before'}; `jarvis backup list` shows what there is"
        )
    return proved[0]


def verify(backup: Backup, scratch: Path | None = None) -> None:
    """Read a backup back as when it was taken. Raises `WrongDatabase`, naming what does not fit."""
    if backup.manifest is None:
        reason = "has no readable manifest" if manifest_path(backup.path).exists() else "has no manifest"
        raise WrongDatabase(f"{backup.path} {reason}, so nothing says what it should hold")
    if backup.path.suffix == ".age":
        # Only who has the private key can look further.
        _compare_bytes(backup.path, backup.manifest)
        return
    with scratch_folder(scratch or tempfile.gettempdir(), "verifying") as folder:
        _prove(backup.path, backup.manifest, folder)


@contextmanager
def opened(backup: Backup, scratch: Path, *, unproved: bool = False) -> Iterator[Path]:
    """The backup's database as a plain file of its own, verified; gone after the block.

    Raises `WrongDatabase` where it is not what its manifest says, or has none, unless `unproved`: then what it holds is checked by itself.
    """
    if backup.manifest is None and not unproved:
        raise WrongDatabase(
            f"{backup.path} has no readable manifest, so nothing says what it should hold; name another (`jarvis backup list`), "
            "or restore it with --unproved: then only what it holds is checked"
        )
    with scratch_folder(scratch, "restoring") as folder:
        if backup.manifest is not None:
            yield _prove(backup.path, backup.manifest, folder)
        else:
            plain = folder / "plain.db"
            _read(backup.path, plain)
            _refuse_unsound(backup.path, plain)
            yield plain


def prune(
    folder: Path, now: int, retention_days: int, *, keep_weekly: int = 0, keep_monthly: int = 0, forced: bool = False, dry_run: bool = False
) -> list[Backup]:
    """Remove what has expired, with its manifest. Returns what went, or would."""
    there = present(folder)
    if (failed := newest_failed(folder)) is not None and not any(b.proved and b.taken_at >= failed[0] for b in there):
        return []  # nothing goes before a sound one stands again
    gone = expired(there, to_datetime(now), retention_days, keep_weekly=keep_weekly, keep_monthly=keep_monthly, forced=forced)
    for backup in () if dry_run else gone:
        # The manifest first: a backup without one counts for nothing, a manifest without its backup would count for one.
        with suppress(FileNotFoundError):
            manifest_path(backup.path).unlink()
        backup.path.unlink()
    return gone


# -- details --------------------------------------------------------------------------------------------------------------


def _contents(connection: apsw.Connection, seconds: float | None = None) -> dict[str, Any]:
    """What the database holds, as the manifest says it; None for the tables that were not reached within some seconds."""
    until = None if seconds is None else time.monotonic() + seconds
    found: list[Any] = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").fetchall()
    tables = {name: _table(connection, name, until) for name in sorted((name for (name,) in found), key=lambda name: (name in SEALED, name))}
    head = chain.head_within_any(connection)
    newest = connection.execute("SELECT transaction_no, occurred_at FROM transactions ORDER BY transaction_no DESC LIMIT 1").get
    return {
        "pages": connection.pragma("page_count"), "page_size": connection.pragma("page_size"), "tables": tables,
        "chain": None if head is None else _chain(connection, head),
        "newest_fact_no": connection.execute("SELECT coalesce(max(fact_no), 0) FROM facts").get,
        "newest_transaction": None if newest is None else {"transaction_no": newest[0], "occurred_at": to_text(newest[1])},
    }  # fmt: skip


def _table(connection: apsw.Connection, name: str, until: float | None = None) -> dict[str, Any] | None:
    """A table's number of rows and the digest of them all; None where that would take longer."""
    apsw.sqlite_extra.load(connection, "shathree")
    table = f'"{name}"'
    if until is not None:
        connection.set_progress_handler(lambda: time.monotonic() > until, 100_000)
    rows, digest = 0, ""
    with suppress(apsw.InterruptError):
        rows = connection.execute(f"SELECT count(*) FROM {table}").get
        # Without an index the rows come in the order of the table itself.
        digest = connection.execute("SELECT lower(hex(sha3_query(?, 256)))", (f"SELECT * FROM {table} NOT INDEXED",)).get
    connection.set_progress_handler(None)
    # An interrupted sha3_query is no error, it returns the digest of what it had read.
    return None if until is not None and time.monotonic() > until else {"rows": rows, "sha3": digest}


def _chain(connection: apsw.Connection, head: chain.Head) -> dict[str, Any]:
    """The head of the chain, and which chain it is."""
    book_id, epoch = connection.execute("SELECT book_id, epoch FROM book").get
    return {"block_no": head.block_no, "hash": head.hash.hex(), "facts_to": head.facts_to, "book": book_id, "epoch": epoch}


def _compare_bytes(path: Path, manifest: dict[str, Any]) -> None:
    if (size := path.stat().st_size) != manifest["bytes"]:
        raise WrongDatabase(f"{path} has {size} bytes, its manifest says {manifest['bytes']}")
    if sha256(path) != manifest["sha256"]:
        raise WrongDatabase(f"{path} is damaged: its SHA-256 is not that of its manifest")


def _prove(path: Path, manifest: dict[str, Any], scratch: Path) -> Path:
    """Restore a backup into a folder and compare it with its manifest. Returns the restored file. Raises `WrongDatabase`."""
    _compare_bytes(path, manifest)
    plain = scratch / "proof.db"
    _read(path, plain)
    if sha256(plain) != manifest["content_sha256"]:
        raise WrongDatabase(f"{path} does not decompress to what was copied")
    try:
        with closing(connect(str(plain))) as connection:
            if (problems := [text for (text,) in connection.execute("PRAGMA integrity_check(5)") if text != "ok"]) or list(
                connection.execute("PRAGMA foreign_key_check")
            ):
                raise WrongDatabase(f"{path} is damaged: {'; '.join(problems) or 'a row refers to nothing'}")
            found = _contents(connection)
    except apsw.Error as error:
        raise WrongDatabase(f"{path} is damaged: {type(error).__name__}: {error}") from error
    for name, expected in manifest["tables"].items():
        if found["tables"].get(name) != expected:
            raise WrongDatabase(f"{path}: the table {name} is {found['tables'].get(name)}, its manifest says {expected}")
    _refuse_unsound(path, plain, with_chain="held_against_chain" in manifest)
    return plain


def _refuse_unsound(path: Path, plain: Path, *, with_chain: bool = True) -> None:
    """Raises `WrongDatabase` where the books in a restored file do not add up."""
    with closing(connect(str(plain))) as connection, translated(f"read {path}"):
        if migrations.schema_version(connection, str(path)) == 0:
            raise WrongDatabase(f"{path} holds no books, it is empty")
    with closing(DatabaseManager(plain, wal_mode=False)) as restored:
        # One of an older program is looked at as what it becomes.
        restored.initialize(back_up=False)
        findings = check_books(restored)
        if with_chain:
            with restored.snapshot() as connection:
                findings += check_chain(connection)
    if findings:
        raise WrongDatabase(f"{path}: the books in it do not add up: {findings[0].check}, {findings[0].where}")


def _write(source: Path, target: Path, *, compress: bool) -> None:
    target.unlink(missing_ok=True)
    with open(source, "rb") as plain, os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        if compress:
            zstandard.ZstdCompressor(level=COMPRESSION_LEVEL, write_checksum=True).copy_stream(plain, file)
        else:
            shutil.copyfileobj(plain, file, CHUNK)
        file.flush()
        os.fsync(file.fileno())


def _read(source: Path, target: Path) -> None:
    """The plain database of a backup. Raises `WrongDatabase` where it does not decompress."""
    with open(source, "rb") as file, os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as plain:
        if ".db.zst" in source.name:
            try:
                stream = zstandard.ZstdDecompressor().decompressobj()
                while block := file.read(CHUNK):
                    plain.write(stream.decompress(block))
            except zstandard.ZstdError as error:
                raise WrongDatabase(f"{source} does not decompress: {error}") from error
            if not stream.eof:
                raise WrongDatabase(f"{source} does not decompress: it ends too early")
        else:
            shutil.copyfileobj(file, plain, CHUNK)
        plain.flush()
        os.fsync(plain.fileno())


#: Without these a manifest states nothing.
_STATED = {"bytes": int, "sha256": str, "content_bytes": int, "content_sha256": str, "tables": dict}


def _manifest(path: Path) -> dict[str, Any] | None:
    """A backup's manifest; None where it is missing, damaged or another file's."""
    try:
        found = json.loads(manifest_path(path).read_text("utf-8"))
        stated = found.pop("manifest_sha256")
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None
    text = json.dumps(found, indent=1)
    sound = hashlib.sha256(text.encode()).hexdigest() == stated and found.get("file") == path.name and found.get("format") == FORMAT
    return found if sound and all(isinstance(found.get(name), kind) for name, kind in _STATED.items()) else None


def write_manifest(path: Path, manifest: dict[str, Any]) -> None:
    """Put a manifest beside a backup, with its own digest, so that a damaged manifest is told from a damaged backup."""
    text = json.dumps(manifest, indent=1)
    _write_file(manifest_path(path), json.dumps({**manifest, "manifest_sha256": hashlib.sha256(text.encode()).hexdigest()}, indent=1))


def _write_file(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def _clear_partials(folder: Path) -> None:
    """What a killed backup left."""
    for left in folder.glob(".jarvis-*.partial"):
        left.unlink()


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()


def _program_version() -> str:
    try:
        return version("jarvis-trading")
    except PackageNotFoundError:
        return "unknown"

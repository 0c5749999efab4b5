"""Proving a copy: reading it back apart from the live file and comparing it with its manifest."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import zstandard

from jarvis_client.contract.errors import Unavailable
from jarvis_client.contract.instants import to_text
from persistence.books.book import book_id_and_epoch, reach
from persistence.copies.manifest import CHUNK, sha256
from persistence.domain.errors import WrongDatabase
from persistence.domain.finding import Finding
from persistence.domain.progress import Progress, silent
from persistence.engine.sqlite import migrations
from persistence.engine.sqlite.connect import CHECKSUM_BYTES, SQLiteConnection, connect, header_of
from persistence.engine.sqlite.database import SQLiteDatabase
from persistence.engine.sqlite.digests import page_counts, table_digest, table_names
from persistence.engine.sqlite.errors import translated
from persistence.engine.sqlite.pages import refuse_damaged
from persistence.files import make_file
from persistence.proof import chain
from persistence.proof.books_checks import FILE_CHECKS, OTHER_HALF, half_of_checks, run_checks
from persistence.proof.chain_checks import check_chain

#: What files of these kinds begin with.
_ZSTD, _AGE = b"\x28\xb5\x2f\xfd", b"age-encryption.org/"
#: What the chain seals row by row: digested last, and held against it where the time was not enough.
SEALED = frozenset(("chain_blocks", "chain_events", "entries", "equity_snapshots", "facts", "fills", "flows", "order_events", "transactions", "voids"))


def contents_of(connection: SQLiteConnection, seconds: float | None = None) -> dict[str, Any]:
    """What the database holds, as the manifest says it; None for the tables that were not reached within some seconds."""
    until = None if seconds is None else time.monotonic() + seconds
    tables = {name: table_digest(connection, name, until) for name in sorted(table_names(connection), key=lambda name: (name in SEALED, name))}
    head = chain.newest(connection)
    book, epoch = book_id_and_epoch(connection)
    life, commit_no, fact_no = reach(connection)
    recorded = connection.execute("SELECT recorded_at FROM facts ORDER BY fact_no DESC LIMIT 1").get
    newest = connection.execute("SELECT transaction_no, occurred_at FROM transactions ORDER BY transaction_no DESC LIMIT 1").get
    return {
        **page_counts(connection), "tables": tables,
        "chain": {"block_no": head.block_no, "hash": head.hash.hex(), "facts_to": head.facts_to, "book": book, "epoch": epoch},
        "book": book, "generation": life, "commit_no": commit_no, "newest_fact_no": fact_no,
        "newest_recorded_at": None if recorded is None else to_text(recorded),
        "newest_transaction": None if newest is None else {"transaction_no": newest[0], "occurred_at": to_text(newest[1])},
    }  # fmt: skip


def compare_bytes(path: Path, manifest: dict[str, Any]) -> None:
    if (size := path.stat().st_size) != manifest["bytes"]:
        raise WrongDatabase(f"{path} has {size} bytes, its manifest says {manifest['bytes']}")
    if sha256(path) != manifest["sha256"]:
        raise WrongDatabase(f"{path} is damaged: its SHA-256 is not that of its manifest")


def prove(path: Path, manifest: dict[str, Any], scratch: Path, progress: Progress = silent) -> Path:
    """Restore a backup into a folder and compare it with its manifest. Returns the restored file. Raises `WrongDatabase`."""
    compare_bytes(path, manifest)
    plain = scratch / "proof.db"
    unpack(path, plain, progress)
    if sha256(plain) != manifest["content_sha256"]:
        raise WrongDatabase(f"{path} does not decompress to what was copied")
    with _half_of_checks(plain) as theirs:
        try:
            with closing(connect(str(plain))) as connection, translated(f"read {path}"):
                progress("looking through the file", 0, 0)
                refuse_damaged(connection, str(path))
                progress("comparing with what was copied", 0, 0)
                found = contents_of(connection)
        except Unavailable as error:
            raise WrongDatabase(f"{path} is damaged: {error}") from error
        for name, expected in manifest["tables"].items():
            if found["tables"].get(name) != expected:
                raise WrongDatabase(f"{path}: the table {name} is {found['tables'].get(name)}, its manifest says {expected}")
        _refuse_unsound(path, plain, theirs, looked_through=True, with_chain="held_against_chain" in manifest, progress=progress)
    return plain


def _half_of_checks(plain: Path) -> AbstractContextManager[Callable[[], list[Finding]]]:
    """Begin with half of the checks of the books in a restored file, where it has not to be brought up to date first."""
    return half_of_checks(str(plain), worth=header_of(str(plain)) == (CHECKSUM_BYTES, migrations.newest_version()))


def _refuse_unsound(
    path: Path, plain: Path, theirs: Callable[[], list[Finding]], *, looked_through: bool = False, with_chain: bool = True, progress: Progress
) -> None:
    """Raises `WrongDatabase` where the books in a restored file do not add up. `theirs`: what half of the checks find. `looked_through`: the
    file itself was checked as it is."""
    with closing(connect(str(plain))) as connection, translated(f"read {path}"):
        version = migrations.schema_version(connection, str(path))
        if version == 0:
            raise WrongDatabase(f"{path} holds no books, it is empty")
    with closing(SQLiteDatabase.copy_of(plain)) as restored:
        # A backup of an older schema is brought up to date first; the checks know only the newest one.
        restored.open_up()
        of_the_file = () if looked_through and version == migrations.newest_version() else FILE_CHECKS
        findings = run_checks(restored, (*of_the_file, *OTHER_HALF), progress) + theirs()
        if with_chain:
            with restored.snapshot() as connection:
                findings += check_chain(connection)
    if findings:
        raise WrongDatabase(f"{path}: the books in it do not add up: {findings[0].check}, {findings[0].where}")


def unpacked(source: Path, scratch: Path, progress: Progress = silent) -> Path:
    """The plain database of a backup, in a scratch folder, once the books in it have proved to add up. Raises `WrongDatabase`."""
    plain = scratch / "plain.db"
    unpack(source, plain, progress)
    with _half_of_checks(plain) as theirs:
        _refuse_unsound(source, plain, theirs, progress=progress)
    return plain


def is_encrypted(path: Path) -> bool:
    """Whether a file is an age-encrypted one, whatever its name."""
    return path.suffix == ".age" or _begins(path, _AGE)


def unpack(source: Path, target: Path, progress: Progress = silent) -> None:
    """The plain database of a backup, whatever its name. Raises `WrongDatabase` where it does not decompress."""
    size = source.stat().st_size
    with open(source, "rb") as file, os.fdopen(make_file(target), "wb") as plain:
        if ".db.zst" in source.name or _begins(source, _ZSTD):
            try:
                stream = zstandard.ZstdDecompressor().decompressobj()
                while block := file.read(CHUNK):
                    plain.write(stream.decompress(block))
                    progress("reading the backup back", file.tell(), size)
            except zstandard.ZstdError as error:
                raise WrongDatabase(f"{source} does not decompress: {error}") from error
            if not stream.eof:
                raise WrongDatabase(f"{source} does not decompress: it ends too early")
        else:
            shutil.copyfileobj(file, plain, CHUNK)
        plain.flush()
        os.fsync(plain.fileno())
    _take_log_along(source, target)


def _take_log_along(source: Path, target: Path) -> None:
    """A database that was set aside may have its newest commits in the log beside it."""
    log = Path(f"{source}-wal")
    if log.is_file() and log.stat().st_size:
        with open(log, "rb") as file, os.fdopen(make_file(f"{target}-wal"), "wb") as copy:
            shutil.copyfileobj(file, copy, CHUNK)
        with translated(f"read {source} with its -wal"), closing(connect(str(target))) as connection:
            connection.pragma("journal_mode", "delete")


def _begins(path: Path, magic: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(magic)) == magic
    except OSError:
        return False

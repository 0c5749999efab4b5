"""The high-water mark: how many commits were made durable, kept outside the database and its WAL.

If the WAL is damaged or missing, SQLite silently takes the shorter history for the whole one. So after every commit its number is
written to a small file beside the database, one slot per process: no lock, and no writer can lower another's. It is not
fsynced, so after a power cut it may lag: a lower bound. At every start the books are held against it.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
import time
import weakref
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import apsw.sqlite_extra

from jarvis_client.contract.errors import Unavailable
from jarvis_client.contract.instants import to_text
from persistence.domain.errors import LostCommits
from persistence.domain.showing import count_of
from persistence.files import open_or_make

#: Enough for every process that writes. If two processes share a slot, the mark only lags. One more slot holds the last emptying of the WAL.
SLOTS = 64
_SLOT = struct.Struct("<8s16sQQQq")
_MAGIC = b"JARVMRK1"
SLOT_BYTES = _SLOT.size + 4 + 4


class DurableMark(NamedTuple):
    """A commit that was made durable: its number, and the newest fact and quarantine number it left."""

    epoch: str
    commit_no: int
    fact_no: int
    quarantine_no: int
    at: int

    def is_beyond(self, found: DurableMark) -> bool:
        """Whether books that stand at `found` lack something of this. All three numbers, because a checkpoint that was interrupted may
        have moved the page that counts commits, and not those of the facts."""
        return self.commit_no > found.commit_no or self.fact_no > found.fact_no or self.quarantine_no > found.quarantine_no


class DurableMarkFile:
    """The file of marks of one database. Thread-safe; a slot belongs to a process."""

    def __init__(self, database_path: str | Path) -> None:
        self._database = Path(database_path)
        self.path = f"{database_path}-mark"
        self._descriptor: int | None = None
        self._finalizer: weakref.finalize[Any, Any] | None = None
        self._owner = 0
        self._written: tuple[str, int] = ("", -1)
        self._lock = threading.Lock()
        self._housekeeping = threading.Lock()

    def write(self, mark: DurableMark) -> None:
        """Note a commit. If two threads of this process finish out of order, the later commit stays noted."""
        with self._lock:
            if self._written[0] == mark.epoch and self._written[1] >= mark.commit_no:
                return
            descriptor = self._open()
            os.pwrite(descriptor, _packed(mark), self._owner % SLOTS * SLOT_BYTES)
            self._written = (mark.epoch, mark.commit_no)

    def write_emptied(self, mark: DurableMark) -> None:
        """Note that the WAL was emptied, by us, when the books stood here: from then on the file alone holds that commit."""
        with self._lock:
            os.pwrite(self._open(), _packed(mark), SLOTS * SLOT_BYTES)

    def emptied(self) -> DurableMark | None:
        """Where the books stood when the WAL was last emptied by us."""
        try:
            with open(self.path, "rb") as file:
                return _unpacked(os.pread(file.fileno(), SLOT_BYTES, SLOTS * SLOT_BYTES))
        except FileNotFoundError:
            return None

    @contextmanager
    def locked(self, *, wait_seconds: float) -> Iterator[bool]:
        """Hold the lock under which one process at a time checkpoints or migrates; the block is told whether it was got in time."""
        deadline = time.monotonic() + wait_seconds
        if not self._housekeeping.acquire(timeout=wait_seconds):
            yield False
            return
        try:
            with self._lock:
                descriptor = self._open()
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    if time.monotonic() >= deadline:
                        yield False
                        return
                    time.sleep(0.01)
                else:
                    break
            try:
                yield True
            finally:
                fcntl.flock(descriptor, fcntl.LOCK_UN)
        finally:
            self._housekeeping.release()

    def _open(self) -> int:
        if self._descriptor is None or self._owner != os.getpid():
            self._descriptor = open_or_make(self.path, beside=self._database)
            self._owner = os.getpid()
            # One that nobody closes is closed with its manager.
            self._finalizer = weakref.finalize(self, os.close, self._descriptor)
        return self._descriptor

    def read(self) -> tuple[list[DurableMark], int]:
        """The marks, and how many slots hold something that is none."""
        try:
            content = Path(self.path).read_bytes()
        except FileNotFoundError:
            return [], 0
        except OSError as error:
            raise Unavailable(
                f"{self.path} cannot be read: {error.strerror}; give it to the owner of the database: chown --reference {self._database} {self.path}"
            ) from error
        marks, damaged = [], 0
        for at in range(0, len(content), SLOT_BYTES):
            slot = content[at : at + SLOT_BYTES]
            if not any(slot):
                continue
            mark = _unpacked(slot)
            if mark is None:
                damaged += 1
            elif at < SLOTS * SLOT_BYTES:
                marks.append(mark)
        return marks, damaged

    def forget(self) -> None:
        """Drop every mark: the books are about to be taken back on purpose."""
        with self._lock:
            self._written = ("", -1)
            if Path(self.path).exists():
                os.ftruncate(self._open(), 0)
                os.fsync(self._open())

    def close(self) -> None:
        with self._lock:
            if self._finalizer is not None and self._owner == os.getpid():
                self._finalizer()
            self._descriptor = self._finalizer = None


def furthest(marks: list[DurableMark], epoch: str) -> DurableMark | None:
    """The furthest commit of an epoch that is noted; marks of other epochs are of books that were left behind."""
    return max((m for m in marks if m.epoch == epoch), key=lambda m: m.commit_no, default=None)


def _packed(mark: DurableMark) -> bytes:
    body = _SLOT.pack(_MAGIC, mark.epoch.encode(), mark.commit_no, mark.fact_no, mark.quarantine_no, mark.at)
    return body + zlib.crc32(body).to_bytes(4, "little") + bytes(4)


def _unpacked(slot: bytes) -> DurableMark | None:
    body = slot[: _SLOT.size]
    if len(slot) < SLOT_BYTES or not body.startswith(_MAGIC) or zlib.crc32(body) != int.from_bytes(slot[_SLOT.size : _SLOT.size + 4], "little"):
        return None
    _, epoch, *numbers = _SLOT.unpack(body)
    return DurableMark(epoch.decode("ascii", "replace"), *numbers)


def refuse_lost_commits(path: str, found: DurableMark, noted: DurableMark | None) -> None:
    """Raises `LostCommits`, with the missing range and the way back, where the books hold less than was made durable."""
    if noted is None or not noted.is_beyond(found):
        return
    records, commits = noted.fact_no - found.fact_no, noted.commit_no - found.commit_no
    facts = f", {count_of('record', records)} (numbers {found.fact_no + 1:,} to {noted.fact_no:,})" if records > 0 else ""
    held = noted.quarantine_no - found.quarantine_no
    quarantined = f", {held:,} quarantined" if held > 0 else ""
    since = "" if not found.at else f" recorded after {to_text(found.at)}"
    raise LostCommits(
        f"{path} ends with commit {found.commit_no:,}, but commit {noted.commit_no:,} was made durable at {to_text(noted.at)}: "
        f"{count_of('commit', commits)} {'is' if commits == 1 else 'are'} missing{facts}{quarantined}. "
        f"Its write-ahead log ({path}-wal) is damaged, or was removed. "
        f"Stop everything that uses it, then: put the -wal file back if you moved it; else `jarvis db accept-loss`, and publish again from the engine "
        f"everything{since} (what is known counts as a duplicate); or `jarvis restore --latest`"
    )


def reached(connection: apsw.Connection) -> DurableMark:
    """Where the books stand: their epoch, their last commit, and the newest numbers in it. `at` is when the newest fact was recorded."""
    row = connection.execute(
        "SELECT epoch, commit_no, coalesce((SELECT max(fact_no) FROM facts), 0), coalesce((SELECT max(quarantine_no) FROM quarantine), 0), "
        "coalesce((SELECT recorded_at FROM facts ORDER BY fact_no DESC LIMIT 1), 0) FROM book"
    ).get
    return DurableMark(*row)

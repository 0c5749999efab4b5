"""A spool: messages that wait in a file while Redis is away, in their order, across restarts of the engine.

    jarvis-spool 1 00000000000000000042\\n        how many bytes of the messages below have been sent
    1a2b3c4d {"queue_name":"fills",…}\\n          one message a line, after the CRC-32 of its text

A message counts as kept once its line is fsynced, and as sent once the broker has answered. What was sent and not yet marked when a
machine failed is sent again: a duplicate, nothing more. A line that a crash cut short was never reported as kept; it is dropped.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from jarvis_client.contract.errors import HeldElsewhere, Invalid, Unavailable

try:
    import fcntl
except ImportError:  # Windows has none, and all but the spool works there
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

#: Some days of records of a busy engine.
SPOOL_BYTES = 256 * 1024 * 1024
_HEAD = b"jarvis-spool 1 "
_HEAD_BYTES = len(_HEAD) + 20 + 1
#: Read at once: more than the longest message.
_PIECE_BYTES = 4 * 1024 * 1024
#: Once so much of the file is sent, it is written anew without that.
_COMPACT_BYTES = 16 * 1024 * 1024


class SpoolFull(Unavailable):
    """The spool holds as much as it may. The records that were to be kept are not."""


class Spool:
    """One file, of one process at a time. Threads may share it. Opening raises `HeldElsewhere` where another process has it, `Invalid` where the file
    is no spool, `Unavailable` where it cannot be made."""

    def __init__(self, path: str | Path, most_bytes: int = SPOOL_BYTES) -> None:
        if fcntl is None:
            raise Invalid("spool: this system has no locks for files, so two engines could send what one kept; leave the spool out")
        self.path = Path(path)
        self.most_bytes = most_bytes
        self.lock = threading.RLock()
        #: Bytes of messages: how many were sent, and how many there are.
        self._sent = self._end = 0
        with _said(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # A file of its own: the spool is renamed over when it is made smaller, and a lock stays with the file it was taken on.
            self._held: IO[bytes] = open(f"{self.path}.lock", "ab")  # noqa: SIM115
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._held.close()
            raise HeldElsewhere(f"the spool {self.path} is in use by another publisher; give each engine a file of its own") from None
        try:
            with _said(self.path):
                self._file = self._opened()
        except BaseException:
            self._held.close()
            raise

    @property
    def waiting(self) -> bool:
        """Whether it holds what was not sent yet."""
        return self._sent < self._end

    @property
    def waiting_bytes(self) -> int:
        return self._end - self._sent

    def append(self, payloads: Iterable[bytes]) -> None:
        """Keep messages behind those that wait. Raises `SpoolFull` where there is no room for all of them, `Unavailable` where the disk refuses: then none
        of them is kept."""
        lines = b"".join(b"%08x %s\n" % (zlib.crc32(payload), payload) for payload in payloads)
        with self.lock:
            if self.waiting_bytes + len(lines) > self.most_bytes:
                raise SpoolFull(
                    f"the spool {self.path} holds {self.waiting_bytes:,} bytes of at most {self.most_bytes:,}; these records are not kept: bring the broker "
                    "back, or allow more (spool_bytes)"
                )
            with _said(self.path):
                try:
                    self._write(_HEAD_BYTES + self._end, lines)
                except OSError:
                    with contextlib.suppress(OSError):
                        self._file.truncate(_HEAD_BYTES + self._end)
                    raise
            self._end += len(lines)

    def first(self, most: int) -> tuple[list[bytes], int]:
        """The first messages that wait, and what to tell `sent` once they are. Raises `Unavailable`."""
        with self.lock, _said(self.path):
            found: list[bytes] = []
            end = self._sent
            piece = os.pread(self._file.fileno(), min(_PIECE_BYTES, self._end - end), _HEAD_BYTES + end)
            for line in piece[: piece.rfind(b"\n") + 1].splitlines(keepends=True)[:most]:
                end += len(line)
                payload = _payload(line)
                if payload is not None:
                    found.append(payload)
                else:
                    # Written whole, and other bytes since: the disk's fault, and no reason to keep its neighbours.
                    log.error("a line of the spool %s is damaged and cannot be sent: %r", self.path, line[:200])
            return found, end

    def sent(self, end: int) -> None:
        """The broker has everything up to there. Raises `Unavailable`."""
        with self.lock, _said(self.path):
            self._sent = end
            if self._sent >= self._end:
                self._sent = self._end = 0
                self._file.truncate(_HEAD_BYTES)
            elif self._sent >= _COMPACT_BYTES and self._sent > self._end // 2:
                self._compact()
                return
            self._write_head()

    def close(self) -> None:
        with self.lock:
            self._file.close()
            self._held.close()

    # -- the file ------------------------------------------------------------------------------------------------------

    def _opened(self) -> IO[bytes]:
        # Unbuffered: what is written is in the file, and what is read is what is there.
        file = open(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0)  # noqa: SIM115
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(_HEAD_BYTES)
        if size > len(_HEAD) and not head.startswith(_HEAD):
            file.close()
            raise Invalid(f"spool: {self.path} is no spool; name another file, it is left as it is")
        digits = head[len(_HEAD) : -1]
        self._file = file
        self._sent = int(digits) if len(head) == _HEAD_BYTES and digits.isdigit() else 0
        self._end = self._whole_lines(max(0, size - _HEAD_BYTES))
        self._sent = min(self._sent, self._end)
        file.truncate(_HEAD_BYTES + self._end)
        self._write_head()
        _sync_folder(self.path)
        return file

    def _whole_lines(self, size: int) -> int:
        """Where the last whole line ends: a crash may have cut the last one short, or left zeros for it."""
        self._file.seek(_HEAD_BYTES + self._sent)
        found = self._sent
        with open(os.dup(self._file.fileno()), "rb") as lines:
            for line in lines:
                if _payload(line) is None and not line.endswith(b"\n"):
                    break
                found += len(line)
        if found < size:
            log.warning("the last %d bytes of the spool %s were cut short by a crash and never reported as kept; they are dropped", size - found, self.path)
        return found

    def _write_head(self) -> None:
        self._write(0, b"%s%020d\n" % (_HEAD, self._sent))

    def _write(self, at: int, data: bytes) -> None:
        """All of it, on disk when this returns."""
        while data:
            written = os.pwrite(self._file.fileno(), data, at)
            at, data = at + written, data[written:]
        os.fsync(self._file.fileno())

    def _compact(self) -> None:
        """The file anew, without what was sent: under another name first, so that a crash leaves one of the two whole."""
        new = Path(f"{self.path}.new")
        with open(new, "wb") as file:
            os.chmod(new, 0o600)
            file.write(b"%s%020d\n" % (_HEAD, 0))
            self._file.seek(_HEAD_BYTES + self._sent)
            while piece := self._file.read(_PIECE_BYTES):
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, self.path)
        _sync_folder(self.path)
        self._file.close()
        self._file = open(self.path, "r+b", buffering=0)  # noqa: SIM115
        self._end -= self._sent
        self._sent = 0


def _payload(line: bytes) -> bytes | None:
    """The message of a line; None where it is not what was written."""
    digest, _, payload = line.removesuffix(b"\n").partition(b" ")
    return payload if line.endswith(b"\n") and digest == b"%08x" % zlib.crc32(payload) else None


def _sync_folder(path: Path) -> None:
    folder = os.open(path.absolute().parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextlib.contextmanager
def _said(path: Path) -> Iterator[None]:
    """Errors of the disk, in words."""
    try:
        yield
    except OSError as error:
        raise Unavailable(f"the spool {path} cannot be used: {error.strerror or error}; look at its folder and the free space") from error

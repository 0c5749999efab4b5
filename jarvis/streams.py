"""Standard streams that cannot take a daemon down: closed, on a full disk, or left by whoever read them."""

from __future__ import annotations

import errno
import io
import os
import select
import stat
import sys

#: A reader that takes nothing for this long is no longer waited for, until it reads again: lines are dropped rather than records held up.
PATIENCE_MS = 2_000


class _Heedless(io.FileIO):
    """Descriptor 2 as a file whose writes always succeed. What cannot be written is dropped."""

    def __init__(self, *, patient: bool) -> None:
        super().__init__(2, "w", closefd=False)
        #: A file takes everything at once; a pipe or a terminal takes what its reader leaves room for.
        self._at_once = sys.maxsize if patient or stat.S_ISREG(os.fstat(2).st_mode) else select.PIPE_BUF
        self._stuck = False

    def write(self, data: object) -> int:
        rest = memoryview(data).cast("B")  # type: ignore[arg-type]
        size = len(rest)
        try:
            while rest and self._takes():
                rest = rest[super().write(rest[: self._at_once]) or 0 :]
        except OSError:
            pass
        return size

    def _takes(self) -> bool:
        if self._at_once == sys.maxsize:
            return True
        # One that is ready takes as much as its smallest atomic write without making us wait.
        ready = select.poll()
        ready.register(2, select.POLLOUT)
        self._stuck = not ready.poll(0 if self._stuck else PATIENCE_MS)
        return not self._stuck


def open_standard_streams() -> None:
    """Before anything else is opened: a closed descriptor 0, 1 or 2 would be given to the next file, the database as like as not, and
    then be written to as if it were the terminal."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            # The lowest number that is free is this one; those we start inherit it.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stdout is None:
        sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), encoding="utf-8", line_buffering=True)
    heed_no_reader(patient=True)


def heed_no_reader(*, patient: bool = False) -> None:
    """No line to people fails whoever says it. Unless `patient`, nobody waits for long for a reader that has stopped reading, either."""
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    sys.stderr = io.TextIOWrapper(io.BufferedWriter(_Heedless(patient=patient)), encoding=encoding, errors="backslashreplace", line_buffering=True)


def reader_has_left() -> bool:
    """Whether standard output is a pipe that nobody reads any more."""
    asked = select.poll()
    asked.register(1, 0)
    return any(events & select.POLLERR for _, events in asked.poll(0))

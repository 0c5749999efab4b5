"""How a process tells its supervisor of itself: lines of JSON through a pipe, of which no reader can hold it up."""

from __future__ import annotations

import json
import os
import select
import threading
from contextlib import suppress
from typing import Any

#: The number of the pipe's end, given by the supervisor.
VARIABLE = "JARVIS_STATUS_FD"


class SupervisorPipe:
    """Safe to use from several threads. A line goes whole or not at all: one that a full pipe would hold up is left out, and the next
    one says more anyway. Does nothing where there is no supervisor."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._rest = b""
        if descriptor is not None:
            try:
                os.set_blocking(descriptor, False)
            except OSError:
                # The variable came from further up; what it names was not handed to this process.
                self._descriptor = None

    @classmethod
    def of_environment(cls) -> SupervisorPipe:
        text = os.environ.get(VARIABLE)
        return cls(None if text is None else int(text))

    @property
    def connected(self) -> bool:
        return self._descriptor is not None

    def tell(self, said: dict[str, Any], *, wait_seconds: float = 0.0) -> bool:
        """False where the line was left out, because the supervisor has not read what came before within `wait_seconds`."""
        if self._descriptor is None:
            return False
        with self._lock, suppress(OSError):
            if not self._write(self._rest, wait_seconds):
                return False
            self._write((json.dumps(said) + "\n").encode(), wait_seconds)
            return True
        return False

    def _write(self, line: bytes, wait_seconds: float) -> bool:
        """Whether all of it is in the pipe; what is not is kept, so that no line is ever torn."""
        assert self._descriptor is not None
        self._rest = line
        while self._rest:
            if not select.select([], [self._descriptor], [], wait_seconds)[1]:
                return False
            with suppress(BlockingIOError):
                self._rest = self._rest[os.write(self._descriptor, self._rest) :]
        return True

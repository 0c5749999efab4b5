"""Whether a process is alive and ready: said by its main loop, read by whoever asks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import jarvis

#: A main loop goes round twice a second. One that has not for this long hangs; a slow disk or a starved machine holds it up for less.
SILENT_SECONDS = 60.0


class Health:
    """Of one process, or of a supervisor and all below it."""

    def __init__(self, process: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.process = process
        self._clock = clock
        self._problems: Mapping[str, str] = {process: "starting"}
        # A start may take a migration and its backup, so until the first round nobody waits for one.
        self._looked: float | None = None

    def says(self, problems: Mapping[str, str]) -> None:
        """The main loop has gone round. `problems`: by process, why it is not ready; empty when all are."""
        self._problems = dict(problems)
        self._looked = self._clock()

    @property
    def silent_seconds(self) -> float:
        return 0.0 if self._looked is None else self._clock() - self._looked

    @property
    def alive(self) -> bool:
        return self.silent_seconds < SILENT_SECONDS

    @property
    def ready(self) -> bool:
        return self.alive and not self._problems

    @property
    def problems(self) -> dict[str, str]:
        """By process, why it is not alive or not ready."""
        if not self.alive:
            return {self.process: f"its main loop has not gone round for {self.silent_seconds:.0f} s; restart it"}
        return dict(self._problems)

    def answer(self, *, ready: bool) -> tuple[bool, dict[str, Any]]:
        """What `/readyz` says, or `/healthz`: whether all is well, and a JSON object that says why not."""
        well = self.ready if ready else self.alive
        return well, {
            "ready" if ready else "alive": well,
            "process": self.process,
            "version": jarvis.__version__,
            "problems": self.problems if ready or not well else {},
        }

"""The figures in a folder that node_exporter's textfile collector reads."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import structlog

log = structlog.get_logger("monitoring")


class Textfile:
    """`jarvis-PROCESS.prom` in a folder: always whole, and gone once the process has stopped."""

    def __init__(self, folder: Path, process: str) -> None:
        self._path = folder / f"jarvis-{process}.prom"
        self._told = False

    def write(self, text: str) -> None:
        """Replace the file. A folder that is not there or not ours costs one warning; figures never end a process."""
        # The collector reads whatever ends with .prom, so what is half written ends otherwise.
        half = self._path.with_name(f"{self._path.name}.{os.getpid()}.tmp")
        try:
            half.write_text(text)
            half.chmod(0o644)  # node_exporter is another user
            half.replace(self._path)
            self._told = False
        except OSError as error:
            with suppress(OSError):
                half.unlink(missing_ok=True)
            if not self._told:
                self._told = True
                log.warning(
                    "the figures cannot be written for node_exporter; make the folder, give it to this user, or clear monitoring.textfile",
                    file=str(self._path), error=str(error),
                )  # fmt: skip

    def remove(self) -> None:
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

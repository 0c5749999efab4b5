"""A wall clock that a test turns, for whole processes: a library that is preloaded adds the seconds that stand in a file."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

SOURCE = Path(__file__).parent / "clock.c"


def built() -> Path:
    """The library, compiled once per source."""
    target = Path(tempfile.gettempdir()) / f"jarvis-clock-{os.getuid()}-{int(SOURCE.stat().st_mtime)}.so"
    if not target.exists():
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder) / "clock.so"
            subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", made, SOURCE, "-ldl"], check=True)
            shutil.copy(made, f"{target}.{os.getpid()}")
            os.replace(f"{target}.{os.getpid()}", target)
    return target


class Clock:
    """Ahead of the true time by so many days, for every process that was started with its `environment`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "clock"
        self._path.write_bytes(struct.pack("q", 0))

    @property
    def environment(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(built()), "STEPPED_CLOCK": str(self._path)}

    def ahead(self, days: float) -> None:
        with self._path.open("r+b") as file:
            file.write(struct.pack("q", int(days * 86_400)))

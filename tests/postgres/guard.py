"""Starts the server of a run of the tests, waits for the run's end, and leaves nothing behind. Run with: process, folder, URL or programs."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from postgres.schemas import Schemas
from postgres.server import Server, is_alive


def guard(run: int, folder: Path, named: str) -> None:
    """What it says where it fails stays in a file of the folder's name and `.said`."""
    server = None if "://" in named else Server(folder, Path(named))
    ready = folder.with_suffix(".ready")
    try:
        if server is not None:
            server.create()
            server.start()
        schemas = Schemas(named if server is None else server.url(), f"jt_{run}")
        schemas.create()
        try:
            _tell(ready, named if server is None else server.url())
            _wait_for_the_end_of(run)
        finally:
            if server is None:
                schemas.drop()
    finally:
        if server is not None:
            server.remove()
        for suffix in (".ready", ".lock"):
            folder.with_suffix(suffix).unlink(missing_ok=True)
    folder.with_suffix(".said").unlink(missing_ok=True)


def _tell(ready: Path, url: str) -> None:
    """Whole or not at all: others wait for the file to be there."""
    unfinished = ready.with_suffix(".unfinished")
    unfinished.write_text(url)
    unfinished.rename(ready)


def _wait_for_the_end_of(process: int) -> None:
    # It is nobody's child here, so it can only be looked for.
    while is_alive(process):
        time.sleep(0.2)


if __name__ == "__main__":
    guard(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])

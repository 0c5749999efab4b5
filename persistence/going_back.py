"""Going back on purpose: to a backup, or on without what was lost. The chain has an event of it, and the backup folder a note.

Heads that manifests keep of what was left behind no longer count against the chain. An event alone, which anybody who can write to
the database can add, excuses none: it takes the note, too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import apsw

from persistence import chain
from persistence.driver import renew_epoch
from persistence.files import fsync_folder


def go_back(
    connection: apsw.Connection, kind: str, now: int, folder: Path, content: Mapping[str, Any] | None = None, *, replaced: str | None = None
) -> list[Path]:
    """Give the books an epoch of their own: what was made durable after them is left behind knowingly, not lost.

    `kind` is `chain.RESTORED` or `chain.LOSS_ACCEPTED`, `replaced` the epoch of the books that give way. The notes go into the backup
    folder. Returns those that could not be written: going back does not fail for them.
    """
    epoch, block_no = chain.identity(connection)[1], chain.newest(connection).block_no
    chain.record_event(connection, kind, now, {**(content or {}), "epoch": epoch, "block_no": block_no})
    renew_epoch(connection)
    left = {epoch: block_no} if replaced in (None, epoch) else {epoch: block_no, str(replaced): 0}
    return [path for e, b in left.items() if not _note(path := folder / f"went-back-{e}-{b}.json", {"epoch": e, "block_no": b, "at": now})]


def _note(path: Path, content: Mapping[str, Any]) -> bool:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        fsync_folder(path.parent)
    except OSError:
        return False
    return True


def epoch_of(connection: apsw.Connection) -> str | None:
    """The epoch of the books behind a connection; None of those from before there were any."""
    if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'book'").get is None:
        return None
    return chain.identity(connection)[1]


def noted(folder: Path) -> set[tuple[str, int]]:
    """(epoch, last block in common) of every note that a backup folder holds."""
    found = set()
    for path in folder.glob("went-back-*.json"):
        try:
            note = json.loads(path.read_text("utf-8"))
            found.add((str(note["epoch"]), int(note["block_no"])))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # as good as none
    return found


__all__ = ["epoch_of", "go_back", "noted"]

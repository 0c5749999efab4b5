"""Going back on purpose: restoring a backup, or accepting a loss. Each leaves an event in the chain and a note beside the backups.

Manifests of newer backups hold chain heads that are then no longer part of the chain. Such a head is excused only by a note; the
event is not enough, because anybody who can write to the database can add one.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jarvis_client.contract.instants import to_text
from persistence.books import events
from persistence.books.book import book_id_and_epoch, generation
from persistence.books.events import LOSS_ACCEPTED, RESTORED
from persistence.copies import backups
from persistence.domain.errors import WrongFolder
from persistence.engine.contract import Connection
from persistence.engine.sqlite.database import SQLiteDatabase
from persistence.files import make_last_folder, replaced
from persistence.proof import chain


def renew_epoch(connection: Connection) -> None:
    """Give the books an epoch of their own. Durable marks of an earlier epoch say nothing about them."""
    connection.execute("UPDATE book SET epoch = ?", (secrets.token_hex(8),))


def go_back(
    connection: Connection,
    kind: str,
    now: int,
    folder: Path,
    content: Mapping[str, Any] | None = None,
    *,
    replaced: str | None = None,
    least_generation: int = 0,
) -> list[Path]:
    """Give the books an epoch of their own: what was made durable after them is left behind knowingly, not lost.

    `kind` is `RESTORED` or `LOSS_ACCEPTED`, `replaced` the epoch of the books that give way, `least_generation` the life they were in.
    The notes go into the backup folder. Returns those that could not be written: going back does not fail for them.
    """
    (book, epoch), block_no = book_id_and_epoch(connection), chain.newest(connection).block_no
    known = [b.reach.generation for b in backups.present(folder) if b.is_of(book)] if folder.is_dir() else []
    life = max(generation(connection), least_generation, *known) + 1
    events.record(connection, kind, now, {**(content or {}), "epoch": epoch, "block_no": block_no, "generation": life})
    renew_epoch(connection)
    left = {epoch: block_no} if replaced in (None, epoch) else {epoch: block_no, str(replaced): 0}
    return [path for e, b in left.items() if not _note(path := folder / f"went-back-{e}-{b}.json", {"epoch": e, "block_no": b, "at": now})]


def _note(path: Path, content: Mapping[str, Any]) -> bool:
    try:
        make_last_folder(path.parent)
        with replaced(path) as file:
            file.write(json.dumps(content).encode())
    except (OSError, WrongFolder):
        return False
    return True


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


def take_back_on_purpose(
    path: Path,
    now: int,
    backup_folder: Path,
    *,
    instead_of: str | None = None,
    least_generation: int = 0,
    content: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Give the books of a file a new epoch: what was made durable after them is left behind knowingly, not lost.

    `instead_of` and `least_generation`: the epoch and the generation of the books that they replace; `content`: what the event says of
    where they come from. Returns the notes beside the backups that could not be written.
    """
    with closing(SQLiteDatabase(path, wal_mode=False, refuse_loss=False)) as database:
        database.open_up()
        with database.transaction() as connection:
            return go_back(connection, RESTORED, now, backup_folder, content, replaced=instead_of, least_generation=least_generation)


@dataclass(frozen=True, slots=True)
class Loss:
    """Commits that were made durable and are missing; the records in them came after `since` (RFC 3339)."""

    first_commit: int
    last_commit: int
    facts: int
    since: str | None


def accept_loss(database: SQLiteDatabase) -> Loss | None:
    """Accept that durable commits are missing, and continue with the rest. Returns the loss; None if no commit is missing.

    The loss is recorded among the events of the chain, and the epoch renewed.
    """
    with database.transaction() as connection:
        found, noted, _ = database.durability()
        if noted is None or not noted.is_beyond(found):
            return None
        loss = Loss(found.commit_no + 1, noted.commit_no, max(0, noted.fact_no - found.fact_no), to_text(found.at) if found.at else None)
        go_back(connection, LOSS_ACCEPTED, connection.now, database.backup_folder, asdict(loss))
    return loss

"""Backups, by what their manifests say."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from jarvis_client.contract.instants import to_instant
from persistence.books.book import short
from persistence.copies.backups import Backup


class ListedBackup(NamedTuple):
    """A backup as a listing shows it. `books` are those it is of, by the beginning of their id; `facts` and what follows are None without a manifest."""

    file: str
    taken_at: int
    books: str | None
    remark: str
    proved: bool
    bytes: int
    facts: int | None
    newest_at: int | None


def listed(backup: Backup, present: str | None, now: int) -> ListedBackup:
    """`present`: the id of the books that stand there, where some do: a backup of others is remarked."""
    held = backup.manifest or {}
    newest = (held.get("newest_transaction") or {}).get("occurred_at")
    remarks = [said for said, so in (
        ("other books", present is not None and backup.proved and backup.book != present), ("from the future", backup.is_ahead(now)),
    ) if so]  # fmt: skip
    return ListedBackup(
        backup.path.name, to_instant(backup.taken_at), None if backup.book is None else short(backup.book), ", ".join(remarks), backup.proved, backup.size,
        held.get("tables", {}).get("facts", {}).get("rows"), None if newest is None else to_instant(datetime.fromisoformat(newest)),
    )  # fmt: skip


__all__ = ["ListedBackup", "listed"]

"""The restore drill: the backup that reaches furthest brought back to a scratch place, its rows derived anew from its facts, and compared."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

from jarvis_client.contract.errors import BooksError, Invalid
from persistence.copies import backups
from persistence.copies.choosing import choose
from persistence.domain.errors import WrongDatabase
from persistence.engine.sqlite.database import SQLiteDatabase
from persistence.repositories import SQLitePerformanceRepository
from scheduler.rollup.options import RollupPlan
from scheduler.rollup_checks import compare_rows


class DrillFailed(BooksError):
    """A restored backup differs from its books; the message says where."""


def restore_drill(folder: Path, plan: RollupPlan, now: int, book: str | None = None) -> dict[str, Any]:
    """Restore the proved backup of these books that reaches furthest, apart from the live ones, and rebuild every account's rows in it.

    Raises `DrillFailed` where there is no backup yet or a row comes out otherwise, `WrongDatabase` where the backup is damaged.
    """
    try:
        choice = choose(folder, now, book=book)
    except (Invalid, WrongDatabase) as error:
        # Of a fresh installation the first one may be under way: worth another try.
        raise DrillFailed(str(error)) from error
    backup = choice.backup
    with backups.opened(backup, folder) as plain, closing(SQLiteDatabase.copy_of(plain)) as restored:
        restored.open_up()
        with restored.copied(folder) as scratch:
            if findings := compare_rows(restored, scratch, plan, now):
                first = findings[0]
                raise DrillFailed(f"{backup.path.name}: a rebuild gives other rows, the first: {first.where}: {first.expected} instead of {first.found}")
        rows = SQLitePerformanceRepository(restored).find_all()
    told = {"backup": backup.path.name, "rows": sum(row.source == "rollup" for row in rows)}
    return told | ({"remarks": choice.remarks} if choice.remarks else {})

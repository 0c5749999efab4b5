"""The restore drill: the newest backup brought back to a scratch place, its rows derived anew from its facts, and compared."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

from persistence import backups
from persistence.database import DatabaseManager
from persistence.domain.errors import BooksError, Invalid
from persistence.repositories import SQLitePerformanceRepository
from persistence.repositories.rollups import SQLiteRollupRepository
from scheduler.rollup.account import roll_up
from scheduler.rollup.options import RollupPlan


class DrillFailed(BooksError):
    """What came back from the backup is not what was there; says what differs."""


def restore_drill(folder: Path, plan: RollupPlan, now: int) -> dict[str, Any]:
    """Restore the newest proved backup apart from the live books and rebuild every account's rows in it.

    Raises `DrillFailed` where there is no backup yet or a row comes out otherwise, `WrongDatabase` where the backup is damaged.
    """
    try:
        backup = backups.find(folder)
    except Invalid as error:
        # Of a fresh installation the first one may be under way: worth another try.
        raise DrillFailed(str(error)) from error
    compared = 0
    with backups.opened(backup, folder) as plain, closing(DatabaseManager(plain, wal_mode=False)) as restored:
        restored.initialize()
        repository, performance = SQLiteRollupRepository(restored), SQLitePerformanceRepository(restored)
        for account_id in repository.account_ids():
            with repository.reading(account_id) as books:
                progress, mark = books.progress(), books.mark()
            options = plan.of(account_id)
            settled = mark is not None and mark.dirty_since is None and mark.recheck_since is None
            if progress is None or not settled or progress.stale_from is not None or progress.options_digest != options.digest:
                continue  # its rows were due for a change when the backup was taken
            before = {r.date: r for r in performance.find_all(account_id) if r.source == "rollup"}
            roll_up(restored, account_id, options, progress.rolled_to, now=now, rebuild=True)
            after = {r.date: r for r in performance.find_all(account_id) if r.source == "rollup"}
            for row in (*before.values(), *after.values()):
                row.created_at = row.updated_at = None
            if differing := sorted(d for d in {**before, **after} if before.get(d) != after.get(d)):
                raise DrillFailed(f"{backup.path.name}: a rebuild of {account_id} gives other rows on {', '.join(map(str, differing[:5]))}")
            compared += len(after)
    return {"backup": backup.path.name, "rows": compared}

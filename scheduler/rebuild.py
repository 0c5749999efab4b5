"""Everything derived, made anew from the facts: balances and orders by the books' own rebuild, daily figures by the rollup."""

from __future__ import annotations

from contextlib import closing
from itertools import islice
from pathlib import Path

from persistence.database import DatabaseManager
from persistence.domain.errors import Damaged
from persistence.domain.finding import Finding
from persistence.domain.progress import Progress, silent
from persistence.engine.sqlite import pages
from persistence.proof import rebuild
from persistence.repositories.rollups import SQLiteRollupRepository
from scheduler.jobs import roll_up_accounts
from scheduler.rollup.options import RollupPlan

#: Differences that are told one by one.
SHOWN = 1_000


def replace(database: DatabaseManager, plan: RollupPlan, now: int, progress: Progress = silent) -> list[Finding]:
    """Put what the facts make in the place of what is stored. Nobody else may use the books. Returns what was different.

    Raises `Damaged` where the tables of the facts cannot be read."""
    folder = Path(database.path).absolute().parent
    # What is read through a broken index is not what was recorded.
    progress("checking the indexes", 0, 0)
    with database.transaction() as connection:
        mended = pages.mend_indexes(connection)
    progress("copying the books", 0, 0)
    with database.copied(folder) as rebuilt:
        try:
            rebuild.rebuild(rebuilt, now, progress)
        except Damaged as error:
            said = "nothing was changed. `jarvis db check` says what can be read, `jarvis restore --latest` brings the newest backup back"
            raise Damaged(f"{error}; {said}") from error
        rebuilt.close()
        progress("comparing with what is stored", 0, 0)
        findings = list(islice(rebuild.differences(database, rebuilt.path), SHOWN))
        progress("putting it in place", 0, 0)
        rebuild.replace_derived(database, rebuilt.path)
    if pages.damaged_pages(database.path):
        database.renew_checksums()
    with closing(DatabaseManager(database.path, wal_mode=database.wal_mode, checkpoints=database.checkpoints)) as sound:
        rolled = [a for a in SQLiteRollupRepository(sound).account_ids() if _was_rolled_up(sound, a)]
        roll_up_accounts(sound, plan, now, rolled, rebuild=True, progress=lambda _account, _day, share: progress("rolling up", int(share * 1_000), 1_000))
    return [*mended, *findings]


def _was_rolled_up(database: DatabaseManager, account_id: str) -> bool:
    with SQLiteRollupRepository(database).reading(account_id) as books:
        return books.progress() is not None

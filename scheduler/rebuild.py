"""Everything derived, made anew from the facts: balances and orders by the books' own rebuild, daily figures by the rollup."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from itertools import islice
from pathlib import Path

from jarvis_client.contract.errors import Unavailable
from persistence.beside import beside, is_worth_it
from persistence.database import DatabaseManager
from persistence.domain.errors import Damaged
from persistence.domain.finding import Finding
from persistence.domain.progress import Progress, silent
from persistence.engine.contract import LiveBooks
from persistence.engine.sqlite import pages
from persistence.engine.sqlite.database import SQLiteDatabase
from persistence.proof import chain, rebuild
from persistence.repositories.rollups import SQLiteRollupRepository
from scheduler.jobs import roll_up_accounts
from scheduler.rollup.options import RollupPlan

#: Differences that are told one by one.
SHOWN = 1_000


def replace(database: DatabaseManager, plan: RollupPlan, now: int, keep: Callable[[], None] = lambda: None, progress: Progress = silent) -> list[Finding]:
    """Put what the facts make in the place of what is stored. Nobody else may use the books. Returns what was different.

    `keep` takes a backup, say: it is called before anything is changed. A second process derives meanwhile.
    Raises `Damaged` where the tables of the facts cannot be read."""
    progress("copying the books", 0, 0)
    with database.copied(Path(database.path).absolute().parent) as rebuilt:
        rebuilt.close()
        with beside(_derive, rebuilt.path, now, worth=is_worth_it(rebuilt.path)) as derived:
            keep()
            progress("deriving from the facts", 0, 0)
            mended = derived()
        if mended:
            with database.transaction() as connection:
                pages.mend_indexes(connection)
        progress("comparing with what is stored", 0, 0)
        findings = list(islice(rebuild.differences(database, rebuilt.path), SHOWN))
        progress("putting it in place", 0, 0)
        rebuild.replace_derived(database, rebuilt.path, differing=bool(findings))
    if pages.damaged_pages(database.path):
        database.renew_checksums()
    with closing(DatabaseManager(database.path, wal_mode=database.wal_mode, checkpoints=database.checkpoints)) as sound:
        _roll_up_again(sound, plan, now, progress)
    return [*mended, *findings]


def replace_on_server(database: LiveBooks, plan: RollupPlan, now: int, keep: Callable[[], None] = lambda: None, progress: Progress = silent) -> list[Finding]:
    """The same where a server keeps the books. Raises `Unavailable` where somebody recorded something meanwhile, and nothing was changed."""
    progress("copying the books", 0, 0)
    with database.copied(database.folder) as stored, stored.copied(database.folder) as rebuilt:
        with stored.get_connection() as connection:
            reached = chain.reach(connection)
        rebuild.rebuild(rebuilt, now, progress)
        rebuilt.close()
        keep()
        progress("comparing with what is stored", 0, 0)
        findings = list(islice(rebuild.differences(stored, rebuilt.path), SHOWN))
        progress("putting it in place", 0, 0)
        with database.transaction(alone=True) as connection:
            if chain.reach(connection) != reached:
                raise Unavailable("something was recorded meanwhile, so nothing was changed; stop the workers of every host, and try again")
            rebuild.mend(connection, stored, rebuilt.path)
    _roll_up_again(database, plan, now, progress)
    return findings


def _roll_up_again(database: LiveBooks, plan: RollupPlan, now: int, progress: Progress) -> None:
    rolled = [a for a in SQLiteRollupRepository(database).account_ids() if _was_rolled_up(database, a)]
    roll_up_accounts(database, plan, now, rolled, rebuild=True, progress=lambda _account, _day, share: progress("rolling up", int(share * 1_000), 1_000))


def _derive(path: str, now: int) -> list[Finding]:
    """Derive everything anew in a copy. Returns what was wrong with its indexes: what is read through a broken one is not what was recorded."""
    with closing(SQLiteDatabase(path, 3, wal_mode=False, verify_pages=False, durable=False)) as copy:
        with copy.transaction() as connection:
            mended = pages.mend_indexes(connection)
        try:
            rebuild.rebuild(copy, now)
        except Damaged as error:
            said = "nothing was changed. `jarvis db check` says what can be read, `jarvis restore --latest` brings the newest backup back"
            raise Damaged(f"{error}; {said}") from error
    return mended


def _was_rolled_up(database: LiveBooks, account_id: str) -> bool:
    with SQLiteRollupRepository(database).reading(account_id) as books:
        return books.progress() is not None

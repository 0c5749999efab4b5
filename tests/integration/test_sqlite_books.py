"""What the suites of every engine cannot ask of SQLite without its own means: other programs at its file, and its counters."""

from __future__ import annotations

from datetime import date

import pytest
from books import NEW_YEAR, deposit, snapshot, statuses

from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from persistence.domain import Unavailable
from scheduler.rollup.account import roll_up
from scheduler.rollup.options import RollupOptions

DAY = 86_400_000_000


def test_an_unwritable_store_is_wrong_for_now_and_nothing_is_recorded(database, ledger):
    with DatabaseManager(database.path).transaction(), pytest.raises(Unavailable, match="another program holds the database"):
        Ledger(DatabaseManager(database.path, busy_timeout_ms=50)).post([deposit()])
    assert statuses(ledger.post([deposit()])) == ["applied"]


def test_a_second_rollup_finds_nothing_to_do_and_commits_nothing(database, ledger):
    def roll():
        return roll_up(database, "acc", RollupOptions(), date(2026, 2, 5), now=NEW_YEAR + 40 * DAY)

    ledger.post([deposit(), *(snapshot(observed_at=NEW_YEAR + n * DAY + DAY // 2, total_value_usd=1000 + 10 * n, snapshot_id=f"m{n}") for n in range(2))])
    assert roll().added == 2
    before = database.execute_query("PRAGMA data_version")[0][0], database.execute_query("SELECT generation FROM rollup_accounts")[0][0]
    again = roll()
    assert (again.added, again.revised, again.through) == (0, 0, None)
    assert before == (database.execute_query("PRAGMA data_version")[0][0], database.execute_query("SELECT generation FROM rollup_accounts")[0][0])

"""An account of very many currencies is verified in one reading of each day."""

from __future__ import annotations

from books import NEW_YEAR, deposit

from jarvis_client.contract import instants
from persistence.books.account_history import AccountBooks
from scheduler.jobs import roll_up_accounts
from scheduler.rollup.options import RollupPlan
from scheduler.verification import verify

DAY = 86_400_000_000


def test_verification_reads_a_days_movements_once_however_many_currencies_moved(database, ledger, monkeypatch):
    ledger.post([deposit(n, currency=f"C{n}", occurred_at=NEW_YEAR + n % 2 * DAY) for n in range(300)])
    roll_up_accounts(database, RollupPlan(), NEW_YEAR + 3 * DAY)
    read = []
    movements = AccountBooks.movements
    monkeypatch.setattr(AccountBooks, "movements", lambda self, start, end: read.append(start) or movements(self, start, end))
    assert verify(database, RollupPlan(), instants.now(), None) == []
    assert len(read) == 3, "two days, and what came after them"

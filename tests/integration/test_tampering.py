"""What somebody who can write to the file may have changed, and no row may change unseen: each is told by the daily verification."""

from __future__ import annotations

from datetime import date

import pytest
from books import NEW_YEAR, deposit, fill, placed, rate, snapshot, void, withdrawal

from jarvis_client.contract import instants
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.outcome import Refusal
from persistence.books import derived
from persistence.domain.account import Account
from persistence.domain.performance import PerformanceMetrics
from persistence.proof import chain
from persistence.proof.told_checks import gaps_follow_from_numbers
from persistence.repositories import SQLiteAccountRepository, SQLiteGapRepository, SQLitePerformanceRepository
from persistence.repositories.job_runs import SQLiteJobRunRepository
from scheduler.jobs import roll_up_accounts
from scheduler.rollup.options import RollupOptions, RollupPlan
from scheduler.verification import Depth, verify

PLAN = RollupPlan(RollupOptions())
DAY = 86_400_000_000
#: An hour ahead of when this is read, since a run takes minutes until a test begins.
NOW = instants.now() + 3_600_000_000


def told(database) -> set[str]:
    return {f.check for f in verify(database, PLAN, instants.now(), None)}


@pytest.fixture
def kept(database, ledger):
    """Books with everything that can be changed: figures, saves by hand, gaps, runs of jobs, contracts, rates."""
    ledger.post([deposit(1, producer="p", sequence=1), placed(), fill(1, quantity="3", producer="p", sequence=5), fill(2, order_id="o2")])
    ledger.post([fill(3, symbol="BTC/USDT:USDT", order_id=None, multiplier="10"), deposit(2, currency="EUR", usd_rate="1.1"), rate(1, currency="GBP")])
    ledger.post([deposit(3, occurred_at=NEW_YEAR + DAY), withdrawal(1, occurred_at=NEW_YEAR + 2 * DAY, currency="EUR", amount="1")])
    ledger.post([deposit(4, account_id="snap"), snapshot(1, account_id="snap"), snapshot(2, account_id="snap", observed_at=NEW_YEAR + DAY)])
    ledger.post([Refusal(b"{}", "malformed", "no record", producer="p", sequence=7)])
    SQLiteAccountRepository(database).save(Account("hand", "By hand"))
    SQLitePerformanceRepository(database).save(PerformanceMetrics("hand", date(2026, 1, 1), 5, 0, 0))
    roll_up_accounts(database, PLAN, NEW_YEAR + 5 * DAY)
    runs = SQLiteJobRunRepository(database)
    assert runs.claim("verification", NOW, "s", NOW)
    runs.fail("verification", NOW, "s", NOW, "3 findings", None)
    chain.seal(database, NOW)
    assert told(database) == {"every number of a producer arrived"}
    return database


STANDS = "what rollups build upon stands"
TAMPERED = {
    "a row marked as saved by hand": ("UPDATE performance_metrics SET source = 'manual', pnl_daily = '90000' WHERE account_id = 'acc'", "the chain holds"),
    "a row saved by hand that nobody saved": (
        "INSERT INTO performance_metrics (account_id, date, total_value_usd, pnl_daily, pnl_total) VALUES ('acc', '2025-01-01', '1', '1', '1')",
        "the chain holds",
    ),
    "an order's status": ("UPDATE orders SET status = 'pending' WHERE order_id = 'o1'", "orders match their facts"),
    "the newest row and its state": (
        "DELETE FROM performance_metrics WHERE account_id = 'acc' AND date = '2026-01-03'; DELETE FROM rollup_rows WHERE account_id = 'acc' AND date = '2026-01-03'",
        STANDS,
    ),
    "since when an account is open": ("UPDATE accounts SET opened_at = opened_at + 1 WHERE account_id = 'acc'", "accounts are as told"),
    "an account's name": ("UPDATE accounts SET name = 'Other' WHERE account_id = 'acc'", "accounts are as told"),
    "a name that was saved by hand": ("UPDATE accounts SET name = 'Other' WHERE account_id = 'hand'", "accounts are as told"),
    "an account closed": ("UPDATE accounts SET is_active = 0 WHERE account_id = 'acc'", "accounts are as told"),
    "a gap gone": ("DELETE FROM gaps", "gaps follow from the numbers that arrived"),
    "a gap made smaller": ("UPDATE gaps SET first = first + 1 WHERE first = 2", "gaps follow from the numbers that arrived"),
    "producers and gaps gone": ("DELETE FROM gaps; DELETE FROM producers", "gaps follow from the numbers that arrived"),
    "a producer that ends earlier": ("UPDATE producers SET highest = 5; DELETE FROM gaps WHERE first = 6", "gaps follow from the numbers that arrived"),
    "a verification that failed made good": (
        "UPDATE job_runs SET state = 'succeeded', error = NULL, result = '{\"findings\": 0}' WHERE job = 'verification'", "verdicts of jobs stand",
    ),
    "a verification that failed gone": ("DELETE FROM job_runs WHERE job = 'verification'", "verdicts of jobs stand"),
    "a verification that never ran": (
        "INSERT INTO job_runs (job, scheduled_for, state, result, finished_at) VALUES ('verification', 5, 'succeeded', '{}', 5)", "verdicts of jobs stand",
    ),
    "rolled to next year": ("UPDATE rollup_accounts SET rolled_to = '2027-12-31' WHERE account_id = 'acc'", STANDS),
    "options swapped": ("UPDATE rollup_accounts SET options_digest = 'x' WHERE account_id = 'acc'", STANDS),
    "a position": ("UPDATE asset_closes SET state = replace(state, '1', '2') WHERE account_id = 'acc'", STANDS),
    "a closing": ("UPDATE asset_closes SET closing = '7' WHERE account_id = 'acc' AND asset = 'EUR'", STANDS),
    "a rate": ("UPDATE currency_rates SET rate = '9' WHERE account_id = 'acc' AND currency = 'EUR'", STANDS),
    "the value of a contract": ("UPDATE contract_values SET value = '9' WHERE account_id = 'acc'", STANDS),
    "a state slipped in": ("INSERT INTO currency_rates (account_id, currency, date, at, rate, per, carried) VALUES ('acc', 'X', '2026-01-01', 1, '9', '1', 0)", STANDS),
    "the digest itself": ("UPDATE derived_digests SET digest = zeroblob(32) WHERE account_id = 'acc'", STANDS),
}  # fmt: skip


@pytest.mark.parametrize(("sql", "check"), TAMPERED.values(), ids=TAMPERED)
def test_what_was_changed_is_told_by_the_daily_verification(kept, sql, check):
    for statement in sql.split("; "):
        assert kept.execute_update(statement)
    assert check in told(kept)


def test_a_mark_cleared_before_the_rollup_saw_what_came_is_told(kept, ledger):
    ledger.post([deposit(9, occurred_at=NEW_YEAR)])
    assert STANDS not in told(kept)
    kept.execute_update("UPDATE accounts SET dirty_since = NULL WHERE account_id = 'acc'")
    assert STANDS in told(kept)


def test_a_rollup_of_every_kind_leaves_a_digest_that_fits(kept, ledger):
    ledger.post([fill(5, order_id="o5", side="sell", executed_at=NEW_YEAR + 2 * DAY), void(1, "fill", "f2")])
    roll_up_accounts(kept, PLAN, NEW_YEAR + 6 * DAY)
    assert {f.check for f in verify(kept, PLAN, instants.now(), None, depth=Depth.FULL)} == {"every number of a producer arrived"}
    roll_up_accounts(kept, PLAN, NEW_YEAR + 6 * DAY, rebuild=True)
    assert STANDS not in told(kept)
    roll_up_accounts(kept, RollupPlan(RollupOptions(timezone="Asia/Tokyo")), NEW_YEAR + 7 * DAY)
    assert STANDS not in {f.check for f in verify(kept, RollupPlan(RollupOptions(timezone="Asia/Tokyo")), NOW, None)}


def test_a_digest_that_was_forged_along_is_told_by_a_full_verification(kept):
    kept.execute_update("UPDATE currency_rates SET rate = '9' WHERE account_id = 'acc' AND currency = 'EUR'")
    with kept.transaction() as connection:
        forged = derived.digest_of_rows(connection, "acc")
        connection.execute("UPDATE derived_digests SET digest = ? WHERE account_id = 'acc'", (forged,))
    assert STANDS not in told(kept)
    assert "what is derived equals a rebuild" in {f.check for f in verify(kept, PLAN, instants.now(), None, depth=Depth.FULL)}


def test_a_day_reads_no_other_day_for_its_digest(kept, ledger):
    kept.execute_update("UPDATE currency_rates SET rate = '9' WHERE account_id = 'acc' AND currency = 'EUR'")
    ledger.post([deposit(9, occurred_at=NEW_YEAR + 5 * DAY)])
    roll_up_accounts(kept, PLAN, NEW_YEAR + 8 * DAY)
    assert STANDS in told(kept), "a later rollup covers up nothing"


def test_numbers_of_duplicates_and_refused_records_close_their_gap_for_good(database, ledger):
    ledger.post([deposit(1, producer="p", sequence=1), deposit(2, producer="p", sequence=9)])
    ledger.post([deposit(1, producer="p", sequence=4)])
    ledger.post([Refusal(b"x", "malformed", "no record", producer="p", sequence=5)])
    ledger.post([deposit(3, producer="p", sequence=7), deposit(3, producer="p", sequence=6)])
    with database.snapshot() as connection:
        assert [(g.first, g.last) for g in SQLiteGapRepository(database).find_open()] == [(2, 3), (8, 8)]
        assert list(gaps_follow_from_numbers(connection)) == []
    events = database.execute_query("SELECT count(*) FROM chain_events")[0][0]
    ledger.post([deposit(1, producer="p", sequence=4), Refusal(b"x", "malformed", "no record", producer="p", sequence=5)])
    assert database.execute_query("SELECT count(*) FROM chain_events")[0][0] == events


def test_a_gap_that_is_accepted_stays_settled(database, ledger):
    gaps = SQLiteGapRepository(database)
    ledger.post([deposit(1, producer="p", sequence=1), deposit(2, producer="p", sequence=9)])
    assert gaps.accept("p", 3, 5, "skipped") == [(3, 5)]
    assert [(g.first, g.last) for g in gaps.find_open()] == [(2, 2), (6, 8)]
    assert gaps.accept("p", None, None, "restarted") == [(2, 2), (6, 8)]
    ledger.post([deposit(3, producer="p", sequence=4)])
    assert told(database) == set()
    with pytest.raises(Invalid, match="no number of producer p is missing"):
        gaps.accept("p", None, None, "again")


def test_what_is_done_to_an_account_by_hand_is_an_event(database, ledger):
    accounts = SQLiteAccountRepository(database)
    ledger.post([deposit(1)])
    account = accounts.find_by_id("acc")
    account.name = "Main"
    accounts.save(account)
    accounts.deactivate("acc")
    accounts.deactivate("acc")
    assert told(database) == set()
    kinds = [row[0] for row in database.execute_query("SELECT kind FROM chain_events")]
    assert kinds == ["account saved by hand"] * 2
    accounts.delete("acc")
    accounts.save(Account("acc", "New"))
    assert told(database) == set()

"""Notes: what was recorded and is odd. Each check speaks where it should and is silent where it should be; what was accepted is settled."""

from __future__ import annotations

import pytest
from books import NEW_YEAR, SECOND, balance_report, deposit, ended, fee, fill, placed, rate, snapshot, void, withdrawal

from jarvis_client.contract import instants
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.facts import BalanceReport
from persistence.domain.strays import StrayKind
from persistence.proof import notes as notes_of_books
from persistence.proof.notes import accept, count_open
from persistence.repositories import SQLiteAccountRepository
from scheduler.jobs import roll_up_accounts, verify
from scheduler.notes import NOTE_CHECKS, look_for_notes
from scheduler.rollup.options import RollupOptions, RollupPlan

PLAN = RollupPlan(RollupOptions())
#: An hour ahead of when this is read, since a run takes minutes until a test begins.
NOW = instants.now() + 3_600_000_000
AHEAD = NOW + 3 * 86_400_000_000
PERP = {"symbol": "BTC/USDT:USDT", "fee": "0", "order_id": None}
LATER = NEW_YEAR + 60 * SECOND
RICH = deposit("rich", amount="1000000000")
RICH_BTC = deposit("richbtc", amount="1000000", currency="BTC", usd_rate="100")


def told(database, **how):
    return look_for_notes(database, PLAN, NOW, **how).notes


#: (the check, records that make it speak, what else makes the same records nothing odd).
CASES = {
    "a balance is below zero": ([withdrawal(1)], [deposit(1)]),
    "an order is filled beyond its quantity": ([RICH, placed(quantity="1"), fill(1), fill(2)], [void(1, "fill", "f2")]),
    "an order was placed twice with other terms": ([placed(1), placed(2, quantity="5")], [void(1, "order", "e2")]),
    "an amendment names none of several orders of its id": (
        [placed(1), placed(2, symbol="ETH/USDT"), ended(1, "amended", quantity="9")], [void(1, "order", "c1")],
    ),
    "an order is filled, and less is recorded than its quantity": ([RICH, placed(quantity="2"), fill(1), ended(1, "filled")], [fill(2)]),
    "one id has a spot and a contract order of one symbol": (
        [RICH, fill(1, symbol="BTCUSDT"), fill(2, symbol="BTCUSDT", base="BTC", quote="USDT", contract=True)], [void(1, "fill", "f2")],
    ),
    "a record is dated more than a day ahead of its arrival": ([deposit(1, occurred_at=AHEAD)], [void(1, "deposit", "d1")]),
    "quote_quantity is more than 5 % off quantity × price": ([RICH, fill(1, quote_quantity="106")], [void(1, "fill", "f1")]),
    "a fee is not known yet": ([RICH, fill(1, fee=None)], [fee(1)]),
    "a fee has no fill": ([RICH, fee(1)], [fill(1)]),
    "a negative fee is above 1 % of the cash": ([RICH, fill(1, fee="-2")], [void(1, "fill", "f1")]),
    "a later negative fee is above 1 % of the cash": ([RICH, fill(1), fee(1, amount="-2")], [void(1, "fee", "x1")]),
    "a snapshot of 0 stands between two that are not": ([snapshot(1), snapshot(2, total_value_usd="0"), snapshot(3)], [void(1, "metrics", snapshot(2).record_id)]),
    "a contract's multiplier, settlement or direction changed": ([fill(1, **PERP), fill(2, **PERP, multiplier="10")], [void(1, "fill", "f2")]),
    "the venue reports another balance than the books": ([deposit(1), balance_report(9, currency="USDT", total="900")], [withdrawal(1)]),
    "a rate is missing": ([deposit(1, currency="EUR")], [rate(-1, currency="EUR", usd_rate="1.1")]),
    "a rename has one half": (
        [deposit(1, currency="EUR", usd_rate="1"), withdrawal(1, currency="EUR", category="rename", reference="r", usd_rate="1", occurred_at=LATER)],
        [deposit(2, currency="ZEUR", amount="100", category="rename", reference="r", occurred_at=LATER)],
    ),
    "a split with nothing held": ([deposit(1, currency="NVDA", category="split")], [deposit(2, currency="NVDA", usd_rate="1", occurred_at=NEW_YEAR - SECOND)]),
    "a loan repaid beyond the debt": ([deposit(1), withdrawal(1, category="loan")], [deposit(2, amount="100", category="loan", occurred_at=NEW_YEAR - SECOND)]),
    "funding without an open trade": ([RICH, deposit(1, category="funding", symbol="BTC/USDT", occurred_at=LATER)], [fill(1)]),
    "a snapshot is far off the books": ([deposit(1), snapshot(1, total_value_usd="880")], [withdrawal(1)]),
}  # fmt: skip


@pytest.mark.parametrize("check", CASES)
def test_a_check_speaks_and_falls_silent(database, ledger, check):
    odd, mended = CASES[check]
    ledger.post(odd)
    roll_up_accounts(database, PLAN, NOW)
    assert check in {note.check for note in told(database)}
    ledger.post(mended)
    roll_up_accounts(database, PLAN, NOW)
    assert check not in {note.check for note in told(database)}
    assert {note.check for note in told(database)} == {note.check for note in told(database, anew=True)}


#: Records that look odd at first sight and are not.
SOUND = {
    "a short of a contract": [deposit(1), fill(1, **PERP, side="sell", quantity="3")],
    "a long of a contract, worth more than the account": [deposit(1), fill(1, **PERP, quantity="30")],
    "an inverse contract": [
        deposit(1, currency="BTC", amount="1", usd_rate="100"),
        fill(1, symbol="BTC/USD:BTC", quantity="300", price="100", quote_quantity="3", fee="0", side="sell", order_id=None),
    ],
    "dust": [deposit(1), withdrawal(1, amount="1000.0000000001"), deposit(2, amount="0.0000000001")],
    "an order filled within a float's error": [RICH, placed(quantity="0.3"), fill(1, quantity="0.30000000000000004")],
    "the same terms twice": [RICH, placed(1), placed(2)],
    "an amendment that names its side": [placed(1), placed(2, side="sell"), ended(1, "amended", side="sell", quantity="9")],
    "a filled order": [RICH, placed(quantity="1"), fill(1), ended(1, "filled")],
    "one id for two symbols": [RICH, RICH_BTC, fill(1), fill(2, symbol="ETH/USDT", side="buy")],
    "a time of an hour ahead": [deposit(1, occurred_at=NOW + 3_600 * SECOND)],
    "quote_quantity 4 % off": [RICH, fill(1, quote_quantity="104")],
    "an inverse fill, whose cash is no product": [
        deposit(1, currency="BTC", amount="100", usd_rate="1"),
        fill(1, symbol="BTC/USD:BTC", quantity="300", price="100", quote_quantity="3", fee="0", order_id=None),
    ],
    "a rebate of a maker": [RICH, fill(1, fee="-0.1")],
    "a fee after its fill": [RICH, fill(1, fee=None), fee(1)],
    "an account that is empty between": [snapshot(1), snapshot(2, total_value_usd="0"), snapshot(3, total_value_usd="0"), snapshot(4)],
    "an account that became empty": [snapshot(1), snapshot(2, total_value_usd="0")],
    "a residue below zero that is worth next to nothing": [RICH, fill(1, fee="0"), fill(2, fee="0.001", fee_currency="BTC", side="sell")],
    "two fills of one contract": [RICH, fill(1, **PERP, multiplier="10"), fill(2, **PERP, multiplier="10")],
    "a report that agrees": [deposit(1), balance_report(9, currency="USDT", total="1000")],
    "a report that agrees to the venue's own digits": [deposit(1, amount="1.123456789"), balance_report(9, currency="USDT", total="1.12345678")],
    "a report of an account with an open contract": [deposit(1), fill(1, **PERP, quantity="3"), balance_report(9, currency="USDT", total="1000")],
    "a report from before the contract was closed": [
        deposit(1), fill(1, **PERP, quantity="3"), balance_report(9, currency="USDT", total="1000"),
        fill(2, **PERP, quantity="3", side="sell", price="110", executed_at=NEW_YEAR + SECOND),
    ],
    "an old report that disagreed": [deposit(1), balance_report(8, currency="USDT", total="900"), balance_report(9, currency="USDT", total="1000")],
    "a rate that is known": [deposit(1, currency="EUR", usd_rate="1.1")],
}  # fmt: skip


@pytest.mark.parametrize("records", SOUND.values(), ids=SOUND)
def test_what_only_looks_odd_is_no_note(database, ledger, records):
    ledger.post(records)
    roll_up_accounts(database, PLAN, NOW)
    assert [note.where for note in told(database)] == []


def test_every_check_has_a_case():
    assert {check.name for check in NOTE_CHECKS} == {*CASES, "a record came for an account that is closed", *map(str, StrayKind)}


def test_a_record_of_a_closed_account_is_a_note_until_it_is_opened(database, ledger):
    accounts = SQLiteAccountRepository(database)
    ledger.post([deposit(1)])
    accounts.deactivate("acc")
    assert told(database) == []
    ledger.post([deposit(2)])
    [note] = told(database)
    assert (note.check, note.records) == ("a record came for an account that is closed", ("d2",))
    accounts.activate("acc")
    assert told(database) == []


def test_one_note_stands_for_all_of_a_subject_and_names_the_first(database, ledger):
    ledger.post([RICH, *(fill(n, fee=None, order_id=f"o{n}") for n in range(1, 9))])
    [note] = told(database)
    assert (note.account_id, note.subject, note.count, note.records) == ("acc", "fees", 8, ("f1", "f2", "f3", "f4", "f5"))


def test_what_was_accepted_is_settled_and_what_comes_later_is_a_new_note(database, ledger):
    ledger.post([RICH, fill(1, fee=None)])
    [note] = told(database)
    accept(database, note.number, "the venue never said")
    assert told(database) == told(database, anew=True) == []
    ledger.post([fill(2, fee=None)])
    [later] = told(database)
    assert later.number != note.number
    assert later.records == ("f2",)


def test_a_value_that_has_become_worse_is_a_new_note_and_one_that_recovers_starts_anew(database, ledger):
    ledger.post([withdrawal(1, amount="10")])
    [note] = told(database)
    accept(database, note.number, "opening balance unknown")
    ledger.post([deposit(1, amount="5")])
    assert told(database) == []
    ledger.post([withdrawal(2, amount="7")])
    [worse] = told(database)
    assert worse.number != note.number
    ledger.post([deposit(2, amount="100")])
    assert told(database) == []
    ledger.post([withdrawal(3, amount="90")])
    [again] = told(database)
    assert again.found.startswith("-2 USDT")


def test_an_acceptance_stays_an_event_of_the_chain_and_is_made_once(database, ledger):
    ledger.post([withdrawal(1)])
    [note] = told(database)
    accept(database, note.number, "known")
    with pytest.raises(Invalid, match="accepted already"):
        accept(database, note.number, "again")
    with pytest.raises(Invalid, match="there is no note 77"):
        accept(database, 77, "why")
    assert database.execute_query("SELECT count(*) FROM chain_events WHERE kind = 'note accepted'")[0][0] == 1


def test_looking_reads_what_is_new_alone(database, ledger, monkeypatch):
    monkeypatch.setattr(notes_of_books, "FACTS_AT_ONCE", 3)
    ledger.post([RICH, *(fill(n, order_id=f"o{n}") for n in range(10)), fill("odd", fee=None)])
    [note] = told(database)
    commits = database.execute_query("SELECT commit_no FROM book")[0][0]
    assert told(database) == [note]
    assert database.execute_query("SELECT commit_no FROM book")[0][0] == commits


def test_the_note_of_a_report_names_the_last_agreement_and_the_first_record_after_it(database, ledger):
    reports = [
        BalanceReport(account_id="acc", currency="USDT", total=total, observed_at=NEW_YEAR + at * SECOND) for at, total in ((1, 1000), (3, 950), (5, 900))
    ]
    ledger.post([deposit(1), withdrawal("fifty", amount="50", occurred_at=NEW_YEAR + 2 * SECOND), *reports])
    ledger.post([withdrawal("late", amount="0.5", occurred_at=NEW_YEAR + 4 * SECOND), deposit("late", amount="0.5", occurred_at=NEW_YEAR + 4 * SECOND)])
    [note] = told(database)
    assert "900 by the venue at 2026-01-01T00:00:05.000000Z, 950 by the books (-50)" in note.found
    assert "they agreed last at 2026-01-01T00:00:03.000000Z" in note.found
    assert "the first record after that: withdrawal wlate" in note.found


def test_the_nightly_run_counts_notes_and_fails_for_none(database, ledger):
    ledger.post([withdrawal(1)])
    assert verify(PLAN)(database, NOW) == {"findings": 0, "notes": 1, "notes_by_check": {"a balance is below zero": 1}, "quarantine_held": {}}
    assert count_open(database) == {"a balance is below zero": 1}

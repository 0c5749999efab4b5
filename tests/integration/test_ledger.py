"""One batch, one commit, an outcome for every fact."""

from __future__ import annotations

from decimal import Decimal

import pytest
from books import NEW_YEAR, SECOND, books, deposit, ended, exported, fill, placed, snapshot, statuses, unexplained, void, withdrawal

from jarvis_client.contract.instants import to_text
from persistence.domain import Refusal
from persistence.proof.books_checks import check_books
from persistence.repositories import SQLiteAccountRepository, SQLiteOrderRepository, SQLiteQuarantineRepository, SQLiteTransactionRepository

pytestmark = pytest.mark.every_engine


def balance(database, currency, account_id="acc"):
    account = SQLiteAccountRepository(database).find_by_id(account_id)
    return account.balance.available(currency).amount, account.balance.reserved(currency).amount


def movements(database, account_id="acc"):
    return [(str(t.transaction_type), str(t.movement)) for t in SQLiteTransactionRepository(database).stream(account_id)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [("trade_in", "1 BTC"), ("trade_out", "-100 USDT"), ("fee", "-0.1 USDT")]),
        ({"side": "sell"}, [("trade_out", "-1 BTC"), ("trade_in", "100 USDT"), ("fee", "-0.1 USDT")]),
        ({"fee": "0"}, [("trade_in", "1 BTC"), ("trade_out", "-100 USDT")]),
        ({"fee": "-0.1", "fee_currency": "BNB"}, [("trade_in", "1 BTC"), ("trade_out", "-100 USDT"), ("rebate", "0.1 BNB")]),
        ({"quote_quantity": "99.99"}, [("trade_in", "1 BTC"), ("trade_out", "-99.99 USDT"), ("fee", "-0.1 USDT")]),
        ({"price": "0"}, [("trade_in", "1 BTC"), ("fee", "-0.1 USDT")]),
        ({"price": "-37.63", "fee": 0}, [("trade_in", "1 BTC"), ("trade_in", "37.63 USDT")]),
        ({"multiplier": "0.01", "quantity": "5", "fee": 0}, [("trade_in", "5 BTC/USDT"), ("trade_out", "-5 USDT")]),
        ({"quantity": "0.000000000000000001", "price": "0.000000000001", "fee": 0}, [("trade_in", "0.000000000000000001 BTC"), ("trade_out", "-0.000000000000000000000000000001 USDT")]),
    ],
)  # fmt: skip
def test_a_fill_moves_its_base_its_cash_and_its_fee(database, ledger, changes, expected):
    assert statuses(ledger.post([fill(**changes)])) == ["applied"]
    assert movements(database) == expected
    assert check_books(database) == []


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        (deposit(), ("deposit", "1000 USDT")), (deposit(category="transfer"), ("transfer", "1000 USDT")), (deposit(category="funding"), ("funding", "1000 USDT")),
        (deposit(category="fee"), ("rebate", "1000 USDT")), (withdrawal(), ("withdrawal", "-100 USDT")), (withdrawal(category="fee"), ("fee", "-100 USDT")),
        (withdrawal(category="interest"), ("interest", "-100 USDT")),
    ],
)  # fmt: skip
def test_money_that_comes_or_goes_has_the_type_of_its_category(database, ledger, fact, expected):
    ledger.post([fact])
    assert movements(database) == [expected]


def test_the_same_fact_again_is_a_duplicate_and_changes_nothing(database, ledger):
    facts = [deposit(), fill(1), fill(2), placed(), snapshot(), void(1, "fill", "f2")]
    assert statuses(ledger.post(facts)) == ["applied"] * 6
    before = books(database)

    assert statuses(ledger.post(facts)) == ["duplicate"] * 6
    assert statuses(ledger.post([fill(1), fill(1), fill(3), fill(3)])) == ["duplicate", "duplicate", "applied", "duplicate"]
    ledger.post([void(3, "fill", "f3")])
    assert {k: v for k, v in before.items() if "balances" in k} == {k: v for k, v in books(database).items() if "balances" in k}


def test_a_conflict_is_quarantined_alone_with_both_versions_and_its_raw_bytes(database, ledger):
    ledger.post([fill(1)])
    raw = [b"first", b"second", b"third"]
    outcomes = ledger.post([fill(2), fill(1, fee="9"), fill(2, fee="9")], lambda i: raw[i])

    assert statuses(outcomes) == ["applied", "quarantined", "quarantined"]
    assert {o.reason for o in outcomes[1:]} == {"conflict"}
    held = list(SQLiteQuarantineRepository(database).stream())
    assert [(q.raw, q.record_id, q.fact_no) for q in held] == [(b"second", "f1", 1), (b"third", "f2", 2)]
    assert statuses(ledger.post([fill(1, fee="9")], lambda _: b"second")) == ["duplicate"], "what is quarantined has an identity too"
    assert next(SQLiteQuarantineRepository(database).stream()).deliveries == 2
    assert SQLiteTransactionRepository(database).get_sums("acc")["fee", "USDT"] == Decimal("0.2")


def test_a_refusal_is_kept_whole_in_the_commit_of_its_batch(database, ledger):
    refusal = Refusal(b"\xff\x00raw", "malformed", "quantity: missing", "fill", "acc", "f9")
    assert statuses(ledger.post([deposit(), refusal, refusal])) == ["applied", "quarantined", "duplicate"]
    [held] = SQLiteQuarantineRepository(database).stream()
    assert (held.raw, held.reason, held.detail, held.record_id) == (b"\xff\x00raw", "malformed", "quantity: missing", "f9")


def test_what_the_store_refuses_is_quarantined_alone(database, ledger):
    hostile = deposit(2)._replace(description="\ud800")
    outcomes = ledger.post([deposit(1), hostile, fill(1), Refusal(b"x", "malformed", "bad \ud800")])
    assert statuses(outcomes) == ["applied", "quarantined", "applied", "quarantined"]
    assert outcomes[1].reason == "refused by the store"
    assert unexplained(database) == []
    assert statuses(ledger.post([hostile])) == ["duplicate"]


def test_sql_in_every_text_is_text(database, ledger):
    nasty = "'; DROP TABLE facts; --"
    assert (
        statuses(
            ledger.post([fill(nasty, account_id=nasty, order_id=nasty, symbol=nasty, base="A'B", quote='C"D', order_type=nasty), deposit(1, description=nasty)])
        )
        == ["applied"] * 2
    )
    assert SQLiteAccountRepository(database).find_by_id(nasty).balance.total("A'B").amount == 1
    assert nasty in exported(database, "transactions")
    assert check_books(database) == []


def test_partial_fills_in_any_order_make_one_order(database, ledger):
    ledger.post([fill(2, quantity="0.5", price="120", executed_at=NEW_YEAR + 2 * SECOND)])
    ledger.post([ended(1, occurred_at=NEW_YEAR + 9 * SECOND)])
    ledger.post([placed(quantity="3", reserve=True, occurred_at=NEW_YEAR - SECOND)])
    ledger.post([fill(1, quantity="1", price="90")])

    order = SQLiteOrderRepository(database).find_by_id("o1")
    assert (order.status, order.filled_quantity, order.average_price, order.quantity) == ("cancelled", Decimal("1.5"), Decimal(100), 3)
    assert to_text(int(order.created_at.timestamp() * 1e6)) == "2025-12-31T23:59:59.000000Z"
    assert balance(database, "USDT") == (Decimal("-150.2"), 0), "a cancelled order reserves nothing"


def test_open_orders_reserve_their_remainder(database, ledger):
    ledger.post([deposit(), placed(1, quantity="3", price="100", reserve=True), placed(2, order_id="o2", side="sell", quantity="2", reserve=True)])
    assert balance(database, "USDT") == (700, 300)
    assert balance(database, "BTC") == (-2, 2)

    ledger.post([fill(1, quantity="1", price="90", fee="0")])
    assert balance(database, "USDT") == (710, 200)
    ledger.post([fill(2, quantity="2", price="90", fee="0"), ended(2, order_id="o2")])
    assert balance(database, "USDT") == (730, 0)
    assert balance(database, "BTC") == (3, 0)


def test_a_void_may_come_before_its_target_or_after_it_and_twice(database, ledger):
    ledger.post([deposit(1), void(1, "deposit", "d2"), void(9, "deposit", "d2")])
    ledger.post([deposit(2, amount="5")])
    ledger.post([fill(1), void(2, "fill", "f1"), void(3, "fill", "f1")])

    assert balance(database, "USDT") == (1000, 0)
    assert SQLiteOrderRepository(database).find_by_account("acc") == []
    assert exported(database, "transactions").count(",true,true,") == 4, "reversals are rows of their own"
    assert check_books(database) == []


def test_of_two_deliveries_the_smaller_sequence_and_producer_counts(database, ledger):
    # given: two placed events at one instant; the later delivery of the second gives it the smaller sequence
    ledger.post([placed(1, quantity="1", sequence=5, producer="p"), placed(2, quantity="2", sequence=9, producer="p")])
    assert SQLiteOrderRepository(database).find_by_id("o1").quantity == 1

    assert statuses(ledger.post([placed(2, quantity="2", sequence=3, producer="p")])) == ["duplicate"]
    assert SQLiteOrderRepository(database).find_by_id("o1").quantity == 2
    assert statuses(ledger.post([placed(2, quantity="2", sequence=8, producer="p")])) == ["duplicate"]
    assert SQLiteOrderRepository(database).find_by_id("o1").quantity == 2


def test_every_commit_marks_what_became_dirty_for_the_rollup(database, ledger):
    def dirty():
        return tuple(database.execute_query("SELECT dirty_since, dirty_count FROM accounts WHERE account_id = 'acc'")[0])

    ledger.post([deposit(1, occurred_at=NEW_YEAR + 5), snapshot(9)])
    assert dirty() == (NEW_YEAR + 5, 1)
    ledger.post([deposit(2, occurred_at=NEW_YEAR + 3)])
    assert dirty() == (NEW_YEAR + 3, 2)
    ledger.post([deposit(2, occurred_at=NEW_YEAR + 3)])
    assert dirty() == (NEW_YEAR + 3, 2), "a duplicate changes nothing"
    ledger.post([void(1, "deposit", "d1", occurred_at=NEW_YEAR + SECOND)])
    assert dirty() == (NEW_YEAR + 3, 3)


def test_an_empty_batch_is_nothing(ledger):
    assert ledger.post([]) == []


def test_two_voids_around_the_arrival_of_their_target_reverse_it_once(database, ledger):
    ledger.post([deposit(1), void(1, "deposit", "d2")])
    assert statuses(ledger.post([deposit(2), void(2, "deposit", "d2")])) == ["applied", "applied"]
    assert balance(database, "USDT") == (1000, 0)
    assert check_books(database) == []


def test_in_one_batch_the_recorded_version_is_the_duplicate_and_the_other_the_conflict(database, ledger):
    ledger.post([fill(1, sequence=5)])
    outcomes = ledger.post([fill(1, fee="9"), fill(1, sequence=2)])
    assert statuses(outcomes) == ["quarantined", "duplicate"]
    assert database.execute_query("SELECT sequence FROM facts")[0][0] == 2


def test_a_conflict_does_not_open_an_account_earlier(database, ledger):
    ledger.post([deposit(1)])
    ledger.post([deposit(1, occurred_at=NEW_YEAR - SECOND)])
    assert SQLiteAccountRepository(database).find_by_id("acc").opened_at.year == 2026


def test_a_sum_that_cannot_be_exact_is_refused_not_rounded(database, ledger):
    tiny = deposit(1)._replace(amount=Decimal("1e-1990"))
    huge = deposit(2)._replace(amount=Decimal("1e29"))
    assert statuses(ledger.post([tiny, huge])) == ["applied", "quarantined"]
    assert unexplained(database) == []

from __future__ import annotations

import csv
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from books import NEW_YEAR, SECOND, deposit, fill, void, withdrawal

from persistence.domain import Conflict, Currency, Immutable, Invalid, Money, Transaction, TransactionType

START = datetime(2026, 1, 1, tzinfo=UTC)


pytestmark = pytest.mark.every_engine


def test_a_saved_transaction_moves_the_balance_once_however_often_it_is_saved(engine):
    transaction = Transaction(TransactionType.WITHDRAWAL, Money(100, Currency.USDT))
    engine.transactions.save(transaction, "acc")
    engine.transactions.save(transaction, "acc")

    assert engine.transactions.find_by_id(transaction.transaction_id) == transaction
    assert engine.transactions.exists(transaction.transaction_id)
    assert engine.accounts.find_by_id("acc").balance.total(Currency.USDT) == Money(-100, Currency.USDT), "a withdrawal of 100 debits 100"


def test_the_same_id_with_other_content_is_refused_and_changes_nothing(engine):
    transaction = Transaction(TransactionType.DEPOSIT, Money(100, Currency.USDT))
    engine.transactions.save(transaction, "acc")

    with pytest.raises(Conflict, match="recorded with other content"):
        engine.transactions.save_many([Transaction(TransactionType.FEE, Money(1, "USDT")), replace(transaction, amount=Money(101, "USDT"))], "acc")
    assert engine.transactions.count("acc") == 1


def test_transactions_are_never_deleted(engine):
    with pytest.raises(Immutable, match="Void"):
        engine.transactions.delete("any")


def test_every_leg_of_a_fill_is_found_by_the_id_that_it_is_listed_with(engine):
    engine.ledger.post([fill(1, account_id="a:b%c"), deposit(1, account_id="a:b%c"), void(1, "deposit", "d1", account_id="a:b%c")])

    listed = engine.transactions.find_by_account("a:b%c")
    assert sorted(t.transaction_type for t in listed) == ["deposit", "deposit", "fee", "trade_in", "trade_out"]
    assert [engine.transactions.find_by_id(t.transaction_id) for t in listed] == listed
    assert engine.transactions.find_by_id("fill:a:f1:nonsense") is None
    # Saving what the ledger made is a no-op, not a second movement.
    engine.transactions.save_many(listed, "a:b%c")
    assert engine.transactions.count("a:b%c") == 5


def test_queries_by_type_currency_and_period(engine):
    engine.ledger.post([deposit(n, occurred_at=NEW_YEAR + n * SECOND, currency=("USDT", "ETH")[n % 2]) for n in range(6)])
    engine.ledger.post([fill(1, executed_at=NEW_YEAR + 2 * SECOND)])

    assert [t.amount.currency for t in engine.transactions.find_by_type("acc", TransactionType.DEPOSIT, limit=2)] == ["ETH", "USDT"]
    assert len(engine.transactions.find_by_type("acc", TransactionType.FEE)) == 1
    assert len(engine.transactions.find_by_currency("acc", Currency.ETH)) == 3
    assert engine.transactions.find_by_currency("acc", Currency("NONE")) == []
    found = engine.transactions.find_by_period("acc", START + timedelta(seconds=2), START + timedelta(seconds=4))
    assert [t.occurred_at.second for t in found] == [2, 2, 2, 2, 3], "start included, end not"
    assert [t.transaction_id for t in engine.transactions.stream("acc")] == [t.transaction_id for t in reversed(engine.transactions.find_by_account("acc"))]
    assert len(engine.transactions.find_all(limit=4)) == 4
    with pytest.raises(Invalid, match="no offset"):
        engine.transactions.find_by_period("acc", datetime(2026, 1, 1), START)


def test_sums_are_exact_and_in_the_direction_of_their_type(engine):
    engine.ledger.post([deposit(1, amount="0.1"), deposit(2, amount="0.2"), withdrawal(1, amount="0.000000000000000001"), withdrawal(2, amount="50")])

    assert engine.transactions.get_sum_by_type("acc", TransactionType.DEPOSIT, Currency.USDT) == Money("0.3", "USDT")
    assert engine.transactions.get_sum_by_type("acc", TransactionType.WITHDRAWAL, Currency.USDT) == Money("50.000000000000000001", "USDT")
    assert engine.transactions.get_sum_by_type("acc", TransactionType.FEE, Currency.USDT) == Money(0, "USDT")
    assert engine.transactions.get_sum_by_currency("acc", Currency.USDT) == Money("-49.700000000000000001", "USDT")
    assert engine.transactions.get_sums("acc")[TransactionType.DEPOSIT, Currency.USDT] == Decimal("0.3")


def test_a_void_takes_a_transaction_saved_by_hand_out_of_every_sum(engine):
    transaction = Transaction(TransactionType.DEPOSIT, Money(100, Currency.USDT))
    engine.transactions.save(transaction, "acc")
    engine.ledger.post([void(1, "transaction", transaction.transaction_id)])

    assert engine.transactions.get_sum_by_type("acc", TransactionType.DEPOSIT, Currency.USDT) == Money(0, "USDT")
    reversal, original = sorted(engine.transactions.find_by_account("acc"), key=lambda t: t.amount)
    assert (reversal.reverses, original) == (transaction.transaction_id, transaction)


def test_exports_are_files_that_appear_whole(engine, tmp_path):
    engine.ledger.post([fill(1), deposit(1)])
    engine.transactions.export_to_csv("acc", tmp_path / "t.csv")
    engine.transactions.export_to_json("acc", str(tmp_path / "t.json"))

    rows = list(csv.DictReader((tmp_path / "t.csv").open()))
    assert [r["amount"] for r in rows] == ["1000", "1", "-100", "-0.1"]
    assert [r["transaction_id"] for r in json.loads((tmp_path / "t.json").read_text())] == [r["transaction_id"] for r in rows]
    assert sorted(p.name for p in tmp_path.glob("t.*")) == ["t.csv", "t.json"]


def test_a_reversal_cannot_be_saved_by_hand(engine):
    with pytest.raises(Invalid, match="record a Void"):
        engine.transactions.save(Transaction(TransactionType.DEPOSIT, Money(-5, "USDT"), reverses="x"), "acc")
    assert engine.transactions.find_by_account("acc") == []

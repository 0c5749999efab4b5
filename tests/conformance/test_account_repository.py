from __future__ import annotations

from decimal import Decimal

import pytest
from books import deposit, fill, statuses

from persistence.domain import Account, Currency, Invalid, Money, Transaction, TransactionType

pytestmark = pytest.mark.every_engine


def opened(engine, account_id="acc", **balances) -> Account:
    account = Account(account_id)
    for currency, amount in balances.items():
        account.deposit(Money(amount, currency))
    engine.accounts.save(account)
    return account


def test_a_saved_account_is_found_by_id_and_by_name(engine):
    account = opened(engine, "acc", USDT="12.5")
    account.name = "Main"
    engine.accounts.save(account)

    assert engine.accounts.exists("acc")
    assert engine.accounts.find_by_name("Main").account_id == "acc"
    assert engine.accounts.find_by_id("acc").balance == account.balance
    assert engine.accounts.find_by_id("nobody") is None
    assert engine.accounts.find_by_name("nobody") is None


def test_closed_accounts_are_listed_but_not_as_active(engine):
    opened(engine, "a")
    opened(engine, "b")

    assert engine.accounts.deactivate("a")
    assert [x.account_id for x in engine.accounts.find_all()] == ["a", "b"]
    assert [x.account_id for x in engine.accounts.find_all_active()] == ["b"]
    assert engine.accounts.activate("a")
    assert [x.account_id for x in engine.accounts.find_all_active()] == ["a", "b"]
    assert not engine.accounts.activate("nobody")


def test_deposits_and_withdrawals_of_an_entity_become_its_transactions(engine):
    account = opened(engine, USDT="100")
    account.withdraw(Money("30", Currency.USDT), "rent")
    engine.accounts.save(account)

    history = engine.accounts.get_transaction_history("acc")
    assert [(t.transaction_type, t.amount.amount, t.description) for t in history] == [
        (TransactionType.WITHDRAWAL, Decimal(30), "rent"),
        (TransactionType.DEPOSIT, Decimal(100), ""),
    ]
    assert engine.transactions.get_sum_by_currency("acc", Currency.USDT) == engine.accounts.find_by_id("acc").balance.total(Currency.USDT)


def test_saving_again_without_a_change_records_nothing(engine):
    account = opened(engine, USDT="100")
    engine.accounts.save(account)
    engine.accounts.save(engine.accounts.find_by_id("acc"))

    assert engine.transactions.count("acc") == 1


def test_any_other_change_of_a_balance_is_an_adjustment_with_its_reason(engine):
    account = opened(engine, USDT="100")
    account.balance.subtract_available(Money("0.5", Currency.USDT))
    account.deposit(Money(7, Currency.USDT))
    engine.accounts.save(account, reason="counted by hand")

    [adjustment] = engine.transactions.find_by_type("acc", TransactionType.ADJUSTMENT)
    assert (adjustment.movement, adjustment.description) == (Money("-0.5", Currency.USDT), "counted by hand")
    assert engine.accounts.find_by_id("acc").balance.total(Currency.USDT) == Money("106.5", Currency.USDT)


def test_what_is_set_aside_by_hand_is_kept_and_moves_no_total(engine):
    account = opened(engine, USDT="100")
    account.balance.reserve(Money(40, Currency.USDT))
    engine.accounts.save(account)

    balance = engine.accounts.find_by_id("acc").balance
    assert (balance.available(Currency.USDT), balance.reserved(Currency.USDT)) == (Money(60, Currency.USDT), Money(40, Currency.USDT))
    assert engine.transactions.count("acc") == 1


def test_an_account_loaded_long_ago_does_not_undo_what_came_meanwhile(engine):
    opened(engine, USDT="100")
    stale = engine.accounts.find_by_id("acc")
    engine.ledger.post([deposit(amount="1000")])

    stale.balance.add_available(Money(1, Currency.USDT))
    engine.accounts.save(stale)

    assert engine.accounts.find_by_id("acc").balance.total(Currency.USDT) == Money(1101, Currency.USDT)


def test_eighteen_decimals_and_trillions_live_in_one_account(engine):
    account = opened(engine, ETH="0.000000000000000001", PEPE="420690000000000.5")
    account.deposit(Money("1000000.999999999999999999", "ETH"))
    engine.accounts.save(account)

    balance = engine.accounts.find_by_id("acc").balance
    assert balance.total("ETH") == Money("1000001", "ETH")
    assert balance.total("PEPE") == Money("420690000000000.5", "PEPE")


def test_deletion_takes_everything_and_a_late_message_does_not_revive_it(engine):
    engine.ledger.post([deposit(), fill()])
    assert engine.accounts.delete("acc")

    assert not engine.accounts.exists("acc")
    assert not engine.accounts.delete("acc")
    assert engine.transactions.find_by_account("acc") == []
    assert engine.orders.find_by_account("acc") == []
    [late] = engine.ledger.post([deposit(2)])
    assert (late.status, late.reason) == ("quarantined", "account deleted")
    assert statuses(engine.ledger.post([deposit()])) == ["duplicate"], "its identity is still known"
    assert not engine.accounts.exists("acc")


def test_an_explicit_save_reopens_a_deleted_account(engine):
    account = opened(engine, USDT="100")
    engine.accounts.delete("acc")

    engine.accounts.save(account)

    assert engine.accounts.find_by_id("acc").balance.total(Currency.USDT) == Money(100, Currency.USDT)
    assert statuses(engine.ledger.post([deposit(2)])) == ["applied"]


def test_a_transaction_saved_again_after_the_deletion_of_its_account_counts_again(engine):
    transaction = Transaction(TransactionType.DEPOSIT, Money(5, Currency.USDT))
    engine.transactions.save(transaction, "acc")
    engine.accounts.delete("acc")
    engine.transactions.save(transaction, "acc")

    assert engine.transactions.find_by_account("acc") == [transaction]
    assert engine.accounts.find_by_id("acc").balance.total(Currency.USDT) == Money(5, Currency.USDT)


def test_many_are_saved_in_one_commit_or_none(engine):
    engine.accounts.save_many([Account("a"), Account("b")])
    assert [a.account_id for a in engine.accounts.find_all()] == ["a", "b"]


def test_an_account_is_opened_by_the_earliest_of_its_facts(engine):
    engine.ledger.post([deposit(1, occurred_at=1_767_225_700_000_000)])
    engine.ledger.post([deposit(2, occurred_at=1_767_225_600_000_000)])

    assert engine.accounts.find_by_id("acc").opened_at.isoformat() == "2026-01-01T00:00:00+00:00"


def test_a_stale_account_does_not_reactivate_or_rename(engine):
    opened(engine)
    stale = engine.accounts.find_by_id("acc")
    engine.accounts.deactivate("acc")
    stale.deposit(Money(1, Currency.USDT))
    engine.accounts.save(stale)
    assert not engine.accounts.find_by_id("acc").is_active


def test_one_account_saved_twice_at_once_counts_once(engine):
    account = Account("acc")
    account.balance.add_available(Money(5, Currency.USDT))
    engine.accounts.save_many([account, account])
    assert engine.accounts.find_by_id("acc").balance.total(Currency.USDT) == Money(5, Currency.USDT)


def test_a_save_that_came_to_nothing_can_be_made_again(engine, unit_of_work):
    account = Account("acc")
    account.deposit(Money(5, Currency.USDT))
    account.balance.add_available(Money(2, Currency.USDT))
    with pytest.raises(ZeroDivisionError), unit_of_work():
        engine.accounts.save(account)
        1 / 0  # noqa: B018
    assert not engine.accounts.exists("acc")

    engine.accounts.save(account)
    assert engine.accounts.find_by_id("acc").balance.total(Currency.USDT) == Money(7, Currency.USDT)


@pytest.mark.parametrize("account_id", ["", "x" * 129, "a\nb"])
def test_an_id_that_no_message_could_carry_is_refused(engine, account_id):
    with pytest.raises(Invalid, match="1 to 128 printable"):
        engine.accounts.save(Account(account_id))

"""Money in f-strings, in round() and in sum()."""

from __future__ import annotations

import copy
import pickle

import pytest

from persistence.domain import Balance, Currency, CurrencyMismatch, Invalid, Money, Order


@pytest.mark.parametrize(
    ("amount", "form", "text"),
    [
        ("1234.5678", "", "1234.5678 USDT"),
        ("1234.5678", ".2f", "1234.57 USDT"),
        ("1234.5678", ",.2f", "1,234.57 USDT"),
        ("1E+6", ",", "1,000,000 USDT"),
        ("0.0000001", ",", "0.0000001 USDT"),
        ("1.50", ">8", "     1.5 USDT"),
        ("-0.5", "+.1f", "-0.5 USDT"),
        ("2.345", ".2f", "2.34 USDT"),
        ("0.125", ".1%", "12.5% USDT"),
    ],
)
def test_a_form_is_that_of_the_amount_and_the_currency_follows(amount, form, text):
    assert format(Money(amount, Currency.USDT), form) == text


def test_a_form_that_no_number_has_is_refused():
    with pytest.raises(Invalid, match="no form for an amount"):
        format(Money(1, "USDT"), "d")


@pytest.mark.parametrize(
    ("amount", "places", "rounded"),
    [
        ("2.345", 2, "2.34"),
        ("2.355", 2, "2.36"),
        ("2.5", 0, "2"),
        ("1.5", 2, "1.5"),
        ("1250", -2, "1200"),
        ("5", -40, "0"),
        ("1" * 31 + ".55", 1, "1" * 31 + ".6"),
    ],
)
def test_rounding_gives_money_half_to_even(amount, places, rounded):
    assert round(Money(amount, "USDT"), places) == Money(rounded, "USDT")


def test_rounding_without_places_gives_money_too():
    assert round(Money("3.5", "USDT")) == Money(4, "USDT")
    with pytest.raises(Invalid, match="number of places"):
        round(Money(1, "USDT"), 1.5)


def test_money_adds_up_with_sum():
    assert sum([Money("0.1", "USDT"), Money("0.2", "USDT")]) == Money("0.3", "USDT")
    with pytest.raises(CurrencyMismatch):
        sum([Money(1, "USDT"), Money(1, "BTC")])
    for other in (5, 0.0, False):
        with pytest.raises(Invalid, match="is not Money"):
            other + Money(1, "USDT")


def test_a_float_of_money_has_to_be_asked_of_its_amount():
    with pytest.raises(Invalid, match=r"float\(money.amount\)"):
        float(Money(1, "USDT"))


def test_negative_amounts_do_not_turn_a_method_round():
    balance = Balance()
    balance.add_available(Money(10, "USDT"))
    for method in (balance.reserve, balance.release, balance.subtract_available):
        with pytest.raises(Invalid, match="-1 USDT is a negative amount"):
            method(Money(-1, "USDT"))
    for method in (balance.add_available, balance.reserve, balance.release, balance.subtract_available):
        with pytest.raises(Invalid, match=r"5 is not Money; write Money\(5"):
            method(5)
    assert str(balance) == "10 USDT"


def test_copies_and_pickles_of_entities_have_a_lock_of_their_own():
    balance = Balance()
    balance.add_available(Money(10, "USDT"))
    order = Order("o", "acc", "BTC/USDT", "buy", "limit", 1, 100)
    for again in (copy.deepcopy, lambda entity: pickle.loads(pickle.dumps(entity))):
        assert again(balance) == balance
        assert again(order).terms == order.terms
        assert again(balance).lock is not balance.lock

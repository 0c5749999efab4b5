from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jarvis_client.contract.decimals import canonical, exact
from persistence.domain import Balance, Currency, CurrencyMismatch, InsufficientFunds, Invalid, Money

amounts = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**18), max_value=10**18, places=18)


@pytest.mark.parametrize(
    ("given_value", "text"),
    [(0.1, "0.1"), (10000.0, "10000"), ("1.50", "1.5"), (Decimal("1E+3"), "1000"), (-0.0, "0"), (1e-7, "0.0000001"), (420_690_000_000_000, "420690000000000")],
)
def test_a_number_means_its_shortest_text(given_value, text):
    assert canonical(Money(given_value, Currency.USDT).amount) == text


@pytest.mark.parametrize(
    "wrong", ["NaN", "Infinity", float("nan"), float("inf"), "1_000", "１２", "", " 1", "0x10", True, None, b"1", "1e400", "1e-61", "9" * 41, 10**60, "1" * 10_000]
)  # fmt: skip
def test_what_is_no_plain_finite_number_is_refused_with_its_value(wrong):
    with pytest.raises(Invalid) as refused:
        exact(wrong, "price")
    assert str(refused.value).startswith("price ")
    assert len(str(refused.value)) < 200, "a hostile value must not flood a log"


@given(amounts, amounts, amounts)
def test_sums_never_round_and_do_not_depend_on_grouping(a, b, c):
    x, y, z = (Money(n, Currency.ETH) for n in (a, b, c))
    assert (x + y) + z == x + (y + z)
    assert (x + y) - y == x
    assert -(-x) == x
    assert Decimal(canonical(x.amount)) == a


def test_two_currencies_refuse_to_mix():
    dollars, ether = Money(1, Currency.USD), Money(1, Currency.ETH)
    for mix in (lambda: dollars + ether, lambda: dollars - ether, lambda: dollars < ether, lambda: max(dollars, ether)):
        with pytest.raises(CurrencyMismatch, match="1 USD and 1 ETH|1 ETH and 1 USD"):
            mix()
    with pytest.raises(Invalid, match="Money"):
        dollars + 1
    assert dollars != ether


def test_money_is_a_value():
    assert {Money("1.0", "BTC"), Money(1, Currency.BTC)} == {Money("1.00", Currency.BTC)}
    assert str(Money("1E+2", "BTC")) == "100 BTC"
    assert Money(3, "BTC") * "0.5" == Money("1.5", "BTC")
    assert min(Money(2, "BTC"), Money(1, "BTC")) == Money(1, "BTC")
    with pytest.raises(AttributeError):
        Money(1, "BTC").amount = Decimal(2)


def test_currencies_are_an_open_set():
    assert Currency("PEPE") == "PEPE"
    assert Currency.USDT is not None
    assert (Currency.USDT.value, Currency.USDT.code, str(Currency.USDT)) == ("USDT", "USDT", "USDT")
    assert Currency("stETH") != Currency("STETH")
    for wrong in ("", "A B", "x" * 33, "\n"):
        with pytest.raises(Invalid, match="currency code"):
            Currency(wrong)


def test_a_balance_holds_available_and_reserved_and_derives_the_total():
    balance = Balance()
    balance.add_available(Money(100, Currency.USDT))
    balance.reserve(Money(30, Currency.USDT))
    assert [m(Currency.USDT).amount for m in (balance.available, balance.reserved, balance.total)] == [70, 30, 100]
    balance.release(Money(10, Currency.USDT))
    assert balance.available(Currency.USDT) == Money(80, Currency.USDT)
    assert str(balance) == "100 USDT (20 reserved)"
    with pytest.raises(InsufficientFunds, match="80 USDT available"):
        balance.subtract_available(Money(81, Currency.USDT))
    with pytest.raises(InsufficientFunds, match="20 USDT is reserved"):
        balance.release(Money(21, Currency.USDT))


def test_a_balance_tells_what_changed_since_it_was_saved():
    balance = Balance()
    balance.add_available(Money(100, Currency.USDT))
    balance.mark_saved()
    assert balance.changes() == {}
    balance.reserve(Money(30, Currency.USDT))
    balance.add_available(Money(1, Currency.ETH))
    assert balance.changes() == {Currency.ETH: (1, 0), Currency.USDT: (0, 30)}

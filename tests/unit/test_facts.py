from __future__ import annotations

import copy
import hashlib
import pickle
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from books import NEW_YEAR, deposit, fill, placed, snapshot, void

from jarvis_client.contract.forms import fact_of
from jarvis_client.contract.instants import end_of_day, start_of_day, to_text
from persistence.domain import Conventions, EquitySnapshot, Invalid
from persistence.domain.order import Order
from persistence.domain.order_state import derive_orders


def test_content_is_the_same_however_it_is_written():
    plain = fill(quantity="1.50", price="100", executed_at=NEW_YEAR)
    spelled = fill(
        quantity=1.5, price="1E+2", executed_at=datetime(2026, 1, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")), fee_currency="USDT", multiplier="1.0", base="BTC",
        quote="USDT", quote_quantity="150.0", producer="other", sequence=7,
    )  # fmt: skip
    assert plain.digest == spelled.digest
    assert fill(fee="0.2").digest != fill(fee="0.1").digest


def test_the_canonical_form_is_fixed_to_the_byte():
    text = "deposit\x1facc\x1fd1\x1fUSDT\x1f1000\x1fexternal\x1f1767225600000000\x1f\x1f\x1f\x1f\x1f\x1f\x1f"
    assert deposit(amount="1000.00").content() == text
    assert deposit().digest == hashlib.sha256(text.encode()).digest()
    assert fill().content() == (
        "fill\x1facc\x1ff1\x1fo1\x1fBTC/USDT\x1fbuy\x1f1\x1f100\x1f100\x1f1\x1fBTC\x1fUSDT\x1f\x1f\x1f0.1\x1fUSDT\x1f\x1f\x1f1767225600000000\x1f\x1f\x1f\x1f\x1f\x1f"
    )


@pytest.mark.parametrize("fact", [fill(), deposit(), placed(), snapshot(), void(1, "fill", "f1")])
def test_facts_are_immutable_values_that_can_be_copied(fact):
    assert copy.deepcopy(fact) == fact == pickle.loads(pickle.dumps(fact))
    with pytest.raises(AttributeError):
        fact.account_id = "other"


@pytest.mark.parametrize(
    ("symbol", "pair"),
    [
        ("BTC/USDT", ("BTC", "USDT")), ("BTC-USDT", ("BTC", "USDT")), ("BTCUSDT", ("BTC", "USDT")), ("XRPETH", ("XRP", "ETH")), ("BTCUSD", ("BTC", "USD")),
        ("FOOBAR", None), ("USDT", None), ("BTC-USDT-SWAP", None), ("/USDT", None),
    ],
)  # fmt: skip
def test_symbols_are_split_by_their_separator_or_the_longest_quote_currency(symbol, pair):
    assert Conventions().split(symbol) == pair


def test_a_symbol_that_cannot_be_split_needs_its_base_and_quote():
    with pytest.raises(Invalid, match='give "base" and "quote"'):
        fill(symbol="FOOBAR")
    assert fill(symbol="FOOBAR", base="FOO", quote="BAR").quote == "BAR"


def test_the_order_of_facts_is_instant_sequence_producer_id():
    later, earlier = fill(1, sequence=2, producer="b"), fill(2, sequence=2, producer="a")
    unnumbered = fill(3)
    assert sorted([later, earlier, unnumbered], key=lambda f: f.place) == [unnumbered, earlier, later]


def test_a_date_stands_for_the_last_microsecond_of_that_day_in_the_accounts_zone():
    conventions = Conventions(account_time_zones={"acc": "America/New_York"})
    there = EquitySnapshot(account_id="acc", date=date(2026, 3, 8), total_value_usd=1, conventions=conventions)
    here = EquitySnapshot(account_id="b", date=date(2026, 3, 8), total_value_usd=1, conventions=conventions)
    assert to_text(there.observed_at) == "2026-03-09T03:59:59.999999Z"
    assert to_text(here.observed_at) == "2026-03-08T23:59:59.999999Z"
    assert there.snapshot_id == "2026-03-08"


def test_a_day_that_clocks_change_is_as_long_as_it_is():
    zone = ZoneInfo("America/New_York")
    spring = end_of_day(date(2026, 3, 8), zone) + 1 - start_of_day(date(2026, 3, 8), zone)
    autumn = end_of_day(date(2026, 11, 1), zone) + 1 - start_of_day(date(2026, 11, 1), zone)
    assert (spring / 3.6e9, autumn / 3.6e9) == (23.0, 25.0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fill_id": ""}, "1 to 128"), ({"fill_id": "x" * 129}, "1 to 128"), ({"account_id": "a\nb"}, "printable"), ({"quantity": 0}, "above zero"),
        ({"executed_at": datetime(2026, 1, 1)}, "no offset"), ({"executed_at": 1_767_225_600_000}, "milliseconds?"), ({"side": "hold"}, "hold"),
        ({"fee_currency": "B T C"}, "currency"),
    ],
)  # fmt: skip
def test_a_fact_made_by_hand_is_checked_as_one_from_the_wire(changes, said):
    with pytest.raises(ValueError, match=said.replace("?", r"\?")):
        fill(**changes)


def test_a_void_names_a_record_never_another_void():
    with pytest.raises(Invalid, match="cannot name the kind 'void'"):
        void(1, "void", "v0")


def test_reserve_is_refused_where_the_cost_is_unknown():
    with pytest.raises(Invalid, match="cost is unknown"):
        placed(order_type="market", price=None, reserve=True)
    with pytest.raises(Invalid, match="limit order needs its price"):
        placed(price=None)
    assert placed(order_type="market", price=None, side="sell", reserve=True).reserve


def test_an_order_is_what_its_facts_make_of_it():
    facts = [fill(1, quantity="1", price="90"), fill(2, quantity="0.5", price="120"), placed(quantity="3", reserve=True)]
    [state] = derive_orders(facts).orders
    assert (state.filled, state.cash, state.status) == (1.5, 150, "partially_filled")
    assert state.reserved() == (150, "USDT"), "the remainder at the order's price"
    [sell] = derive_orders([placed(quantity="3", side="sell", reserve=True)]).orders
    assert sell.reserved() == (3, "BTC")
    assert [o.quantity for o in derive_orders([fill(1, order_quantity="4"), fill(2, order_quantity="5")]).orders] == [5]
    assert [o.status for o in derive_orders([fill(1)]).orders] == ["filled"]
    assert derive_orders([]).orders == []


def test_an_execution_cannot_exceed_what_remains():
    order = Order("o", "acc", "BTCUSDT", "buy", "limit", 1, 100)
    order.execute(100, "0.4")
    assert order.status == "partially_filled"
    with pytest.raises(Invalid, match="more than the 0.6 that remains"):
        order.execute(100, "0.7")


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"status": "amended", "quantity": 5, "cost": 250}, "amended to one of them"),
        ({"order_type": "market", "quantity": None, "cost": 250, "closes_position": True}, "has no cost of its own"),
        ({"order_type": "market", "quantity": None, "cost": 250, "side": "sell", "reserve": True}, "without a quantity"),
        ({"order_type": "market", "quantity": None, "closes_position": True, "reserve": True}, "without a quantity"),
        ({"price": -5, "reserve": True}, "at the price -5"),
        ({"symbol": "BTC/USD:BTC", "order_type": "market", "quantity": None, "cost": 250}, "settles in BTC; give quantity"),
    ],
)
def test_terms_of_an_order_that_can_be_read_in_two_ways_are_refused(terms, said):
    with pytest.raises(Invalid, match=said):
        placed(**terms)


def test_what_fills_say_of_a_contract_counts_over_an_order_placed_by_its_name_alone():
    contract = {"symbol": "XBTUSD", "base": "XBT", "quote": "USD", "contract": True}
    facts = [placed(quantity="1000", price="50000", **contract), fill(quantity="1000", price="50000", inverse=True, quote_quantity="0.02", **contract)]
    [order] = derive_orders(facts).orders
    assert (order.average_price, order.status) == (50_000, "filled")


def test_a_notation_in_the_settings_may_stand_for_itself_and_lower_case_is_never_a_contract():
    assert Conventions(pairs={"BTC/XYZ": "BTC/XYZ"}).instrument("BTC/XYZ").quote == "XYZ"
    with pytest.raises(Invalid, match="lower case"):
        fill(symbol="btc/usdt:usdt")


@pytest.mark.parametrize("fact", [
    fill(executed_at=datetime(1999, 5, 1, tzinfo=UTC)), fill(quantity="1.23456789012345678901", price="1.23456789012345678901"),
    fill(quantity="12345678901234567890", price="1234567890123456"),
])  # fmt: skip
def test_what_was_taken_is_written_as_a_record_that_is_taken_again(fact):
    record = fact.record()
    assert fact_of(record.pop("type"), record).digest == fact.digest

"""What engines give in place of a record is refused in a sentence that says what to give."""

from __future__ import annotations

from typing import Any

import pytest

from jarvis_client import MalformedRecord
from jarvis_client.ccxt import rate_from_ccxt
from jarvis_client.testing import MemoryPublisher

FILL: dict[str, Any] = {
    "fill_id": "v:1", "account_id": "a", "symbol": "BTC/USDT", "side": "buy", "quantity": "0.1", "price": "64000", "executed_at": "2026-01-01T00:00:00Z",
}  # fmt: skip
#: The three keys that every structure of ccxt has.
OF_CCXT = {"info": {}, "timestamp": 1_767_603_600_125, "datetime": "2026-01-05T09:00:00.125Z"}
TRADE = {**OF_CCXT, "id": "28457", "symbol": "BTC/USDT", "side": "buy", "amount": 0.015, "price": 64250.1, "cost": 963.7515}


@pytest.mark.parametrize(
    ("publish", "said"),
    [
        (
            lambda p: p.publish_order([FILL, FILL]),
            "order: a list of 2 is no record; publish_order takes one dictionary of fields, publish_orders takes several",
        ),
        (lambda p: p.publish_metrics((FILL,)), "a tuple of 1 is no record; publish_metrics takes one dictionary of fields, publish_metrics_many takes"),
        (lambda p: p.publish("fill", "v:1"), "fill: 'v:1' is no record; publish_fill takes one dictionary of fields, publish_fills takes several"),
        (lambda p: p.publish_fills(FILL), "fill: 'fill_id' is no record; publish_fill takes one dictionary of fields, publish_fills takes several"),
        (lambda p: p.publish_many([FILL]), 'is no pair of a kind and a record, such as ("fill", {…}); the records of one kind go to publish_fills'),
        (lambda p: p.publish_many([("fill", FILL, 1)]), "is no pair of a kind and a record"),
    ],
)
def test_what_is_no_record_is_refused_with_the_method_that_takes_it(publish, said):
    publisher = MemoryPublisher()
    with pytest.raises(MalformedRecord) as refused:
        publish(publisher)
    assert said in str(refused.value)
    assert publisher.records == []


@pytest.mark.parametrize(
    ("kind", "function"),
    [
        ("fill", "fill_from_ccxt"), ("fee", "fees_from_ccxt"), ("order", "order_from_ccxt"), ("deposit", "deposit_from_ccxt"),
        ("withdrawal", "withdrawal_from_ccxt"), ("rate", "rate_from_ccxt"),
    ],
)  # fmt: skip
def test_a_structure_of_ccxt_is_pointed_to_the_function_that_makes_a_record_of_it(kind, function):
    with pytest.raises(MalformedRecord, match=rf"^{kind}: this is a structure of ccxt; jarvis_client\.ccxt\.{function} makes a record of it\. As it is: "):
        MemoryPublisher().publish(kind, TRADE)


def test_a_record_whose_own_fields_have_ccxt_s_names_is_a_record_all_the_same():
    assert MemoryPublisher().publish_fill({**FILL, **OF_CCXT}).wait().status == "applied"
    with pytest.raises(MalformedRecord, match="^balance: account_id: is missing"):
        MemoryPublisher().publish("balance", OF_CCXT)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({**FILL, "fee_ccy": "BNB"}, "publish_fill() got an unexpected keyword argument 'fee_ccy': did you mean fee_currency?"),
        ({**FILL, "pricee": "1"}, "publish_fill() got an unexpected keyword argument 'pricee': did you mean price?"),
        ({**FILL, "strategy": "grid"}, "publish_fill() got an unexpected keyword argument 'strategy': the fields of your own go into extra={…}"),
        ({name: FILL[name] for name in FILL if name != "price"}, "publish_fill() missing 1 required keyword-only argument: 'price'"),
    ],
)
def test_an_argument_that_is_none_is_python_s_error_under_the_name_that_was_called(arguments, said):
    with pytest.raises(TypeError) as refused:
        MemoryPublisher().publish_fill(**arguments)
    assert str(refused.value) == said


def test_fields_without_their_names_are_python_s_error_too():
    with pytest.raises(TypeError, match=r"publish_fill\(\) takes one record, or its fields by their names; 2 values without a name were given"):
        MemoryPublisher().publish_fill("v:1", "a")


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (1_767_603_600, "seconds? Multiply by 1,000,000."), (1_767_603_600_125, "milliseconds? Multiply by 1,000."),
        (1_767_603_600_125_000_000, "nanoseconds? Divide by 1,000."), (0, "2100. Times are"), (-7, "2100. Times are"),
    ],
)  # fmt: skip
def test_a_time_in_another_unit_is_told_which_one_it_looks_like(count, said):
    with pytest.raises(MalformedRecord) as refused:
        MemoryPublisher().publish_fill({**FILL, "executed_at": count})
    assert f"executed_at: {count} microseconds is outside the years 2000 to 2100" in str(refused.value)
    assert said in str(refused.value)


def test_a_ticker_against_a_stablecoin_asks_what_that_is_worth_and_offers_a_dollar():
    ticker = {"symbol": "OKB/USDT", "last": 50.1, "timestamp": 1_767_600_000_000}
    with pytest.raises(ValueError, match=r"say what one USDT is worth in USD: quote_usd_rate=… \(1, if you take it for a dollar\)"):
        rate_from_ccxt(ticker, exchange="binance")
    publisher = MemoryPublisher()
    publisher.publish_rate(rate_from_ccxt(ticker, exchange="binance", quote_usd_rate=1))
    assert [(record["currency"], record["usd_rate"]) for record in publisher.of_kind("rate")] == [("OKB", "50.1")]

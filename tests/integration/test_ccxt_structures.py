"""ccxt's structures of eleven of its exchanges, which are nine venues, each ending in real books; balances were worked out by hand.

`tests/data/ccxt` holds documents in the form that the exchanges' references give, and what ccxt's parsers make of each. That they still
make that of it, `tests/integration/test_ccxt_parsers.py` says.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jarvis_client.ccxt import NothingToRecord, Told, fees_from_ccxt, records_from_ccxt
from persistence.books.ledger import Ledger
from persistence.proof.books_checks import check_books
from persistence.repositories import SQLiteAccountRepository, SQLiteOrderRepository
from workers.messages import fact_of

CASES = Path(__file__).parents[1] / "data" / "ccxt"


def case(name: str):
    return json.loads((CASES / f"{name}.json").read_text())


def records_of(name: str):
    """(kind, record) of everything that states something."""
    given = case(name)
    markets = {market["symbol"]: market for market in given["markets"]}
    for call in given["calls"]:
        structure = call["structure"] | {"info": call["raw"]}
        try:
            yield from records_from_ccxt(structure, markets.get(structure.get("symbol")), Told("acc", given["exchange"], **given["told"]))
        except NothingToRecord:
            continue


def post(database, pairs):
    return [outcome.status for outcome in Ledger(database).post([fact_of(kind, record) for kind, record in pairs], lambda _: b"")]


def held(database):
    account = SQLiteAccountRepository(database).find_by_id("acc")
    amounts = {str(c): str(account.balance.total(c).amount) for c in account.balance.currencies}
    return amounts | {code: f"{quantity} contracts" for code, quantity in account.contracts.items()}


#: What each leaves in empty books: records, balances.
BOOKS = {
    # 0.5 - 0.2 - 0.1 - 0.0002; 50,000 - 30,000 + 12,200.02 - 12.20002
    "binance-spot": (10, {"BTC": "0.1998", "USDT": "32187.81998", "BNB": "-0.04"}),
    # 2 × 100 - 2.4 - 2.48 - 0.375 of funding
    "binance-linear": (5, {"USDT": "194.745", "ETH/USDT:USDT": "0 contracts"}),
    # 10,000 USD at 50,000 and at 62,500: 0.2 - 0.16 - 0.0001 - 0.00008
    "binance-inverse": (2, {"BTC": "0.03982", "BTC/USD:BTC": "0 contracts"}),
    # 0.1 × -1,000 - 3.3 - 3.245, and 0.25 of funding that was paid
    "bybit-linear": (3, {"USDT": "-106.795", "BTC/USDT:USDT": "0 contracts"}),
    # 3,000 USD at 60,000 and at 50,000: 0.05 - 0.06 - 0.00003 - 0.000036, and 0.000002 BTC of funding that was received
    "bybit-inverse": (3, {"BTC": "-0.010064", "BTC/USD:BTC": "0 contracts"}),
    # 6 × 100 USD at 60,000 and at 50,000: 0.01 - 0.012 - 0.000005 + 0.000001
    "okx-inverse": (2, {"BTC": "-0.002004", "BTC/USD:BTC": "0 contracts"}),
    # 10 contracts of 1 × 0.01 BTC, 0.05 to 0.08: 0.003 - 2 × 0.00003
    "okx-option": (2, {"BTC": "0.00294", "BTC/USD:BTC-260327-90000-C": "0 contracts"}),
    # 0.01 - 0.005 - 0.00001 + 0.0002; 1,000 - 500.005 - 1.300013
    "kraken-spot": (4, {"BTC": "0.00519", "EUR": "498.694987"}),
    # 1.5 - 100 / 2,500; -3,000 - 18 + 100 - 0.6
    "coinbase-spot": (2, {"ETH": "1.46", "USD": "-2918.6"}),
    # 100 + 40 - 0.02; -25 - 8
    "gate-spot": (2, {"DOGE": "139.98", "USDT": "-33", "GT": "-0.01", "GATEPOINT": "-0.3"}),
    # 500 × 0.0001 × 1,000 - 1.5 - 1.525
    "gate-linear": (2, {"USDT": "46.975", "BTC/USDT:USDT": "0 contracts"}),
    # 60,000.3 × 0.00123457 = 74.074570371, of which KuCoin booked 74.07457037; and its fee
    "kucoin-spot": (1, {"BTC": "0.00123457", "USDT": "-74.14864494037"}),
    # 10,000 USD at 50,000 and at 40,000, whatever a contract's size: 0.2 - 0.25 - 0.0001 - 0.000125
    "deribit-inverse": (2, {"BTC": "-0.050225", "BTC/USD:BTC": "0 contracts"}),
    # 2 × (0.055 - 0.04) - 2 × 0.0006
    "deribit-option": (2, {"BTC": "0.0288", "BTC/USD:BTC-260327-90000-C": "0 contracts"}),
    # 1.5 × -10 - 1.575262 + 0.134572 of rebate + 0.75 of funding
    "hyperliquid-linear": (3, {"USDC": "-15.69069", "ETH/USDC:USDC": "0 contracts"}),
}


def test_every_case_has_its_books():
    assert sorted(BOOKS) == sorted(path.stem for path in CASES.glob("*.json"))
    assert len({case(name)["exchange"].removesuffix("usdm").removesuffix("coinm") for name in BOOKS}) >= 8


@pytest.mark.parametrize("name", BOOKS)
def test_what_an_exchange_states_ends_in_the_right_books_and_twice_is_once(database, name):
    count, balances = BOOKS[name]
    pairs = list(records_of(name))

    assert post(database, pairs) == ["applied"] * count
    assert post(database, pairs) == ["duplicate"] * count

    assert held(database) == balances
    assert check_books(database) == []


@pytest.mark.parametrize("name", BOOKS)
def test_what_an_exchange_answers_beside_it_never_goes_along(name):
    assert not [record for _, record in records_of(name) if "info" in record]


def test_orders_stand_as_they_ended(database):
    post(database, records_of("binance-spot"))

    orders = {order.order_id: order for order in SQLiteOrderRepository(database).find_by_account("acc")}

    assert {name: (order.status.value, str(order.quantity), order.price and str(order.price)) for name, order in orders.items()} == {
        "100234": ("filled", "0.5", "60000"),
        "100240": ("filled", "0.2", None),
        "100250": ("cancelled", "0.1", "50000"),
    }


def test_a_fee_that_comes_later_ends_in_the_same_books(database):
    [_, trade, *_] = [call["structure"] for call in case("kraken-spot")["calls"]]
    from_the_stream = trade | {"fee": None, "fees": []}
    told = Told("acc", "kraken")
    post(database, records_from_ccxt(from_the_stream, None, told))
    assert held(database) == {"BTC": "0.01", "EUR": "-500.005"}
    assert fees_from_ccxt(from_the_stream, account_id="acc", exchange="kraken") == []

    post(database, [("fee", fee) for fee in fees_from_ccxt(trade, account_id="acc", exchange="kraken")])
    assert held(database) == {"BTC": "0.01", "EUR": "-501.305013"}

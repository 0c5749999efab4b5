"""ccxt's structures as records: what is taken, and what is refused because it can be read in two ways."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from jarvis_client.ccxt import (
    NothingToRecord,
    Told,
    deposit_from_ccxt,
    fees_from_ccxt,
    fill_from_ccxt,
    funding_from_ccxt,
    ledger_from_ccxt,
    order_from_ccxt,
    rate_from_ccxt,
    records_from_ccxt,
    withdrawal_from_ccxt,
)
from jarvis_client.contract.errors import Invalid
from workers.messages import fact_of

#: 2026-01-05T09:30:00Z in ccxt's milliseconds.
AT = 1_767_605_400_000
WHEN = "2026-01-05T09:30:00.000000Z"
WHO = {"account_id": "main", "exchange": "binance"}
SWAP = {"symbol": "BTC/USDT:USDT", "contractSize": 0.01, "linear": True, "inverse": False}
INVERSE = {"symbol": "BTC/USD:BTC", "contractSize": 100.0, "linear": False, "inverse": True}


def trade(**changes):
    return {
        "id": "42", "order": "o-1", "timestamp": AT, "symbol": "BTC/USDT", "side": "buy", "takerOrMaker": "taker", "type": None, "price": 60000.0,
        "amount": 0.5, "cost": 30000.0, "fee": {"currency": "USDT", "cost": 30.0}, "fees": [{"currency": "USDT", "cost": 30.0}], "info": {"secret": 1},
    } | changes  # fmt: skip


def linear(**changes):
    return trade(symbol="BTC/USDT:USDT", amount=100.0, cost=60000.0) | changes


def inverse(**changes):
    return trade(symbol="BTC/USD:BTC", amount=6.0, cost=0.01) | changes


def order(**changes):
    return {
        "id": "o-1", "timestamp": AT, "lastTradeTimestamp": None, "lastUpdateTimestamp": None, "symbol": "BTC/USDT", "type": "limit", "side": "buy",
        "price": 60000.0, "amount": 0.5, "filled": 0.0, "remaining": 0.5, "cost": 0.0, "status": "open", "fee": None, "info": {},
    } | changes  # fmt: skip


def transaction(kind="withdrawal", **changes):
    return {"id": "t-1", "txid": "0xab", "timestamp": AT, "type": kind, "currency": "BTC", "amount": 0.1, "status": "ok", "fee": None} | changes


def payment(**changes):
    return {"symbol": "BTC/USDT:USDT", "code": "USDT", "timestamp": AT, "id": "p-1", "amount": -0.35} | changes


def entry(**changes):
    return {
        "id": "l-1", "direction": "in", "type": "rebate", "currency": "USDT", "amount": 5.0, "timestamp": AT, "before": None, "after": None, "status": "ok",
        "fee": None, "referenceId": None,
    } | changes  # fmt: skip


def ticker(**changes):
    return {"symbol": "BNB/USD", "timestamp": AT, "last": 640.2, "bid": 640.1} | changes


def is_record(kind, record):
    """The record, once the books have taken it."""
    fact_of(kind, dict(record))
    return record


def test_a_trade_is_a_fill_whose_id_is_unique_over_symbols():
    assert is_record("fill", fill_from_ccxt(trade(), **WHO)) == {
        "fill_id": "binance:BTC/USDT:42", "account_id": "main", "symbol": "BTC/USDT", "base": "BTC", "quote": "USDT", "side": "buy", "quantity": "0.5",
        "price": "60000", "executed_at": WHEN, "order_id": "o-1", "liquidity": "taker", "fee": "30", "fee_currency": "USDT",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "fee"),
    [
        ({"fee": None, "fees": []}, {"fee": None}),
        ({"fee": None, "fees": None}, {"fee": None}),
        ({"fee": {}, "fees": []}, {"fee": None}),
        ({"fee": {"cost": None, "currency": None}, "fees": []}, {"fee": None}),
        ({"fee": {"cost": 0.0, "currency": None}, "fees": []}, {"fee": "0"}),
        ({"fee": {"cost": 0.0, "currency": "BNB"}, "fees": []}, {"fee": "0", "fee_currency": "BNB"}),
        ({"fee": {"cost": -0.5, "currency": "USDT"}}, {"fee": "-0.5", "fee_currency": "USDT"}),
        ({"fee": {"cost": None}, "fees": [{"cost": 0.1, "currency": "GT"}, {"cost": 0.0, "currency": "BTC"}]}, {"fee": "0.1", "fee_currency": "GT"}),
        (
            {"fee": None, "fees": [{"cost": 0.1, "currency": "GT"}, {"cost": 3.0, "currency": "USDT"}]},
            {"fees": [{"currency": "GT", "amount": "0.1"}, {"currency": "USDT", "amount": "3"}]},
        ),
    ],
)  # fmt: skip
def test_fees_are_what_is_known_of_them(given, fee):
    given = {"fees": [], **given}
    record = is_record("fill", fill_from_ccxt(trade(**given), **WHO))
    assert {name: value for name, value in record.items() if name.startswith("fee")} == fee
    later = [(made["currency"], made["amount"]) for made in fees_from_ccxt(trade(**given), **WHO)]
    assert later == [(c, a) for c, a in [(fee.get("fee_currency"), fee.get("fee"))] if c and a != "0"] + [
        (f["currency"], f["amount"]) for f in fee.get("fees", [])
    ]


@pytest.mark.parametrize(
    ("given", "market", "said"),
    [
        (linear(), SWAP, {"quantity": "100", "multiplier": "0.01", "settle": "USDT", "inverse": False}),
        # What the exchange booked is another amount than the product, by a hair.
        (trade(amount=0.00123457, price=60000.3, cost=74.07457037), None, {"quote_quantity": "74.07457037"}),
        # Dust, of which the exchange kept one digit.
        (trade(amount=0.00000002, price=600.0, cost=0.00001), None, {"quote_quantity": "0.00001"}),
        (trade(takerOrMaker="makerTaker"), None, {"liquidity": None}),
        # A float has too few digits for the product: the books work it out.
        (trade(amount=0.12345678901, price=60000.123456789, cost=0.12345678901 * 60000.123456789), None, {"quote_quantity": None}),
        (trade(amount="0.1", price="3", cost="0.3"), None, {"quantity": "0.1", "quote_quantity": None}),
        (trade(cost=None), None, {"quote_quantity": None}),
        # ccxt takes 1 / price to 18 places.
        (inverse(cost=0.0099999999999996), INVERSE, {"quote_quantity": "0.01", "inverse": True}),
        (inverse(cost=0.00999999), INVERSE, {"quote_quantity": "0.00999999"}),
        (inverse(price=61234.5, cost=0.009798398941773), INVERSE, {"quote_quantity": "0.009798398941773"}),
        (trade(order=None, takerOrMaker=None), None, {"order_id": None, "liquidity": None}),
        (trade(timestamp=None, datetime="2026-01-05T09:30:00.000Z"), None, {"executed_at": WHEN}),
        (trade(id=42), None, {"fill_id": "binance:BTC/USDT:42"}),
        (trade(symbol="XYZ-TSLA/USDC:USDC", amount=2.0, price=400.0, cost=800.0), {"symbol": "XYZ-TSLA/USDC:USDC", "contractSize": 1}, {"base": "XYZ-TSLA", "settle": "USDC"}),
    ],
)  # fmt: skip
def test_what_moved_is_what_the_exchange_says(given, market, said):
    record = is_record("fill", fill_from_ccxt(given, market, **WHO))
    assert {name: record.get(name) for name in said} == said


@pytest.mark.parametrize(
    ("given", "market", "mentions"),
    [
        (linear(), None, ["contract", "exchange.market('BTC/USDT:USDT')"]),
        (linear(), SWAP | {"contractSize": None}, ["no contractSize"]),
        (linear(), INVERSE, ["the market is that of 'BTC/USD:BTC'"]),
        (trade(symbol="BTCUSDT"), None, ["'BTCUSDT'", "load_markets()"]),
        (trade(symbol=None), None, ["no symbol"]),
        (trade(id=None), None, ["no id"]),
        (trade(side=None), None, ["no side"]),
        (trade(price=None), None, ["no price"]),
        (trade(amount=None), None, ["no amount"]),
        (trade(amount=float("nan")), None, ["amount is nan"]),
        (trade(timestamp=None), None, ["no time"]),
        (trade(timestamp=AT // 1000), None, ["timestamp is 1767605400", "milliseconds"]),
        (trade(fee={"cost": 0.3, "currency": None}, fees=[]), None, ["0.3 of an unknown currency"]),
        (trade(fees=[{"cost": 0.3, "currency": "BNB"}, {"cost": None, "currency": "GT"}], fee=None), None, ["no cost yet"]),
        (trade(fee={"cost": 1.0, "currency": "USDT"}), None, ["fee and fees", "differ"]),
        # Amounts in coins where the market counts contracts: which of the two is 100 times off?
        (linear(cost=6000000.0), SWAP, ["6000000", "60000 USDT", "contractSize of 1"]),
        (linear(amount=1.0, price=1.0, cost=0.1), SWAP, ["0.1", "0.01 USDT"]),
        (inverse(cost=600.0), INVERSE, ["600", "0.01 BTC"]),
        (inverse(cost=None), INVERSE, ["inverse", "put it into cost"]),
        (inverse(price=0.0), INVERSE, ["inverse"]),
        (trade(amount=0.0001, price=73260.86, cost=1.364985341e-09), None, ["0.000000001364985341", "7.326086 USDT", "remove it"]),
        (trade(symbol="ETH/USD:BTC", amount=10.0, price=2000.0, cost=0.02), {"symbol": "ETH/USD:BTC", "contractSize": 0.000001}, ["neither of its currencies"]),
    ],
)  # fmt: skip
def test_what_could_be_another_amount_is_refused_with_what_to_mend(given, market, mentions):
    with pytest.raises(Invalid) as raised:
        fill_from_ccxt(given, market, **WHO)
    assert [word for word in mentions if word not in str(raised.value)] == []


def test_an_okx_option_without_its_second_factor_is_refused():
    market = {"symbol": "BTC/USD:BTC-260327-90000-C", "contractSize": 1.0, "option": True}
    option = trade(symbol=market["symbol"], amount=10.0, price=0.05, cost=200.0)
    with pytest.raises(Invalid, match=r"info.ctMult"):
        fill_from_ccxt(option, market, account_id="main", exchange="okx")

    record = fill_from_ccxt(option, market | {"info": {"ctMult": "0.01"}}, account_id="main", exchange="okx")
    assert (record["multiplier"], record["inverse"], "quote_quantity" in record) == ("0.01", False, False)


STEP = {"account_id": "main", "order_id": "o-1"}
LIMIT = {"symbol": "BTC/USDT", "base": "BTC", "quote": "USDT", "side": "buy", "order_type": "limit", "quantity": "0.5", "price": "60000"}
PLACED = {"event_id": "binance:BTC/USDT:o-1:placed", **STEP, "status": "placed", **LIMIT, "occurred_at": WHEN}


def ended(status, at=WHEN):
    return {"event_id": f"binance:BTC/USDT:o-1:{status}", **STEP, "status": status, "symbol": "BTC/USDT", "side": "buy", "occurred_at": at}


LATER = "2026-01-05T10:30:00.000000Z"


@pytest.mark.parametrize(
    ("given", "steps"),
    [
        (order(), [PLACED]),
        (order(status=None), [PLACED]),
        (order(status="closed", remaining=0.0, lastTradeTimestamp=AT + 3_600_000, lastUpdateTimestamp=AT + 7_200_000), [PLACED, ended("filled", LATER)]),
        (order(status="closed", remaining=0.2), [PLACED, ended("cancelled")]),
        (order(status="closed", remaining=1e-12), [PLACED, ended("filled")]),
        (order(status="canceled", lastUpdateTimestamp=AT + 3_600_000), [PLACED, ended("cancelled", LATER)]),
        (order(status="expired"), [PLACED, ended("expired")]),
        (order(status="rejected"), [PLACED, ended("rejected")]),
        # What a market order was filled at is no term of it.
        (order(type="market", price=59999.0), [{name: "market" if name == "order_type" else value for name, value in PLACED.items() if name != "price"}]),
        (order(type="trailing_stop_market", price=1.0), [{name: "trailing_stop_market" if name == "order_type" else value for name, value in PLACED.items() if name != "price"}]),
    ],
)  # fmt: skip
def test_an_order_is_the_steps_of_its_life(given, steps):
    assert [is_record("order", step) for step in order_from_ccxt(given, **WHO)] == steps


def test_an_order_seen_again_is_what_happened_since():
    amended = order(amount=0.4, price=60100.0, lastUpdateTimestamp=AT + 3_600_000)

    assert order_from_ccxt(order(), before=order(), **WHO) == []
    assert order_from_ccxt(amended, before=order(), **WHO) == [
        {"event_id": f"binance:BTC/USDT:o-1:amended:{AT + 3_600_000}", **STEP, "status": "amended", "quantity": "0.4", "price": "60100", "occurred_at": LATER}
    ]
    assert order_from_ccxt(order(status="canceled"), before=order(), **WHO) == [ended("cancelled")]
    assert order_from_ccxt(order(status="canceled"), before=order(status="canceled"), **WHO) == []


def test_a_market_order_is_placed_by_its_cost_or_to_close_where_the_caller_says_so():
    [placed] = order_from_ccxt(order(type="market", amount=None), cost=Decimal("1000.50"), **WHO)
    assert (is_record("order", placed)["cost"], "quantity" in placed) == ("1000.5", False)

    [placed] = order_from_ccxt(order(type="market", amount=None), closes_position=True, **WHO)
    assert is_record("order", placed)["closes_position"] is True


def test_a_contracts_order_has_its_size():
    [placed] = order_from_ccxt(order(symbol="BTC/USD:BTC"), INVERSE, **WHO)
    assert (is_record("order", placed)["multiplier"], placed["inverse"], placed["settle"]) == ("100", True, "BTC")


@pytest.mark.parametrize(
    ("given", "more", "mentions"),
    [
        ({"id": "o-1", "symbol": "BTC/USDT", "side": "buy", "type": "limit"}, {}, "no amount; fetch it again"),
        (order(amount=None), {}, "cost=…"),
        (order(price=None), {}, "without a price"),
        (order(type=None), {}, "no type"),
        (order(status="triggered"), {}, "'triggered'; ccxt's are open"),
        (order(id=None), {}, "no id"),
        (order(amount=0.4), {"before": order()}, "lastUpdateTimestamp"),
        (order(), {"before": order(id="o-2")}, "before is the order 'o-2'"),
    ],
)
def test_orders_whose_terms_are_not_known_are_refused(given, more, mentions):
    with pytest.raises(Invalid) as raised:
        order_from_ccxt(given, **WHO, **more)
    assert mentions in str(raised.value)


@pytest.mark.parametrize(
    ("make", "given", "who", "said"),
    [
        (deposit_from_ccxt, transaction("deposit"), {}, {"deposit_id": "binance:t-1", "amount": "0.1", "reference": "0xab", "occurred_at": WHEN}),
        (deposit_from_ccxt, transaction("deposit", id=None), {}, {"deposit_id": "binance:0xab"}),
        (deposit_from_ccxt, transaction("deposit", fee={"cost": 0.0, "currency": "BTC"}), {}, {"amount": "0.1", "fee": None}),
        (deposit_from_ccxt, transaction("deposit"), {"category": "transfer"}, {"category": "transfer"}),
        # 0.1 came, of which 0.01 was taken; or 0.1 is what was left of it.
        (deposit_from_ccxt, transaction("deposit", fee={"cost": 0.01, "currency": "BTC"}), {"fee_included": True}, {"amount": "0.1", "fee": "0.01"}),
        (deposit_from_ccxt, transaction("deposit", fee={"cost": 0.01, "currency": "BTC"}), {"fee_included": False}, {"amount": "0.1", "fee": None}),
        (withdrawal_from_ccxt, transaction(), {}, {"withdrawal_id": "binance:t-1", "amount": "0.1", "fee": None}),
        (withdrawal_from_ccxt, transaction(fee={"cost": 0.01, "currency": "BTC"}), {"fee_included": True}, {"amount": "0.09", "fee": "0.01"}),
        (withdrawal_from_ccxt, transaction(fee={"cost": 0.01, "currency": "BTC"}), {"fee_included": False}, {"amount": "0.1", "fee": "0.01"}),
        (withdrawal_from_ccxt, transaction(fee={"cost": 0.01, "currency": "BTC"}), {"exchange": "kraken"}, {"amount": "0.1", "fee": "0.01"}),
        (withdrawal_from_ccxt, transaction(fee={"cost": 2.0, "currency": "BNB"}), {}, {"amount": "0.1", "fee": "2", "fee_currency": "BNB"}),
    ],
)  # fmt: skip
def test_transactions_are_deposits_and_withdrawals(make, given, who, said):
    record = is_record(given["type"], make(given, **(WHO | who)))
    assert {name: record.get(name) for name in said} == said


@pytest.mark.parametrize(
    ("given", "error", "mentions"),
    [
        (transaction(status="pending"), NothingToRecord, "pending"),
        (transaction(status="failed"), NothingToRecord, "failed"),
        (transaction(status=None), Invalid, "no status"),
        (transaction(id=None, txid=None), Invalid, "neither id nor txid"),
        (transaction("deposit"), Invalid, "type 'deposit'"),
        (transaction(fee={"cost": 0.01, "currency": "BTC"}), Invalid, "did 0.1 leave the account, or 0.11?"),
        (transaction(fee={"cost": 0.01}), Invalid, "unknown currency"),
        (transaction(currency=None), Invalid, "no currency"),
        (transaction(amount=None), Invalid, "no amount"),
    ],
)
def test_withdrawals_that_have_not_left_or_could_be_two_amounts_are_refused(given, error, mentions):
    with pytest.raises(Invalid) as raised:
        withdrawal_from_ccxt(given, **WHO)
    assert (isinstance(raised.value, NothingToRecord), mentions in str(raised.value)) == (error is NothingToRecord, True)


@pytest.mark.parametrize(
    ("given", "who", "kind", "said"),
    [
        (payment(), {}, "withdrawal", {"withdrawal_id": f"binance:BTC/USDT:USDT:funding:{AT}:p-1", "amount": "0.35", "category": "funding", "symbol": "BTC/USDT:USDT", "currency": "USDT"}),
        (payment(amount=0.35), {}, "deposit", {"amount": "0.35"}),
        (payment(), {"exchange": "bybit"}, "deposit", {"amount": "0.35"}),
        (payment(), {"exchange": "phemex", "positive": "paid"}, "deposit", {"amount": "0.35"}),
        (payment(id=None, code=None), {}, "withdrawal", {"withdrawal_id": f"binance:BTC/USDT:USDT:funding:{AT}", "currency": "USDT"}),
        (payment(symbol="BTC/USD:BTC", code="USD"), {"exchange": "bybit"}, "deposit", {"currency": "BTC"}),
    ],
)  # fmt: skip
def test_funding_is_paid_or_received_as_that_exchange_signs_it(given, who, kind, said):
    made, record = funding_from_ccxt(given, **(WHO | who))
    assert (made, {name: is_record(made, record)[name] for name in said}) == (kind, said)


@pytest.mark.parametrize(
    ("given", "exchange", "mentions"),
    [
        (payment(), "phemex", "received or paid?"),
        (payment(symbol="BTC/USDT"), "binance", "no contract"),
        (payment(symbol="BTCUSDT"), "binance", "load_markets()"),
        (payment(code="USDC"), "binance", "settled in USDT"),
        (payment(amount=0.0), "binance", "funding of 0"),
    ],
)
def test_funding_of_unknown_sign_or_currency_is_refused(given, exchange, mentions):
    with pytest.raises(Invalid) as raised:
        funding_from_ccxt(given, account_id="main", exchange=exchange)
    assert mentions in str(raised.value)


@pytest.mark.parametrize(
    ("given", "category", "kind", "said"),
    [
        (entry(), None, "deposit", {"deposit_id": "binance:ledger:l-1", "amount": "5", "category": "bonus"}),
        (entry(type="transfer", direction="out", amount=-5.0), None, "withdrawal", {"amount": "5", "category": "transfer"}),
        (entry(type="margin", direction="out"), "interest", "withdrawal", {"category": "interest"}),
        (entry(fee={"cost": 0.5, "currency": "USDT"}, before=10.0, after=14.5), None, "deposit", {"amount": "5", "fee": "0.5"}),
        (entry(fee={"cost": 0.5, "currency": "USDT"}, before=10.0, after=15.0), None, "deposit", {"amount": "5", "fee": None}),
    ],
)
def test_ledger_entries_that_nothing_else_states_are_recorded(given, category, kind, said):
    made, record = ledger_from_ccxt(given, category=category, **WHO)
    assert (made, {name: is_record(made, record).get(name) for name in said}) == (kind, said)


@pytest.mark.parametrize(
    ("given", "error", "mentions"),
    [
        (entry(type="trade"), NothingToRecord, "fetch_my_trades"),
        (entry(type="fee"), NothingToRecord, "fetch_my_trades"),
        (entry(type="transaction"), NothingToRecord, "fetch_deposits"),
        (entry(status="pending"), NothingToRecord, "pending"),
        (entry(amount=0.0), NothingToRecord, "entries of 0"),
        (entry(type="margin"), Invalid, "category=…"),
        (entry(direction=None), Invalid, "direction"),
        (entry(id=None), Invalid, "no id"),
        (entry(fee={"cost": 0.5, "currency": "USDT"}), Invalid, "before and after"),
    ],
)
def test_ledger_entries_that_others_state_or_that_say_too_little_are_not(given, error, mentions):
    with pytest.raises(Invalid) as raised:
        ledger_from_ccxt(given, **WHO)
    assert (isinstance(raised.value, NothingToRecord), mentions in str(raised.value)) == (error is NothingToRecord, True)


def test_a_ticker_says_what_its_base_was_worth():
    expected = {"currency": "BNB", "usd_rate": "640.2", "observed_at": WHEN, "source": "binance"}
    assert is_record("rate", rate_from_ccxt(ticker(), exchange="binance")) == expected
    assert rate_from_ccxt(ticker(symbol="BNB/USDT"), exchange="binance", quote_usd_rate=1) == expected
    assert rate_from_ccxt(ticker(symbol="BNB/USDT"), exchange="binance", quote_usd_rate="0.999")["usd_rate"] == "639.5598"
    assert rate_from_ccxt(ticker(timestamp=None), exchange="binance", observed_at=datetime(2026, 1, 5, 9, 30, tzinfo=UTC)) == expected


@pytest.mark.parametrize(
    ("given", "mentions"),
    [
        (ticker(symbol="BNB/USDT"), "quote_usd_rate"),
        (ticker(symbol="BTC/USD:BTC"), "no contract's price"),
        (ticker(symbol="BNBUSD"), "no contract's price"),
        (ticker(last=None), "no last"),
        (ticker(timestamp=None), "observed_at"),
    ],
)
def test_tickers_that_tell_no_rate_are_refused(given, mentions):
    with pytest.raises(Invalid) as raised:
        rate_from_ccxt(given, exchange="binance")
    assert mentions in str(raised.value)


@pytest.mark.parametrize(
    ("given", "kinds"),
    [
        (trade(), ["fill"]),
        (order(status="canceled"), ["order", "order"]),
        (transaction("deposit"), ["deposit"]),
        (transaction(), ["withdrawal"]),
        (payment(), ["withdrawal"]),
        (entry(), ["deposit"]),
        (ticker(), ["rate"]),
    ],
)
def test_structures_are_told_apart_by_their_fields(given, kinds):
    assert [kind for kind, _ in records_from_ccxt(given, None, Told("main", "binance"))] == kinds


@pytest.mark.parametrize("given", [{}, {"symbol": "BTC/USDT", "bids": [], "asks": []}, transaction(type=None)])
def test_other_structures_are_refused(given):
    with pytest.raises(Invalid):
        records_from_ccxt(given, None, Told("main", "binance"))

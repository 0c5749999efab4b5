"""The JSON Schemas against the worker: one table of bad records, one of good ones, and what only the worker can tell."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema.validators import extend

from jarvis_client.contract.errors import MalformedRecord
from jarvis_client.contract.forms import FORMS, fact_of
from jarvis_client.contract.jobs import JOB_FIELDS, job_of
from workers.schemas import json_schemas

SCHEMAS = json_schemas()
FIELDS = {**{kind: form.names for kind, form in FORMS.items()}, "job": tuple(field.name for field in JOB_FIELDS)}


def as_in_javascript(_, pattern, value, __):
    """JSON Schema means the regular expressions of JavaScript, where `$` is the very end; Python's stands before a last line feed, too."""
    if isinstance(value, str) and not re.search(re.sub(r"\$(?=[)|]|\Z)", r"\\Z", pattern), value):
        yield jsonschema.ValidationError(f"{value!r} does not match {pattern!r}")


Validator = extend(jsonschema.Draft202012Validator, {"pattern": as_in_javascript})
VALIDATORS = {kind: Validator(schema) for kind, schema in SCHEMAS.items()}


def worker_takes(kind, record):
    try:
        job_of(record, "m1") if kind == "job" else fact_of(kind, record)
    except MalformedRecord:
        return False
    return True


def schema_takes(kind, record):
    return VALIDATORS[kind].is_valid(json.loads(json.dumps(record)))


# -- records ---------------------------------------------------------------------------------------------------------------

AT = "2026-11-22T10:15:30.123456Z"
BASE: dict[str, dict[str, Any]] = {
    "fill": {"fill_id": "v:BTCUSDT:1", "account_id": "a", "symbol": "BTC/USDT", "side": "buy", "quantity": "1", "price": "2", "executed_at": AT},
    "fee": {"fee_id": "f", "account_id": "a", "fill_id": "v:BTCUSDT:1", "currency": "BNB", "amount": "0.1", "occurred_at": AT},
    "deposit": {"deposit_id": "d", "account_id": "a", "currency": "USDT", "amount": "1", "occurred_at": AT},
    "withdrawal": {"withdrawal_id": "w", "account_id": "a", "currency": "USDT", "amount": "1", "occurred_at": AT},
    "order": {
        "event_id": "e", "order_id": "o", "account_id": "a", "status": "placed", "occurred_at": AT, "symbol": "BTC/USDT", "side": "buy",
        "order_type": "limit", "quantity": "1", "price": "2",
    },
    "metrics": {"account_id": "a", "observed_at": AT, "total_value_usd": "1"},
    "balance": {"account_id": "a", "currency": "USDT", "total": "1", "observed_at": AT},
    "rate": {"currency": "BTC", "usd_rate": "64000", "observed_at": AT},
    "void": {"void_id": "v", "account_id": "a", "kind": "fill", "id": "x", "reason": "typo", "occurred_at": AT},
    "job": {"job": "rollup"},
}  # fmt: skip
GONE = "(left out)"
SPARE = dict.fromkeys(("symbol", "side", "order_type", "quantity", "price"), GONE)


def changed(kind, changes):
    return {name: value for name, value in {**BASE[kind], **changes}.items() if value is not GONE}


NOT_TEXT = [5, True, [], {}]
BAD_TEXT = ["", " a", "a ", "a\x00b", "a\tb", "a\n", "a\x7f", "a\u00a0b", "a\u200bb", "\ufeffa", "a\u2028b", *NOT_TEXT]
NOT_A_NUMBER = [
    "", " 1", "1 ", "1\n", "NaN", "Infinity", "-inf", "1,5", "0x1", "1_000", "１２", "--1", ".", "e5", "1e", "1e12345", "9" * 32, "1" + "0" * 31, "1e31", "1e400",
    10**31, -(10**31), "9" * 41, "0." + "1" * 41, "1." + "0" * 40, "0." + "0" * 60 + "1", "1e-61", "0" * 121, True, [], {},
]  # fmt: skip
NOT_POSITIVE = ["0", "-0", "0.000", "0e5", "-1", "-0.5", "-1e-5", 0, -1, -0.5]
NOT_A_TIME = [
    "", "2026-11-22", "2026-11-22T10:15:30", "2026-11-22T10:15Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-04-31T00:00:00Z", "2026-02-30T00:00:00Z",
    "2026-11-22T24:00:00Z", "2026-11-22T10:60:00Z", "2026-11-22T10:15:61Z", "2026-11-22T10:15:60Z", "2026-11-22T10:15:30+0100", "2026-11-22T10:15:30+24:00",
    "2026-11-22T10:15:30,5Z", "2026-11-22T10:15:30.Z", f"2026-11-22T10:15:30.{'1' * 41}Z", "1960-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "2100-01-01T00:00:00Z",
    "10000-01-01T00:00:00Z", "２０２６-11-22T10:15:30Z", f"{AT}\n", 0, 1_795_343_043_000, 946_684_799_999_999, 4_102_444_800_000_000, 2**63, 1.5, True, [], {},
]  # fmt: skip
NOT_A_DAY = ["", "2026-1-1", "2026-13-01", "2026-04-31", "2026-W05-1", "20260101", "1969-12-31", "2100-01-01", AT, "2026-01-01\n", 20260101, True, []]
NOT_A_WORD = ["BUY", "Placed", "", " buy", None, 5, True, []]
BAD_VALUES: dict[str, list[Any]] = {
    "id": [*BAD_TEXT, "x" * 129],
    "code": [*BAD_TEXT, "US DT", "x" * 33],
    "word": [*BAD_TEXT, "x" * 65],
    "text": [*NOT_TEXT, "x" * 2_001, "a\x00b", "a\rb", "a\x1fb"],
    "number": NOT_A_NUMBER,
    "positive": [*NOT_A_NUMBER, *NOT_POSITIVE],
    "rate": [*NOT_A_NUMBER, "-1", "-0.01", -1, -1e-9],
    "time": NOT_A_TIME,
    "day": NOT_A_DAY,
    "flag": [0, 1, "true", "", [], {}],
    "count": [-1, 1.5, "1", True, 2**63, [], {}],
    "one of": [*NOT_A_WORD[:4], *NOT_A_WORD[5:]],
    "fees": ["1", 1, True, {}, [1], ["BNB"], [None], [{"currency": "BNB"}], [{"amount": "1"}], [{"currency": "BNB", "amount": "x"}],
             [{"currency": "B B", "amount": "1"}], [{"currency": "BNB", "amount": "1", "rate": "5"}], [{"currency": "BNB", "amount": "1", "usd_rate": "-1"}],
             [{"currency": "USD", "amount": "1", "usd_rate": "0.99"}], [{"currency": "BNB", "amount": None}], [{"currency": "BNB", "amount": "1"}] * 6],
}  # fmt: skip
#: Which of them each field of each kind is given.
TYPES: dict[str, str] = {
    **dict.fromkeys(
        ("account_id", "fill_id", "fee_id", "deposit_id", "withdrawal_id", "event_id", "order_id", "snapshot_id", "void_id", "id", "request_id", "producer",
         "symbol", "source"), "id"),
    **dict.fromkeys(("fee_currency", "base", "quote", "settle", "currency"), "code"),
    **dict.fromkeys(("description", "reference", "reason"), "text"),
    **dict.fromkeys(
        ("price", "fee", "quote_quantity", "order_price", "total", "total_value_usd", "pnl_daily", "pnl_total", "sharpe_ratio", "sortino_ratio", "max_drawdown",
         "win_rate", "profit_factor"), "number"),
    **dict.fromkeys(("quantity", "amount", "multiplier", "order_quantity", "cost"), "positive"),
    **dict.fromkeys(("usd_rate", "quote_usd_rate", "fee_usd_rate"), "rate"),
    **dict.fromkeys(("executed_at", "occurred_at", "observed_at"), "time"),
    **dict.fromkeys(("date", "from", "to"), "day"),
    **dict.fromkeys(("contract", "inverse", "reserve", "closes_position", "rebuild"), "flag"),
    **dict.fromkeys(("sequence", "trades_count"), "count"),
    **dict.fromkeys(("side", "status", "liquidity", "category", "kind", "job"), "one of"),
    "order_type": "word", "fees": "fees",
}  # fmt: skip
TYPE_HERE = {("fee", "amount"): "number", ("balance", "currency"): "id"}
#: What makes the field matter where it would not, or would be refused for something else.
BESIDE = {
    ("metrics", "date"): {"observed_at": GONE}, ("order", "cost"): {"order_type": "market", "quantity": GONE},
    ("deposit", "symbol"): {"category": "funding"}, ("withdrawal", "symbol"): {"category": "interest"},
}  # fmt: skip


def bad_fields():
    for kind, names in FIELDS.items():
        for name in names:
            for value in BAD_VALUES[TYPE_HERE.get((kind, name), TYPES[name])]:
                if not (name == "trades_count" and value == 2**63):
                    yield kind, {**BESIDE.get((kind, name), {}), name: value}


#: Beyond one bad value: what is missing, what is given twice, what does not go together.
BAD_RECORDS: list[tuple[str, dict[str, Any]]] = [
    *((kind, {name: GONE}) for kind, record in BASE.items() for name in record if (kind, name) != ("job", "job")),
    *((kind, {name: None}) for kind, record in BASE.items() for name in record),
    ("job", {"job": GONE}),
    *((kind, {"symbol": "BTC/USDT", **category}) for kind in ("deposit", "withdrawal") for category in ({}, {"category": "external"}, {"category": "loan"})),
    # one fee or several
    ("fill", {"fee": "1", "fees": [{"currency": "BNB", "amount": "1"}]}),
    ("fill", {"fee": 0, "fees": [{"currency": "BNB", "amount": "1"}]}),
    ("fill", {"fee_currency": "BNB", "fees": [{"currency": "BNB", "amount": "1"}]}),
    ("fill", {"fee_usd_rate": "600", "fees": [{"currency": "BNB", "amount": "1"}]}),
    # cash
    ("fill", {"symbol": "BTC/USD:BTC"}),
    ("fill", {"symbol": "BTC/USD:BTC-260327"}),
    ("fill", {"symbol": "BTC/USD:BTC", "inverse": True}),
    ("fill", {"symbol": "XBT/USD:USDT", "quote_quantity": None}),
    ("fill", {"symbol": "XBTUSD", "base": "XBT", "quote": "USD", "inverse": True}),
    ("fill", {"quote_quantity": "-2"}),
    ("fill", {"quote_quantity": "0"}),
    ("fill", {"quote_quantity": 0.0}),
    ("fill", {"price": "-2", "quote_quantity": "2"}),
    ("fill", {"price": "0", "quote_quantity": "2"}),
    ("fill", {"price": 0, "quote_quantity": "-1e-5"}),
    # contracts
    ("fill", {"contract": False, "symbol": "BTC/USDT:USDT"}),
    ("fill", {"contract": False, "settle": "USDT"}),
    ("fill", {"contract": False, "inverse": True, "quote_quantity": "2"}),
    ("fill", {"contract": False, "multiplier": "10"}),
    ("order", {"contract": False, "symbol": "BTC/USDT:USDT"}),
    ("order", {"contract": False, "multiplier": 0.1}),
    ("order", {"reserve": True, "symbol": "BTC/USDT:USDT"}),
    ("order", {"reserve": True, "contract": True}),
    ("order", {"reserve": True, "settle": "USDT"}),
    ("order", {"reserve": True, "inverse": True}),
    ("order", {"reserve": True, "multiplier": "10"}),
    ("order", {"reserve": True, "order_type": "market", "price": GONE}),
    # dollars
    ("deposit", {"currency": "USD", "usd_rate": "0.99"}),
    ("withdrawal", {"currency": "USD", "usd_rate": 1.01}),
    ("fee", {"currency": "USD", "usd_rate": "0"}),
    ("rate", {"currency": "USD", "usd_rate": "1.0001"}),
    ("fill", {"settle": "USD", "quote": "USD", "base": "BTC", "quote_usd_rate": "0.99"}),
    ("fill", {"quote": "USD", "base": "BTC", "quote_usd_rate": "0.99"}),
    ("fill", {"fee_currency": "USD", "fee_usd_rate": "2"}),
    # what was asked for
    *(("order", {**SPARE, "status": status}) for status in ("placed", "open", "new", "amended")),
    *(("order", {name: gone}) for name in ("symbol", "side", "order_type", "quantity", "price") for gone in (GONE, None)),
    ("order", {"order_type": "LIMIT", "price": GONE}),
    ("order", {"order_type": "market", "cost": "10"}),
    ("order", {"order_type": "stop", "quantity": GONE, "cost": "10"}),
    ("order", {"quantity": GONE, "closes_position": False}),
    ("order", {**SPARE, "status": "amended", "symbol": "BTC/USDT", "quantity": None}),
    # times, accounts, names
    ("metrics", {"date": "2026-11-22"}),
    ("metrics", {"observed_at": GONE}),
    ("metrics", {"trades_count": 10**31}),
    ("rate", {"account_id": "a"}),
    ("rate", {"account_id": None}),
    ("rate", {"currency": "A:B"}),
    ("rate", {"source": "a:b"}),
    ("void", {"kind": "rate"}),
    ("void", {"kind": "deposit", "account_id": None}),
    ("void", {"kind": "void"}),
    *(("job", {"job": "backup", name: value}) for name, value in (("account_id", "a"), ("date", "2026-01-01"), ("from", "2026-01-01"), ("rebuild", True))),
    ("job", {"start": "2026-01-01"}),
    ("job", {"queue": "x"}),
    # names that look like ours
    ("fill", {"commission": "1"}),
    ("fill", {"commissionAsset": "BNB"}),
    ("fill", {"qty": "1"}),
    ("fill", {"exec-price": "1"}),
    ("fill", {"feeCurrency": "BNB"}),
    ("fill", {"Quote_Quantity": "2"}),
    ("fee", {"feeCost": "1"}),
    ("deposit", {"network_fee": "1"}),
    ("withdrawal", {"TxFee": None}),
    ("order", {"fees": [{"currency": "USDT", "amount": "1"}]}),
    ("order", {"origQty": "1"}),
    ("metrics", {"equity": "1"}),
    ("balance", {"asset": "BTC"}),
    ("rate", {"price": "1"}),
    ("void", {"voidId": "v"}),
    # what an unknown field may hold
    *((kind, {"note": value}) for kind in FORMS for value in (10**31, [1, {"deep": -(10**31)}])),
]

#: Refused by the worker and taken by the schema, and why no schema can tell.
ONLY_THE_WORKER: list[tuple[str, str, dict[str, Any]]] = [
    ("what a symbol means is a matter of the settings", "fill", {"symbol": "AAPL"}),
    ("what a symbol means is a matter of the settings", "fill", {"symbol": "XBTUSD"}),
    ("what a symbol means is a matter of the settings", "fill", {"symbol": "btc/usdt"}),
    ("what a symbol means is a matter of the settings", "order", {"symbol": "BTC-PERP"}),
    ("what a symbol means is a matter of the settings", "fill", {"symbol": "BTC/USD", "quote_usd_rate": "0.99"}),
    ("two fields are compared", "fill", {"base": "BTC", "quote": "BTC"}),
    ("two fields are compared", "order", {"base": "BTC", "quote": "BTC"}),
    ("two fields are compared", "fill", {"inverse": True, "settle": "USDT", "quote": "USDT", "quote_quantity": "2"}),
    ("two fields are compared: quanto", "fill", {"settle": "BNB"}),
    ("two parts of a text are compared", "fill", {"symbol": "ETH/BTC:ETH"}),
    ("a day that the month of that year does not have", "fill", {"executed_at": "2026-02-29T00:00:00Z"}),
    ("a day that the month of that year does not have", "job", {"date": "2026-02-29"}),
    ("an instant is reckoned with its offset", "fill", {"executed_at": "2100-01-01T02:00:00+01:00"}),
    ("an instant is reckoned with its offset", "fill", {"executed_at": "2026-12-31T10:59:60+01:00"}),
    ("to JSON Schema 1.0 is an integer", "fill", {"sequence": 1.0}),
    ("to JSON Schema 1.0 is an integer", "metrics", {"trades_count": 1.0}),
    ("to JSON Schema 1.0 is an integer", "fill", {"executed_at": 1_795_343_043_000_000.0}),
    ("a number is reckoned with its exponent", "fill", {"quantity": "0.5e60"}),
    ("a number is reckoned with its exponent", "fill", {"price": "0.01e-59"}),
    ("the places of a JSON number are not seen", "fill", {"price": 1e-61}),
    ("the places of a JSON number are not seen", "fill", {"note": 1e-61}),
    ("1e31 as a double is below 10^31 (where all numbers are doubles, as in JavaScript, the schema tells)", "fill", {"price": 1e31}),
    ("a text with an exponent may be any number", "rate", {"currency": "USD", "usd_rate": "2e0"}),
    ("one letter off is a list without end", "fill", {"fee_curency": "BNB"}),
    ("one letter off is a list without end", "deposit", {"ammount": "1"}),
    ("the id is put together from three fields", "rate", {"currency": "x" * 32, "source": "y" * 100}),
    ("rare scripts have invisible characters of their own", "fill", {"fill_id": "a\u061cb"}),
    ("characters that Unicode has not assigned", "deposit", {"deposit_id": "a\u0378b"}),
    ("half a character is no text", "deposit", {"note": "\ud800"}),
]


def rows(kind, *tables):
    return [changed(kind, changes) for table in tables for of, changes in table if of == kind]


@pytest.mark.parametrize("kind", SCHEMAS)
def test_a_bad_record_is_refused_by_the_worker_and_by_its_schema(kind):
    bad = rows(kind, bad_fields(), BAD_RECORDS)
    assert [record for record in bad if worker_takes(kind, record)] == [], "the worker takes it: no bad record"
    assert [record for record in bad if schema_takes(kind, record)] == [], "the worker refuses it, the schema does not"


@pytest.mark.parametrize(("why", "kind", "changes"), ONLY_THE_WORKER)
def test_what_only_the_worker_can_tell(why, kind, changes):
    record = changed(kind, changes)
    assert not worker_takes(kind, record)
    assert schema_takes(kind, record), f"the schema can tell after all; it was thought that it cannot: {why}"


# -- and they refuse nothing that is taken ---------------------------------------------------------------------------------

GOOD_VALUES: dict[str, list[Any]] = {
    "id": ["a", "a b", "x" * 128, "é", "日本", "🚀" * 128, "\ufffd", "binance:BTC/USDT:1", "$^[]"],
    "code": ["BNB", "stETH", "$WIF", "1INCH", "x" * 32, "🚀"],
    "word": ["stop", "Stop Limit", "x" * 64],
    "text": ["", " a\tb\n", "x" * 2_000, "日本 🚀"],
    "number": ["-1", "-.5", "0", "-0", "0e9999", "0." + "0" * 70, "9" * 31, "-" + "1" * 31, "1" * 40 + "e-10", -1, 0, 1 - 10**31, -1e-60],
    "positive": ["1", "+1", "0.015", ".5", "5.", "00012", "1.50", "1e2", "1E-60", "9e30", "0." + "0" * 59 + "1", "0." + "0" * 60 + "1e1", 1, 0.1, 1e-60, 10**31 - 1],
    "rate": ["0", "-0", "0.00", "63990.5", 0, -0.0, 0.1],
    "time": [
        AT, "2026-11-22T10:15:30Z", "2026-11-22 10:15:30z", "2026-11-22t10:15:30.123456789+05:30", "2026-11-22T10:15:30-23:59", "2024-02-29T00:00:00Z",
        "2026-12-31T23:59:60Z", "2016-12-31T23:59:60.5Z", "2017-01-01T05:29:60+05:30", "1970-01-01T00:00:00Z", "1969-12-31T23:30:00-01:00", "1985-06-01T00:00:00Z",
        "2099-12-31T23:59:59.999999Z", "2100-01-01T00:30:00+01:00", 946_684_800_000_000, 1_795_342_530_123_456, 4_102_444_799_999_999,
    ],
    "day": ["1970-01-01", "2026-11-22", "2024-02-29", "2099-12-31"],
    "flag": [True, False],
    "count": [0, 1, 2**63 - 1],
    "one of": [],
    "fees": [[], [{"currency": "BNB", "amount": "1"}], [{"currency": "BNB", "amount": -1, "usd_rate": None}] * 5, [{"currency": "USD", "amount": 1, "usd_rate": "1.00"}]],
}  # fmt: skip
GOOD_VALUES["number"] += GOOD_VALUES["positive"]
SYMBOLS = ["BTCUSDT", "BTC/USDT", "BTC-USDT", "BTC/USDT:USDT", "BTC/USDT:USDT-240329-60000-C", "BTC/USD:BTC-260327-60000-C"]
#: Fields of which other values are good than of others of their type.
GOOD_VALUES_HERE = {
    **dict.fromkeys((("fill", "symbol"), ("order", "symbol")), SYMBOLS),
    ("fill", "quote_quantity"): ["2", 2.5, "1e-60"],
    ("fill", "settle"): ["USDT", "BTC"],
    ("fill", "inverse"): [False],
    ("fill", "price"): GOOD_VALUES["number"],
    ("rate", "source"): ["binance", "日本", "a b"],
}


def good_fields():
    for kind, names in FIELDS.items():
        for name in names:
            for value in GOOD_VALUES_HERE.get((kind, name), GOOD_VALUES[TYPE_HERE.get((kind, name), TYPES[name])]):
                yield kind, {**BESIDE.get((kind, name), {}), name: value}
            if name not in SCHEMAS[kind]["required"] and name not in BASE[kind]:
                yield kind, {name: None}


FULL_FILL = {
    **BASE["fill"], "order_id": "o", "fee": "0.001", "fee_currency": "BNB", "fee_usd_rate": "600", "quote_quantity": "2", "quote_usd_rate": "1", "liquidity": "taker",
    "order_type": "Limit", "order_quantity": "3", "order_price": "2", "producer": "engine-1", "sequence": 7,
}  # fmt: skip
GOOD_RECORDS: list[tuple[str, dict[str, Any]]] = [
    *((kind, {}) for kind in BASE),
    *((kind, {"type": kind, "strategy": "grid-7", "note": {"a": [1.50, None, True, "x"], "b": {}}, "": None}) for kind in FORMS),
    *(("fill", {"side": side}) for side in ("buy", "sell")),
    *(("fill", {"liquidity": liquidity}) for liquidity in ("maker", "taker", None)),
    *(("deposit", {"category": category}) for category in SCHEMAS["deposit"]["properties"]["category"]["anyOf"][0]["enum"]),
    *(("job", {"job": job}) for job in SCHEMAS["job"]["properties"]["job"]["enum"]),
    *(("order", {"status": status, "quantity": "2"}) for status in SCHEMAS["order"]["properties"]["status"]["enum"]),
    *(("order", {**SPARE, "status": status}) for status in ("cancelled", "canceled", "rejected", "expired", "filled")),
    *(("void", {"kind": kind}) for kind in SCHEMAS["void"]["properties"]["kind"]["enum"] if kind != "rate"),
    # fees
    ("fill", FULL_FILL),
    ("fill", {"fee": None}),
    ("fill", {"fee": None, "fees": [{"currency": "BNB", "amount": "1"}]}),
    ("fill", {"fee": "1", "fees": None}),
    ("fill", {"fee": "1", "fee_currency": "BNB", "fees": []}),
    ("fill", {"fees": [{"currency": "BNB", "amount": "1", "usd_rate": "600"}, {"currency": "USDT", "amount": "-0.1"}]}),
    ("withdrawal", {"fee": "8.75", "fee_currency": "USDT", "usd_rate": "0.9998", "category": "transfer"}),
    # dollars
    *(("deposit", {"currency": "USD", "usd_rate": one}) for one in ("1", "1.00", "+01.", "10e-1", "0.1e1", 1, 1.0)),
    ("rate", {"currency": "USD", "usd_rate": "1"}),
    ("rate", {"currency": "USDT", "usd_rate": "0", "source": "binance spot"}),
    ("fill", {"settle": "USDT", "quote": "USD", "base": "BTC", "quote_quantity": "2", "quote_usd_rate": "0.99"}),
    ("fill", {"symbol": "BTC/USDT:USDT", "quote": "USD", "quote_quantity": "2", "quote_usd_rate": "0.99"}),
    ("fill", {"symbol": "BTC/EUR", "quote_usd_rate": "1.08"}),
    # contracts
    ("fill", {"symbol": "BTC/USD:BTC", "quote_quantity": "0.0005"}),
    ("fill", {"symbol": "BTC/USD:BTC", "inverse": False}),
    ("fill", {"symbol": "BTC/USD:USD"}),
    ("fill", {"symbol": "BTC/USD:USD-260327"}),
    ("fill", {"symbol": "XBTUSD", "base": "XBT", "quote": "USD", "inverse": True, "settle": "XBT", "quote_quantity": "0.0005", "quantity": 100}),
    ("fill", {"symbol": "ES 1 DEC 26", "base": "ES", "quote": "USD", "contract": True, "multiplier": "50"}),
    ("fill", {"contract": False, "multiplier": "1.0", "inverse": False, "settle": None}),
    ("fill", {"symbol": "ETH/BTC:USDT", "quote_quantity": "2"}),
    ("order", {"symbol": "BTC/USD:BTC", "reserve": False, "multiplier": 100}),
    ("order", {"contract": False, "reserve": True, "multiplier": "10e-1"}),
    # price and cash
    ("fill", {"price": "-37.63", "quote_quantity": "-37.63"}),
    ("fill", {"price": "0", "quote_quantity": 0}),
    ("fill", {"price": 0.0, "quote_quantity": "0e5"}),
    ("fill", {"price": "1e-5", "quote_quantity": "1E+3"}),
    # orders
    ("order", {"order_type": "market", "price": GONE}),
    ("order", {"order_type": "MARKET", "price": None, "quantity": None, "cost": "100", "reserve": True}),
    ("order", {"order_type": "stop_market", "price": GONE, "quantity": GONE, "closes_position": True}),
    ("order", {"order_type": "market", "side": "sell", "price": GONE, "reserve": True}),
    ("order", {"order_type": "Stop Limit", "quantity": "1", "cost": None}),
    ("order", {**SPARE, "status": "amended", "price": "-1"}),
    ("order", {"status": "cancelled", "contract": False, "settle": "USDT", "reserve": True}),
    # times, accounts, jobs
    ("metrics", {"observed_at": GONE, "date": "2026-11-22", "snapshot_id": "s", "sharpe_ratio": 1.5, "trades_count": 3}),
    ("metrics", {"date": None, "win_rate": None}),
    ("void", {"kind": "rate", "account_id": GONE, "id": "BTC:binance:1795342530123456"}),
    ("void", {"kind": "rate", "account_id": None}),
    (
        "job",
        {"account_id": "a", "date": "2026-01-01", "from": "2026-01-01", "to": "2026-01-02", "rebuild": True, "request_id": "r", "producer": "p", "sequence": 1},
    ),
    ("job", {"job": "seal", "account_id": None, "date": None, "from": None, "to": None, "rebuild": None, "request_id": "r"}),
    # the examples of docs/publishing.md
    ("deposit", {"deposit_id": "seed", "account_id": "main", "amount": "10000", "occurred_at": "2026-11-22T10:15:30Z"}),
    ("order", {"event_id": "o-1:placed", "order_id": "o-1", "account_id": "main", "quantity": "0.03", "price": "64000", "reserve": True}),
    ("fill", {"fill_id": "binance:BTCUSDT:43", "order_id": "o-1", "quantity": "0.015", "price": "63990.5", "fee": "0.00001", "fee_currency": "BTC"}),
    ("metrics", {"account_id": "main", "total_value_usd": "10012.34"}),
    ("void", {"kind": "withdrawal", "id": "w-1", "reason": "typed twice"}),
]


@pytest.mark.parametrize("kind", SCHEMAS)
def test_a_good_record_is_taken_by_the_worker_and_by_its_schema(kind):
    good = rows(kind, good_fields(), GOOD_RECORDS)
    assert [record for record in good if not worker_takes(kind, record)] == [], "the worker refuses it: no good record"
    assert [record for record in good if not schema_takes(kind, record)] == [], "the worker takes it, the schema does not"


DIGITS = st.text("0123456789", max_size=45)
TEXTS_OF_NUMBERS = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "-", "+"]),
        DIGITS,
        st.sampled_from(["", "."]),
        st.sampled_from(["", "0" * 58]),
        DIGITS,
        st.sampled_from(["", "e5", "E-59", "e+31", "e0"]),
    ),
)
FIELDS_OF_NUMBERS = [("fill", "price"), ("fill", "quantity"), ("rate", "usd_rate")]


@given(TEXTS_OF_NUMBERS, st.sampled_from(FIELDS_OF_NUMBERS))
def test_the_schema_refuses_no_number_that_the_worker_takes(text, field):
    kind, name = field
    record = {**BASE[kind], name: text}
    assert schema_takes(kind, record) or not worker_takes(kind, record)
    assert worker_takes(kind, record) or "e" in text.lower() or not schema_takes(kind, record), "without an exponent both say the same"


# -- strict validators take the files --------------------------------------------------------------------------------------

#: Keywords and the type that each is for, as ajv's strict mode (strict, strictTypes, strictTuples, strictRequired) knows them.
KEYWORDS = {
    **dict.fromkeys(("$schema", "$id", "$defs", "$ref", "$comment", "title", "description", "default", "examples", "type", "enum", "const", "not", "if", "then",
                     "else", "allOf", "anyOf", "oneOf"), None),
    **dict.fromkeys(("properties", "required", "additionalProperties", "propertyNames"), "object"),
    **dict.fromkeys(("items", "minItems", "maxItems"), "array"),
    **dict.fromkeys(("pattern", "minLength", "maxLength"), "string"),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), "number"),
}  # fmt: skip


def strict_problems(schema, where="#", context=None, defined=frozenset()):
    """What ajv's strict mode would refuse to compile. `context` is the type that a schema around this one of the same value says."""
    if isinstance(schema, bool):
        return
    said = schema.get("type")
    if isinstance(said, list):
        yield f"{where}: a union of types"
        return
    if said and context and said != context and (said, context) != ("integer", "number"):
        yield f"{where}: type {said} within {context}"
    context = said or context
    defined |= set(schema.get("properties", ()))
    for key, value in schema.items():
        if key not in KEYWORDS:
            yield f"{where}: the keyword {key} is unknown"
        elif KEYWORDS[key] and KEYWORDS[key] != {"integer": "number"}.get(context, context):
            yield f"{where}: no type {KEYWORDS[key]} for {key}"
        elif key == "required" and not set(value) <= defined:
            yield f"{where}: required, but no property: {set(value) - defined}"
        elif (key in ("then", "else") and "if" not in schema) or (key == "if" and not {"then", "else"} & set(schema)):
            yield f"{where}: {key} alone"
        elif key in ("not", "if", "then", "else"):
            yield from strict_problems(value, f"{where}/{key}", context, defined)
        elif key in ("allOf", "anyOf", "oneOf"):
            for n, part in enumerate(value):
                yield from strict_problems(part, f"{where}/{key}/{n}", context, defined)
        elif key in ("properties", "$defs"):
            for name, part in value.items():
                yield from strict_problems(part, f"{where}/{key}/{name}")
        elif key in ("items", "additionalProperties"):
            yield from strict_problems(value, f"{where}/{key}")
        elif key == "propertyNames":
            yield from strict_problems(value, f"{where}/{key}", "string")


@pytest.mark.parametrize("kind", SCHEMAS)
def test_a_strict_validator_takes_the_schema(kind):
    Validator.check_schema(SCHEMAS[kind])
    assert list(strict_problems(SCHEMAS[kind])) == []


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": ["string", "number"]}, "union"),
        ({"anyOf": [{"type": "number"}, {"pattern": "x"}]}, "no type string for pattern"),
        ({"type": "object", "required": ["a"]}, "no property"),
        ({"type": "object", "properties": {"a": {}}, "allOf": [{"type": "string"}]}, "within object"),
        ({"type": "string", "format": "date-time"}, "format is unknown"),
        ({"if": {"const": 1}}, "if alone"),
        ({"type": "integer", "minimum": 1, "not": {"type": "array", "prefixItems": []}}, "prefixItems is unknown"),
    ],
)
def test_what_a_strict_validator_refuses_is_noticed(schema, said):
    assert any(said in problem for problem in strict_problems(schema))


def inside(schema, key):
    if isinstance(schema, list):
        return [found for part in schema for found in inside(part, key)]
    if not isinstance(schema, dict):
        return []
    return [v for k, v in schema.items() if k == key and isinstance(v, str)] + [found for part in schema.values() for found in inside(part, key)]


@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_language_reads_the_patterns_alike(kind):
    for pattern in inside(SCHEMAS[kind], "pattern"):
        assert not re.search(r"\\[a-zA-Z0-9]|\(\?", pattern), f"{pattern}: lookaround, back references and named classes differ between languages"


def test_a_schema_has_an_id_of_its_own_with_a_version_and_says_what_each_field_is():
    assert len({schema["$id"] for schema in SCHEMAS.values()}) == len(SCHEMAS)
    for kind, schema in SCHEMAS.items():
        assert re.fullmatch(rf"urn:jarvis-trading:record:{kind}:[1-9][0-9]*", schema["$id"])
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert schema["title"].startswith(kind)
        assert schema["description"]
        assert [name for name, field in schema["properties"].items() if "description" not in field] == []
        assert set(re.findall(r"#/\$defs/(\w+)", json.dumps(schema))) == set(schema["$defs"])


def test_the_tables_hold_every_field_of_every_kind():
    for kind, names in FIELDS.items():
        assert set(names) <= set(TYPES), f"{kind}: give its new fields a type in TYPES"
    assert {kind for kind, _ in BAD_RECORDS} == set(SCHEMAS) == set(BASE)

"""What is foretold of lines is what becomes of them."""

from __future__ import annotations

import json

import pytest

from jarvis_client.contract.conventions import Conventions
from jarvis_client.contract.routes import ROUTES
from persistence.books.ledger import Ledger
from workers.examples import FULL, SHORT
from workers.messages import item_of_line
from workers.preview import Preview
from workers.schemas import json_schemas

FILL = {"type": "fill", **SHORT["fill"]}


def line(record):
    return json.dumps(record).encode()


def foretold(*records, **conventions):
    preview = Preview(Conventions(**conventions))
    return [preview.of(line(record), number) for number, record in enumerate(records, 1)]


#: What a record means to the books, its defaults filled in.
MEANINGS = [
    (FILL, "buys 0.015 BTC at 63990.5 for 959.8575 USDT"),
    ({**FILL, "symbol": "BTCUSDT", "side": "sell", "fee": "-0.1", "fee_currency": "BNB"}, "sells 0.015 BTC at 63990.5 for 959.8575 USDT, rebate 0.1 BNB; BTCUSDT is BTC/USDT"),
    ({**FILL, "fee": None}, "buys 0.015 BTC at 63990.5 for 959.8575 USDT, a fee that is not known yet"),
    ({**FILL, "symbol": "BTC/USDT:USDT", "quantity": "2", "multiplier": "0.01"},
     "buys 2 contracts BTC/USDT:USDT at 63990.5 for 1279.81 USDT; a linear contract of size 0.01"),
    ({"type": "withdrawal", **SHORT["withdrawal"], "fee": "0.5"}, "-100 USDT (external), fee 0.5 USDT"),
    ({"type": "order", **SHORT["order"], "symbol": "BTCUSDT", "reserve": True}, "order o-1 placed: limit buy 0.03 BTC/USDT at 64000, reserved; BTCUSDT is BTC/USDT"),
    ({"type": "order", **FULL["order"][2]}, "order o-3 placed: market buy BTC/USDT for 500 USDT"),
    ({"type": "order", **FULL["order"][3]}, "order o-4 placed: market sell BTC/USDT, whatever is open"),
    ({"type": "order", "event_id": "o-1:c", "order_id": "o-1", "account_id": "main", "status": "canceled", "occurred_at": FILL["executed_at"]}, "order o-1 cancelled"),
    ({"type": "fee", **SHORT["fee"]}, "fee 0.0012 BNB for fill binance:BTCUSDT:43"),
    ({"type": "metrics", **FULL["metrics"][1]}, "worth 10012.34 USD at the end of 2026-11-22"),
    ({"type": "rate", **SHORT["rate"]}, "one BTC is worth 64000 USD"),
    ({"type": "balance", **SHORT["balance"]}, "the venue holds 10012.34 USDT; nothing is booked"),
    ({"type": "void", **SHORT["void"]}, "the withdrawal w-1 counts as never having been"),
]  # fmt: skip


@pytest.mark.parametrize(("record", "meaning"), MEANINGS)
def test_a_record_is_told_as_what_it_does(record, meaning):
    [told] = foretold(record)
    assert (told.outcome, told.detail) == ("applied", meaning)


#: A record that is refused, and what names the field, the value and the rule.
REFUSED = [
    ({**FILL, "quantity": "-1"}, ["quantity", "-1", "above zero"]),
    ({**FILL, "executed_at": 1795343043000}, ["executed_at", "1795343043000", "milliseconds?"]),
    ({**FILL, "fee_curency": "BNB"}, ["fee_curency", "did you mean fee_currency?"]),
    ({**FILL, "qty": "1"}, ["'qty'", "did you mean quantity?"]),
    ({**FILL, "symbol": "XBTUSD"}, ["XBTUSD", "XB/TUSD"]),
    ({**FILL, "type": "fil"}, ["unknown"]),
    ({k: v for k, v in FILL.items() if k != "type"}, ['"type"']),
]


@pytest.mark.parametrize(("record", "words"), REFUSED)
def test_a_refusal_names_what_is_wrong(record, words):
    [told] = foretold(record)
    assert told.outcome == "refused"
    assert [word for word in words if word not in told.sentence] == []


def test_settings_say_what_a_symbol_means():
    [told] = foretold({**FILL, "symbol": "XBTUSD"}, pairs={"XBTUSD": "XBT/USD"})
    assert told.detail.endswith("for 959.8575 USD; XBTUSD is XBT/USD")


def test_the_same_again_is_a_duplicate_and_another_content_a_conflict():
    told = foretold(FILL, {**FILL, "price": "63990.50"}, {**FILL, "price": "1"}, {**FILL, "account_id": "other"})
    assert [t.outcome for t in told] == ["applied", "duplicate", "refused", "applied"]
    assert told[1].sentence == "line 2: duplicate: fill binance:BTCUSDT:43 of main: line 1 says the same"
    assert (told[2].reason, "stands in line 1 with other content" in told[2].detail) == ("conflict", True)


def test_a_line_that_was_refused_stands_in_nobodys_way():
    assert [t.outcome for t in foretold({**FILL, "price": "x"}, FILL)] == ["refused", "applied"]


def test_fields_of_the_engines_own_are_told_as_kept():
    [told] = foretold({**FILL, "strategy": "grid", "leg": 2})
    assert (told.keeps, told.sentence.endswith("(keeps leg, strategy)")) == (("leg", "strategy"), True)


def test_what_is_foretold_is_what_the_books_do(database):
    records = [r for r, _ in MEANINGS] + [r for r, _ in REFUSED]
    told = [t.outcome for t in foretold(*records)]
    outcomes = Ledger(database).post([item_of_line(line(record), number) for number, record in enumerate(records, 1)])
    assert [{"quarantined": "refused"}.get(o.status, o.status) for o in outcomes] == told
    assert {"applied", "refused"} == {*told} - {"duplicate"}


@pytest.mark.parametrize("kind", ROUTES)
def test_the_examples_are_taken_and_have_every_field_between_them(kind):
    for examples in ([SHORT[kind]], FULL[kind]):
        assert {t.outcome for t in foretold(*({"type": kind, **e} for e in examples))} == {"applied"}
    assert {field for e in FULL[kind] for field in e} == {*json_schemas()[kind]["properties"]}
    assert {*json_schemas()[kind]["required"]} <= {*SHORT[kind]}

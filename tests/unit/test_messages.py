from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from searching import of, searched

from jarvis_client.contract.errors import MalformedRecord
from jarvis_client.contract.facts import Fact
from jarvis_client.contract.forms import fact_of
from jarvis_client.contract.json_values import canonical_json
from jarvis_client.contract.outcome import Refusal
from workers.messages import item_of_line
from workers.schemas import json_schemas, schema_texts
from workers.wire import decode_json, record_slices

AT = "2026-11-22T10:15:30.123456Z"
GOOD = {
    "fill": {
        "fill_id": "v:BTCUSDT:1", "account_id": "a", "order_id": "o", "symbol": "BTCUSDT", "side": "buy", "quantity": "1", "price": "2", "executed_at": AT,
    },
    "deposit": {"deposit_id": "d", "account_id": "a", "currency": "USDT", "amount": "1", "occurred_at": AT},
    "withdrawal": {"withdrawal_id": "w", "account_id": "a", "currency": "USDT", "amount": "1", "occurred_at": AT},
    "order": {
        "event_id": "e", "order_id": "o", "account_id": "a", "status": "placed", "occurred_at": AT, "symbol": "BTCUSDT", "side": "buy",
        "order_type": "limit", "quantity": "1", "price": "2",
    },
    "metrics": {"account_id": "a", "observed_at": AT, "total_value_usd": "1"},
    "void": {"void_id": "v", "account_id": "a", "kind": "fill", "id": "x", "reason": "typo", "occurred_at": AT},
}  # fmt: skip


@pytest.mark.parametrize("kind", GOOD)
def test_a_good_record_states_a_fact_and_fits_its_schema(kind):
    assert isinstance(fact_of(kind, GOOD[kind]), Fact)
    jsonschema.validate(GOOD[kind], json_schemas()[kind])


def test_the_checked_in_schemas_are_those_of_the_models():
    folder = Path(__file__).parents[2] / "docs" / "schemas"
    assert {p.name: p.read_text() for p in folder.glob("*.json")} == schema_texts(), "run `make schemas`"


HOSTILE = [
    ({"quantity": "NaN"}, "plain finite number"),
    ({"quantity": float("nan")}, "plain finite number"),
    ({"quantity": float("inf")}, "plain finite number"),
    ({"quantity": "sNaN"}, "plain finite number"),
    ({"price": "1e400"}, "numbers below 10"),
    ({"price": "1E+999999"}, "plain finite number"),
    ({"price": "9" * 10_000}, "plain finite number"),
    ({"price": "9" * 41}, "at most 40"),
    ({"price": 10**50}, "at most 40|more than 40"),
    ({"quantity": "1_000"}, "plain finite number"),
    ({"quantity": "１２"}, "plain finite number"),
    ({"quantity": True}, "must be a number"),
    ({"quantity": None}, "must be a number"),
    ({"quantity": []}, "must be a number"),
    ({"quantity": "0"}, "above zero"),
    ({"quantity": "-0"}, "above zero"),
    ({"executed_at": "2026-11-22T10:15:30"}, "RFC 3339 with an offset"),
    ({"executed_at": "2026-11-22"}, "RFC 3339 with an offset"),
    ({"executed_at": 1_795_343_043_000}, "milliseconds\\?"),
    ({"executed_at": 2**63}, "microseconds"),
    ({"executed_at": "10000-01-01T00:00:00Z"}, "RFC 3339"),
    ({"executed_at": "2026-13-01T00:00:00Z"}, "executed_at"),
    ({"executed_at": "2026-11-22T10:15:60Z"}, "executed_at"),
    ({"executed_at": "2999-11-22T10:15:30Z"}, "2100"),
    ({"executed_at": 1.5}, "no instant"),
    ({"fill_id": ""}, "1 to 128 printable"),
    ({"fill_id": "x" * 129}, "1 to 128 printable"),
    ({"fill_id": "a\x1fb"}, "1 to 128 printable"),
    ({"fill_id": "\ud800"}, "fill_id"),
    ({"fill_id": 5}, "1 to 128 printable"),
    ({"account_id": None}, "1 to 128 printable"),
    ({"symbol": "UNSPLITTABLE"}, 'give "base" and "quote"'),
    ({"side": "BUY"}, "'buy' or 'sell'"),
    ({"sequence": -1}, "sequence"),
    ({"sequence": 2**63}, "sequence"),
    ({"sequence": "1"}, "sequence"),
    ({"liquidity": "taker "}, "liquidity"),
    ({"fee_currency": "US DT"}, "without spaces"),
    ({"note": float("nan")}, "unknown field"),
    ({"note": {"deep": [1e999]}}, "unknown field"),
    ({"note": "\ud800"}, "surrogate|fill:"),
]


@pytest.mark.parametrize(("changes", "said"), HOSTILE, ids=[str(c)[:40].encode("ascii", "replace").decode() for c, _ in HOSTILE])
def test_a_hostile_record_is_refused_with_its_field_and_its_rule(changes, said):
    with pytest.raises(MalformedRecord, match=said) as refused:
        fact_of("fill", {**GOOD["fill"], **changes})
    assert len(str(refused.value)) < 600
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("record", [None, 5, "text", [], [GOOD["fill"]]])
def test_what_is_no_object_is_refused(record):
    with pytest.raises(MalformedRecord, match="must be a JSON object"):
        fact_of("fill", record)


def test_every_missing_field_is_named_at_once():
    with pytest.raises(MalformedRecord, match="account_id: is missing; fill_id: is missing; symbol: is missing"):
        fact_of("fill", {})


def test_an_unknown_kind_is_refused_with_those_there_are():
    with pytest.raises(MalformedRecord, match="unknown; there are fill, fee, deposit"):
        fact_of("trade", {})


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({**GOOD["metrics"], "date": "2026-11-22"}, "exactly one of"), ({"account_id": "a", "total_value_usd": "1"}, "exactly one of"),
        ({**GOOD["metrics"], "total_value_usd": "NaN"}, "finite"),
    ],
)  # fmt: skip
def test_a_snapshot_needs_one_time_and_a_value(record, said):
    with pytest.raises(MalformedRecord, match=said):
        fact_of("metrics", record)


def test_unknown_fields_are_kept_and_are_content():
    plain, noted = fact_of("fill", GOOD["fill"]), fact_of("fill", {**GOOD["fill"], "strategy": "x", "tags": {"b": 1.50, "a": None}})
    assert noted.extra == '{"strategy":"x","tags":{"a":null,"b":1.5}}'
    assert noted.digest != plain.digest
    again = fact_of("fill", {"tags": {"a": None, "b": 1.5}, **GOOD["fill"], "strategy": "x"})
    assert again.digest == noted.digest


def test_finer_fractions_than_microseconds_are_cut_and_their_text_is_kept():
    fine = fact_of("fill", {**GOOD["fill"], "executed_at": "2026-11-22T10:15:30.123456789Z"})
    plain = fact_of("fill", GOOD["fill"])
    assert (fine.executed_at, fine.given_time) == (plain.executed_at, "2026-11-22T10:15:30.123456789Z")
    assert fine.digest == plain.digest
    assert plain.given_time is None
    assert fine.record()["executed_at"] == fine.given_time, "what is written out says it as it was given"


@pytest.mark.parametrize("text", ["2026-11-22T11:15:30.123456+01:00", "2026-11-22 10:15:30.123456z", "2026-11-22t10:15:30.1234560Z", 1795342530123456])
def test_one_instant_may_be_written_in_several_ways(text):
    assert fact_of("fill", {**GOOD["fill"], "executed_at": text}) == fact_of("fill", GOOD["fill"])


def test_floats_are_taken_by_their_shortest_text():
    assert str(fact_of("deposit", {**GOOD["deposit"], "amount": 0.1}).amount) == "0.1"


@searched
@settings(max_examples=of(35, 100))
@given(st.recursive(st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_canonical_json_is_json_and_means_the_same(value):
    assert json.loads(canonical_json(value)) == value


def test_decoding_leaves_an_unreadable_value_to_the_check_of_its_record():
    payload = b'{"args": [[{"a": 1}, {"b": ' + b"9" * 10_000 + b'}, {"c": "\xff"}]]}'
    first, second, third = decode_json(payload)["args"][0]
    assert first == {"a": 1}
    assert "digits" in repr(second["b"])
    assert third["c"] == "\udcff"
    for broken in (b"", b"{", b"\xff", b"[" * 100_000, b"nonsense"):
        with pytest.raises(MalformedRecord, match="not JSON"):
            decode_json(broken)


def test_records_are_cut_out_of_a_message_byte_for_byte():
    assert record_slices(b'{"queue_name": "x", "args" : [ [ {"a":1} , {"b":"\xff"}, 3 ] ], "kwargs":{}}') == [b'{"a":1}', b'{"b":"\xff"}', b"3"]
    assert record_slices(b'{"args":[{"a": [1, {"b": 2}]}]}') == [b'{"a": [1, {"b": 2}]}']
    assert record_slices(b'{"args":[1],"args":[2]}') == [b"2"], "of a key that stands twice the last one counts"
    assert record_slices(b"garbage") == [b"garbage"]
    assert record_slices(b'{"args": []}') == [b'{"args": []}']


@given(st.binary(max_size=200))
def test_no_line_of_bytes_breaks_the_reader(line):
    item = item_of_line(line, 7)
    assert isinstance(item, Refusal)
    assert item.raw == line
    assert item.detail.startswith("line 7: ")


@searched
@settings(max_examples=of(35, 100))
@given(st.sampled_from(sorted(GOOD)), st.data())
def test_no_value_in_any_field_breaks_the_reader(kind, data):
    anything = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20), lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=5), x, max_size=3)
    )  # fmt: skip
    record = {**GOOD[kind], data.draw(st.sampled_from([*GOOD[kind], "extra"])): data.draw(anything)}
    item = item_of_line(json.dumps({"type": kind, **record}).encode(), 1)
    if not isinstance(item, Refusal):
        assert len(item.digest) == 32


@pytest.mark.parametrize("kind", GOOD)
def test_a_fact_can_be_written_as_the_record_that_makes_it_again(kind):
    rich = {**GOOD[kind], "note": {"a": [1.50, None]}, "producer": "p", "sequence": 7}
    if kind == "metrics":
        rich |= {"sharpe_ratio": 1.5, "trades_count": 3}
    fact = fact_of(kind, rich)
    record = fact.record()
    assert record.pop("type") == kind
    assert fact_of(kind, json.loads(json.dumps(record))) == fact
    if kind == "metrics":
        by_date = fact_of(kind, {"account_id": "a", "date": "2026-01-01", "total_value_usd": "1"})
        assert fact_of(kind, {k: v for k, v in by_date.record().items() if k != "type"}) == by_date


def test_a_field_that_is_missing_may_be_there_under_a_name_like_it():
    record = {name: value for name, value in GOOD["fill"].items() if name != "quantity"}
    with pytest.raises(MalformedRecord, match="quantity: is missing; 'qauntity' is no field of this record: did you mean quantity?"):
        fact_of("fill", {**record, "qauntity": "1"})


@pytest.mark.parametrize(
    ("fees", "said"),
    [
        ([{"curency": "BNB", "amount": "1"}], "fees.0.currency: is missing; fees.0.curency: is no field of it; there are currency, amount, usd_rate$"),
        ("x", "fees: is 'x'; it must be a list of objects with currency and amount$"),
        ([{"currency": "BNB", "amount": "1"}] * 6, "fees: holds 6 fees; at most 5 are taken: publish the others as fee records$"),
    ],
)
def test_what_is_wrong_with_several_fees_is_said_of_them(fees, said):
    record = {name: value for name, value in GOOD["fill"].items() if name not in ("fee", "fee_currency")}
    with pytest.raises(MalformedRecord, match=said):
        fact_of("fill", {**record, "fees": fees})


@pytest.mark.parametrize("time", ["2026-02-30T00:00:00Z", "2026-01-01T00:00:00+99:99"])
def test_a_time_that_no_calendar_has_is_said_to_be_none(time):
    with pytest.raises(MalformedRecord, match=r"executed_at: it is '2026-.*', a time that no calendar has; it must be RFC 3339"):
        fact_of("fill", {**GOOD["fill"], "executed_at": time})

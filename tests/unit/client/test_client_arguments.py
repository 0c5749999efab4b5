"""What a publisher's methods take: the fields of the contract, by their names and no others, in whatever type an engine has them."""

from __future__ import annotations

import inspect
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest

from jarvis_client import AsyncPublisher, MalformedRecord, Publisher, fields, records
from jarvis_client.contract.facts import VOIDABLE
from jarvis_client.contract.forms import CATEGORIES, FORMS, LIQUIDITIES, SIDES, STATUSES
from jarvis_client.contract.jobs import JOB_FIELDS, JOB_NAMES
from jarvis_client.methods import RecordMethods
from jarvis_client.testing import MemoryPublisher
from workers.schemas import json_schemas

AT = datetime(2026, 11, 22, 10, 15, 30, 123456, tzinfo=UTC)
FILL: dict[str, Any] = {
    "fill_id": "v:BTCUSDT:1", "account_id": "a", "symbol": "BTC/USDT", "side": "buy", "quantity": "0.1", "price": "64000", "executed_at": AT,
}  # fmt: skip
TYPES = {
    "fill": fields.FillFields, "fee": fields.FeeFields, "deposit": fields.DepositFields, "withdrawal": fields.WithdrawalFields, "order": fields.OrderFields,
    "metrics": fields.MetricsFields, "balance": fields.BalanceFields, "rate": fields.RateFields, "void": fields.VoidFields,
}  # fmt: skip


@pytest.mark.parametrize("kind", FORMS)
def test_arguments_types_schemas_and_checks_name_the_same_fields(kind):
    form, schema = FORMS[kind], json_schemas()[kind]
    parameters = {name: p for name, p in inspect.signature(getattr(records, kind)).parameters.items() if name != "extra"}
    required = {field.name for field in form.fields if field.required}
    assert set(parameters) == set(TYPES[kind].__annotations__) == set(schema["properties"]) == set(form.names)
    assert {name for name, p in parameters.items() if p.default is p.empty} == set(TYPES[kind].__required_keys__) == set(schema["required"]) == required
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters.values())
    shown = getattr(MemoryPublisher(), f"publish_{kind}")
    assert (inspect.signature(shown), shown.__doc__) == (inspect.signature(getattr(records, kind)), getattr(records, kind).__doc__)
    assert [*inspect.signature(getattr(Publisher, f"publish_{kind}")).parameters] == ["self", *inspect.signature(getattr(records, kind)).parameters]


def test_the_words_of_the_types_are_those_of_the_checks():
    for words, checked in (
        (fields.Side, SIDES.words), (fields.Status, STATUSES.words), (fields.Category, CATEGORIES.words), (fields.Liquidity, LIQUIDITIES.words),
        (fields.VoidableKind, VOIDABLE), (fields.Job, JOB_NAMES),
    ):  # fmt: skip
        assert get_args(words) == tuple(checked)


@pytest.mark.parametrize("publisher", [Publisher, AsyncPublisher, MemoryPublisher])
def test_every_kind_has_its_methods(publisher):
    for kind in FORMS:
        assert hasattr(publisher, f"publish_{kind}")
        assert hasattr(publisher, "publish_metrics_many" if kind == "metrics" else f"publish_{kind}s")
    shared = {name for name in vars(RecordMethods) if name.startswith("publish")}
    assert all(inspect.getdoc(getattr(publisher, name)) or name.endswith(("s", "many")) for name in shared)


def test_a_misspelt_or_missing_argument_is_python_s_own_error():
    publisher = MemoryPublisher()
    with pytest.raises(TypeError, match="unexpected keyword argument 'fil_id'"):
        publisher.publish_fill(**{**FILL, "fil_id": "x"})
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'price'"):
        publisher.publish_fill(**{name: value for name, value in FILL.items() if name != "price"})
    assert publisher.records == []


@pytest.mark.parametrize(
    ("quantity", "means"),
    [
        (Decimal("0.10"), "0.1"), (0.1, "0.1"), (np.float64(0.1), "0.1"), (np.float32(0.5), "0.5"), (np.int64(3), "3"), (3, "3"), ("0.1", "0.1"),
        (np.longdouble("0.25"), "0.25"),
    ],
)  # fmt: skip
def test_numbers_of_every_type_are_taken(quantity, means):
    publisher = MemoryPublisher()
    publisher.publish_fill(**{**FILL, "quantity": quantity})
    [(_, record)] = publisher.records
    assert Decimal(str(json.loads(json.dumps(record["quantity"])))) == Decimal(means)


@pytest.mark.parametrize("at", [AT, AT.isoformat(), "2026-11-22T10:15:30.123456Z", 1795342530123456])
def test_times_of_every_type_are_taken(at):
    assert MemoryPublisher().publish_fill(**{**FILL, "executed_at": at}).wait().status == "applied"


def test_a_day_is_taken_as_a_date_and_a_naive_time_is_refused():
    publisher = MemoryPublisher()
    publisher.publish_metrics(account_id="a", total_value_usd=1, date=date(2026, 1, 1))
    assert publisher.records == [("metrics", {"account_id": "a", "total_value_usd": 1, "date": "2026-01-01"})]
    with pytest.raises(MalformedRecord, match="executed_at: .*RFC 3339 with an offset"):
        publisher.publish_fill(**{**FILL, "executed_at": datetime(2026, 1, 1)})


def test_of_the_fees_of_a_fill_none_says_that_they_are_not_known_yet_and_nothing_says_that_there_are_none():
    publisher = MemoryPublisher()
    publisher.publish_fill(**FILL)
    publisher.publish_fill(**{**FILL, "fill_id": "2"}, fee=None)
    publisher.publish_fill(**{**FILL, "fill_id": "3"}, fees=[{"currency": "BNB", "amount": "1"}], fee_currency=None)
    assert ["fee" in record for record in publisher.of_kind("fill")] == [False, True, False]
    assert publisher.of_kind("fill")[1]["fee"] is None


def test_fields_of_the_engine_s_own_stand_in_extra_where_those_that_look_like_ours_are_refused():
    publisher = MemoryPublisher()
    publisher.publish_fill(**FILL, extra={"strategy": "grid-7", "weights": [Decimal("0.5")]})
    assert publisher.records[0][1]["weights"] == ["0.5"]
    with pytest.raises(MalformedRecord, match="'commission' is no field of this record: did you mean fee?"):
        publisher.publish_fill(**FILL, extra={"commission": "1"})
    with pytest.raises(MalformedRecord, match="extra holds fee, which is a field of the record: give it as fee=…"):
        publisher.publish_fill(**FILL, extra={"fee": "1"})


def test_a_record_is_taken_as_a_dictionary_too():
    publisher = MemoryPublisher()
    publisher.publish_fill(FILL)
    publisher.publish_fill({**FILL, "fill_id": "2"}, fee="1")
    publisher.publish("fill", {**FILL, "fill_id": "3", "strategy": "x"})
    publisher.publish_many([records.fill(**{**FILL, "fill_id": "4"}), ("fill", {**FILL, "fill_id": "5"})])
    assert [record["fill_id"] for record in publisher.of_kind("fill")] == ["v:BTCUSDT:1", "2", "3", "4", "5"]
    with pytest.raises(MalformedRecord, match="fill_id: is missing"):
        publisher.publish_fill({"account_id": "a"})


def test_the_types_can_be_read_at_run_time():
    for kind, typed in TYPES.items():
        assert get_type_hints(typed, include_extras=True), kind
    assert {field.name for field in JOB_FIELDS} >= {"account_id", "date", "from", "to", "rebuild"}

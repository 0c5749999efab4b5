"""Anything at all may arrive: it is recorded or refused, in bounded time and memory, and never more than itself is lost.

A hundred examples in `make test`, three times as many in `make test-all`; `HOSTILE_EXAMPLES=200000 pytest tests/properties/test_hostile_input.py` goes on for minutes (`make soak` does).
"""

from __future__ import annotations

import csv
import inspect
import io
import json
import os
import time
from datetime import UTC, datetime
from datetime import date as Date

import pytest
from books import deposit, fill
from hypothesis import given, settings
from hypothesis import strategies as st
from searching import of, searched

from jarvis_client.contract.errors import BooksError, MalformedRecord
from jarvis_client.contract.facts import Fact
from jarvis_client.contract.forms import FORMS, fact_of
from jarvis_client.contract.outcome import Refusal
from persistence import exports
from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from persistence.domain.money import Currency
from persistence.domain.order import OrderStatus
from persistence.domain.transaction import TransactionType
from persistence.proof.books_checks import check_books
from persistence.repositories import (
    SQLiteAccountRepository,
    SQLiteGapRepository,
    SQLiteOrderRepository,
    SQLitePerformanceRepository,
    SQLiteTransactionRepository,
)  # fmt: skip
from workers.messages import item_of_line
from workers.wire import decode_json, record_slices

EXAMPLES = int(os.environ.get("HOSTILE_EXAMPLES", of(100, 300)))

texts = st.text(max_size=40) | st.sampled_from(["NaN", "1e999", "-0", "1_000", "１２", "\x00", "\ud800", "=1+1", "x" * 500, "2026-01-01", "9" * 60])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12)
names = st.sampled_from(sorted({name for form in FORMS.values() for name in form.names}))
records = st.dictionaries(names | texts, values, max_size=12)


@searched
@given(st.sampled_from(sorted(FORMS)), records)
@settings(max_examples=EXAMPLES)
def test_any_record_is_a_fact_or_a_sentence_that_says_why_not(kind, record):
    started = time.perf_counter()
    try:
        made, said = fact_of(kind, record), "a fact"
    except MalformedRecord as error:
        made, said = None, str(error)
    assert made is None or isinstance(made, Fact)
    assert 0 < len(said) < 2_000
    assert time.perf_counter() - started < 2


@searched
@given(st.binary(max_size=300) | records.map(lambda r: json.dumps({"args": [r]}, default=str).encode("utf-8", "surrogatepass")))
@settings(max_examples=EXAMPLES)
def test_any_bytes_are_json_or_refused_and_their_records_are_found(payload):
    try:
        said = ""
        decode_json(payload)
    except MalformedRecord as error:
        said = str(error)
    assert len(said) < 400
    assert b"".join(record_slices(payload)) in payload or record_slices(payload)


@searched
@given(st.binary(max_size=200))
@settings(max_examples=EXAMPLES)
def test_any_line_of_a_file_is_a_fact_or_a_refusal(line):
    assert isinstance(item_of_line(line, 1), Fact | Refusal)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":[', b'"'])
def test_nesting_is_refused_before_it_is_followed(opening):
    started = time.perf_counter()
    with pytest.raises(MalformedRecord):
        decode_json(opening * (1_000_000 // len(opening)))
    assert time.perf_counter() - started < 5


def test_nesting_is_told_with_the_rule():
    with pytest.raises(MalformedRecord, match="at most 64 levels"):
        decode_json(b"[" * 100_000)
    assert decode_json(b'{"a": "[[[[[[[[", "b": [[1]]}') == {"a": "[[[[[[[[", "b": [[1]]}


@searched
@given(st.lists(st.tuples(st.sampled_from(sorted(FORMS)), records), max_size=8))
@settings(max_examples=EXAMPLES // 10)
def test_whatever_is_posted_the_books_add_up(tmp_path_factory, found):
    database = DatabaseManager(tmp_path_factory.mktemp("h") / "b.db")
    database.initialize()
    items = [item_of_line(json.dumps({**record, "type": kind}, default=str).encode("utf-8", "surrogatepass"), n) for n, (kind, record) in enumerate(found)]
    outcomes = Ledger(database).post([*items, deposit("good")], lambda n: b"%d" % n)
    assert outcomes[-1].status == "applied"
    assert check_books(database) == []
    database.close()


# -- formulas ---------------------------------------------------------------------------------------------------------------


@given(st.lists(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=20), min_size=1, max_size=5, unique=True))
@settings(max_examples=30)
def test_no_cell_of_an_export_runs_as_a_formula_and_numbers_stay_numbers(tmp_path_factory, ids):
    database = DatabaseManager(tmp_path_factory.mktemp("c") / "b.db")
    database.initialize()
    evil = ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(1)", *ids]
    Ledger(database).post([fill(n, fill_id=text, account_id="acc", order_id=text, liquidity=text) for n, text in enumerate(evil)])
    for table in exports.TABLES:
        out = io.StringIO()
        exports.write(database, table, "acc", "csv", out)
        for row in csv.reader(io.StringIO(out.getvalue())):
            for cell in row:
                assert not cell.startswith(("=", "+", "@", "\t", "\r")), cell
                assert not cell.startswith("-") or float(cell) <= 0
    raw = io.StringIO()
    exports.write(database, "fills", "acc", "csv", raw, raw=True)
    assert {row[0] for row in csv.reader(io.StringIO(raw.getvalue()))} >= set(evil)
    database.close()


def test_an_export_stays_where_it_was_told_to_go(database, ledger, tmp_path):
    ledger.post([deposit()])
    (tmp_path / "victim").write_text("untouched")
    (tmp_path / "out.csv").symlink_to(tmp_path / "victim")
    (tmp_path / ".out.csv.partial").symlink_to(tmp_path / "victim")
    exports.to_file(database, "transactions", "acc", "csv", tmp_path / "out.csv")
    assert (tmp_path / "victim").read_text() == "untouched"
    assert not (tmp_path / "out.csv").is_symlink()


# -- SQL --------------------------------------------------------------------------------------------------------------------

INJECTIONS = ["' OR 1=1 --", "'; DROP TABLE facts; --", '" OR ""="', "x') UNION SELECT 1 --", "%", "_", "\\", "1; DELETE FROM accounts"]
#: What each parameter takes besides text, and what changes the books on purpose.
OTHERS = {
    "after": None, "since": None,
    "limit": 5, "date": Date(2026, 1, 1), "start": Date(2026, 1, 1), "end": Date(2026, 1, 2), "days": 3, "currency": Currency("USDT"),
    "transaction_type": TransactionType.DEPOSIT, "status": OrderStatus.FILLED,
}  # fmt: skip
WRITES = ("save", "save_many", "export_to_csv", "export_to_json")


def test_every_public_method_takes_its_texts_as_values_only(database, ledger, tmp_path):
    """Each method of each repository, each hostile text in each place: nothing is found by it, nothing changes, no SQL breaks."""
    ledger.post([deposit(), fill(1), fill(2, order_id="o2")])
    before = exports_of(database)
    called = 0
    for repository in (SQLiteAccountRepository, SQLiteTransactionRepository, SQLiteOrderRepository, SQLitePerformanceRepository, SQLiteGapRepository):
        made = repository(database)
        for name, method in inspect.getmembers(made, inspect.ismethod):
            if name.startswith("_") or name in WRITES:
                continue
            wanted = [p for p in inspect.signature(method).parameters.values() if p.kind is not p.VAR_KEYWORD]
            for hostile in INJECTIONS:
                arguments = {p.name: OTHERS.get(p.name, hostile) for p in wanted}
                if "period" in name or (name in ("get_statistics", "stream") and repository is not SQLitePerformanceRepository):
                    arguments |= {k: datetime(2026, 1, 1, tzinfo=UTC) for k in ("start", "end") if k in arguments}
                if name == "find_by_id" and repository is SQLitePerformanceRepository:
                    arguments = {wanted[0].name: (hostile, Date(2026, 1, 1))}
                try:
                    found = method(**arguments)
                except (ValueError, BooksError):
                    continue  # refused with a sentence
                if inspect.isgenerator(found):
                    list(found)
                called += 1
    assert called > 150
    assert exports_of(database) == before
    assert check_books(database) == []


def exports_of(database: DatabaseManager) -> str:
    out = io.StringIO()
    for table in exports.TABLES:
        exports.write(database, table, "acc", "ndjson", out)
    return out.getvalue()

"""Whatever bytes a file holds, reading it ends in records, problems, or one sentence; and how it is written never changes an id."""

from __future__ import annotations

import csv
import io
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from searching import of, searched

from jarvis.importing.preview import preview
from jarvis.importing.profile import Profile
from jarvis.importing.reading import checked
from jarvis.importing.rows import Told
from jarvis.importing.shipped import shipped, shipped_names
from jarvis_client.contract.errors import Invalid
from workers.messages import item_of_line

ANY = Profile.model_validate({
    "zone": "Europe/Berlin",
    "times": ["iso", "epoch_ms", "%d/%m/%Y"],
    "code_patterns": {"^X": ""},
    "pair_patterns": ["(?P<base>.+?)(?P<quote>USDT|USD)"],
    "rows": [
        {"when": {"kind": "flow"}, "kind": "flow", "fields": {"amount": "n", "currency": "c", "occurred_at": "t", "fee": "m"}},
        {"when": {"kind": "*"}, "kind": "fill", "fields": {"symbol": "s", "quantity": "n", "quote_quantity": "m", "executed_at": "t", "fee": "f"}},
    ],
})  # fmt: skip
NUMBERS = st.one_of(
    st.decimals(allow_nan=True, allow_infinity=True).map(str), st.from_regex(r"[-+($€]?[0-9., ']{0,12}[A-Z)%e]{0,5}", fullmatch=True), st.text(max_size=8)
)
TIMES = st.one_of(st.datetimes().map(str), st.integers().map(str), st.dates().map(lambda d: f"{d:%d/%m/%Y}"), st.text(max_size=8))
ROWS = st.lists(
    st.tuples(st.sampled_from(["flow", "fill", ""]), NUMBERS, NUMBERS, NUMBERS, TIMES, st.text(max_size=6), st.sampled_from(["BTCUSDT", "XBTUSD", "a b", ""]))
)
TOLD = Told({"account_id": "acc"})


def look_at(content: bytes, profile: Profile) -> None:
    with suppress(Invalid), checked(io.BytesIO(content), profile, TOLD) as found:
        shown = preview(found.lines, item_of_line)
        assert found.rows == found.records + found.refused + found.passed_over.total()
        assert found.records == sum(shown.kinds.values()) + len(shown.refused) + shown.repeated


@given(st.binary(max_size=400))
def test_any_bytes_end_in_a_sentence(content):
    look_at(content, ANY)
    look_at(b"kind,n,m,f,t,c,s\n" + content, ANY)


def written(rows, delimiter: str, ends: str, order: list[int]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=ends, quoting=csv.QUOTE_ALL)
    writer.writerows([row[p] for p in order] for row in [("kind", "n", "m", "f", "t", "c", "s"), *rows])
    return out.getvalue().encode("utf-8-sig", "replace")


@searched
@settings(max_examples=of(20, 40))
@given(ROWS, st.sampled_from(",;\t|"), st.sampled_from(["\n", "\r\n"]), st.permutations(range(7)), st.randoms())
def test_rows_of_anything_are_counted_and_keep_their_ids_however_they_are_written(rows, delimiter, ends, order, random):
    def ids(content: bytes):
        with checked(io.BytesIO(content), ANY, TOLD) as found:
            facts = [item for number, line in enumerate(found.lines, 1) if line.strip() and hasattr(item := item_of_line(line, number), "identity")]
        return sorted((fact.identity, fact.content()) for fact in facts)

    plain = written(rows, ",", "\n", list(range(7)))
    look_at(plain, ANY)
    shuffled = random.sample(rows, len(rows))
    assert ids(written(shuffled, delimiter, ends, order)) == ids(plain)


@searched
@pytest.mark.parametrize("name", shipped_names())
@settings(max_examples=of(4, 12))  # of each profile; together they are enough
@given(st.data())
def test_a_shipped_profile_meets_any_cell_with_a_sentence(name, data):
    profile = shipped(name)
    columns = [*profile.needed, *profile.optional]
    cells = st.one_of(NUMBERS, TIMES, st.sampled_from(["BUY", "trade", "TRADE", "Completed", "deposit", "STK", "BTCUSDT", "XXBTZEUR", "Convert", "EXECUTION"]))
    rows = data.draw(st.lists(st.lists(cells, min_size=len(columns), max_size=len(columns)), max_size=3))
    out = io.StringIO()
    csv.writer(out).writerows([columns, *rows])
    look_at(out.getvalue().encode("utf-8", "replace"), profile)

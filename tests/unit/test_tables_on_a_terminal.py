"""Tables on terminals of any width: no line is wider, no word is broken, and what gives way gives way in its order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from jarvis.cli.tables import Column, lay, shortened, turned, wrapped

COLUMNS = [Column("at", whole=True), Column("what"), Column("amount", right=True), Column("fee", right=True, seldom=1), Column("detail", below=True)]
ROWS = [
    ["2026-11-25 12:00:00", "sell BTC/USDT", "1,250.75", "0.5", "binance:BTCUSDT:4100000001"],
    ["2026-11-25 12:00:01", "buy ETH/USDT", "7", "12.25", "a remark of some words"],
]


def all_of(laid):
    return [*laid.heading, *laid.lines]


def test_without_bound_every_row_is_one_line():
    laid = lay(COLUMNS, ROWS, None)
    assert all_of(laid) == [
        "at                   what             amount    fee  detail",
        "2026-11-25 12:00:00  sell BTC/USDT  1,250.75    0.5  binance:BTCUSDT:4100000001",
        "2026-11-25 12:00:01  buy ETH/USDT          7  12.25  a remark of some words",
    ]


def test_first_a_column_goes_below_its_row_then_one_is_left_out_then_cells_break():
    assert lay(COLUMNS, ROWS, 60).lines[:2] == ["2026-11-25 12:00:00  sell BTC/USDT  1,250.75    0.5", "    binance:BTCUSDT:4100000001"]
    narrower = lay(COLUMNS, ROWS, 45)
    assert (narrower.left_out, narrower.is_cut) == (["fee"], False)
    assert narrower.lines[0] == "2026-11-25 12:00:00  sell BTC/USDT  1,250.75"
    assert lay(COLUMNS, ROWS, 40).lines[:2] == ["2026-11-25 12:00:00  sell       1,250.75", "                     BTC/USDT"]


def test_a_word_that_is_too_long_loses_its_middle_and_that_is_said():
    laid = lay([Column("id"), Column("at", whole=True)], [["binance:deposit:0000000000000000042", "2026-11-25 12:00:00"]], 44)
    assert laid.is_cut
    assert laid.lines == ["binance:dep…00000000042  2026-11-25 12:00:00"]


def test_what_fits_nowhere_stands_line_by_line_with_its_names():
    lines = lay(COLUMNS, ROWS, 24).lines
    assert lines[:3] == ["at      2026-11-25", "        12:00:00", "what    sell BTC/USDT"]
    assert max(map(len, lines)) <= 24


def test_rows_become_columns_in_as_many_parts_as_the_width_asks_for():
    columns = [Column("currency"), *(Column(name, right=True) for name in ("opening", "deposits", "closing"))]
    rows = [["BTC", "1", "0", "1"], ["EUR", "125,000.5", "0", "125,000.5"], ["USDT", "7", "3", "10"]]
    assert turned(columns, rows, 80) == [(columns, rows)]
    parts = [all_of(lay(*part, 25)) for part in turned(columns, rows, 25)]
    assert parts == [
        ["currency  BTC        EUR", "opening     1  125,000.5", "deposits    0          0", "closing     1  125,000.5"],
        ["currency  USDT", "opening      7", "deposits     3", "closing     10"],
    ]


def test_a_text_breaks_at_blanks_and_keeps_those_inside_a_line():
    assert wrapped("one  two three", 9) == ["one  two", "three"]
    assert wrapped("a\n\nb", 9) == ["a", "", "b"]
    assert wrapped("0123456789", 4) == ["0123", "4567", "89"]
    assert shortened("abcdefghij", 5) == "ab…ij"
    assert shortened("abcde", 5) == "abcde"


CELLS = st.text(alphabet="abc定 1", max_size=30)


@given(st.integers(1, 6).flatmap(lambda n: st.tuples(
    st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans(), st.integers(0, 3)), min_size=n, max_size=n),
    st.lists(st.lists(CELLS, min_size=n, max_size=n), min_size=1, max_size=4),
    st.integers(20, 120),
)))  # fmt: skip
def test_no_line_is_wider_and_no_word_is_broken_while_columns_stand_side_by_side(drawn):
    flags, rows, width = drawn
    columns = [Column(f"c{n}", right=right, whole=whole, below=below, seldom=seldom) for n, (right, whole, below, seldom) in enumerate(flags)]
    laid = lay(columns, rows, width)
    lines = all_of(laid)
    assert all(cell_len(line) <= width for line in lines)
    if laid.heading:
        words = {word for row in rows for cell in row for word in cell.split()} | {column.name for column in columns} | {"·"}
        wider = [word for word in words if cell_len(word) > width - 4]
        assert all(word in words or "…" in word or any(word in whole for whole in wider) for line in lines for word in line.split())

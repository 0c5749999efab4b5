"""Pictures of odd books: one day, nothing but noughts, amounts that no axis was made for, names that are written from the right."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path

import pytest

from jarvis.report import pictures
from jarvis.report.drawing import _apart, money, percent
from jarvis.report.pictures import WIDE, WIDEST_BAR, Bar, Line, Mark

START = date(2026, 1, 1)


def days(*values: float) -> list[tuple[date, float]]:
    return [(START + timedelta(n), value) for n, value in enumerate(values)]


def labels(drawn: str) -> list[str]:
    """The labels of values, which end left of the picture."""
    return re.findall(r'<text x="-8"[^>]*text-anchor="end">([^<]*)</text>', drawn)


MONEY = [
    (0, "0"), (-1_500, "-1,500"), (20_000, "20k"), (2_500_000, "2.5M"), (3e9, "3B"), (1.5e12, "1.5T"), (9e17, "900,000T"), (1.1e18, "1.1e18"), (-5e30, "-5e30"),
    (0.25, "0.25"), (0.30000000000000004, "0.3"), (5e-20, "5e-20"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "shown"), MONEY)
def test_an_amount_beside_an_axis_is_short(value, shown):
    assert money(value) == shown
    assert len(shown) <= 9, "so much room is left of a picture"


@pytest.mark.parametrize(("value", "shown"), [(0.07, "7%"), (-0.005, "-0.5%"), (1e4, "1,000,000%"), (1e12, "1e14%"), (1e-9, "1e-7%")])
def test_a_share_beside_an_axis_is_short(value, shown):
    assert percent(value) == shown


@pytest.mark.parametrize("count", [1, 2, 5, 60, 400])
def test_few_bars_are_bars_and_no_walls(count):
    drawn = pictures.bars("days", [Bar([("up", 1.0)], "")] * count, money, ["a"])
    boxes = [(float(x), float(width)) for x, width in re.findall(r'<rect[^>]* x="([\d.]+)"[^>]* width="([\d.]+)"', drawn)]
    assert len(boxes) == count
    assert max(width for _, width in boxes) <= WIDEST_BAR
    assert all(x >= 0 and x + width <= WIDE for x, width in boxes)
    middles = [x + width / 2 for x, width in boxes]
    assert middles == pytest.approx([(n + 0.5) * WIDE / count for n in range(count)], abs=0.2), "each in the middle of its own room"


def test_a_single_day_is_a_dot_that_can_be_seen():
    assert 'class="dot value" d="M500.0,' in pictures.lines("value", [Line("value", days(5.0))], money)
    assert 'class="line value"' in pictures.lines("value", [Line("value", days(5.0, 6.0))], money)


def test_nothing_but_noughts_spans_what_the_picture_says_and_no_more():
    drawn = pictures.lines("return", [Line("value", days(0.0, 0.0))], percent, zero=True, flat=0.01)
    assert [labels(drawn)[0], labels(drawn)[-1]] == ["-1%", "1%"]


def test_marks_of_days_leave_the_lines_in_sight():
    drawn = pictures.lines("value", [Line("value", days(5.0, 6.0))], money, marks=[Mark(START, "in", "<deposit>")], height=200)
    assert 'class="mark in" d="M0.0,200v-16"><title>&lt;deposit&gt;</title>' in drawn


def test_names_of_other_scripts_do_not_turn_the_numbers_beside_them():
    assert _apart("BTC") == "BTC"
    assert _apart("عملة") == "\u2068عملة\u2069"


def test_the_picture_that_readme_shows_is_there_and_no_burden_to_a_checkout():
    house = Path(__file__).parents[2]
    [shown] = re.findall(r"!\[[^]]+\]\((docs/pictures/[^)]+)\)", (house / "README.md").read_text())
    picture = (house / shown).read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) < 200_000

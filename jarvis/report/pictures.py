"""Pictures in SVG by a few small functions. They stretch with the page while their texts keep their size; colours are classes of the style.

The labels of values stand left of the picture, in a margin that the style leaves free: over bars nobody could read them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import date as Date
from datetime import timedelta
from html import escape
from typing import NamedTuple

from jarvis.report.series import Point, step_of

#: The inner picture's own units; it is stretched to the width of the page.
WIDE = 1_000
#: Pixels: above the picture for the highest label, and below it for the days.
ABOVE, BELOW = 8, 22
#: A bar alone in its picture is a bar, not a wall.
WIDEST_BAR = 60
#: Pixels: how far the mark of a day reaches up, so that many of them leave the lines in sight.
MARK = 16
DAYS_NAMED = 4
Format = Callable[[float], str]


class Line(NamedTuple):
    """A series and the class that colours it. `stepped` keeps a value until the next."""

    style: str
    points: Sequence[Point]
    stepped: bool = False


class Mark(NamedTuple):
    """Something that happened on a day, told on hover."""

    date: Date
    style: str
    says: str


class Bar(NamedTuple):
    """One value, or several stacked ones: (style, value) each. `says` is told on hover."""

    parts: Sequence[tuple[str, float]]
    says: str


class _Scale(NamedTuple):
    least: float
    most: float
    height: int

    def y(self, value: float) -> float:
        return (self.most - value) / (self.most - self.least) * self.height

    def ticks(self) -> list[float]:
        step = step_of((self.most - self.least) / 4)
        return [n * step for n in range(math.ceil(self.least / step - 1e-9), math.floor(self.most / step + 1e-9) + 1)]


def lines(
    label: str, drawn: Sequence[Line], form: Format, *,
    marks: Sequence[Mark] = (), area: bool = False, zero: bool = False, flat: float = 1.0, height: int = 220,
) -> str:  # fmt: skip
    """Lines over days. `area` fills between the first line and zero; `zero` is always in sight; `flat` is what a picture of noughts spans."""
    points = [point for line in drawn for point in line.points]
    if not points:
        return ""
    first, last = min(day for day, _ in points), max(day for day, _ in points)
    scale = _scale([value for _, value in points], height, zero=zero or area, flat=flat)
    parts = []
    for number, line in enumerate(drawn):
        path = _path(line, first, last, scale)
        if area and number == 0 and path:
            base = f"{scale.y(0):.1f}"
            ends = [_x(day, first, last) for day in (line.points[0][0], line.points[-1][0])]
            parts.append(f'<path class="area {line.style}" d="M{ends[0]:.1f},{base}L{path[1:]}L{ends[1]:.1f},{base}Z"/>')
        parts.append(f'<path class="{"line" if len(line.points) > 1 else "dot"} {line.style}" d="{path}"/>')
    for mark in marks:
        x = _x(mark.date, first, last)
        parts.append(f'<path class="mark {mark.style}" d="M{x:.1f},{height}v{-MARK}"><title>{escape(mark.says)}</title></path>')
    return _framed(label, "".join(parts), scale, form, _days(first, last))


def bars(label: str, drawn: Sequence[Bar], form: Format, below: Sequence[str], *, height: int = 200) -> str:
    """Bars side by side, up from zero or down. `below` are evenly spread words under them."""
    if not drawn:
        return ""
    ups = [sum(v for _, v in bar.parts if v > 0) for bar in drawn]
    downs = [sum(v for _, v in bar.parts if v < 0) for bar in drawn]
    scale = _scale([*ups, *downs], height, zero=True)
    room = WIDE / len(drawn)
    width = min(room - 2 * min(room * 0.15, 2.0), WIDEST_BAR)
    parts = []
    for number, bar in enumerate(drawn):
        up = down = 0.0
        rectangles = []
        for style, value in bar.parts:
            start = up if value > 0 else down
            top, bottom = sorted((scale.y(start), scale.y(start + value)))
            box = f'x="{(number + 0.5) * room - width / 2:.1f}" y="{top:.1f}" width="{width:.1f}" height="{bottom - top:.1f}"'
            rectangles.append(f'<rect class="bar {style}" {box}/>')
            up, down = (up + value, down) if value > 0 else (up, down + value)
        parts.append(f"<g>{''.join(rectangles)}<title>{escape(bar.says)}</title></g>")
    return _framed(label, "".join(parts), scale, form, below)


def days_below(days: Sequence[Date]) -> list[str]:
    """The words under bars of days: some of them, evenly spread."""
    if not days:
        return []
    count = min(DAYS_NAMED, len(days) - 1)
    return [f"{days[round(n * (len(days) - 1) / count)]:%d %b %Y}" for n in range(count + 1)] if count else [f"{days[0]:%d %b %Y}"]


def _scale(values: Sequence[float], height: int, *, zero: bool, flat: float = 1.0) -> _Scale:
    least, most = min(values), max(values)
    if zero:
        least, most = min(least, 0.0), max(most, 0.0)
    if least == most:
        room = abs(least) * 0.05 or flat
        return _Scale(least - room, most + room, height)
    room = (most - least) * 0.05
    return _Scale(least if zero and least == 0 else least - room, most if zero and most == 0 else most + room, height)


def _x(day: Date, first: Date, last: Date) -> float:
    return (day - first).days / (last - first).days * WIDE if last > first else WIDE / 2


def _path(line: Line, first: Date, last: Date, scale: _Scale) -> str:
    placed = [(_x(day, first, last), scale.y(value)) for day, value in line.points]
    if len(placed) == 1:
        x, y = placed[0]
        return f"M{x:.1f},{y:.1f}h0"
    path = ""
    for x, y in placed:
        path += f"M{x:.1f},{y:.1f}" if not path else f"H{x:.1f}V{y:.1f}" if line.stepped else f"L{x:.1f},{y:.1f}"
    return path


def _days(first: Date, last: Date) -> list[str]:
    span = (last - first).days
    count = min(DAYS_NAMED, span)
    return [f"{first + timedelta(days=round(n * span / count)):%d %b %Y}" for n in range(count + 1)] if count else [f"{first:%d %b %Y}"]


def _framed(label: str, inner: str, scale: _Scale, form: Format, below: Sequence[str]) -> str:
    """The picture with its lines and labels. An SVG within an SVG: the inner one is stretched, the texts of the outer one are not."""
    height = scale.height
    grid = "".join(f'<path class="{"zero" if not tick else "grid"}" d="M0,{scale.y(tick):.1f}H{WIDE}"/>' for tick in scale.ticks())
    labels = "".join(f'<text x="-8" y="{ABOVE + scale.y(tick) + 4:.1f}" text-anchor="end">{escape(form(tick))}</text>' for tick in scale.ticks())
    days = ""
    for number, words in enumerate(below):
        share = number / (len(below) - 1) * 100 if len(below) > 1 else 50
        anchor = "start" if share == 0 else "end" if share == 100 else "middle"
        between = "" if share in (0, 50, 100) else ' class="between"'
        days += f'<text{between} x="{share:.1f}%" y="{ABOVE + height + 16}" text-anchor="{anchor}">{escape(words)}</text>'
    return (
        f'<svg class="picture" role="img" aria-label="{escape(label)}" width="100%" height="{ABOVE + height + BELOW}">'
        f'<svg y="{ABOVE}" width="100%" height="{height}" viewBox="0 0 {WIDE} {height}" preserveAspectRatio="none">{grid}{inner}</svg>{labels}{days}</svg>'
    )

"""A table as lines of text that fit a width. No word is ever broken: a row takes a second line, or columns give way.

What is tried, until it fits: every column in one line; some columns on a line of their own below each row; fewer columns; cells
that break at blanks; headings that break, too; long words that lose their middle (`binance:BTC…0042`); a block of lines a row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rich.cells import cell_len, chop_cells

#: A cell of words stays readable down to this width.
NARROW = 12
_INDENT = 4
_CUT = "…"


@dataclass(frozen=True)
class Column:
    name: str
    right: bool = False
    #: Never breaks and is never cut: numbers, times.
    whole: bool = False
    #: Goes to a line below its row where the width is too small.
    below: bool = False
    #: Is left out where the width is too small, the highest number first; 0 never is.
    seldom: int = 0


class Laid(NamedTuple):
    """The lines of a table, those of its heading first, and what its width has cost."""

    heading: list[str]
    lines: list[str]
    left_out: list[str]
    is_cut: bool


class _Plan(NamedTuple):
    columns: list[int]
    below: list[int]
    widths: list[int]
    heads: list[str]
    gap: int
    is_cut: bool

    @property
    def width(self) -> int:
        return sum(self.widths) + self.gap * (len(self.columns) - 1)


def lay(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None) -> Laid:
    """The lines, none wider than `width`; None is without bound."""
    plan = _plan(columns, rows, width)
    if plan is None:
        assert width is not None
        return Laid([], list(_blocks(columns, rows, width)), [], is_cut=False)
    heading = _lines([columns[n] for n in plan.columns], plan.heads, plan)
    lines: list[str] = []
    for row in rows:
        lines += _lines([columns[n] for n in plan.columns], [row[n] for n in plan.columns], plan)
        more = [f"{columns[n].name} {row[n]}" if columns[n].right or columns[n].whole else row[n] for n in plan.below if row[n]]
        if more:
            assert width is not None
            lines += [" " * _INDENT + part for part in wrapped(" · ".join(more), width - _INDENT)]
    used = {*plan.columns, *plan.below}
    return Laid(heading, lines, [c.name for n, c in enumerate(columns) if n not in used], plan.is_cut)


def turned(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None) -> list[tuple[list[Column], list[list[str]]]]:
    """The table as it is where it fits; else its rows as columns, in as many parts as the width asks for."""
    names = [column.name for column in columns]
    plain = _one_line(columns, rows, [*range(len(columns))], [])
    if width is None or plain.width <= width:
        return [([*columns], [[*row] for row in rows])]
    first = max(map(cell_len, names))
    parts: list[list[Sequence[str]]] = []
    used = width
    for row in rows:
        wide = max(map(cell_len, row)) + plain.gap
        if used + wide > width:
            parts.append([])
            used = first
        parts[-1].append(row)
        used += wide
    return [_turned([columns[0], *(Column(row[0], right=True) for row in part)], names, part) for part in parts]


def _turned(heads: list[Column], names: list[str], part: list[Sequence[str]]) -> tuple[list[Column], list[list[str]]]:
    return heads, [[name, *(row[n] for row in part)] for n, name in enumerate(names) if n]


def wrapped(text: str, width: int) -> list[str]:
    """A text broken at blanks, and inside a word only where the word is wider than the width."""
    lines: list[str] = []
    for part in text.split("\n"):
        line = ""
        for word in re.findall(r" *[^ ]+", part):
            if cell_len(line + word) <= width:
                line += word
                continue
            if line:
                lines.append(line)
            *whole, line = chop_cells(bare, width) if cell_len(bare := word.lstrip()) > width else [bare]
            lines += whole
        lines.append(line)
    return lines


def shortened(word: str, width: int) -> str:
    """A word that has lost its middle: ids are told apart by how they begin and end."""
    if cell_len(word) <= width:
        return word
    head = width // 2
    tail = width - 1 - head
    return chop_cells(word, head)[0] + _CUT + chop_cells(word[::-1], tail)[0][::-1]


def _plan(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None) -> _Plan | None:
    everything = [*range(len(columns))]
    if width is None:
        return _one_line(columns, rows, everything, [])
    # The first column tells the rows apart: it stays.
    below = [n for n in everything[1:] if columns[n].below]
    seldom = sorted((n for n in everything[1:] if columns[n].seldom), key=lambda n: columns[n].seldom)
    tried = [([n for n in everything if n not in below[first:]], below[first:]) for first in range(len(below), -1, -1)]
    tried += [([n for n in everything if n not in below and n not in seldom[-gone:]], below) for gone in range(1, len(seldom) + 1)]
    # Numbers that need a heading of two lines are read as well as ever.
    for chosen, under in tried:
        for broken, gap in ((False, 2), (True, 2), (True, 1)):
            plan = _one_line(columns, rows, chosen, under, broken=broken)._replace(gap=gap)
            if plan.width <= width:
                return plan
    return _narrowed(columns, rows, *tried[-1], width)


def _one_line(columns: Sequence[Column], rows: Sequence[Sequence[str]], chosen: list[int], below: list[int], *, broken: bool = False) -> _Plan:
    of_cells = [max(cell_len(part) for row in rows for part in row[n].split("\n")) for n in chosen]
    heads = [columns[n].name for n in chosen]
    if broken:
        heads = [head if cell_len(head) <= wide else head.replace(" ", "\n") for head, wide in zip(heads, of_cells, strict=True)]
    widths = [max(wide, *map(cell_len, head.split("\n"))) for head, wide in zip(heads, of_cells, strict=True)]
    return _Plan(chosen, below, widths, heads, 2, is_cut=False)


def _narrowed(columns: Sequence[Column], rows: Sequence[Sequence[str]], chosen: list[int], below: list[int], width: int) -> _Plan | None:
    """Cells broken at blanks, then words cut; None where neither is enough."""
    plan = _one_line(columns, rows, chosen, below, broken=True)
    fixed = [columns[n].right or columns[n].whole for n in chosen]
    words = [
        max(cell_len(word) for cell in (head, *(row[n] for row in rows)) for word in (cell.split() or [""])) for head, n in zip(plan.heads, chosen, strict=True)
    ]
    for gap in (2, 1):
        room = width - gap * (len(chosen) - 1)
        for is_cut in (False, True):
            least = [w if whole else min(word, NARROW) if is_cut else word for w, word, whole in zip(plan.widths, words, fixed, strict=True)]
            if sum(least) <= room:
                return plan._replace(widths=_shared(plan.widths, least, room), gap=gap, is_cut=is_cut)
    return None


def _shared(wanted: list[int], least: list[int], room: int) -> list[int]:
    """Widths that fit the room: the widest gives way first, none below its least."""
    widths = [*wanted]
    while sum(widths) > room:
        widest = max((n for n in range(len(widths)) if widths[n] > least[n]), key=lambda n: widths[n])
        widths[widest] -= 1
    return widths


def _lines(columns: Sequence[Column], cells: Sequence[str], plan: _Plan) -> list[str]:
    """The lines of one row."""
    parts = []
    for cell, wide in zip(cells, plan.widths, strict=True):
        fits = all(cell_len(line) <= wide for line in cell.split("\n"))
        parts.append(cell.split("\n") if fits else wrapped(" ".join(shortened(word, wide) for word in cell.split()), wide))
    lines = []
    for n in range(max(map(len, parts))):
        texts = [part[n] if n < len(part) else "" for part in parts]
        padded = [_padded(text, wide, right=column.right) for column, text, wide in zip(columns, texts, plan.widths, strict=True)]
        lines.append((" " * plan.gap).join(padded).rstrip())
    return lines


def _blocks(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    """A row as lines of name and value."""
    names = max(cell_len(column.name) for column in columns) + 2
    room = max(1, width - names)
    for number, row in enumerate(rows):
        if number:
            yield ""
        widest = min(room, max(cell_len(cell) for column, cell in zip(columns, row, strict=True) if column.right) if any(c.right for c in columns) else 0)
        for column, cell in zip(columns, row, strict=True):
            for n, part in enumerate(wrapped(cell, room) if cell else ()):
                yield _padded("" if n else column.name, names) + _padded(part, widest if column.right else 0, right=column.right)


def _padded(text: str, width: int, *, right: bool = False) -> str:
    blanks = " " * (width - cell_len(text))
    return blanks + text if right else text + blanks

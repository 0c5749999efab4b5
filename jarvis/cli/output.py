"""What commands print: data on stdout, as a table or as JSON; findings with their exit code."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from decimal import Decimal
from itertools import groupby
from typing import Any

import typer
from rich.cells import cell_len

from jarvis import said
from jarvis.cli.common import Exit, say
from jarvis.cli.progress import doing as doing
from jarvis.cli.tables import Column, lay, turned, wrapped
from jarvis.cli.times import moment_of, times_are
from persistence.domain.finding import SHOWN, Finding, Note
from persistence.domain.showing import count_of


def printable(text: str) -> str:
    """A text from outside, with what a terminal would act on (control characters, marks that turn the direction) written out."""
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


#: Below this, a number is shown by its power of ten.
_TINY = -7
#: Below this there is no money, but what a quotient of 50 digits leaves.
_NOTHING = -30
#: Significant digits of a small number, and of a quantity.
_DIGITS, _QUANTITY_DIGITS = 3, 10


def shown_usd(value: Decimal | str | None) -> str:
    """Money for people: to the cent and, where that would say too little, to three significant digits. JSON and exports have every digit."""
    if value is None:
        return ""
    number = Decimal(value)
    if not number or number.adjusted() < _NOTHING:
        return "0.00"
    if number.adjusted() >= 0:
        return f"{number:,.2f}"
    if number.adjusted() < _TINY:
        return f"{number:.{_DIGITS}g}"
    whole, point, decimals = f"{number:.{_DIGITS - 1 - number.adjusted()}f}".partition(".")
    return whole + point + decimals.rstrip("0").ljust(2, "0")


def shown_percent(value: float | None, *, signed: bool = True, places: int = 4) -> str:
    """A share for people. What rounds to nothing has no sign but plus."""
    return "" if value is None else f"{value:+z.{places}%}" if signed else f"{value:z.{places}%}"


def shown_ratio(value: float | None) -> str:
    return "" if value is None else f"{value:z.4f}"


def shown_quantity(value: Decimal | str | None) -> str:
    """A quantity or a price for people: every digit up to ten significant ones."""
    if value is None:
        return ""
    number = Decimal(value)
    if number and number.adjusted() < _TINY:
        return f"{number:.{_QUANTITY_DIGITS}g}"
    text = f"{number:,.{max(0, _QUANTITY_DIGITS - 1 - number.adjusted())}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


#: On a narrower terminal lines run over its edge.
LEAST_COLUMNS = 20


def width_of_output() -> int | None:
    """The columns that standard output has: COLUMNS where it is set, else the terminal's; None for a pipe or a file, whose lines may be
    as long as they like."""
    asked = os.environ.get("COLUMNS", "")
    if asked.isdecimal() and int(asked):
        return max(LEAST_COLUMNS, int(asked))
    return max(LEAST_COLUMNS, shutil.get_terminal_size().columns) if sys.stdout.isatty() else None


def print_rows(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    right: Sequence[str] = (),
    whole: Sequence[str] = (),
    below: Sequence[str] = (),
    seldom: Sequence[str] = (),
    timed: bool = False,
    sideways: bool = False,
    none: str = "",
    wide: bool = False,
    as_json: bool = False,
) -> None:
    """A listing: a table for people, or JSON objects with the same columns.

    Columns that are `right` (numbers) or `whole` (times) never break. Where the terminal is too narrow, those `below` stand on a line of
    their own, and those `seldom` read are left out, the last one first; `wide` shows everything however narrow it is. A table that is
    `timed` names the zone of its times. Rows become columns where a table that may stand `sideways` is too wide. `none` is said where there is
    no row.
    """
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    shown = [[("" if v is None else printable(str(v))) for v in row] for row in rows]
    if not shown:
        say(none or f"no {title[:1].lower()}{title[1:]}")
        return
    ranks = {name: rank for rank, name in enumerate(seldom, 1)}
    named = [Column(name.replace("_", " "), right=name in right, whole=name in whole, below=name in below, seldom=ranks.get(name, 0)) for name in columns]
    width = None if wide else width_of_output()
    headed = f"{title} ({times_are()})" if timed else title
    for line in wrapped(headed, width) if width else [headed]:
        print(styled(line, ITALIC))
    for number, (part, rows_of_part) in enumerate(turned(named, shown, width) if sideways else [(named, shown)]):
        laid = lay(part, rows_of_part, width)
        for line in [*[""] * (number > 0), *(styled(line, BOLD) for line in laid.heading), *laid.lines]:
            print(line)
    if laid.left_out:
        say(f"left out for want of width: {', '.join(laid.left_out)}; --wide shows everything")
    elif laid.is_cut:
        say("long words are cut for want of width; --wide shows everything")


def print_values(values: Iterable[tuple[str, str]]) -> None:
    """One thing, a line for each name and its value; a value may break anywhere, and nothing of it is left out."""
    named = [(name.replace("_", " "), printable(value)) for name, value in values]
    margin, width = max(cell_len(name) for name, _ in named) + 2, width_of_output()
    for name, value in named:
        for number, part in enumerate(wrapped(value, max(LEAST_COLUMNS // 2, width - margin)) if width else [value]):
            print(f"{'' if number else name:<{margin}}{part}")


#: Styles that are as legible on white as on black.
BOLD, DIM, ITALIC, GREEN, BOLD_RED = "1", "2", "3", "32", "1;31"


def styled(text: str, style: str) -> str:
    """A text as a terminal shows it in a style; as it is elsewhere, and a colour is none where NO_COLOR forbids it."""
    if os.environ.get("NO_COLOR"):
        style = {GREEN: "", BOLD_RED: BOLD}.get(style, style)
    return f"\x1b[{style}m{text}\x1b[0m" if style and sys.stdout.isatty() and os.environ.get("TERM") != "dumb" else text


def words(value: Any) -> str:
    """A value of JSON for people, with instants in the zone they chose."""
    return said.words(value, moment_of)


def tell_limit(count: int, limit: int) -> None:
    """Say of a listing that is as long as it may be that there may be more."""
    if count >= limit:
        say(f"the newest {'is' if limit == 1 else f'{limit:,} are'} listed; --limit lists more")


def tell_findings(findings: Sequence[Finding], clean: str, *, as_json: bool, notes: Sequence[Note] = (), strict: bool = False) -> None:
    """Print findings and notes, one a line or as JSON; exits 1 where there are findings, and where it is `strict`."""
    if as_json:
        print_json([*map(asdict, findings), *map(asdict, notes)])
    else:
        for f in findings:
            _print_finding(f"{f.check}: {f.where}", f)
        for check, of_check in groupby(notes, lambda note: note.check):
            told = list(of_check)
            for n in told[:SHOWN]:
                _print_finding(f"note {n.number or '?'}: {n.check}: {n.where}", n)
            if len(told) > SHOWN:
                print(f"note: {check}: {len(told) - SHOWN:,} more  (jarvis notes)")
    summed_up = count_of("finding", len(findings)) if findings else clean
    say(summed_up + (f", {count_of('note', len(notes))}: `jarvis notes accept NUMBER --reason TEXT` settles one" if notes else ""))
    if findings or strict:
        raise typer.Exit(Exit.FINDINGS)


def _print_finding(what: str, told: Finding | Note) -> None:
    """In one line; where that is too long for the terminal, in several."""
    line = printable(f"{what}: expected {told.expected}, found {told.found}  ({told.look})")
    width = width_of_output()
    if width is None or len(line) <= width:
        print(line)
        return
    for text, indent in ((what, ""), (f"expected: {told.expected}", "  "), (f"found: {told.found}", "  "), (f"look: {told.look}", "  ")):
        first, *rest = wrapped(printable(text), width - len(indent) - 2)
        print(indent + first)
        for part in rest:
            print(f"{indent}  {part}")

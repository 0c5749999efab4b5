"""What commands print: data on stdout, as a table or as JSON; findings with their exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from decimal import Decimal
from itertools import groupby
from typing import Any

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jarvis.cli.common import Exit, say
from persistence.domain.finding import SHOWN, Finding, Note
from persistence.domain.progress import Progress, silent

#: Columns of output that is piped.
_PIPED = 240
#: A column of words stays readable down to this width.
_NARROW = 12


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


def print_rows(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Sequence[str] = (), whole: Sequence[str] = (), as_json: bool = False
) -> None:
    """A listing: a table for people, or JSON objects with the same columns. Columns that are `right` or `whole` never break: where a
    terminal is too narrow for them, headings do and, where that is not enough, each row is a block of lines."""
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    shown = [[("" if v is None else printable(str(v))) for v in row] for row in rows]
    if not shown:
        say(f"no {title[:1].lower()}{title[1:]}")
        return
    kept = {name for name in columns if name in right or name in whole}
    heads = [name.replace("_", " ") for name in columns]
    widths, words = _widths(heads, shown), _widths(heads, shown, at=None)
    gaps = len(columns) - 1

    def least() -> int:
        return sum(w if name in kept else min(word, _NARROW) for name, w, word in zip(columns, widths, words, strict=True)) + gaps

    # Piped output keeps its columns whole instead of folding them at 80.
    console = Console(width=None if sys.stdout.isatty() else max(_PIPED, least() + gaps))
    if least() > console.width:
        heads = [head.replace(" ", "\n") for head in heads]
        widths = _widths(heads, shown)
    if least() > console.width:
        _print_blocks(console, title, columns, shown)
        return
    table = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    table.collapse_padding = sum(widths) + 2 * gaps > console.width
    for name, head in zip(columns, heads, strict=True):
        table.add_column(head, justify="right" if name in right else "left", overflow="fold", no_wrap=name in kept)
    for row in shown:
        table.add_row(*map(Text, row))
    console.print(table)


def tell_limit(count: int, limit: int) -> None:
    """Say of a listing that is as long as it may be that there may be more."""
    if count >= limit:
        say(f"the newest {limit:,} are listed; --limit lists more")


def _widths(heads: Sequence[str], rows: Sequence[Sequence[str]], at: str | None = "\n") -> list[int]:
    """How wide each column is by itself, if cells break only there; None for at every blank."""
    return [max((cell_len(part) for cell in column for part in cell.split(at)), default=0) for column in zip(heads, *rows, strict=True)]


def _print_blocks(console: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A row as lines of name and value."""
    console.print(Text(title, style="italic"))
    for row in rows:
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for name, cell in zip(columns, row, strict=True):
            if cell:
                table.add_row(name.replace("_", " "), Text(cell))
        console.print(table)
        console.print()


@contextmanager
def doing(what: str) -> Iterator[Progress]:
    """Show on a terminal what takes its time, for the length of a block, which may say what it is at. Silent elsewhere."""
    if not sys.stderr.isatty():
        yield silent
        return
    with Console(stderr=True).status(f"{what} …") as status:
        yield lambda stage, _done, _of: status.update(f"{stage} …")


def tell_findings(findings: Sequence[Finding], clean: str, *, as_json: bool, notes: Sequence[Note] = (), strict: bool = False) -> None:
    """Print findings and notes, one a line or as JSON; exits 1 where there are findings, and where it is `strict`."""
    if as_json:
        print_json([*map(asdict, findings), *map(asdict, notes)])
    else:
        for f in findings:
            print(printable(f"{f.check}: {f.where}: expected {f.expected}, found {f.found}  ({f.look})"))
        for check, of_check in groupby(notes, lambda note: note.check):
            told = list(of_check)
            for n in told[:SHOWN]:
                print(printable(f"note {n.number or '?'}: {n.check}: {n.where}: expected {n.expected}, found {n.found}  ({n.look})"))
            if len(told) > SHOWN:
                print(f"note: {check}: {len(told) - SHOWN:,} more  (jarvis notes)")
    said = f"{len(findings):,} finding{'s' * (len(findings) != 1)}" if findings else clean
    say(said + (f", {len(notes):,} note{'s' * (len(notes) != 1)}: `jarvis notes accept NUMBER --reason TEXT` settles one" if notes else ""))
    if findings or strict:
        raise typer.Exit(Exit.FINDINGS)

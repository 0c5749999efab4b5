"""The rows of a CSV file, whatever program wrote it: UTF-8 or UTF-16, any of four delimiters, a preamble above the headings."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import BinaryIO, NamedTuple, TextIO, cast

from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.showing import first_few

#: In the order in which they are tried; the first that shows the headings is the file's.
DELIMITERS = ",;\t|"
#: A preamble is a few lines: who exported it, when.
MOST_LINES_BEFORE_HEADINGS = 40
#: A cell holds a note at most; the whole rest of a file is a quote that was never closed.
LONGEST_CELL = 1 << 20
_HEAD_BYTES = 4_096
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_WORKBOOK = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


class Row(NamedTuple):
    """A row of a file: the line that it begins on, and its cells as they stand there."""

    line: int
    cells: list[str]


class Table:
    """The headings of a file and, once, its rows below them. Rows without any content are left out."""

    def __init__(self, headings: list[str], rows: Iterator[Row]) -> None:
        self.headings = headings
        self.rows = rows


def fold(heading: str) -> str:
    """A heading for comparing: its case and its blanks do not matter."""
    return " ".join(heading.split()).casefold()


def read_table(file: BinaryIO, fits: Callable[[list[str]], bool], *, delimiter: str | None = None) -> Table:
    """Find the headings, the first row that `fits`, and what separates cells. Raises `Invalid` where nothing fits, or it is no text."""
    lines = _decoded(file)
    opening = list(islice(lines, MOST_LINES_BEFORE_HEADINGS))
    best: list[str] = []
    for mark in delimiter or DELIMITERS:
        for row in _rows(opening, mark, heedless=True):
            if fits(row.cells):
                below = (r for r in _rows(chain(opening, lines), mark) if r.line > row.line)
                return Table([heading.strip() for heading in row.cells], below)
            if sum(map(bool, row.cells)) > sum(map(bool, best)):
                best = row.cells
    if not best:
        raise Invalid("the file holds no rows; name the file that was exported")
    raise Unheaded(best)


class Unheaded(Invalid):
    """No row of the file's beginning has the columns that were asked for; `headings` is the row that looks most like headings."""

    def __init__(self, headings: list[str]) -> None:
        self.headings = [heading.strip() for heading in headings if heading.strip()]
        super().__init__(f"the file has the columns {first_few(self.headings, 30)}")


def _rows(lines: Iterable[str], delimiter: str, *, heedless: bool = False) -> Iterator[Row]:
    """`heedless`: what is no row of this delimiter ends it, since another one is tried."""
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    begins = 1
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            if heedless:
                return
            raise Invalid(f"line {begins}: is no CSV: {error}; mend the quotes of that line, or export the file again") from None
        if cells is None:
            return
        if any(cell.strip() for cell in cells):
            yield Row(begins, cells)
        begins = reader.line_num + 1


def _decoded(file: BinaryIO) -> Iterator[str]:
    buffered = cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, file), 1 << 16))
    head = cast(io.BufferedReader, buffered).peek(_HEAD_BYTES)[:_HEAD_BYTES]
    if head.startswith(_WORKBOOK):
        raise Invalid("the file is an Excel workbook or a ZIP archive; save the sheet as CSV (UTF-8), or unpack it: `unzip -p FILE | jarvis import - …`")
    if head.startswith(_UTF_16):
        encoding = "utf-16"
    elif head.count(0) > len(head) // 4:
        # Without a mark, the zeros of ASCII text tell which byte comes first; there are as many of them as letters.
        encoding = "utf-16-le" if head[1::2].count(0) >= head[::2].count(0) else "utf-16-be"
    else:
        encoding = "utf-8-sig"
    return _lines(io.TextIOWrapper(buffered, encoding=encoding, newline=""))


def _lines(text: TextIO) -> Iterator[str]:
    number = 0
    try:
        for line in text:
            number += 1
            yield line
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise Invalid(f"the file is damaged behind line {number}: {error}; fetch it again") from None
    except UnicodeDecodeError:
        raise Invalid(
            f"the text behind line {number} is not UTF-8; if it comes from Windows, `iconv -f WINDOWS-1252 -t UTF-8 FILE | jarvis import - …` helps"
        ) from None

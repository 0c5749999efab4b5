"""Rows as Parquet: amounts as decimals, instants as timestamps in UTC, dates as dates.

| column | type |
| --- | --- |
| amount | `decimal128(38, 8)`; where one needs more decimals, the scale that it needs |
| amount, where one has more than 38 digits | text, and whoever asked is told: there is decimal256, but DuckDB reads that as a float without a word |
| instant | `timestamp[us, UTC]` |
| date | `date32` |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date as Date
from datetime import datetime
from decimal import Decimal
from importlib import import_module
from itertools import islice
from typing import Any, BinaryIO

from jarvis_client.contract.errors import Unavailable
from persistence.columns import Kind, kind_of

#: The digits that decimal128 holds.
_DIGITS = 38
#: What amounts get that need no more, so that the files of two days mostly have the same columns; and so that the product of two amounts,
#: whose scales DuckDB adds up, leaves room for whole numbers.
_USUAL_SCALE = 8
#: Rows that are held in memory at a time. With them an export of fills takes 150 MB, most of which is pyarrow; with five times as many, 320.
ROWS_PER_GROUP = 10_000


def write(columns: Sequence[str], found: Iterable[Sequence[Any]], out: BinaryIO, tell: Callable[[str], None]) -> int:
    """Write rows, which are gone through twice: first for what their amounts need. Returns their number.

    Raises `Unavailable` where pyarrow is not installed.
    """
    # An extra, and half a second to load, which nobody but who wants this format should pay.
    try:
        arrow, files = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise Unavailable(f"Parquet needs pyarrow: pip install 'jarvis-trading[parquet]', or take csv ({error})") from error
    kinds = [kind_of(name) for name in columns]
    sizes = _sizes(kinds, found)
    types = [_type(arrow, kind, *size) for kind, size in zip(kinds, sizes, strict=True)]
    for name, kind, type_, size in zip(columns, kinds, types, sizes, strict=True):
        if kind == "amount" and type_ == arrow.string():
            tell(f"{name} is text: one amount has {sum(size)} digits, and a decimal that everybody reads holds {_DIGITS}")
    schema = arrow.schema(list(zip(columns, types, strict=True)))
    reads = [_READS["text"] if type_ == arrow.string() else _READS[kind] for kind, type_ in zip(kinds, types, strict=True)]
    count = 0
    with files.ParquetWriter(out, schema) as writer:
        for group in _groups(found):
            count += len(group)
            values = [[None if v is None else read(v) for v in column] for read, column in zip(reads, zip(*group, strict=True), strict=True)]
            writer.write_table(arrow.table([arrow.array(v, t) for v, t in zip(values, types, strict=True)], schema=schema))
    return count


def _sizes(kinds: Sequence[Kind], found: Iterable[Sequence[Any]]) -> list[tuple[int, int]]:
    """The most digits before and after the point of each column of amounts."""
    amounts = [index for index, kind in enumerate(kinds) if kind == "amount"]
    whole, decimals = [0] * len(kinds), [0] * len(kinds)
    for row in found:
        for index in amounts:
            if row[index] is not None:
                before, _, after = row[index].lstrip("-").partition(".")
                whole[index], decimals[index] = max(whole[index], len(before)), max(decimals[index], len(after))
    return list(zip(whole, decimals, strict=True))


def _type(arrow: Any, kind: Kind, whole: int, decimals: int) -> Any:
    if kind != "amount":
        return {
            "text": arrow.string(), "instant": arrow.timestamp("us", tz="UTC"), "date": arrow.date32(), "integer": arrow.int64(),
            "number": arrow.float64(), "flag": arrow.bool_(),
        }[kind]  # fmt: skip
    if whole + max(decimals, _USUAL_SCALE) <= _DIGITS:
        return arrow.decimal128(_DIGITS, max(decimals, _USUAL_SCALE))
    return arrow.decimal128(_DIGITS, decimals) if whole + decimals <= _DIGITS else arrow.string()


_READS: dict[Kind, Callable[[Any], Any]] = {
    "text": str, "amount": Decimal, "instant": datetime.fromisoformat, "date": Date.fromisoformat, "integer": int, "number": float, "flag": bool,
}  # fmt: skip


def _groups(found: Iterable[Sequence[Any]]) -> Iterator[list[Sequence[Any]]]:
    rows = iter(found)
    return iter(lambda: list(islice(rows, ROWS_PER_GROUP)), [])


__all__ = ["write"]

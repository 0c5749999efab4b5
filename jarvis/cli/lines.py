"""The lines that people feed: of a file, plain or gzipped, or of standard input."""

from __future__ import annotations

import gzip
import io
import json
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Annotated, BinaryIO, cast

import typer

from jarvis.cli.progress import doing

Source = Annotated[str, typer.Argument(metavar="FILE|-", help="NDJSON, one record a line, gzipped or plain; - reads standard input.")]

#: What reading a gzipped file raises that is cut off or altered.
_DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error)
_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
#: Other packed files by their first bytes, and what unpacks them to standard output.
_PACKED = {b"PK\x03\x04": ("a ZIP archive", "unzip -p"), b"\x28\xb5\x2f\xfd": ("packed by zstd", "zstd -dc"), b"\xfd7zXZ": ("packed by xz", "xz -dc"),
           b"BZh": ("packed by bzip2", "bzip2 -dc")}  # fmt: skip
_DATABASE = b"SQLite format 3"


@contextmanager
def lines_of(source: str) -> Iterator[tuple[Iterator[bytes], Callable[[], None]]]:
    """The lines of a file, plain or gzipped, or of standard input, and what to call now and then to show how much of them is read.

    Raises `BadParameter` before the first line where the first that is not blank can be no record.
    """
    with opened(source) as (file, progress):
        yield _records(file, source), progress


@contextmanager
def opened(source: str) -> Iterator[tuple[BinaryIO, Callable[[], None]]]:
    """The content of a file, unpacked where it is gzipped, or of standard input, and what to call now and then to show how much of it
    is read. Raises `BadParameter` where there is no such file."""
    if source == "-":
        yield _unpacked(cast(BinaryIO, sys.stdin.buffer)), lambda: None
        return
    path = Path(source).expanduser()
    if not path.is_file():
        raise typer.BadParameter(f"{source} is no file; name one, or - for standard input", param_hint="FILE")
    with open(path, "rb") as file:
        content = _unpacked(file)
        with doing(path.name, in_bytes=True) as progress:

            def told() -> None:
                progress(path.name, file.tell(), path.stat().st_size)

            told()
            try:
                yield content, told
            except _DAMAGED as error:  # of who reads it
                raise OSError(f"{source} is damaged: {error}; nothing was recorded") from error


def _unpacked(file: BinaryIO) -> BinaryIO:
    """The file's content, whatever it is called."""
    head = cast(io.BufferedReader, file).peek(len(_GZIP))[: len(_GZIP)]
    return cast(BinaryIO, gzip.open(file, "rb")) if head == _GZIP else file


def _records(file: BinaryIO, name: str) -> Iterator[bytes]:
    """The lines, the first ones looked at already."""
    lines = _readable(file, name)
    opening: list[bytes] = []
    for line in lines:
        opening.append(line if opening else line.removeprefix(_BYTE_ORDER_MARK))
        if opening[-1].strip():
            break
    if opening and (first := opening[-1].strip()) and (problem := _no_record(first, "FILE" if name == "-" else name)):
        raise typer.BadParameter(f"line {len(opening)} is no record: {problem}. Nothing was taken.", param_hint="FILE")
    return chain(opening, lines)


def _readable(file: BinaryIO, name: str) -> Iterator[bytes]:
    try:
        yield from file
    except _DAMAGED as error:
        raise OSError(f"{name} is damaged: {error}; what came before was taken, and taking it again is harmless") from error


def _no_record(line: bytes, name: str) -> str:
    """What a file looks like whose first line this is, and what helps; "" for a JSON object."""
    for head, (what, unpack) in _PACKED.items():
        if line.startswith(head):
            return f"the file is {what}; try `{unpack} {name} | jarvis import -`"
    if line.startswith(_DATABASE):
        return "the file is a SQLite database; `jarvis restore` takes a backup, and `jarvis export --format ndjson` writes records"
    if line.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in line[:64]:
        return f"the file looks like UTF-16; try `iconv -f UTF-16 -t UTF-8 {name} | jarvis import -`"
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return "the file is no UTF-8 text; name an NDJSON file"
    if text.startswith("["):
        return f"the file looks like a JSON array; try `jq -c '.[]' {name} | jarvis import -`, or `jarvis import --format ccxt` if ccxt wrote it"
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return _no_json(text, name)
    if isinstance(value, dict) and {"timestamp", "datetime"} <= value.keys() and "account_id" not in value:
        return "the file looks like ccxt's structures; `jarvis import --format ccxt` takes it"
    return "" if isinstance(value, dict) else f'it is the JSON value {text[:40]}; a line is one record, such as {{"type": "deposit", …}}'


def _no_json(text: str, name: str) -> str:
    if text.startswith("{"):
        return f"the file looks like pretty-printed JSON, or its first record is cut off; try `jq -c . {name} | jarvis import -`"
    if text.startswith("<"):
        return "the file looks like HTML or XML; name an NDJSON file"
    if any(text.count(separator) >= 2 for separator in ",;\t"):
        return "the file looks like CSV; `jarvis import --format csv` takes it, with --profile or --map for what its columns mean"
    return f'it begins with {text[:40]!r}; name an NDJSON file: one record a line, such as {{"type": "deposit", …}}'

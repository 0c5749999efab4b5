"""The lines that people feed: of a file, plain or gzipped, or of standard input."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

Source = Annotated[str, typer.Argument(metavar="FILE|-", help="NDJSON, one record a line; .gz too; - reads standard input.")]


@contextmanager
def lines_of(source: str) -> Iterator[tuple[Iterator[bytes], Callable[[int], None]]]:
    """The lines of a file, plain or gzipped, or of standard input, and where to report progress."""
    if source == "-":
        yield iter(sys.stdin.buffer), lambda _: None
        return
    path = Path(source)
    if not path.is_file():
        raise typer.BadParameter(f"{source} is no file; name an NDJSON file, or - for standard input", param_hint="FILE")
    opened = cast(BinaryIO, gzip.open(path, "rb")) if path.suffix == ".gz" else open(path, "rb")  # noqa: SIM115
    with opened as file:
        if not sys.stderr.isatty():
            yield _readable(file, path), lambda _: None
            return
        columns = (SpinnerColumn(), TextColumn(path.name), BarColumn(), MofNCompleteColumn(), TextColumn("bytes"), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("reading", total=None if path.suffix == ".gz" else path.stat().st_size)
            yield _readable(file, path), lambda size: bar.advance(task, size)


def _readable(file: BinaryIO, path: Path) -> Iterator[bytes]:
    try:
        yield from file
    except (EOFError, gzip.BadGzipFile) as error:
        raise OSError(f"{path} is damaged: {error}; what came before was taken, and taking it again is harmless") from error

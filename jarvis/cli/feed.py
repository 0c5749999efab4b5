"""Feeding: publish through Redis, import straight into the books."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, BinaryIO, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from jarvis.cli.common import CONTEXT, Exit, say

Source = Annotated[str, typer.Argument(metavar="FILE|-", help="NDJSON, one record a line; .gz too; - reads standard input.")]


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel="Feed")(publish)
    app.command("import", rich_help_panel="Feed")(import_)


#: A message is longer than its line by its envelope and by what JSON escapes; shorter lines than this need no look.
LONG_LINE_BYTES = 100_000


def publish(
    source: Source,
    records_per_message: Annotated[int, typer.Option(help="Put several records of a kind into one message.", min=1, max=1000)] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check every line, send nothing.")] = False,
) -> None:
    """Publish NDJSON records through the broker.

    A bad line is named with its number and reason; the good ones are sent, and the exit code is 1.
    """
    from jarvis.processes import broker_url
    from workers.messages import kind_and_record
    from workers.publisher import Publisher
    from workers.wire import MalformedRecord

    settings = CONTEXT.settings
    url = "unix:///dev/null" if dry_run else broker_url(settings)
    publisher = Publisher(url, namespace=settings.broker.namespace, conventions=settings.conventions)
    bad = checked = 0

    def good_records() -> Iterator[tuple[str, dict[str, object]]]:
        nonlocal bad, checked
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                kind, record = kind_and_record(line.strip())
                if len(line) > LONG_LINE_BYTES:
                    publisher.refuse_too_long(kind, record)
                publisher.checked(kind, record)
                checked += 1
                yield kind, record
            except MalformedRecord as error:
                bad += 1
                say(f"line {number}: {error}")

    with _lines(source) as (lines, _):
        sent = sum(1 for _ in good_records()) if dry_run else publisher.publish_many(good_records(), records_per_message=records_per_message)
    say(f"{'would publish' if dry_run else 'published'} {sent:,} records" + (f", refused {bad:,} lines" if bad else ""))
    if bad:
        raise typer.Exit(Exit.FINDINGS)


def import_(
    source: Source,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 when anything was quarantined.")] = False,
) -> None:
    """Record NDJSON records straight into the books, without a broker. Importing the same file again changes nothing.

    A malformed line goes to quarantine with its number, the rest is recorded.
    """
    from persistence.books.ledger import Ledger
    from persistence.domain import instants
    from persistence.imports import import_lines
    from persistence.proof.chain import seal
    from workers.app import tune_interpreter
    from workers.messages import item_of_line

    tune_interpreter()
    database = CONTEXT.database()
    database.initialize()
    conventions = CONTEXT.settings.conventions
    with _lines(source) as (lines, progress):
        counts = import_lines(Ledger(database), lines, partial(item_of_line, conventions=conventions), progress)
    seal(database, instants.now())
    database.close()
    for problem in counts.problems:
        say(f"quarantined: {problem}")
    if counts.quarantined > len(counts.problems):
        say(f"… and {counts.quarantined - len(counts.problems):,} more: jarvis quarantine list")
    say(f"imported {counts.lines:,} records: {counts.applied:,} applied, {counts.duplicate:,} duplicates, {counts.quarantined:,} quarantined")
    if strict and counts.quarantined:
        raise typer.Exit(Exit.FINDINGS)


@contextmanager
def _lines(source: str) -> Iterator[tuple[Iterator[bytes], Callable[[int], None]]]:
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

"""`jarvis publish`: records through the broker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from jarvis.broker import publisher_of
from jarvis.cli.common import Exit, say
from jarvis.cli.context import CONTEXT
from jarvis.cli.lines import Source, lines_of
from jarvis_client.contract.errors import MalformedRecord
from persistence.domain.showing import count_of
from workers.messages import kind_and_record

#: A message is longer than its line by its envelope and by what JSON escapes; shorter lines than this need no look.
LONG_LINE_BYTES = 100_000

#: How far a file has been read is shown after so many records.
RECORDS_BETWEEN_LOOKS = 500


def register(app: typer.Typer) -> None:
    app.command()(publish)


def publish(
    source: Source,
    records_per_message: Annotated[int, typer.Option(help="Put several records of a kind into one message.", min=1, max=1000)] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check every line, send nothing.")] = False,
) -> None:
    """Publish NDJSON records through the broker.

    A bad line is named with its number and reason; the good ones are sent, and the exit code is 1.
    """
    settings = CONTEXT.settings
    publisher = publisher_of(settings, "unix:///dev/null" if dry_run else None)
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
                if checked % RECORDS_BETWEEN_LOOKS == 0:
                    progress()
            except MalformedRecord as error:
                bad += 1
                say(f"line {number}: {error}")

    with lines_of(source) as (lines, progress):
        sent = sum(1 for _ in good_records()) if dry_run else publisher.publish_many(good_records(), records_per_message=records_per_message)
    say(f"{'would publish' if dry_run else 'published'} {count_of('record', sent)}" + (f", refused {count_of('line', bad)}" if bad else ""))
    if bad:
        raise typer.Exit(Exit.FINDINGS)

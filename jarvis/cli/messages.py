"""`jarvis messages`: records and their rules, looked at without a broker and without books."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from jarvis.cli.common import Exit, say
from jarvis.cli.context import CONTEXT
from jarvis.cli.lines import Source, lines_of
from jarvis.cli.options import Json
from jarvis.cli.output import print_json, printable
from jarvis_client.contract.routes import ROUTES
from persistence.domain.showing import count_of
from workers.examples import FULL, SHORT
from workers.preview import APPLIED, DUPLICATE, REFUSED, Foretold, Preview
from workers.schemas import schema_texts

#: How far a file has been read is shown after so many lines.
LINES_BETWEEN_LOOKS = 500

Kind = Annotated[str, typer.Argument(metavar="KIND", help=f"One of {', '.join(ROUTES)}.")]
SchemaKind = Annotated[str, typer.Argument(metavar="KIND", help=f"One of {', '.join(ROUTES)}, job.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True)
    group.command()(validate)
    group.command()(example)
    group.command()(schema)
    app.add_typer(group, name="messages", help="Records and their rules: check a file, see an example, print a schema. Needs no broker and no books.")


def validate(
    source: Source,
    problems: Annotated[bool, typer.Option("--problems", help="Show only the lines that would not be applied.")] = False,
    as_json: Json = False,
) -> None:
    """Say for each line of NDJSON what would become of it and why, and send nothing.

    It knows the settings, which say what symbols mean, and the lines before.
    It does not know the books: what they hold already is a duplicate there.
    Exit code 1 where a line would be refused.
    """
    preview = Preview(CONTEXT.settings.conventions)
    found: list[Foretold] = []
    with lines_of(source) as (lines, progress):
        for number, line in enumerate(lines, 1):
            if number % LINES_BETWEEN_LOOKS == 0:
                progress()
            if not line.strip():
                continue
            told = preview.of(line.strip(), number)
            if problems and told.outcome == APPLIED:
                continue
            if as_json:
                found.append(told)
            else:
                print(printable(told.sentence))
    if as_json:
        print_json([asdict(told) for told in found])
    counts = preview.counts
    told_of = f"{counts[APPLIED]:,} would be applied, {count_of('duplicate', counts[DUPLICATE])}, {counts[REFUSED]:,} refused"
    say(f"{count_of('record', sum(counts.values()))}: {told_of}")
    if counts[REFUSED]:
        raise typer.Exit(Exit.FINDINGS)


def example(
    kind: Kind,
    all_fields: Annotated[bool, typer.Option("--all-fields", help="Every field there is, in as many records as it takes: some exclude others.")] = False,
) -> None:
    """Print a valid record of a kind, as `jarvis publish` and `jarvis import` take it."""
    _known(kind, tuple(ROUTES))
    for record in FULL[kind] if all_fields else [SHORT[kind]]:
        print(json.dumps({"type": kind, **record}, ensure_ascii=False))


def schema(kind: SchemaKind) -> None:
    """Print the JSON Schema of a kind of record."""
    _known(kind, (*ROUTES, "job"))
    print(schema_texts()[f"{kind}.schema.json"], end="")


def _known(kind: str, kinds: tuple[str, ...]) -> None:
    if kind not in kinds:
        raise typer.BadParameter(f"there is no kind {kind!r:.60}; there are {', '.join(kinds)}", param_hint="KIND")

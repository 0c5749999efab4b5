"""`jarvis doctor`: is everything around the books right?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from textwrap import wrap
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from jarvis.cli.common import CHOSEN, Exit, say
from jarvis.cli.options import Json
from jarvis.cli.output import doing, print_json, printable
from jarvis.doctor.case import case_of
from jarvis.doctor.diagnosis import Diagnosis, Level
from jarvis.doctor.rounds import examine
from jarvis.logging import configure_logging
from jarvis_client.contract import instants

STYLES = {Level.OK: "green", Level.WARNING: "bold yellow", Level.PROBLEM: "bold red", Level.NOT_CHECKED: "cyan"}

#: On a narrower screen lines run over its edge rather than down it.
LEAST_WIDTH = 24


def register(app: typer.Typer) -> None:
    app.command()(doctor)


def doctor(
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 for warnings, too.")] = False,
    as_json: Json = False,
) -> None:
    """Look at everything around the books, and change nothing: system, settings, folders, limits, clock, broker, secrets, units.

    Each line is ok, a warning, a problem or not checked; a warning and a problem have the rule and the remedy below them. It works while
    nothing runs, without a database or a broker, and with wrong settings. Exits 0 where there is no problem, 1 with problems. Whether the
    books themselves are sound is for `jarvis verify`.
    """
    # What is looked at would warn by itself, too.
    configure_logging("error")
    found = []
    with doing("looking") as progress:
        for diagnosis in examine(case_of(CHOSEN.config, instants.now(), named=CHOSEN.named)):
            progress(f"looking: {diagnosis.section.lower()}", 0, 0)
            found.append(diagnosis)
    if as_json:
        print_json([{"section": diagnosis.section, **asdict(diagnosis)} for diagnosis in found])
    else:
        _print(found)
    counts = Counter(diagnosis.level for diagnosis in found)
    say(_summary(counts))
    if counts[Level.PROBLEM] or (strict and counts[Level.WARNING]):
        raise typer.Exit(Exit.FINDINGS)


def _summary(counts: Counter[Level]) -> str:
    parts = [f"{counts[level]} {name}{'s' * (counts[level] != 1)}" for level, name in ((Level.PROBLEM, "problem"), (Level.WARNING, "warning")) if counts[level]]
    parts += [f"{counts[level]} {level}" for level in (Level.OK, Level.NOT_CHECKED) if counts[level]]
    return ", ".join(parts)


def _print(found: Sequence[Diagnosis]) -> None:
    """As wide as the terminal, or as COLUMNS says where there is none."""
    console = Console(highlight=False, soft_wrap=True)
    levels, subjects = max(map(len, Level)), max(len(diagnosis.subject) for diagnosis in found)
    at = len(f"  {'':{levels}}  {'':{subjects}}  ")
    for title, of_section in groupby(found, lambda diagnosis: diagnosis.section):
        if title != found[0].section:
            console.print()
        console.print(Text(title, "bold"))
        for diagnosis in of_section:
            first, *more = [line for text in _said(diagnosis) for line in wrap(printable(text), max(LEAST_WIDTH, console.width - at), break_on_hyphens=False)]
            level = Text(f"{diagnosis.level:{levels}}", STYLES[diagnosis.level])
            console.print(Text.assemble("  ", level, f"  {diagnosis.subject:{subjects}}  {first}"))
            for line in more:
                console.print(Text(f"{'':{at}}{line}"))


def _said(diagnosis: Diagnosis) -> Iterator[str]:
    yield diagnosis.value
    if diagnosis.rule:
        yield f"rule: {diagnosis.rule}"
    if diagnosis.remedy:
        yield f"remedy: {diagnosis.remedy}"

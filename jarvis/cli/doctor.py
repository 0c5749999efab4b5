"""`jarvis doctor`: is everything around the books right?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Annotated

import typer

from jarvis.cli.common import CHOSEN, Exit, say
from jarvis.cli.options import Json
from jarvis.cli.output import BOLD, BOLD_RED, DIM, GREEN, doing, print_json, printable, styled, width_of_output
from jarvis.cli.tables import wrapped
from jarvis.doctor.case import case_of
from jarvis.doctor.diagnosis import Diagnosis, Level
from jarvis.doctor.rounds import examine
from jarvis.logging import configure_logging
from jarvis_client.contract import instants
from persistence.domain.showing import count_of

STYLES = {Level.OK: GREEN, Level.WARNING: BOLD, Level.PROBLEM: BOLD_RED, Level.NOT_CHECKED: DIM}

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
    with doing("looking", wanted=not as_json) as progress:
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
    parts = [count_of(name, counts[level]) for level, name in ((Level.PROBLEM, "problem"), (Level.WARNING, "warning")) if counts[level]]
    parts += [f"{counts[level]} {level}" for level in (Level.OK, Level.NOT_CHECKED) if counts[level]]
    return ", ".join(parts)


def _print(found: Sequence[Diagnosis]) -> None:
    """As wide as the terminal, or as COLUMNS says; on a pipe without it, each text in one line."""
    levels, subjects = max(map(len, Level)), max(len(diagnosis.subject) for diagnosis in found)
    width, at = width_of_output(), len(f"  {'':{levels}}  {'':{subjects}}  ")
    for title, of_section in groupby(found, lambda diagnosis: diagnosis.section):
        if title != found[0].section:
            print()
        print(styled(title, BOLD))
        for diagnosis in of_section:
            texts = [printable(text) for text in _said(diagnosis)]
            first, *more = texts if width is None else [line for text in texts for line in wrapped(text, max(LEAST_WIDTH, width - at))]
            print(f"  {styled(f'{diagnosis.level:{levels}}', STYLES[diagnosis.level])}  {diagnosis.subject:{subjects}}  {first}")
            for line in more:
                print(f"{'':{at}}{line}")


def _said(diagnosis: Diagnosis) -> Iterator[str]:
    yield diagnosis.value
    if diagnosis.rule:
        yield f"rule: {diagnosis.rule}"
    if diagnosis.remedy:
        yield f"remedy: {diagnosis.remedy}"

"""A whole file, checked before anything is recorded: its rows as lines of NDJSON, or every problem there is."""

from __future__ import annotations

import json
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from types import MappingProxyType
from typing import BinaryIO

from jarvis.importing.columns import Columns, has_columns, missing_columns
from jarvis.importing.profile import Profile
from jarvis.importing.rows import Rows, Told
from jarvis.importing.table import Unheaded, read_table
from jarvis.importing.values import PassedOver
from jarvis_client.contract.errors import Invalid
from persistence.domain.showing import count_of

#: Sentences that are kept; a file with more of them was mapped wrongly from the start.
MOST_PROBLEMS = 1_000
#: How far a file has been read is shown after so many rows.
ROWS_BETWEEN_LOOKS = 500
#: Ranges of lines that a sentence names.
MOST_RANGES = 40


@dataclass
class Checked:
    """What a file holds. `lines` has each record on the line that its row began on in the file, so that line numbers stay true."""

    lines: BinaryIO
    rows: int = 0
    records: int = 0
    #: Rows by the reason for which they were passed over.
    passed_over: Counter[str] = field(default_factory=Counter)
    #: The lines of the rows that cannot be read, by what is wrong with them.
    problems: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    #: The line at which reading was given up, since nearly every row had a problem of its own.
    gave_up_at: int | None = None
    #: What the numbers count, and what is counted: in a JSON array there are no lines, and no rows.
    unit: str = "line"
    thing: str = "row"

    @property
    def refused(self) -> int:
        """Rows with a problem."""
        return sum(map(len, self.problems.values()))

    def told(self, most: int) -> Iterator[str]:
        """The problems as sentences, each with its lines."""
        for problem, lines in list(self.problems.items())[:most]:
            yield f"{_places(lines, self.unit)}: {problem}"
        if (more := sum(len(lines) for lines in list(self.problems.values())[most:])) > 0:
            yield f"and {count_of(self.thing, more)} more with other problems"


def that_fit(profiles: Mapping[str, Profile], headings: Sequence[str]) -> list[str]:
    """The names of the profiles whose columns a file has."""
    return [name for name, profile in profiles.items() if has_columns(profile, headings)]


def that_fit_file(profiles: Mapping[str, Profile], file: BinaryIO) -> list[str]:
    """The same of a file whose headings nobody has found yet. Raises `Invalid` where it is no table."""
    try:
        return that_fit(profiles, read_table(file, lambda headings: bool(that_fit(profiles, headings))).headings)
    except Unheaded:
        return []


@contextmanager
def checked(
    file: BinaryIO, profile: Profile, told: Told, others: Mapping[str, Profile] = MappingProxyType({}), progress: Callable[[], None] = lambda: None
) -> Iterator[Checked]:
    """Read a file whole, for the length of a block. `others`: profiles that may fit where this one does not. `progress` is called now and then.

    Raises `Invalid` where it is no table, lacks a column, or the profile cannot be meant; what single rows say wrong is in `problems`.
    """
    try:
        table = read_table(file, lambda headings: has_columns(profile, headings), delimiter=profile.delimiter)
    except Unheaded as error:
        fitting = that_fit(others, error.headings)
        hint = f". The profile {' or '.join(fitting)} fits it" if fitting else ""
        raise Invalid(missing_columns(profile, error.headings) + hint) from None
    columns = Columns(profile, table.headings)
    rows = Rows(profile, columns, told)
    with tempfile.TemporaryFile(prefix="jarvis-import-") as lines:
        found = Checked(lines)
        at = 1
        for row in table.rows:
            found.rows += 1
            if found.rows % ROWS_BETWEEN_LOOKS == 0:
                progress()
            try:
                stated = rows.record(columns.cells(row))
            except Invalid as error:
                found.problems[str(error)].append(row.line)
                if len(found.problems) >= MOST_PROBLEMS:
                    found.gave_up_at = row.line
                    break
                continue
            if isinstance(stated, PassedOver):
                found.passed_over[stated.reason] += 1
                continue
            lines.write(b"\n" * (row.line - at) + json.dumps(stated, ensure_ascii=False, separators=(",", ":")).encode())
            at = row.line
            found.records += 1
        lines.write(b"\n")
        lines.seek(0)
        yield found


def _places(lines: list[int], unit: str) -> str:
    """`line 7`, `lines 3, 12–14 and 9 more`."""
    runs = [list(run) for _, run in groupby(enumerate(lines), key=lambda pair: pair[1] - pair[0])]
    named = [f"{run[0][1]}" if len(run) == 1 else f"{run[0][1]}–{run[-1][1]}" for run in runs[:MOST_RANGES]]
    more = sum(map(len, runs[MOST_RANGES:]))
    units = unit if len(lines) == 1 else {"entry": "entries"}.get(unit, f"{unit}s")
    return f"{units} {', '.join(named)}" + (f" and {more:,} more" if more else "")

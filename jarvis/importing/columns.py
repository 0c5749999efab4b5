"""Which cell of a row is which column of a profile."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence

from jarvis.importing.profile import Profile
from jarvis.importing.table import Row, fold
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.showing import first_few


class Columns:
    """The columns of one file. Headings are compared without case; a profile's name of a column goes for the file's own."""

    def __init__(self, profile: Profile, headings: Sequence[str]) -> None:
        """Raises `Invalid` where a column that the profile uses stands twice."""
        self._headings = [fold(heading) for heading in headings]
        self._empty = frozenset(("", *profile.empty))
        counts = Counter(self._headings)
        self._places: dict[str, int] = {}
        self._shown: dict[str, str] = {}
        #: For every cell of a row the name that its identity knows it by.
        self.names = list(self._headings)
        for column in dict.fromkeys((*profile.needed, *profile.optional)):
            found = _found(profile, column, self._headings)
            if found is None:
                continue
            if counts[found] > 1:
                raise Invalid(f"the column {column!r} stands {counts[found]} times in the file, and which is meant nobody can tell; rename one of them")
            place = self._headings.index(found)
            self._places[column], self._shown[column] = place, headings[place]
            self.names[place] = fold(column)

    def heading(self, column: str) -> str:
        """The heading as the file writes it."""
        return self._shown.get(column, column)

    def place(self, column: str) -> int | None:
        """Where the column stands in a row; None where the file does not have it."""
        return self._places.get(column)

    def cells(self, row: Row) -> list[str]:
        """The texts of a row, without the blanks around them; what stands for nothing is "". Raises `Invalid` for another number of cells."""
        cells = [text if (text := cell.strip()) not in self._empty else "" for cell in row.cells]
        if len(cells) == len(self._headings):
            return cells
        if len(cells) < len(self._headings) or any(cells[len(self._headings) :]):
            raise Invalid(f"it has {len(cells)} cells where there are {len(self._headings)} headings; is it a row of this table, are its quotes whole?")
        return cells[: len(self._headings)]

    def are_headings(self, cells: Sequence[str]) -> bool:
        """Whether a row is the headings once more, as where files were put together."""
        return fold(cells[0]) == self._headings[0] and [fold(cell) for cell in cells] == self._headings


def has_columns(profile: Profile, headings: Sequence[str]) -> bool:
    """Whether a row holds the headings that the profile needs."""
    folded = [fold(heading) for heading in headings]
    return all(_found(profile, column, folded) is not None for column in profile.needed)


def missing_columns(profile: Profile, headings: Sequence[str]) -> str:
    """What the file lacks, and what it has instead."""
    folded = [fold(heading) for heading in headings]
    lacking = [column for column in profile.needed if _found(profile, column, folded) is None]
    said = ", ".join(f"{column!r}{_meant(column, headings)}" for column in lacking[:5])
    more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
    return f"the file has no column {said}{more}. It has: {first_few(map(repr, headings), 30)}"


def _meant(column: str, headings: Sequence[str]) -> str:
    by_fold = {fold(heading): heading for heading in headings}
    close = difflib.get_close_matches(fold(column), list(by_fold), n=1, cutoff=0.6)
    return f" (did you mean {by_fold[close[0]]!r}?)" if close else ""


def _found(profile: Profile, column: str, folded: Sequence[str]) -> str | None:
    return next((name for name in map(fold, (column, *profile.columns.get(column, ()))) if name in folded), None)

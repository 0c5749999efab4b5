"""A row by the first rule that fits it: the record that it states, or why it is passed over."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from jarvis.importing.codes import Codes
from jarvis.importing.columns import Columns
from jarvis.importing.fields import ID, ID_FIELDS, TIMES, fields_of, missing, needs_id
from jarvis.importing.identity import Identities
from jarvis.importing.matching import matches
from jarvis.importing.profile import Cell, Fields, Profile, RowRule
from jarvis.importing.table import fold
from jarvis.importing.times import Clock, Fold, zone_in_heading
from jarvis.importing.values import PassedOver, Record, Values
from jarvis_client.contract.decimals import canonical
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.showing import shown

HEADINGS_AGAIN = "the headings again"


@dataclass(frozen=True)
class Told:
    """What whoever imports says besides the profile."""

    #: Values of fields, whatever the file says.
    constants: Mapping[str, str] = field(default_factory=dict)
    zone: str | None = None
    fold: Fold | None = None
    decimal: str | None = None


class Rows:
    """Reads the rows of one file."""

    def __init__(self, profile: Profile, columns: Columns, told: Told) -> None:
        """Raises `Invalid` where a kind of row would lack what its record needs, whatever its cells say."""
        self._profile, self._columns, self._told = profile, columns, told
        self.decimal = told.decimal or profile.decimal
        self._codes = Codes(profile)
        self._identities = Identities(self.decimal)
        self._rules = [(rule, self._fields(rule)) for rule in profile.rows]
        self._clocks: dict[str | None, Clock] = {}
        of_times = [cell.column for _, fields in self._rules for name, cell in fields.items() if name in TIMES and cell.column is not None]
        self._time_columns = {place: column for column in of_times if (place := columns.place(column)) is not None}

    def record(self, cells: Sequence[str]) -> Record | PassedOver:
        """What a row states, as a record with its `type`. Raises `Invalid` for one that cannot be read, or that no rule fits."""
        if self._columns.are_headings(cells):
            return PassedOver(HEADINGS_AGAIN)
        for rule, fields in self._rules:
            if all(matches(self._cell(cells, column), texts, self.decimal) for column, texts in rule.when.items()):
                if rule.pass_over is not None:
                    return PassedOver(rule.pass_over)
                if rule.refuse is not None:
                    raise Invalid(rule.refuse)
                return self._stated(rule, fields, cells)
        asked = dict.fromkeys(column for rule, _ in self._rules for column in rule.when)
        said = ", ".join(f"{self._columns.heading(column)} {self._cell(cells, column)!r:.60}" for column in asked)
        raise Invalid(f"no rule of the profile fits a row with {said}; nothing is passed over unnamed: add a rule to a profile of your own (docs/importing.md)")

    def _fields(self, rule: RowRule) -> Fields:
        if rule.kind is None:
            return {}
        known = fields_of(rule.kind)
        constants = {name: Cell(value=value) for name, value in self._told.constants.items() if name in known}
        fields = self._profile.fields_for(rule) | constants
        if lacking := missing(rule.kind, fields):
            name = lacking[0].partition("|")[0]
            value = "--account ID" if name == "account_id" else f"--set {name}=TEXT"
            raise Invalid(f"a {rule.kind} needs {', '.join(lacking)}, and nothing says it: name its column (--map {name}=COLUMN), or its value ({value})")
        return fields

    def _cell(self, cells: Sequence[str], column: str) -> str:
        place = self._columns.place(column)
        return "" if place is None else cells[place]

    def _stated(self, rule: RowRule, fields: Fields, cells: Sequence[str]) -> Record | PassedOver:
        assert rule.kind is not None
        texts = {name: self._text(name, cell, cells) for name, cell in fields.items() if cell.of is None}
        row = Values(self._codes, self.decimal, self._instant)
        row.read(texts, fields, lambda name: self._called(name, fields[name]))
        made = row.made(rule.kind)
        if isinstance(made, PassedOver):
            return made
        kind, values = made
        for name, cell in fields.items():
            if cell.of is not None and cell.of in values:
                values[name] = values[cell.of]
        if needs_id(rule.kind):
            self._give_id(rule, kind, values, cells)
        return {"type": kind, **{name: canonical(v) if isinstance(v, Decimal) else v for name, v in values.items()}}

    def _give_id(self, rule: RowRule, kind: str, values: Record, cells: Sequence[str]) -> None:
        name = ID_FIELDS[kind]
        if ID in values:
            values[name] = values.pop(ID)
        if name in values:
            return
        if self._profile.names_rows(rule):
            column = next(c.column for n, c in self._profile.fields_for(rule).items() if n in (ID, name)) or name
            raise Invalid(f"{self._columns.heading(column)}: it is empty, and it is the id of the record; a row without one needs a rule of its own")
        wanted = {*map(fold, self._profile.identity)}
        told = ((column, self._written(place, text)) for place, (column, text) in enumerate(zip(self._columns.names, cells, strict=True)))
        values[name] = self._identities.id_of((column, text) for column, text in told if not wanted or column in wanted)

    def _written(self, place: int, text: str) -> str:
        """A cell as the identity knows it: a time by what the clock on the wall showed, whatever form it is written in."""
        column = self._time_columns.get(place)
        return text if column is None else self._clock(column).on_the_wall(text)

    def _text(self, name: str, cell: Cell, cells: Sequence[str]) -> str:
        text = cell.value if cell.column is None else self._cell(cells, cell.column)
        assert text is not None
        if cell.pattern is not None:
            found = re.search(cell.pattern, text)
            text = (found[1] or "").strip() if found else ""
        if not cell.words:
            return text
        for described, word in cell.words.items():
            if matches(text, (described,), self.decimal):
                return word
        if text:
            raise Invalid(f"{self._called(name, cell)}: it is {shown(text)}; it must be one of {', '.join(cell.words)}")
        return text

    def _called(self, name: str, cell: Cell) -> str:
        """What a problem of a field is told of: its column, or itself."""
        return name if cell.column is None else self._columns.heading(cell.column)

    def _instant(self, text: str, column: str | None) -> int:
        return self._clock(column).instant(text)

    def _clock(self, column: str | None) -> Clock:
        clock = self._clocks.get(column)
        if clock is None:
            in_heading = None if column is None else zone_in_heading(self._columns.heading(column))
            zone = self._told.zone or in_heading or self._profile.zone
            clock = self._clocks[column] = Clock(self._profile.times, zone, self._told.fold, self._profile.offsets)
        return clock

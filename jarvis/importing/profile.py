"""What the columns of one export mean, as data: checked when it is read, so that a row meets no rule that cannot be meant.

docs/importing.md says what each key means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from jarvis.importing.fields import ID, ID_FIELDS, KINDS, fields_of, needs_id
from jarvis.importing.times import ISO, format_rule, zone_of
from jarvis.settings_sources import did_you_mean
from jarvis_client.contract.symbols import is_pair


def _as_text(value: Any) -> Any:
    """YAML's numbers and truths as the text of a cell."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def _as_texts(value: Any) -> Any:
    return [_as_text(one) for one in value] if isinstance(value, list | tuple) else [_as_text(value)]


def _as_cell(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


Words = Annotated[str, BeforeValidator(_as_text)]
OneOrMore = Annotated[tuple[str, ...], BeforeValidator(_as_texts)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Cell(_Part):
    """Where a field's value comes from: a column, a constant, or another field of the row."""

    column: str | None = None
    value: Words | None = None
    #: base or quote of the pair that the row trades.
    of: Literal["base", "quote"] | None = None
    #: What the cell says, as the record says it: by text, by a text with *, or by >0 <0 0. Anything else is a problem.
    words: dict[str, Words] = Field(default_factory=dict)
    #: A regular expression whose one group is the value; where it does not match there is none.
    pattern: str | None = None
    sign: Literal["keep", "opposite", "absolute"] = "keep"

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(given is not None for given in (self.column, self.value, self.of)) != 1:
            raise ValueError("one of column, value and of says where the value comes from")
        if self.pattern is not None and _compiled(self.pattern).groups != 1:
            raise ValueError(f"the pattern {self.pattern!r} needs exactly one group, which is the value")
        return self


Fields = dict[str, Annotated[Cell, BeforeValidator(_as_cell)]]


class RowRule(_Part):
    """What becomes of the rows that `when` describes: a record of a kind, nothing for a reason, or a refusal of the file."""

    when: dict[str, OneOrMore] = Field(default_factory=dict)
    kind: str | None = None
    fields: Fields = Field(default_factory=dict)
    pass_over: str | None = None
    refuse: str | None = None

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        if sum(given is not None for given in (self.kind, self.pass_over, self.refuse)) != 1:
            raise ValueError("one of kind, pass_over and refuse says what becomes of a row")
        if self.kind is None:
            if self.fields:
                raise ValueError("fields belong to a kind of record")
            return self
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind {self.kind!r}{did_you_mean(self.kind, list(KINDS))}; there are {', '.join(KINDS)}")
        for name in self.fields:
            known = fields_of(self.kind)
            if name not in known:
                raise ValueError(f"{name!r} is no field of a {self.kind}{did_you_mean(name, list(known))}")
        return self


class Profile(_Part):
    """One export of one venue, or of anybody."""

    title: str = ""
    #: Of times that say none, unless the column's heading does.
    zone: str | None = None
    times: OneOrMore = (ISO,)
    #: Words behind a time, such as EST, and the offset that each means.
    offsets: dict[str, str] = Field(default_factory=dict)
    decimal: Literal[".", ","] | None = None
    delimiter: Annotated[str | None, Field(min_length=1, max_length=1)] = None
    #: Texts that stand for an empty cell.
    empty: tuple[str, ...] = ()
    #: Other headings of a column, by the one that the rest of the profile uses.
    columns: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    #: Columns that some exports lack; they count as empty there.
    optional: tuple[str, ...] = ()
    #: Columns that make the id of a row without one; by default all that are not empty.
    identity: tuple[str, ...] = ()
    codes: dict[str, str] = Field(default_factory=dict)
    #: Regular expressions within a code, and what is written instead.
    code_patterns: dict[str, str] = Field(default_factory=dict)
    pairs: dict[str, str] = Field(default_factory=dict)
    #: Regular expressions with the groups base and quote; the first that fits a pair cuts it.
    pair_patterns: tuple[str, ...] = ()
    #: Fields of every kind that has them; a rule's own go before.
    fields: Fields = Field(default_factory=dict)
    rows: tuple[RowRule, ...] = Field(min_length=1)

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, name: str | None) -> str | None:
        if name is not None:
            zone_of(name)
        return name

    @field_validator("offsets")
    @classmethod
    def _are_offsets(cls, offsets: dict[str, str]) -> dict[str, str]:
        for offset in offsets.values():
            zone_of(offset)
        return offsets

    @field_validator("times")
    @classmethod
    def _are_formats(cls, formats: tuple[str, ...]) -> tuple[str, ...]:
        for form in formats:
            if (problem := format_rule(form)) is not None:
                raise ValueError(problem)
        return formats

    @field_validator("code_patterns", "pair_patterns")
    @classmethod
    def _compile(cls, patterns: Any) -> Any:
        for pattern in patterns:
            _compiled(pattern)
        return patterns

    @field_validator("pair_patterns")
    @classmethod
    def _cut(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            if {"base", "quote"} - {*_compiled(pattern).groupindex}:
                raise ValueError(f"the pattern {pattern!r} needs the groups (?P<base>…) and (?P<quote>…)")
        return patterns

    @field_validator("pairs")
    @classmethod
    def _name_instruments(cls, pairs: dict[str, str]) -> dict[str, str]:
        for notation, instrument in pairs.items():
            if not is_pair(instrument):
                raise ValueError(f"{notation}: {instrument!r} names no instrument; write BASE/QUOTE, or BASE/QUOTE:SETTLE for a contract")
        return pairs

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        kinds = [rule.kind for rule in self.rows if rule.kind is not None]
        for name in self.fields:
            known = [field for kind in kinds for field in fields_of(kind)]
            if name not in known:
                raise ValueError(f"fields: {name!r} is no field of a {' or a '.join(dict.fromkeys(kinds))}{did_you_mean(name, known)}")
        if self.identity:
            for rule in self.rows:
                left_out = [] if self.names_rows(rule) else sorted({*self._columns_of(rule)} - {*self.identity})
                if left_out:
                    raise ValueError(f"identity: {', '.join(left_out)} is recorded, so it belongs to the identity, too")
        return self

    def fields_for(self, rule: RowRule) -> Fields:
        """All fields of a rule, those that it shares with others included."""
        known = fields_of(rule.kind) if rule.kind is not None else ()
        return {name: cell for name, cell in self.fields.items() if name in known} | rule.fields

    def names_rows(self, rule: RowRule) -> bool:
        """Whether the rows of a rule have ids of their own, or need none."""
        return rule.kind is None or not needs_id(rule.kind) or not {ID, ID_FIELDS.get(rule.kind, ID)}.isdisjoint(self.fields_for(rule))

    @property
    def needed(self) -> list[str]:
        """The columns that a file must have, in the order of the profile."""
        return [column for column in dict.fromkeys(self._all_columns()) if column not in self.optional]

    def _all_columns(self) -> Iterator[str]:
        yield from self.identity
        for rule in self.rows:
            yield from rule.when
            yield from self._columns_of(rule)

    def _columns_of(self, rule: RowRule) -> Iterator[str]:
        return (cell.column for cell in self.fields_for(rule).values() if cell.column is not None)


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"the pattern {pattern!r} is no regular expression: {error}") from None

"""A form: the fields of a kind of record, each with its check, and what the record states once all of them are checked.

Reading a record is a loop over what it gives, because a worker does it for every record; only where something is wrong is it gone
through a second time, to name everything that is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Generic, NamedTuple, TypeVar

from jarvis_client.contract.conventions import Conventions
from jarvis_client.contract.errors import Invalid, MalformedRecord
from jarvis_client.contract.json_values import canonical_json
from jarvis_client.contract.near_misses import refuse_near_misses

#: Of a record that is wrong in more places, these are named.
MOST_PROBLEMS = 5

REQUIRED: Any = object()

Stated = TypeVar("Stated")


class Field(NamedTuple):
    """One field. `check` gives the checked value or raises `Invalid`; `default` stands for a field that is left out, `REQUIRED` where none does.

    Null counts as left out, unless `null` says what else it is.
    """

    name: str
    check: Callable[[Any], Any]
    says: str
    default: Any = None
    null: Any = None

    @property
    def required(self) -> bool:
        return self.default is REQUIRED


class Form(Generic[Stated]):
    """The fields of a kind of record, and `state`: the fact of their checked values, of the text of unknown fields and the conventions.

    `refused` are names that are no unknown fields but mistakes, each with its reason.
    """

    def __init__(
        self,
        kind: str,
        id_field: str,
        says: str,
        fields: Sequence[Field],
        state: Callable[[list[Any], str | None, Conventions], Stated],
        refused: Mapping[str, str] | None = None,
    ) -> None:
        self.kind = kind
        self.id_field = id_field
        self.says = says
        self.fields = tuple(fields)
        self.names = tuple(field.name for field in fields)
        self._state = state
        self._refused = refused or {}
        self._blank = [field.default for field in fields]
        self._required = tuple(i for i, field in enumerate(fields) if field.required)
        #: Where a field's value belongs, its check, and what null is.
        self._places = {field.name: (i, field.check, field.check if field.required else None, field.null) for i, field in enumerate(fields)}

    def fact(self, record: Any, conventions: Conventions) -> Stated:
        """What a decoded record states. Raises `MalformedRecord`, whose message names each field that is wrong, its value, the rule and the remedy."""
        if type(record) is not dict:
            raise MalformedRecord(f"a {self.kind} must be a JSON object, not {type(record).__name__}")
        try:
            values, unknown = self._read(record)
            extra = self._kept(unknown, record) if unknown else None
            return self._state(values, extra, conventions)
        except _Unreadable:
            raise MalformedRecord(f"{self.kind}: {self._problems(record)}") from None
        except (Invalid, ValueError, OverflowError, RecursionError) as error:
            raise MalformedRecord(f"{self.kind}: {error}") from None

    def _read(self, record: dict[str, Any]) -> tuple[list[Any], list[str]]:
        values, unknown, places = self._blank.copy(), [], self._places
        try:
            for name, value in record.items():
                place = places.get(name)
                if place is None:
                    unknown.append(name)
                elif value is not None or place[2] is not None:
                    values[place[0]] = place[1](value)
                else:
                    values[place[0]] = place[3]
        except (Invalid, ValueError, OverflowError, RecursionError):
            raise _Unreadable from None
        for i in self._required:
            if values[i] is REQUIRED:
                raise _Unreadable
        return values, unknown

    def _kept(self, unknown: list[str], record: dict[str, Any]) -> str:
        """The text of the unknown fields. Raises `Invalid` for one that is a mistake."""
        for name in unknown:
            if name in self._refused:
                raise Invalid(self._refused[name])
        refuse_near_misses(self.kind, unknown, self.names)
        text = canonical_json({name: record[name] for name in unknown})
        text.encode()  # a lone surrogate is no text: better refused here than by the store
        return text

    def _problems(self, record: dict[str, Any]) -> str:
        """Everything that is wrong with the fields, in their order."""
        said = listed(problem for field in self.fields for problem in problems_of(field, record))
        try:
            # Why a field that is missing may be there after all, under a name that looks like it.
            refuse_near_misses(self.kind, [name for name in record if name not in self._places], self.names)
        except Invalid as error:
            said.append(str(error))
        return "; ".join(said)


class _Unreadable(Exception):
    """A field breaks its rule."""


class Nested(Invalid):
    """What is wrong with the parts of a field: (the rest of the name, what is wrong with it) of each."""

    def __init__(self, parts: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{where.removeprefix('.')}: {said}" for where, said in parts))
        self.parts = parts


def problems_of(field: Field, record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name, what is wrong with it) of a field of a record."""
    if field.name not in record:
        return [(field.name, "is missing")] if field.required else []
    value = record[field.name]
    if value is None and not field.required:
        return []
    try:
        field.check(value)
    except Nested as error:
        return [(f"{field.name}{where}", said) for where, said in error.parts]
    except (Invalid, ValueError, OverflowError, RecursionError) as error:
        return [(field.name, str(error))]
    return []


def listed(problems: Iterable[tuple[str, str]]) -> list[str]:
    """The first problems, in words."""
    return [f"{name}: {said}" for name, said in islice(problems, MOST_PROBLEMS)]

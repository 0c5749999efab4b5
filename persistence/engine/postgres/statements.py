"""The books' statements in PostgreSQL's words: `$1` for `?`, sets of keys and of rows as arrays. Each is translated once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from jarvis_client.contract.errors import Invalid
from persistence.engine.bound_values import storable

#: Literals stay as they are; `?`, `?1` and `:name` are parameters, `::` is a cast.
_WORDS = re.compile(r"'(?:[^']|'')*'|::|\?(\d*)|:([A-Za-z_]\w*)")
#: SQLite's way to say in which order tables are read; here the planner knows best.
_ORDERED = re.compile(r"\bCROSS JOIN(?= \w+ \w+ ON\b)")
_KEY = re.compile(r"WHERE ([\w.]+ = \?(?: AND [\w.]+ = \?)*)")
_INSERT = re.compile(r"INSERT INTO (\w+) \(([^)]*)\) VALUES \((?:\?, )*\?\)\s*(.*)", re.DOTALL)
#: How an array of a kind of value is called.
_ARRAYS = {str: "text[]", int: "bigint[]", bytes: "bytea[]", float: "double precision[]"}


class Statement(NamedTuple):
    """A statement for the server, and where its parameters come from: names, or nothing where they stand in their order."""

    text: str
    names: tuple[str, ...]

    def bound(self, bindings: Any) -> list[Any]:
        """The parameters of one run."""
        if isinstance(bindings, dict):
            missing = [name for name in self.names if name not in bindings]
            if missing:
                raise Invalid(f"the statement names the parameter {missing[0]!r}, which is not given")
            return [storable(bindings[name]) for name in self.names]
        return [storable(value) for value in bindings]


@lru_cache(maxsize=1_024)
def translated_statement(sql: str) -> Statement:
    names: list[str] = []
    highest = 0

    def word(found: re.Match[str]) -> str:
        nonlocal highest
        number, name = found[1], found[2]
        if name is not None:
            if name not in names:
                names.append(name)
            return f"${names.index(name) + 1}"
        if number is None:
            return found[0]
        highest = max(highest, int(number)) if number else highest + 1
        return f"${number or highest}"

    return Statement(_WORDS.sub(word, _ORDERED.sub("JOIN", sql)), tuple(names))


@lru_cache(maxsize=256)
def many_keys(sql: str, kinds: tuple[type, ...]) -> str:
    """A SELECT of one key as one of any number of keys: an array for each column."""

    def one_of(key: re.Match[str]) -> str:
        columns = key[1].replace(" = ?", "").split(" AND ")
        arrays = [f"${n}::{_ARRAYS[kind]}" for n, kind in enumerate(kinds, 1)]
        if len(columns) == 1:
            return f"WHERE {columns[0]} = ANY({arrays[0]})"
        names, placeholders = ", ".join(columns), ", ".join(arrays)
        return f"WHERE ({names}) IN (SELECT * FROM unnest({placeholders}))"

    return _KEY.sub(one_of, sql, count=1)


class Insert(NamedTuple):
    """An INSERT of whole rows: its table, columns, and what follows the values."""

    table: str
    columns: tuple[str, ...]
    rest: str

    def of_arrays(self, types: dict[str, str]) -> str:
        """Any number of rows by one statement: an array for each column."""
        table, names, rest = self.table, ", ".join(self.columns), self.rest
        placeholders = ", ".join(f"${n}::{types[name]}[]" for n, name in enumerate(self.columns, 1))
        return f"INSERT INTO {table} ({names}) SELECT * FROM unnest({placeholders}) {rest}"

    @property
    def copy(self) -> str:
        return f"COPY {self.table} ({', '.join(self.columns)}) FROM STDIN"


@lru_cache(maxsize=256)
def insert_of(sql: str) -> Insert | None:
    """None of a statement whose values are not all parameters in their order."""
    found = _INSERT.fullmatch(sql)
    if found is None or "?" in found[3]:
        return None
    return Insert(found[1], tuple(name.strip() for name in found[2].split(",")), found[3])


def arrays_of(rows: Sequence[Sequence[Any]]) -> list[str]:
    """Rows as array literals, one for each column: in half of the time in which the driver makes arrays of lists."""
    return [_array(column) for column in zip(*rows, strict=True)]


def kinds_of(key: Sequence[Any]) -> tuple[type, ...]:
    return tuple(int if isinstance(value, int) else bytes if isinstance(value, bytes) else str for value in key)


def _array(values: Sequence[Any]) -> str:
    return "{" + ",".join([_element(value) for value in values]) + "}"


def _element(value: Any) -> str:
    kind = type(value)
    if value is None:
        return "NULL"
    if kind is int:
        return str(value)
    if kind is str:
        if '"' in value or "\\" in value:
            value = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{value}"'
    if kind is bytes:
        return f'"\\\\x{value.hex()}"'
    return repr(value) if kind is float else _element(storable(value))


__all__ = ["Insert", "Statement", "arrays_of", "insert_of", "kinds_of", "many_keys", "translated_statement"]

"""The words of the JSON Schemas: what a number, a time or an id is, and how one field depends on another.

Written for every validator there is: regular expressions without lookaround and back references (Go and Rust have none), without
`\\d`, `\\s`, `\\p` and `\\u` (one language or another reads them differently, or not at all); no `format`, which strict validators refuse
without a plug-in; a single type at a time, as ajv's strict mode wants it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jarvis_client.contract.conventions import EARLIEST, LATEST
from jarvis_client.contract.decimals import MAX_DIGITS, MAX_PLACES, MAX_WHOLE_DIGITS

Schema = dict[str, Any]

# -- what a value is ------------------------------------------------------------------------------------------------------


def named(name: str, **more: Any) -> Schema:
    """What is the definition of that name, and `more`."""
    return {"$ref": f"#/$defs/{name}", **more}


_LIMIT = 10**MAX_WHOLE_DIGITS
#: Numbers above a two-digit limit, without leading zeros: the exponents that are too large whatever the digits before them.
_ABOVE = {30: "(3[1-9]|[4-9][0-9]|[1-9][0-9]{2,})", 60: "(6[1-9]|[7-9][0-9]|[1-9][0-9]{2,})"}
_DECIMAL = {
    "type": "string",
    "maxLength": 120,  # what `exact` reads at most
    "pattern": r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?$",
    "not": {
        "anyOf": [
            {"$comment": f"more than {MAX_DIGITS} digits", "pattern": rf"^[+-]?[0.]*[1-9](\.?[0-9]){{{MAX_DIGITS}}}"},
            {"$comment": f"10^{MAX_WHOLE_DIGITS} or more", "pattern": rf"^[+-]?0*[1-9][0-9]{{{MAX_WHOLE_DIGITS},}}(\.[0-9]*)?$"},
            {"$comment": "the same, by its exponent", "pattern": rf"^[+-]?0*[1-9][0-9.]*[eE]\+?0*{_ABOVE[MAX_WHOLE_DIGITS - 1]}$"},
            {
                "$comment": f"more than {MAX_PLACES} places after the point, and not zero",
                "allOf": [{"pattern": "^[^eE]*[1-9]"}, {"pattern": rf"(\.[0-9]{{{MAX_PLACES + 1},}}|[eE]-0*{_ABOVE[MAX_PLACES]})$"}],
            },
        ]
    },
    "examples": ["0.015"],
}


def _number(text: Schema, number: Schema) -> Schema:
    """A number as a text and as a JSON number."""
    return {
        "anyOf": [
            {"$ref": "#/$defs/decimal", "type": "string", **text},
            {"type": "number", "exclusiveMinimum": -_LIMIT, "exclusiveMaximum": _LIMIT, **number},
        ]
    }


_TO_SECOND = "(2[0-3]|[01][0-9]):[0-5][0-9]:([0-5][0-9]|60)"
_CLOCK = rf"[Tt ]{_TO_SECOND}(\.[0-9]{{1,40}})?"
_OFFSET = "(2[0-3]|[01][0-9]):[0-5][0-9]"
_DAY = "(19[7-9][0-9]|20[0-9]{2})-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|[12][0-9]))"

#: Invisible: control and format characters, spaces other than U+0020, private use. Those of rare scripts are for the worker to tell.
INVISIBLE = "\u0000-\u001f\u007f-\u00a0\u00ad\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ue000-\uf8ff\ufeff\ufff0-\ufffb"
_PRINTABLE = {"type": "string", "minLength": 1, "maxLength": 128, "pattern": f"^[^ {INVISIBLE}]([^{INVISIBLE}]*[^ {INVISIBLE}])?$"}

#: What the schemas refer to as `#/$defs/…`.
DEFINITIONS: dict[str, Schema] = {
    "decimal": {"description": f"A plain finite number below 10^{MAX_WHOLE_DIGITS}, of at most {MAX_DIGITS} digits and {MAX_PLACES} places.", **_DECIMAL},
    "number": {"description": "A decimal string, best; or a JSON number, which stands for its shortest text.", **_number({}, {})},
    "positive": {"description": "A number above zero.", **_number({"pattern": r"^\+?[0.]*[1-9]"}, {"exclusiveMinimum": 0})},
    "not_negative": {"description": "Zero or a number above it.", **_number({"not": {"pattern": "^-[0.]*[1-9]"}}, {"minimum": 0})},
    "negative": {"description": "A number below zero.", **_number({"pattern": "^-[0.]*[1-9]"}, {"exclusiveMaximum": 0})},
    "zero": {"description": "Zero, in any spelling.", "anyOf": [{"type": "string", "pattern": r"^[+-]?[0.]+([eE].*)?$"}, {"type": "number", "const": 0}]},
    "one": {
        "description": "One, in any spelling; a text with an exponent may always be one, no pattern can tell.",
        "anyOf": [{"type": "string", "pattern": r"^\+?0*1(\.0*)?$|[eE]"}, {"type": "number", "const": 1}],
    },
    "time": {
        "description": "RFC 3339 with an offset, from 1970 to 2100; or integer microseconds since 1970, from 2000 to 2100.",
        "anyOf": [
            {
                "type": "string",
                "pattern": rf"^({_DAY}{_CLOCK}([Zz]|[+-]{_OFFSET})|1969-12-31{_CLOCK}-{_OFFSET}|2100-01-01{_CLOCK}\+{_OFFSET})$",
                "not": {
                    "$comment": "second 60 is for the end of a day in UTC",
                    "pattern": "[Tt ](([01][0-9]|2[0-2]):[0-9]{2}|23:([0-4][0-9]|5[0-8])):60.*[Zz]$",
                },
                "examples": ["2026-11-22T10:15:30.123456Z"],
            },
            {"type": "integer", "minimum": EARLIEST, "exclusiveMaximum": LATEST, "examples": [1_795_342_530_123_456]},
        ],
    },
    "day": {"description": "A day from 1970 to 2099.", "type": "string", "pattern": f"^{_DAY}$", "examples": ["2026-11-22"]},
    "id": {"description": "1 to 128 printable characters, without blanks at its ends.", **_PRINTABLE},
    "word": {"description": "1 to 64 printable characters, without blanks at its ends.", **_PRINTABLE, "maxLength": 64},
    "code": {
        "description": "1 to 32 printable characters without blanks.", **_PRINTABLE, "maxLength": 32, "pattern": f"^[^ {INVISIBLE}]+$", "examples": ["USDT"],
    },
    "text": {
        "description": "At most 2,000 characters without control characters.", "type": "string", "maxLength": 2_000,
        "pattern": "^[^\u0000-\u0008\u000b-\u001f]*$",
    },
    "kept": {
        "description": "What an unknown field may hold: anything, but numbers within the limits of a number.",
        "anyOf": [
            {"type": "string"}, {"type": "boolean"}, {"type": "null"}, {"type": "number", "exclusiveMinimum": -_LIMIT, "exclusiveMaximum": _LIMIT},
            {"type": "array", "items": named("kept")}, {"type": "object", "additionalProperties": named("kept")},
        ],
    },
}  # fmt: skip

POSITIVE, NEGATIVE, ZERO, ONE = (named(name) for name in ("positive", "negative", "zero", "one"))
NULL = {"type": "null"}
NOT_NULL = {"not": NULL}
TRUE = {"const": True}
FALSE = {"const": False}
FILLED_LIST = {"type": "array", "minItems": 1}

# -- how fields depend on one another -------------------------------------------------------------------------------------


def has(*names: str, **values: Schema) -> Schema:
    """The record gives these fields: `names` anything but null, the others what their schema says."""
    fields = dict.fromkeys(names, NOT_NULL) | values
    return {"properties": fields, "required": list(fields)}


def lacks(*names: str, **values: Schema) -> Schema:
    """The record leaves these fields out, or gives null; the others it may give as their schema says, too."""
    return {"properties": dict.fromkeys(names, NULL) | {name: {"anyOf": [schema, NULL]} for name, schema in values.items()}}


def when(rule: str, condition: Schema, then: Schema, otherwise: Schema | None = None) -> Schema:
    """`rule` says it in words: a validator prints no more than the place."""
    return {"$comment": rule, "if": condition, "then": then} | ({} if otherwise is None else {"else": otherwise})


def both(*schemas: Schema) -> Schema:
    return {"allOf": list(schemas)}


def any_of(*schemas: Schema) -> Schema:
    return {"anyOf": list(schemas)}


def one_of(*schemas: Schema) -> Schema:
    return {"oneOf": list(schemas)}


def a_dollar_is_one(rate: str, currency: str) -> Schema:
    """A rate of USD is 1, where the record itself says that the currency is USD."""
    return when("a dollar is worth one dollar", has(**{currency: {"const": "USD"}}), lacks(**{rate: ONE}))


def no_other_names(known: Sequence[str], others: Mapping[str, Sequence[str]]) -> Schema:
    """The names of fields that are refused because they look like ours: whatever their case, `-` and `_`."""
    return {
        "anyOf": [
            {"$comment": "the fields of the record", "enum": list(known)},
            {"not": {"anyOf": [{"$comment": f"{meant}: {', '.join(names)}", "pattern": _spellings(names)} for meant, names in others.items()]}},
        ]
    }


def _spellings(names: Sequence[str]) -> str:
    """A pattern of some plain names in any case, with `-` and `_` anywhere."""
    return f"^[_-]*({'|'.join(''.join(f'[{c}{c.upper()}][_-]*' for c in name) for name in names)})$"


# -- the file -------------------------------------------------------------------------------------------------------------


def with_definitions(schema: Schema) -> Schema:
    """A schema with the definitions that it refers to."""
    wanted: set[str] = set()
    new = _references(schema)
    while new:
        wanted |= new
        new = {below for name in new for below in _references(DEFINITIONS[name])} - wanted
    return {**schema, "$defs": {name: definition for name, definition in DEFINITIONS.items() if name in wanted}}


def _references(schema: Any) -> set[str]:
    """The definitions that a schema refers to itself."""
    if isinstance(schema, list):
        return {name for part in schema for name in _references(part)}
    if not isinstance(schema, dict):
        return set()
    here = {str(schema["$ref"]).rpartition("/")[2]} if "$ref" in schema else set()
    return here.union(*(_references(part) for part in schema.values()))

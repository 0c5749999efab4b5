"""JSON as it arrives: read leniently enough that one bad value never takes its neighbours along, kept byte for byte."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from pydantic_core import from_json

from jarvis_client.contract.errors import MalformedRecord

#: The keyword of `.send(record={…})`.
RECORD_KEYWORD = "record"


class _Oversized:
    """Stands for a number in JSON that is too long to read; every check refuses it and shows its beginning."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return f"{self._text[:20]}… ({len(self._text)} digits)"


def _long_int(text: str) -> int | _Oversized:
    return int(text) if len(text) <= 60 else _Oversized(text)


_LENIENT = json.JSONDecoder(parse_int=_long_int, strict=False)

#: Records are flat; what is nested deeper than this is an attack on the parser. The strict one has a limit of its own.
MAX_DEPTH = 64
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)


def _depth(payload: bytes) -> int:
    """How deep a text is nested, told without parsing it."""
    depth = deepest = 0
    for sign in re.findall(rb"[\[\]{}]", _STRINGS.sub(b"", payload)):
        depth += 1 if sign in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def decode_json(payload: bytes) -> Any:
    """The value of a JSON text. Where a strict parser gives up (a broken character, a number of 10,000 digits) the offending
    value alone is left for the record's own checks to refuse. Raises `MalformedRecord` where there is no JSON at all."""
    try:
        # Keys come again and again, values do not: keeping those, too, costs a tenth more.
        return from_json(payload, cache_strings="keys")
    except ValueError:
        pass
    if (depth := _depth(payload)) > MAX_DEPTH:
        raise MalformedRecord(f"not JSON: nested {depth} deep; at most {MAX_DEPTH} levels are read")
    try:
        return _LENIENT.decode(payload.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError) as error:
        raise MalformedRecord(f"not JSON: {str(error)[:200]}") from None


def record_slices(payload: bytes) -> list[bytes]:
    """The bytes of each record in an envelope, as they arrived; the whole payload where they cannot be told apart."""
    text = payload.decode("utf-8", "surrogateescape")
    try:
        # Of a key that stands twice the last one counts, as for the JSON parser.
        members = dict(_members(text))
        first = _skip(text, members["args"] + 1)
        if text[first] == "]":
            first = members["kwargs"]
            first = dict(_members(text, first)).get(RECORD_KEYWORD, first)
        spans = _elements(text, first) if text[first] == "[" else [(first, _LENIENT.raw_decode(text, first)[1])]
        return [text[a:b].encode("utf-8", "surrogateescape") for a, b in spans]
    except (ValueError, LookupError, RecursionError):
        return [payload]


_BLANK = re.compile(r"[ \t\n\r]*")


def _skip(text: str, at: int) -> int:
    return _BLANK.match(text, at).end()  # type: ignore[union-attr]


def _members(text: str, at: int = 0) -> Iterator[tuple[str, int]]:
    """(key, where its value starts) of the members of the JSON object at a place."""
    at = _skip(text, _skip(text, at) + 1)
    while text[at] == '"':
        key, at = _LENIENT.raw_decode(text, at)
        at = _skip(text, _skip(text, at) + 1)
        yield key, at
        at = _skip(text, _LENIENT.raw_decode(text, at)[1])
        if text[at] != ",":
            return
        at = _skip(text, at + 1)


def _elements(text: str, at: int) -> list[tuple[int, int]]:
    spans = []
    at = _skip(text, at + 1)
    while text[at] != "]":
        _, end = _LENIENT.raw_decode(text, at)
        spans.append((at, end))
        at = _skip(text, end)
        at = _skip(text, at + 1) if text[at] == "," else at
    return spans

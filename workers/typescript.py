"""TypeScript types of the records, made from their JSON Schemas. Write them: `python -m workers.typescript FILE`.

Stricter than the schemas on purpose: money is text, since a JavaScript number is a binary fraction, and a time is text, since the
integers that are taken are microseconds and `Date.now()` gives milliseconds. Fields that only an engine knows are added by name.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jarvis_client.contract.routes import JOBS_ROUTE, ROUTES
from workers.schema_words import Schema
from workers.schemas import json_schemas

_HEAD = """\
// Types of the records that a trading engine publishes, made from ../schemas by `make schemas`: do not edit.
// Fields of your own are kept with the record; add them by name: `const fill: Fill & { strategy: string } = …`.

/** An exact decimal number as text: "0.015". JavaScript's own numbers are binary fractions, so they are not taken. */
export type Decimal = string;
/** RFC 3339 with an offset: `new Date().toISOString()`. */
export type Time = string;
/** A date: "2026-11-22". */
export type Day = string;
"""

#: The definitions of the schemas that have a name of their own here; all others are text.
_NAMES = {"decimal": "Decimal", "number": "Decimal", "positive": "Decimal", "not_negative": "Decimal", "time": "Time", "day": "Day"}
_PLAIN = {"string": "string", "integer": "number", "boolean": "boolean", "null": "null"}


def types_text() -> str:
    """The whole file of types."""
    schemas = json_schemas()
    parts = [_HEAD, *(_interface(kind.capitalize(), schema) for kind, schema in schemas.items())]
    routes = {**ROUTES, "job": JOBS_ROUTE}
    actors = [f"  {route.actor}: {{ queue: {json.dumps(route.queue)}; record: {kind.capitalize()} }};" for kind, route in routes.items()]
    parts.append("/** What each actor takes, and the queue that it travels through. */\nexport interface Actors {\n" + "\n".join(actors) + "\n}\n")
    lines = "".join(f'\n  | ({{ type: "{kind}" }} & {kind.capitalize()})' for kind in ROUTES)
    parts.append(f"/** A line of the NDJSON form, as `jarvis publish` and `jarvis import` take it. */\nexport type Line ={lines};\n")
    return "\n".join(parts)


def _interface(name: str, schema: Schema) -> str:
    required = set(schema["required"])
    fields = "\n".join(line for field, about in schema["properties"].items() for line in _field(field, about, field in required))
    return f"/** {schema['description']} */\nexport interface {name} {{\n{fields}\n}}\n"


def _field(name: str, about: Schema, required: bool) -> Iterator[str]:
    if said := about.get("description"):
        yield f"  /** {said} */"
    yield f"  {name}{'' if required else '?'}: {_type(about)};"


def _type(about: Schema) -> str:
    if "$ref" in about:
        return _NAMES.get(about["$ref"].rpartition("/")[2], "string")
    if "anyOf" in about:
        return " | ".join(dict.fromkeys(_type(part) for part in about["anyOf"]))
    if "enum" in about or "const" in about:
        values: list[Any] = about["enum"] if "enum" in about else [about["const"]]
        return " | ".join(json.dumps(value) for value in values)
    if about.get("type") == "array":
        return f"Array<{_type(about['items'])}>"
    if about.get("type") == "object":
        required = set(about.get("required", ()))
        return "{ " + "; ".join(f"{name}{'' if name in required else '?'}: {_type(part)}" for name, part in about["properties"].items()) + " }"
    return _PLAIN[about["type"]]


def main() -> None:
    Path(sys.argv[1] if len(sys.argv) > 1 else "docs/publish/records.d.ts").write_text(types_text(), "utf-8")


if __name__ == "__main__":
    main()

"""The JSON Schemas of the contract, made from the forms that check it. Write them: `python -m workers.schemas FOLDER`."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from jarvis_client.contract import values
from jarvis_client.contract.decimals import canonical
from jarvis_client.contract.facts.fill import MOST_FEES
from jarvis_client.contract.form import Field
from jarvis_client.contract.forms import CHARGE_FIELDS, CHARGE_SAYS, FORMS, fees_of
from jarvis_client.contract.jobs import JOB_FIELDS, JOB_SAYS
from jarvis_client.contract.near_misses import other_spellings
from jarvis_client.contract.routes import JOBS_ROUTE, ROUTES, Route
from workers import conditions
from workers.schema_words import INVISIBLE, NULL, Schema, named, no_other_names, with_definitions

#: Rises when a record that was taken is taken no longer, or means something else; a new optional field leaves it as it is.
VERSION = 1
#: What a record looks like comes first, the fine print last.
_READING_ORDER = ("description", "type", "required", "properties", "additionalProperties", "allOf", "propertyNames", "$defs")

#: What a value is, by the function that checks it.
_VALUES: dict[Callable[[Any], Any], Schema] = {
    values.number: named("number"),
    values.positive: named("positive"),
    values.not_negative: named("not_negative"),
    values.time: named("time"),
    values.day: named("day"),
    values.identity: named("id"),
    values.word: named("word"),
    values.currency: named("code"),
    values.text: named("text"),
    values.flag: {"type": "boolean"},
    values.sequence: {"maximum": values.SEQUENCES_END - 1, "minimum": 0, "type": "integer"},
    values.count: {"exclusiveMaximum": values.COUNTS_END, "minimum": 0, "type": "integer"},
}
#: The id of a rate is CURRENCY:SOURCE:MICROSECONDS.
_WITHOUT_COLON = {"pattern": "^[^:]*$", "type": "string"}
_NARROWER = {("rate", "currency"): _WITHOUT_COLON, ("rate", "source"): _WITHOUT_COLON}


def json_schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema of every record, by kind."""
    found = {}
    for kind, form in FORMS.items():
        rules = conditions.OF_KIND.get(kind, [])
        names = no_other_names(form.names, other_spellings(kind, form.names))
        found[kind] = _schema(kind, form.says, form.fields, ROUTES[kind], rules, {"additionalProperties": named("kept"), "propertyNames": names})
    return {**found, "job": _schema("job", JOB_SAYS, JOB_FIELDS, JOBS_ROUTE, conditions.JOB, {"additionalProperties": False})}


def _schema(kind: str, says: str, fields: Sequence[Field], route: Route, rules: list[Schema], names: Schema) -> Schema:
    # A URN, because the files are found in the repository and in every installation, and no address serves them.
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:jarvis-trading:record:{kind}:{VERSION}",
        "title": f"{kind} (queue {route.queue}, actor {route.actor})",
    }
    made = with_definitions(_object(kind, says, fields, rules) | names)
    return head | {key: made[key] for key in sorted(made, key=_READING_ORDER.index)}


def _object(kind: str, says: str, fields: Sequence[Field], rules: list[Schema]) -> Schema:
    return {
        **({"allOf": rules} if rules else {}), "description": says, "properties": {field.name: _property(kind, field) for field in fields},
        "required": [field.name for field in fields if field.required], "type": "object",
    }  # fmt: skip


def _property(kind: str, field: Field) -> Schema:
    value = _value(field) | _NARROWER.get((kind, field.name), {})
    made: Schema = value if field.required else {"anyOf": [value, NULL]}
    if isinstance(field.default, Decimal | bool):
        made["default"] = canonical(field.default) if isinstance(field.default, Decimal) else field.default
    made["description"] = field.says
    return dict(sorted(made.items()))


def _value(field: Field) -> Schema:
    if field.check == fees_of:
        charge = {"additionalProperties": False, **_object("fill", CHARGE_SAYS, CHARGE_FIELDS, conditions.CHARGE)}
        return {"items": charge, "maxItems": MOST_FEES, "type": "array"}
    words = getattr(field.check, "__self__", None)
    return {"enum": list(words.words), "type": "string"} if isinstance(words, values.OneOf) else dict(_VALUES[field.check])


def schema_texts() -> dict[str, str]:
    """The text of each schema by its file name."""
    return {f"{kind}.schema.json": _text(schema) for kind, schema in json_schemas().items()}


def _text(schema: Schema) -> str:
    text = json.dumps(schema, indent=2, ensure_ascii=False)
    return re.sub(f"[{INVISIBLE}]", lambda sign: sign[0] if sign[0] == "\n" else f"\\u{ord(sign[0]):04x}", text) + "\n"


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/schemas")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in schema_texts().items():
        (folder / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()

"""The JSON Schemas of the contract, made from the models that check it. Write them: `python -m workers.schemas FOLDER`."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from jarvis_client.contract.near_misses import other_spellings
from jarvis_client.contract.routes import JOBS_ROUTE, ROUTES, Route
from workers.job_records import JobRecord
from workers.records import RECORDS
from workers.schema_words import INVISIBLE, Schema, completed, no_other_names

#: Rises when a record that was taken is taken no longer, or means something else; a new optional field leaves it as it is.
VERSION = 1
#: What a record looks like comes first, the fine print last.
_READING_ORDER = ("description", "type", "required", "properties", "additionalProperties", "allOf", "propertyNames", "$defs")


def json_schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schema of every record, by kind."""
    found = {}
    for kind, model in RECORDS.items():
        known = model.names()
        found[kind] = _schema(kind, model, ROUTES[kind], {"propertyNames": no_other_names(known, other_spellings(kind, known))})
    return {**found, "job": _schema("job", JobRecord, JOBS_ROUTE, {})}


def _schema(kind: str, model: type[BaseModel], route: Route, names: Schema) -> Schema:
    # A URN, because the files are found in the repository and in every installation, and no address serves them.
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:jarvis-trading:record:{kind}:{VERSION}",
        "title": f"{kind} (queue {route.queue}, actor {route.actor})",
    }
    made = completed(model.model_json_schema()) | names
    return head | {key: made[key] for key in sorted(made, key=_READING_ORDER.index)}


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

"""The AsyncAPI document of what the worker takes, over the JSON Schemas. Write it: `python -m jarvis.asyncapi FILE`.

Here and not in workers/, because it is YAML, which only this room reads and writes.
"""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from jarvis_client.contract.routes import JOBS_ROUTE, MAX_BATCH_RECORDS, ROUTES, Route
from workers.schemas import VERSION, json_schemas

Part = dict[str, Any]

_HEAD = "# What the worker takes, made from schemas/ by `make schemas`: do not edit.\n"
_ABOUT = (
    "What a trading engine publishes, through Redis, in Dramatiq's wire form; publishing.md tells the rules. "
    "In one MULTI: HSET {namespace}:{queue}.msgs <id> <payload>, then RPUSH {namespace}:{queue} <id>."
)


def document() -> Part:
    """The document. References are relative to the folder docs/."""
    routes = {**ROUTES, "job": JOBS_ROUTE}
    schemas = json_schemas()
    queues = {queue: dict(found) for queue, found in groupby(sorted(routes.items(), key=lambda item: item[1].queue), lambda item: item[1].queue)}
    return {
        "asyncapi": "3.1.0",
        "info": {"title": "jarvis: records of a trading engine", "version": f"{VERSION}.0.0", "description": _ABOUT, "license": {"name": "MIT"}},
        "defaultContentType": "application/json",
        "servers": {"broker": {"host": "localhost:6379", "protocol": "redis", "description": "Redis or Valkey: broker.url of the worker."}},
        "channels": {queue: _channel(queue, found) for queue, found in queues.items()},
        "operations": {route.actor: _operation(kind, route, schemas[kind]["description"]) for kind, route in routes.items()},
        "components": {
            "messages": {route.actor: _message(kind, route, schemas[kind]["description"]) for kind, route in routes.items()},
            "schemas": {"id": {"type": "string", "format": "uuid", "description": "Of the message, new for each one."}},
        },
    }


def _channel(queue: str, found: dict[str, Route]) -> Part:
    return {
        "address": f"{{namespace}}:{queue}",
        "description": f"A list of message ids; the payload of each lies in the hash {{namespace}}:{queue}.msgs.",
        "parameters": {"namespace": {"default": "dramatiq", "description": "broker.namespace of the worker"}},
        "messages": {route.actor: {"$ref": f"#/components/messages/{route.actor}"} for route in found.values()},
    }


def _operation(kind: str, route: Route, summary: str) -> Part:
    return {
        "action": "receive",
        "summary": f"Record a {kind}: {summary}" if kind != "job" else summary,
        "channel": {"$ref": f"#/channels/{route.queue}"},
        "messages": [{"$ref": f"#/channels/{route.queue}/messages/{route.actor}"}],
    }


def _message(kind: str, route: Route, summary: str) -> Part:
    record = {"$ref": f"./schemas/{kind}.schema.json"}
    several = {"type": "array", "minItems": 1, "maxItems": MAX_BATCH_RECORDS, "items": record}
    envelope: Part = {
        "queue_name": {"const": route.queue},
        "actor_name": {"const": route.actor},
        "args": {"type": "array", "minItems": 1, "maxItems": 1, "items": record if kind == "job" else {"anyOf": [record, several]}},
        "kwargs": {"type": "object"},
        "options": {"type": "object", "required": ["redis_message_id"], "properties": {"redis_message_id": {"$ref": "#/components/schemas/id"}}},
        "message_id": {"$ref": "#/components/schemas/id"},
        "message_timestamp": {"type": "integer", "description": "milliseconds since 1970"},
    }
    return {"name": route.actor, "title": kind, "summary": summary, "payload": {"type": "object", "required": list(envelope), "properties": envelope}}


class _Plain(yaml.SafeDumper):
    """Writes a part that stands twice in full each time."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def document_text() -> str:
    return _HEAD + yaml.dump(document(), Dumper=_Plain, sort_keys=False, allow_unicode=True, width=140)


def main() -> None:
    Path(sys.argv[1] if len(sys.argv) > 1 else "docs/asyncapi.yaml").write_text(document_text(), "utf-8")


if __name__ == "__main__":
    main()

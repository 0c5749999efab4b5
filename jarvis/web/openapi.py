"""The description of everything that is answered (OpenAPI 3.1), from the table of routes and the models behind it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from jarvis import __version__
from jarvis.web.asking import Asked
from jarvis.web.problems import ProblemDetails
from jarvis.web.routes import ROOT, Route

#: Of a parameter's schema, what stands beside it or says nothing there.
_SAID_ELSEWHERE = ("anyOf", "title", "description")
_NONE = ("default", None)
_AT = "#/components/schemas/{model}"
_SAYS = (
    "Reads the books of jarvis, and never writes. Amounts are exact decimals in strings, instants RFC 3339 in UTC, days those of the account's zone. "
    "A listing answers pages: `next` is the `after` of the page that follows. What was asked wrongly is answered with the value, the rule and the remedy."
)
_PROBLEMS = {
    "400": "A parameter breaks its rule.",
    "401": "The token is missing or wrong.",
    "404": "There is no such thing.",
    "421": "The Host is none of this server's names.",
    "500": "A defect; the server's log tells.",
    "503": "Not now: busy, too much at once, or the books cannot be read.",
}


def description(routes: Iterable[Route], *, token: bool) -> dict[str, Any]:
    """`token`: whether requests have to bring one."""
    table = list(routes)
    answers = {route.answer for route in table}
    _, schemas = models_json_schema([(model, "serialization") for model in (*sorted(answers, key=lambda m: m.__name__), ProblemDetails)], ref_template=_AT)
    told: dict[str, Any] = {
        "openapi": "3.1.1",
        "info": {"title": "jarvis", "version": __version__, "description": _SAYS},
        "paths": {f"{ROOT}{route.path}": {"get": _operation(route)} for route in table},
        "components": {"schemas": schemas["$defs"]},
    }
    if token:
        told["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        told["security"] = [{"token": []}]
    return told


def _operation(route: Route) -> dict[str, Any]:
    refused = {"schema": {"$ref": _AT.format(model=ProblemDetails.__name__)}}
    problems = {status: {"description": says, "content": {"application/problem+json": refused}} for status, says in _PROBLEMS.items()}
    answered = {"schema": {"$ref": _AT.format(model=route.answer.__name__)}}
    return {
        "operationId": route.by.__name__, "summary": route.says, "parameters": _parameters(route.asked),
        "responses": {"200": {"description": "What was asked.", "content": {"application/json": answered}}, **problems},
    }  # fmt: skip


def _parameters(asked: type[Asked]) -> list[dict[str, Any]]:
    schema = TypeAdapter(asked).json_schema(by_alias=True, mode="validation")
    found = []
    for name, told in schema["properties"].items():
        # A parameter that is left out is none of null: `anyOf` with it says what no query can.
        [kind] = [k for k in told.get("anyOf", [told]) if k.get("type") != "null"]
        plain = {
            key: value for key, value in {**told, **kind}.items() if key not in ("anyOf", "title", "description") and not (key == "default" and value is None)
        }
        described = {"description": told["description"]} if "description" in told else {}
        found.append({"name": name, "in": "query", "required": name in schema.get("required", ()), **described, "schema": plain})
    return found

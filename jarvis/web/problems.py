"""What is answered instead of what was asked (RFC 9457): the value, the rule, the remedy."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, Field
from starlette.responses import Response


class Fault(BaseModel):
    """One thing that is wrong with a request."""

    parameter: str | None = Field(description="the parameter of the query, where it is one")
    value: str | None = Field(description="what was given")
    rule: str = Field(description="what it has to be")
    remedy: str = Field(description="what to do")


class ProblemDetails(BaseModel):
    """Why a request has no other answer (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str = Field(description="all of it as a sentence")
    faults: list[Fault]


class Problem(Exception):
    """Raised where a request cannot be answered."""

    def __init__(self, status: int, faults: Iterable[Fault], headers: dict[str, str] | None = None) -> None:
        self.status, self.faults, self.headers = status, list(faults), headers or {}
        super().__init__(self.detail)

    @property
    def detail(self) -> str:
        return "; ".join(_sentence(fault) for fault in self.faults)

    def response(self) -> Response:
        status = HTTPStatus(self.status)
        details = ProblemDetails(type="about:blank", title=status.phrase, status=self.status, detail=self.detail, faults=self.faults)
        return Response(details.model_dump_json(), self.status, self.headers, "application/problem+json")


def problem(status: int, rule: str, remedy: str, *, parameter: str | None = None, value: Any = None, headers: dict[str, str] | None = None) -> Problem:
    """A problem of one fault. Of a value the beginning is told: it may be a megabyte, and hold anything."""
    return Problem(status, [fault(rule, remedy, parameter, value)], headers)


def fault(rule: str, remedy: str, parameter: str | None = None, value: Any = None) -> Fault:
    return Fault(parameter=parameter, value=None if value is None else _shown(str(value)), rule=rule, remedy=remedy)


def _shown(text: str) -> str:
    printable = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in text[:60])
    return printable if len(text) <= 60 else f"{printable}…"


def _sentence(fault: Fault) -> str:
    what = " ".join(part for part in (fault.parameter, None if fault.value is None else repr(fault.value)) if part)
    return f"{what}: {fault.rule}; {fault.remedy}" if what else f"{fault.rule}; {fault.remedy}"

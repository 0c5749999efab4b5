"""What is answered of the daemon's status: models made of its own values, whose instants are texts here."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from functools import cache
from types import GenericAlias, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from pydantic import Field, create_model

from jarvis.reading.status import is_instant
from jarvis.status import model
from jarvis.status.alarms import Raised
from jarvis.web.shapes import Instant, Shape


@cache
def shape_of(of: type) -> type[Shape]:
    """The model of a dataclass: the same fields, dataclasses below it likewise."""
    hints = get_type_hints(of)
    named: dict[str, Any] = {f.name: (_type(hints[f.name], f.name), ...) for f in fields(of)}
    return create_model(of.__name__, __base__=Shape, __doc__=_doc(of), **named)


def _doc(of: type) -> str | None:
    """What the dataclass says; one that says nothing has its signature there."""
    return None if of.__doc__ is None or of.__doc__.startswith(f"{of.__name__}(") else of.__doc__


def _type(hint: Any, name: str) -> Any:
    if hint is int and is_instant(name):
        return Instant
    if isinstance(hint, type) and is_dataclass(hint):
        return shape_of(hint)
    inner = tuple(_type(of, name) for of in get_args(hint))
    if isinstance(hint, UnionType):
        return Union[inner]  # noqa: UP007 - of types that are known at run time only
    origin = get_origin(hint)
    if origin is tuple:
        return list[inner[0]]  # type: ignore[valid-type]
    return GenericAlias(origin, inner) if origin is not None else hint


class Alarm(shape_of(Raised)):  # type: ignore[misc]
    """What is wrong, and what to do."""


class Status(shape_of(model.Status)):  # type: ignore[misc]
    """Everything at one instant. A part is null where it could not be read, and `unread` says why."""

    alarms: list[Alarm]


Job = shape_of(model.Job)


class Backlog(Shape):
    """What waits in the broker."""

    queues: list[shape_of(model.Queue)] | None  # type: ignore[valid-type]
    waiting: int | None = Field(description="messages that no worker has fetched")
    held: int | None = Field(description="messages with workers that have not committed them yet")
    oldest_at: Instant | None = Field(description="when the message that waits longest was published")
    unread: str | None = Field(description="why the broker could not be asked; null where it could")

"""Texts and instants as a page shows them. What is told apart here is escaped part by part."""

from __future__ import annotations

from datetime import datetime

from markupsafe import Markup, escape

from jarvis.cli.output import printable
from jarvis.cli.times import ago, at
from jarvis_client.contract.instants import to_instant, to_text


def instant_of(value: int | str | datetime | None) -> int | None:
    """An instant, however a listing has it."""
    if value is None or isinstance(value, int):
        return value
    return to_instant(datetime.fromisoformat(value) if isinstance(value, str) else value)


def moment(value: int | str | datetime | None) -> Markup:
    """To the second, in the zone that the page's heading names."""
    instant = instant_of(value)
    return Markup("") if instant is None else Markup('<time datetime="{}">{}</time>').format(to_text(instant), at(instant))


def since(value: int | str | datetime | None, now: int) -> Markup:
    """How long ago, or in how long; the instant itself on hover."""
    instant = instant_of(value)
    return Markup("") if instant is None else Markup('<time datetime="{}" title="{}">{}</time>').format(to_text(instant), at(instant), ago(instant, now))


def coded(text: str) -> Markup:
    """A sentence of ours: what stands in backquotes is code."""
    parts = printable(text).split("`")
    if len(parts) % 2 == 0:  # a backquote of something that is quoted
        return escape(printable(text))
    return Markup("").join(Markup("<code>{}</code>").format(part) if n % 2 else escape(part) for n, part in enumerate(parts))


def plain(value: object) -> str:
    """A text from outside: what turns the direction of the line, or cannot be seen, is written out."""
    return "" if value is None else printable(str(value))

"""Options that several commands have, and how their texts are read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from datetime import date as Date
from typing import Annotated

import typer

from jarvis_client.contract.conventions import storable_text

TakeOver = Annotated[
    bool, typer.Option("--take-over", help="Record here from now on what is on the broker, although other books took from it. Stop their worker first.")
]


def _reason(text: str) -> str:
    if not text.strip():
        raise typer.BadParameter("is empty; say why, somebody will ask", param_hint="--reason")
    return storable_text(text, "reason")


Wide = Annotated[bool, typer.Option("--wide", help="Every column whole, however narrow the terminal is.")]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
Account = Annotated[str, typer.Option("--account", "-a", help="The account's id.")]
AccountArgument = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's id.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the record.", callback=_reason)]
Limit = Annotated[int, typer.Option("--limit", "-n", help="At most this many, the newest.", min=1)]


def parse_date(text: str | None, name: str) -> Date | None:
    if text is None:
        return None
    try:
        if len(text) != 10:
            raise ValueError
        return Date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date; write it as 2026-11-22", param_hint=name) from None


def parse_time(text: str | None, name: str, *, end: bool = False) -> datetime | None:
    """A date (its start in UTC; as an end, that of the next day) or an RFC 3339 time."""
    if text is None:
        return None
    try:
        if len(text) == 10:
            day = datetime.fromisoformat(text).replace(tzinfo=UTC)
            return day + timedelta(days=1) if end else day
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is neither a date (2026-11-22) nor a time (2026-11-22T10:15:30Z)", param_hint=name) from None
    if moment.tzinfo is None:
        raise typer.BadParameter(f"{text!r} has no offset; write {text}Z for UTC", param_hint=name)
    return moment

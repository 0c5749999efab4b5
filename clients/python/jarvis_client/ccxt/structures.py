"""Numbers, times and texts of a structure: None where ccxt does not know, refused where it says what cannot be."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from jarvis_client.contract.conventions import EARLIEST, LATEST
from jarvis_client.contract.decimals import EXACT, canonical, exact
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.instants import to_instant, to_text
from jarvis_client.contract.showing import shown

Structure = Mapping[str, Any]
Record = dict[str, Any]
#: A record and its kind, for `Publisher.publish(*pair)` and `publish_many(pairs)`.
KindAndRecord = tuple[str, Mapping[str, Any]]

_MICROSECONDS = Decimal(1_000)


class NothingToRecord(Invalid):
    """A structure that is as it should be, and of which there is nothing to record: a transaction that is still pending, say."""


class Unsaid(Invalid):
    """What only the caller can say, as an argument of that name; `problem` is the sentence without the remedy."""

    def __init__(self, problem: str, argument: str, remedy: str) -> None:
        self.problem = problem
        self.argument = argument
        super().__init__(self.with_remedy(remedy))

    def with_remedy(self, remedy: str) -> str:
        """The sentence for a caller who says it in another way than by an argument."""
        return f"{self.problem}{'' if self.problem.endswith('?') else ';'} {remedy}"


def number(structure: Structure, name: str) -> Decimal | None:
    """The exact number of a field; a float means its shortest text. Raises `Invalid` for what is no number."""
    value = structure.get(name)
    return None if value is None else exact(value, name)


def needed(structure: Structure, name: str, what: str) -> Decimal:
    """A number that ccxt has to know. `what` names the structure."""
    if (found := number(structure, name)) is None:
        raise Invalid(f"{what} has no {name}; ccxt does not know it here: put the exchange's own into {name}")
    return found


def text(structure: Structure, name: str) -> str | None:
    """The text of a field; numbers, which some exchanges' ids are, as text."""
    value = structure.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Invalid(f"{name} is {shown(value)}; it must be text")
    return str(value)


def needed_text(structure: Structure, name: str, what: str) -> str:
    if (found := text(structure, name)) is None:
        raise Invalid(f"{what} has no {name}; put it into {name}")
    return found


def instant(structure: Structure, *names: str) -> int | None:
    """Microseconds of the first field of milliseconds that is known. Raises `Invalid` for a time outside the years 2000 to 2100."""
    for name in names:
        if (milliseconds := number(structure, name)) is not None:
            found = int(EXACT.multiply(milliseconds, _MICROSECONDS))
            if not EARLIEST <= found < LATEST:
                raise Invalid(f"{name} is {canonical(milliseconds)}; ccxt's times are milliseconds since 1970, between the years 2000 and 2100")
            return found
    return None


def needed_instant(structure: Structure, what: str) -> int:
    """Microseconds of the structure's own time."""
    found = instant(structure, "timestamp")
    if found is None and (written := text(structure, "datetime")) is not None:
        try:
            found = to_instant(datetime.fromisoformat(written))
        except ValueError as error:
            raise Invalid(f"datetime is {shown(written)}; it must be such as 2026-01-31T10:15:30.123Z") from error
    if found is None:
        raise Invalid(f"{what} has no time; put its milliseconds since 1970 into timestamp")
    return found


def written(number: Decimal) -> str:
    return canonical(number)


def moment(microseconds: int) -> str:
    return to_text(microseconds)

"""In which fields two versions of one record differ: what arrived under an identity, and what is recorded under it."""

from __future__ import annotations

from typing import Any, NamedTuple

from jarvis_client.contract.instants import to_text
from persistence.domain.showing import count_of

#: How many fields a sentence names, and how much of a value.
NAMED, SHOWN = 3, 40


class Differing(NamedTuple):
    """A field with its two values as texts; None where it is absent."""

    field: str
    arrived: str | None
    recorded: str | None


def exactly(fact: Any) -> dict[str, str | None]:
    """The fields of a fact as texts, instants as records have them."""
    return {
        name: None if value is None else to_text(value) if name.endswith("_at") and isinstance(value, int) else str(value)
        for name, value in fact._asdict().items()
    }


def differing(arrived: Any, recorded: Any) -> list[Differing]:
    """The fields that count and are not the same; who numbered a record, and how, is no part of its content."""
    theirs, ours = exactly(arrived), exactly(recorded)
    return [Differing(name, theirs[name], value) for name, value in ours.items() if name not in ("producer", "sequence") and theirs[name] != value]


def in_words(fields: list[Differing]) -> str:
    """`amount 1, not 2; currency USDT, not USDC`: what is recorded, and what arrived."""
    named = [f"{d.field} {_shown(d.recorded)}, not {_shown(d.arrived)}" for d in fields[:NAMED]]
    more = len(fields) - NAMED
    return "; ".join([*named, *([count_of("more field", more)] if more > 0 else [])])


def _shown(value: str | None) -> str:
    if value is None:
        return "none"
    return value if len(value) <= SHOWN else f"{value[:SHOWN]}…"

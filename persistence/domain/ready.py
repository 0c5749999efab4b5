"""A fill made ready for the books by who has read its record, so that who writes it has nothing left to work out.

Nearly everything that arrives is a fill, and one thread writes them all: what depends on a fill alone (its texts, their digest, its sort key)
is made where records are checked, on another core where there is one.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, NamedTuple, TypeVar

from jarvis_client.contract.facts import Fill, sort_key
from jarvis_client.contract.facts.base import read_values

T = TypeVar("T")


class _ReadyFields(NamedTuple):
    account_id: str
    record_id: str
    instant: int
    order_id: str | None
    texts: tuple[Any, ...]
    digest: bytes
    sort_key: bytes
    producer: str | None
    sequence: int | None


class ReadyFill(_ReadyFields):
    """A fill as the texts of its row (`Fill.texts`), beside what its identity says."""

    __slots__ = ()
    kind = Fill.kind

    @classmethod
    def of(cls, fill: Fill) -> ReadyFill:
        """Raises `UnicodeEncodeError` for text that is not Unicode."""
        texts = fill.texts()
        digest = sha256(Fill.content_of(texts).encode()).digest()
        return cls(
            fill.account_id, fill.fill_id, fill.executed_at, fill.order_id, texts, digest, sort_key(Fill.kind, fill.fill_id), fill.producer, fill.sequence
        )

    @property
    def fact(self) -> Fill:
        """The fill itself."""
        return Fill._make(read_values(Fill, (*self.texts, self.producer, self.sequence)))

    def record(self) -> dict[str, Any]:
        return self.fact.record()


def made_ready(item: T) -> T | ReadyFill:
    """An element of a batch; a fill made ready. Raises `UnicodeEncodeError`."""
    return ReadyFill.of(item) if type(item) is Fill else item  # type: ignore[arg-type]  # narrowed by `type() is`


def as_it_was(item: T | ReadyFill) -> T | Fill:
    """The same back: the fact of what was made ready."""
    return item.fact if isinstance(item, ReadyFill) else item

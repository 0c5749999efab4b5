"""What every fact has in common, and the words that facts use."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Any, ClassVar, Self, get_type_hints

from jarvis_client.contract.choice import Choice
from jarvis_client.contract.conventions import EARLIEST
from jarvis_client.contract.decimals import canonical
from jarvis_client.contract.facts.place import sort_key
from jarvis_client.contract.instants import to_text

SEPARATOR = "\x1f"
_TIMES = ("executed_at", "observed_at", "occurred_at")


class OrderSide(Choice):
    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    """The usual ones; the books take any other name an engine uses, in lower case."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TAKE_PROFIT = "take_profit"
    TRAILING_STOP = "trailing_stop"


class Category(Choice):
    """Why money came or went. Only `external` and `transfer` are flows of capital; a `split`, a `loan` and a `rename` are neither flow nor
    profit; the rest is profit or loss."""

    EXTERNAL = "external"
    TRANSFER = "transfer"
    FUNDING = "funding"
    INTEREST = "interest"
    DIVIDEND = "dividend"
    BONUS = "bonus"
    FEE = "fee"
    SPLIT = "split"
    LOAN = "loan"
    RENAME = "rename"
    OTHER = "other"


class EventStatus(Choice):
    """A step in an order's life. `canceled`, `open` and `new` are other spellings of cancelled and placed."""

    PLACED = "placed"
    AMENDED = "amended"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    FILLED = "filled"

    @classmethod
    def _synonyms(cls) -> dict[str, Self]:
        return super()._synonyms() | {"canceled": cls.CANCELLED, "open": cls.PLACED, "new": cls.PLACED}


class Fact:
    """What every fact has in common. `instant` is when it happened (microseconds UTC), never when it arrived."""

    __slots__ = ()

    kind: ClassVar[str]
    account_id: str
    producer: str | None
    sequence: int | None

    @property
    @abstractmethod
    def record_id(self) -> str:
        """The record's own id."""

    @property
    @abstractmethod
    def instant(self) -> int:
        """When it happened, in microseconds UTC."""

    @property
    def identity(self) -> tuple[str, str, str]:
        return self.kind, self.account_id, self.record_id

    @property
    def sort_key(self) -> bytes:
        """Its kind and id in bytes that compare as people order them."""
        return sort_key(self.kind, self.record_id)

    @property
    def place(self) -> tuple[int, int, str, bytes]:
        """Where the fact stands in the order of facts: total, and independent of arrival."""
        return self.instant, -1 if self.sequence is None else self.sequence, self.producer or "", self.sort_key

    @abstractmethod
    def content(self) -> str:
        """The canonical form."""

    def record(self) -> dict[str, Any]:
        """The fact in the NDJSON form of the contract, from which the same fact can be made again."""
        fields: dict[str, Any] = {}
        for name, value in self._asdict().items():  # type: ignore[attr-defined]
            if value is not None and name not in self._NOT_ON_THE_WIRE:
                fields[self._WIRE_NAMES.get(name, name)] = canonical(value) if isinstance(value, Decimal) else value
        if finer := getattr(self, "given_time", None):
            fields[next(name for name in _TIMES if name in fields)] = finer
        else:
            # An integer before the year 2000 would be taken for milliseconds.
            fields |= {name: to_text(at) for name in _TIMES if (at := fields.get(name)) is not None and at < EARLIEST}
        for text in filter(None, (getattr(self, "reported", None), getattr(self, "extra", None))):
            fields |= json.loads(text)
        return {"type": self.kind, **fields}

    #: Fields that are derived, or that the record says in its own way.
    _NOT_ON_THE_WIRE: ClassVar[tuple[str, ...]] = ("extra", "reported", "given_time", "instrument")
    #: Fields that the contract calls by another name.
    _WIRE_NAMES: ClassVar[dict[str, str]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        # Copies and other processes get the checked values as they are, not through the constructor for people; a number
        # travels as its text, which takes a third of the time.
        return _restored, (type(self), *(str(v) if type(v) is Decimal else v for v in self))  # type: ignore[attr-defined]

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(self.content().encode()).digest()


def _restored(cls: Any, *values: Any) -> Any:
    return cls._make(read_values(cls, values))


def read_values(cls: Any, values: Iterable[Any]) -> list[Any]:
    """The fields of a fact from texts of its numbers and integers for its flags, as rows and pickles hold them."""
    fields = list(values)
    numbers, flags = _typed_fields(cls)
    for i in numbers:
        if fields[i] is not None:
            fields[i] = Decimal(fields[i])
    for i in flags:
        fields[i] = bool(fields[i])
    return fields


@lru_cache
def _typed_fields(cls: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where a fact's numbers and its flags stand."""
    hints = get_type_hints(cls)
    kinds = [hints[name] for name in cls._fields]
    return tuple(i for i, k in enumerate(kinds) if k in (Decimal, Decimal | None)), tuple(i for i, k in enumerate(kinds) if k is bool)

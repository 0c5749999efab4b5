"""What every fact has in common, and the words that facts use."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Any, ClassVar, get_type_hints

from persistence.domain.money import canonical

SEPARATOR = "\x1f"


class OrderSide(StrEnum):
    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    """The usual ones; the books take any other name an engine uses."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TAKE_PROFIT = "take_profit"
    TRAILING_STOP = "trailing_stop"


class Category(StrEnum):
    """Why money came or went. Only `external` and `transfer` are flows of capital; the rest is profit or loss."""

    EXTERNAL = "external"
    TRANSFER = "transfer"
    FUNDING = "funding"
    INTEREST = "interest"
    DIVIDEND = "dividend"
    BONUS = "bonus"
    FEE = "fee"
    OTHER = "other"


class EventStatus(StrEnum):
    PLACED = "placed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"


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
    def place(self) -> tuple[int, int, str, str]:
        """Where the fact stands in the order of facts: total, and independent of arrival."""
        return self.instant, -1 if self.sequence is None else self.sequence, self.producer or "", self.record_id

    @abstractmethod
    def content(self) -> str:
        """The canonical form."""

    def record(self) -> dict[str, Any]:
        """The fact in the NDJSON form of the contract, from which the same fact can be made again."""
        fields: dict[str, Any] = {}
        for name, value in self._asdict().items():  # type: ignore[attr-defined]
            if value is not None and name not in ("extra", "reported", "given_time"):
                fields[self._WIRE_NAMES.get(name, name)] = canonical(value) if isinstance(value, Decimal) else value
        if finer := getattr(self, "given_time", None):
            fields[next(name for name in ("executed_at", "observed_at", "occurred_at") if name in fields)] = finer
        for text in filter(None, (getattr(self, "reported", None), getattr(self, "extra", None))):
            fields |= json.loads(text)
        return {"type": self.kind, **fields}

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
    fields = list(values)
    for i in _numbers(cls):
        if fields[i] is not None:
            fields[i] = Decimal(fields[i])
    return cls._make(fields)


@lru_cache
def _numbers(cls: Any) -> tuple[int, ...]:
    hints = get_type_hints(cls)
    return tuple(i for i, name in enumerate(cls._fields) if hints[name] in (Decimal, Decimal | None))

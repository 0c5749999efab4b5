"""Voids: records that count as never having been."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple, Self

from jarvis_client.contract.conventions import Moment, identifier, instant_of
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.facts.base import SEPARATOR, Fact

#: What a void may name. A void itself is not among them: publish the record again under a new id instead.
VOIDABLE = ("fill", "fee", "deposit", "withdrawal", "order", "metrics", "balance", "rate", "transaction", "adjustment")


class _VoidFields(NamedTuple):
    account_id: str
    void_id: str
    target_kind: str
    target_id: str
    reason: str
    occurred_at: int
    extra: str | None
    given_time: str | None
    producer: str | None
    sequence: int | None


class Void(_VoidFields, Fact):
    """The record of this identity counts as never having been, whether it came already or comes later."""

    __slots__ = ()
    kind = "void"
    _WIRE_NAMES: ClassVar = {"target_kind": "kind", "target_id": "id"}

    def __new__(
        cls,
        *,
        void_id: str,
        kind: str,
        id: str,
        reason: str,
        occurred_at: Moment,
        account_id: str | None = None,
        extra: str | None = None,
        producer: str | None = None,
        sequence: int | None = None,
    ) -> Self:
        if kind not in VOIDABLE:
            raise Invalid(f"a void cannot name the kind {kind!r}; it can name {', '.join(VOIDABLE)}")
        if kind == "rate":
            if account_id:
                raise Invalid(f"account_id is {account_id!r:.60}; a rate is of no account, so the void of one leaves it out")
            account = ""
        else:
            account = identifier(account_id, "account_id")  # type: ignore[arg-type]  # refused where it is missing
        return cls._make((
            account, identifier(void_id, "void_id"), kind, identifier(id, "id"), reason, instant_of(occurred_at),
            extra, None, producer, sequence,
        ))  # fmt: skip

    def record(self) -> dict[str, Any]:
        found = super().record()
        if not self.account_id:
            del found["account_id"]
        return found

    @property
    def record_id(self) -> str:
        return self.void_id

    @property
    def instant(self) -> int:
        return self.occurred_at

    def content(self) -> str:
        return SEPARATOR.join((
            "void", self.account_id, self.void_id, self.target_kind, self.target_id, self.reason, str(self.occurred_at), self.extra or "",
        ))  # fmt: skip

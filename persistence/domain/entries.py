"""What somebody saved by hand, and everything that is recorded: what records state, and this."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from jarvis_client.contract.decimals import canonical
from jarvis_client.contract.facts import StatedFact
from jarvis_client.contract.facts.base import SEPARATOR, Fact


class _EntryFields(NamedTuple):
    account_id: str
    entry_id: str
    type: str
    currency: str
    amount: Decimal
    reserved: Decimal
    description: str | None
    reference: str | None
    occurred_at: int
    producer: str | None
    sequence: int | None


class _Entry(_EntryFields, Fact):
    """What somebody saved by hand, recorded as a fact so that a rebuild keeps it. `amount` is signed as the books move."""

    __slots__ = ()

    @property
    def record_id(self) -> str:
        return self.entry_id

    @property
    def instant(self) -> int:
        return self.occurred_at

    def content(self) -> str:
        return SEPARATOR.join((
            self.kind, self.account_id, self.entry_id, self.type, self.currency, canonical(self.amount), canonical(self.reserved),
            self.description or "", self.reference or "", str(self.occurred_at),
        ))  # fmt: skip


class ManualTransaction(_Entry):
    """A transaction saved through its repository."""

    __slots__ = ()
    kind = "transaction"


class Adjustment(_Entry):
    """A balance that was changed by hand: `amount` moves its total, `reserved` what of it is set aside."""

    __slots__ = ()
    kind = "adjustment"


#: What is recorded.
AnyFact = StatedFact | ManualTransaction | Adjustment

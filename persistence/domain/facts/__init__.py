"""Facts: what arrives and is recorded. Immutable, compared by identity and content, never edited.

*Identity* is kind + account + the record's own id, for ever. *Content* is every field with its defaults filled in, in one canonical form,
`producer` and `sequence` left out; `digest` is its SHA-256. Same identity and content: a duplicate. Same identity, other content: a conflict.

The canonical form, to the byte: the kind, the account, the id, then the fields in the order of `content`, joined by
U+001F, in UTF-8. Numbers are canonical decimals (`1.5`), instants integer microseconds, what is absent is empty, unknown
fields are one JSON object (keys sorted, no spaces). No field can contain U+001F itself.

Facts are tuples because a worker makes tens of thousands a second: the constructors check and complete what a person
passes; `_make` takes what the wire contract has checked already.
"""

from persistence.domain.facts.base import SEPARATOR, Category, EventStatus, Fact, OrderSide, OrderType
from persistence.domain.facts.entry import Adjustment, ManualTransaction
from persistence.domain.facts.fill import Charge, Fill
from persistence.domain.facts.flow import Deposit, Fee, Withdrawal
from persistence.domain.facts.observation import BalanceReport, Rate
from persistence.domain.facts.order_event import OrderEvent
from persistence.domain.facts.place import KINDS, sort_key
from persistence.domain.facts.snapshot import EquitySnapshot
from persistence.domain.facts.void import VOIDABLE, Void

AnyFact = Fill | Fee | Deposit | Withdrawal | OrderEvent | EquitySnapshot | Rate | BalanceReport | Void | ManualTransaction | Adjustment

__all__ = [
    "KINDS", "SEPARATOR", "VOIDABLE", "Adjustment", "AnyFact", "BalanceReport", "Category", "Charge", "Deposit", "EquitySnapshot", "EventStatus", "Fact",
    "Fee", "Fill", "ManualTransaction", "OrderEvent", "OrderSide", "OrderType", "Rate", "Void", "Withdrawal", "sort_key",
]  # fmt: skip

"""Facts: what arrives and is recorded. Immutable, compared by identity and content, never edited.

*Identity* is kind + account + the record's own id, for ever. *Content* is every field with its defaults filled in, in one canonical form,
`producer` and `sequence` left out; `digest` is its SHA-256. Same identity and content: a duplicate. Same identity, other content: a conflict.

The canonical form, to the byte: the kind, the account, the id, then the fields in the order of `content`, joined by
U+001F, in UTF-8. Numbers are canonical decimals (`1.5`), instants integer microseconds, what is absent is empty, unknown
fields are one JSON object (keys sorted, no spaces). No field can contain U+001F itself.

Facts are tuples because a worker makes tens of thousands a second: the constructors check and complete what a person
passes; `_make` takes what the wire contract has checked already.
"""

from jarvis_client.contract.facts.base import SEPARATOR, Category, EventStatus, Fact, OrderSide, OrderType
from jarvis_client.contract.facts.fill import Charge, Fill
from jarvis_client.contract.facts.flow import Deposit, Fee, Withdrawal
from jarvis_client.contract.facts.observation import BalanceReport, Rate
from jarvis_client.contract.facts.order_event import OrderEvent
from jarvis_client.contract.facts.place import KINDS, sort_key
from jarvis_client.contract.facts.snapshot import EquitySnapshot
from jarvis_client.contract.facts.void import VOIDABLE, Void

#: What a record states.
StatedFact = Fill | Fee | Deposit | Withdrawal | OrderEvent | EquitySnapshot | Rate | BalanceReport | Void

__all__ = [
    "KINDS", "SEPARATOR", "VOIDABLE", "BalanceReport", "Category", "Charge", "Deposit", "EquitySnapshot", "EventStatus", "Fact",
    "Fee", "Fill", "OrderEvent", "OrderSide", "OrderType", "Rate", "StatedFact", "Void", "Withdrawal", "sort_key",
]  # fmt: skip

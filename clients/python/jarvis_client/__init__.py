"""What a trading engine imports: checked records on their way to the books.

from jarvis_client import Publisher

with Publisher(url, producer="engine-1", answers=True, spool="records.spool") as publisher:
    receipt = publisher.publish_fill(fill_id="binance:BTCUSDT:42", account_id="main", symbol="BTC/USDT", side="buy",
                                     quantity="0.015", price="64250.10", executed_at=datetime.now(UTC))
    outcome = receipt.wait()

publisher.py    Publisher, and aio.py AsyncPublisher: they only wait differently
methods.py      a method for each kind; records.py and fields.py: its arguments, and their types
outbox.py       what publishing consists of, without a connection; packing.py, numbering.py
spool.py        a file in which records wait while Redis is away
primaries.py    which server of several takes writes; aio_primaries.py; copies.py: waiting until replicas have what was published
receipts.py     what the worker said of a record; what it refused
ccxt/           what ccxt returns, as records
reading.py      Books: reading back from a server of `jarvis serve`, without Redis
testing.py      MemoryPublisher, for the tests of an engine
contract/       what a record is: its fields, numbers, times and symbols, what it states, where it travels. Standard library only,
                and the same code that the worker of `jarvis-trading` checks with
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jarvis_client import records
    from jarvis_client.aio import AsyncPublisher
    from jarvis_client.contract.conventions import Conventions
    from jarvis_client.contract.errors import HeldElsewhere, Invalid, MalformedRecord, Unavailable
    from jarvis_client.contract.outcome import Outcome
    from jarvis_client.copies import NotCopied
    from jarvis_client.publisher import Publisher
    from jarvis_client.receipts import AsyncReceipt, AsyncSent, NoAnswer, Receipt, Refusal, Sent
    from jarvis_client.spool import SpoolFull

__version__ = "0.1.0"

#: Loaded when they are first asked for: the daemon imports the contract everywhere, and a client of Redis only where it speaks to one.
_WHERE = {
    "AsyncPublisher": "aio", "AsyncReceipt": "receipts", "AsyncSent": "receipts", "Conventions": "contract.conventions", "HeldElsewhere": "contract.errors",
    "Invalid": "contract.errors", "MalformedRecord": "contract.errors", "NoAnswer": "receipts", "NotCopied": "copies", "Outcome": "contract.outcome",
    "Publisher": "publisher", "Receipt": "receipts", "Refusal": "receipts", "Sent": "receipts", "SpoolFull": "spool",
    "Unavailable": "contract.errors",
}  # fmt: skip

__all__ = [
    "AsyncPublisher", "AsyncReceipt", "AsyncSent", "Conventions", "HeldElsewhere", "Invalid", "MalformedRecord", "NoAnswer", "NotCopied", "Outcome",
    "Publisher", "Receipt", "Refusal", "Sent", "SpoolFull", "Unavailable", "records",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "records":
        return import_module("jarvis_client.records")
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"jarvis_client.{_WHERE[name]}"), name)

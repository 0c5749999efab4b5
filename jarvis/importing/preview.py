"""What lines of records would do to empty books: nothing is opened, nothing recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from jarvis_client.contract.decimals import EXACT, ZERO
from jarvis_client.contract.outcome import Refusal
from persistence.books.movements import transactions_of
from persistence.domain.entries import AnyFact

#: Records that are shown as they would be recorded.
SHOWN_RECORDS = 5
_FEES = frozenset(("fee", "rebate"))


@dataclass
class Total:
    """What came and went of a currency or a contract; fees are apart, and above zero where they were paid."""

    came: Decimal = ZERO
    went: Decimal = ZERO
    fees: Decimal = ZERO

    @property
    def net(self) -> Decimal:
        return EXACT.subtract(EXACT.subtract(self.came, self.went), self.fees)


@dataclass
class Preview:
    """What would be recorded, and what would be refused, each refusal with its line."""

    first: list[tuple[int, AnyFact]] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    #: By account, code, and what it counts: a contract may have the name of a coin.
    totals: dict[tuple[str, str, str], Total] = field(default_factory=dict)
    #: Records that say once more what another line has said.
    repeated: int = 0
    refused: list[str] = field(default_factory=list)


def preview(lines: Iterable[bytes], item_of: Callable[[bytes, int], AnyFact | Refusal]) -> Preview:
    """Look at every line; `item_of(line, number)` reads one. Blank lines are passed over."""
    found = Preview()
    contents: dict[tuple[str, str, str], tuple[bytes, int]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        item = item_of(line.strip(), number)
        if isinstance(item, Refusal):
            found.refused.append(item.detail)
            continue
        digest = item.digest
        known, before = contents.setdefault(item.identity, (digest, number))
        if before != number:
            if known == digest:
                found.repeated += 1
            else:
                found.refused.append(
                    f"line {number}: the {item.kind} {item.record_id!r} of line {before} again, with other content; is its id one that repeats?"
                )
            continue
        _count(found, number, item)
    return found


def _count(found: Preview, number: int, fact: AnyFact) -> None:
    found.kinds[fact.kind] += 1
    if len(found.first) < SHOWN_RECORDS:
        found.first.append((number, fact))
    for row in transactions_of(0, fact):
        total = found.totals.setdefault((row.account_id, row.currency, row.kind), Total())
        amount = Decimal(row.amount)
        if row.type in _FEES:
            total.fees = EXACT.subtract(total.fees, amount)
        elif amount > ZERO:
            total.came = EXACT.add(total.came, amount)
        else:
            total.went = EXACT.subtract(total.went, amount)

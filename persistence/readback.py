"""What books hold of some facts, read back after they were recorded: which of them, with what content, and what they moved."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from jarvis_client.contract.decimals import EXACT, ZERO
from persistence.books.movements import CURRENCY
from persistence.domain.entries import AnyFact
from persistence.engine.contract import Database

Identity = tuple[str, str, str]


class Recorded(NamedTuple):
    """`absent` are the identities that the books do not have, or have with other content, or voided. `kinds` counts the others by (account,
    kind), `moved` sums what they moved by (account, currency), contracts left out."""

    absent: list[Identity]
    kinds: Counter[tuple[str, str]]
    moved: dict[tuple[str, str], Decimal]


def recorded(database: Database, facts: Iterable[AnyFact]) -> Recorded:
    """What of these facts is in the books."""
    wanted: dict[str, dict[Identity, bytes]] = defaultdict(dict)
    for fact in facts:
        wanted[fact.account_id][fact.identity] = fact.digest
    found = Recorded([], Counter(), defaultdict(lambda: ZERO))
    with database.get_connection() as connection:
        for account_id, digests in wanted.items():
            numbers: set[int] = set()
            missing = dict(digests)
            rows = connection.execute("SELECT fact_no, kind, record_id, digest FROM facts WHERE account_id = ? AND state = 0", (account_id,))
            for number, kind, record_id, digest in rows:
                if digests.get((kind, account_id, record_id)) == digest:
                    del missing[kind, account_id, record_id]
                    numbers.add(number)
                    found.kinds[account_id, kind] += 1
            found.absent.extend(missing)
            moved = connection.execute("SELECT fact_no, currency, amount FROM transactions WHERE account_id = ? AND kind = ?", (account_id, CURRENCY))
            for number, currency, amount in moved:
                if number in numbers:
                    found.moved[account_id, currency] = EXACT.add(found.moved[account_id, currency], Decimal(amount))
    return found

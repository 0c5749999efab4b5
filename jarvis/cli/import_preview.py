"""What `jarvis import --dry-run` prints: the first records, counts, totals, and what would be refused."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from jarvis.cli.common import say
from jarvis.cli.output import print_rows, printable, shown_quantity
from jarvis.importing.preview import Preview
from jarvis_client.contract.decimals import canonical
from jarvis_client.contract.facts import Deposit, Fill, Withdrawal
from jarvis_client.contract.instants import to_text
from persistence.domain.entries import AnyFact
from persistence.domain.showing import count_of

#: Refusals that are shown, each with its line.
SHOWN_REFUSALS = 20
#: Kinds of records that people count by another name.
_COUNTED = {"order": "order event"}


def print_preview(found: Preview) -> None:
    """The first records as they would be recorded, then what all of them come to."""
    if found.first:
        rows = [(line, fact.kind, _when(fact.instant), what(fact)) for line, fact in found.first]
        print_rows("First records", ["line", "record", "time (UTC)", "what"], rows, right=["line"], whole=["record", "time (UTC)"])
        print()
    if found.totals:
        accounts = {account for account, _, _ in found.totals}
        title = f"Totals of account {printable(next(iter(accounts)))}" if len(accounts) == 1 else "Totals"
        sums: list[tuple[str, ...]] = [
            (account, code, kind, *map(_exact, (total.came, total.went, total.fees, total.net)))
            for (account, code, kind), total in sorted(found.totals.items(), key=lambda pair: pair[0])
        ]
        columns = ["account", "currency", "kind", "in", "out", "fees", "net"]
        # One account is in the title, and where there is money alone, nobody asks for its kind.
        kept = [n for n, name in enumerate(columns) if name not in ("account", "kind") or len({row[n] for row in sums}) > 1]
        shown = [[row[n] for n in kept] for row in sums]
        print_rows(title, [columns[n] for n in kept], shown, right=["in", "out", "fees", "net"], whole=["currency"])
        print()
    print(
        "would record: "
        + (
            ", ".join(count_of(_COUNTED.get(kind, kind), count, "metrics" if kind == "metrics" else "") for kind, count in sorted(found.kinds.items()))
            or "nothing"
        )
    )
    if found.repeated:
        print(f"would count as duplicates: {found.repeated:,} that repeat another line")
    if found.refused:
        print(f"would quarantine: {len(found.refused):,}")


def tell_refusals(found: Preview) -> None:
    """What would be quarantined, the first of it by line."""
    for refusal in found.refused[:SHOWN_REFUSALS]:
        say(f"would be quarantined: {refusal}")
    if (more := len(found.refused) - SHOWN_REFUSALS) > 0:
        say(f"and {more:,} more")


def print_passed_over(counts: Mapping[str, int], *, doing: str = "passed over", thing: str = "row") -> None:
    for reason, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
        say(f"{doing} {count_of(thing, count)}: {reason}")


def what(fact: AnyFact) -> str:
    """A record in words: what came or went, at which price, what it cost."""
    if isinstance(fact, Fill):
        fees = "".join(f", fee {shown_quantity(charge.amount)} {charge.currency}" for charge in fact.charges)
        return f"{fact.side} {shown_quantity(fact.quantity)} {fact.instrument} at {shown_quantity(fact.price)}{fees}"
    if isinstance(fact, Deposit | Withdrawal):
        sign = "+" if isinstance(fact, Deposit) else "-"
        fee = "" if fact.fee is None else f", fee {shown_quantity(fact.fee)} {fact.fee_currency}"
        return f"{sign}{shown_quantity(fact.amount)} {fact.currency} ({fact.category}){fee}"
    record = fact.record()
    return ", ".join(f"{name} {record[name]}" for name in ("currency", "symbol", "status", "amount", "total", "total_value_usd", "usd_rate") if name in record)


def _exact(number: Decimal) -> str:
    """Every digit: totals are compared with what the venue says."""
    return f"{Decimal(canonical(number)):,f}"


def _when(instant: int) -> str:
    return to_text(instant)[:19].replace("T", " ")

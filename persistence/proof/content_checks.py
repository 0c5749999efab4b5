"""What each fact holds, against the digest of its identity, and what it moved, against what it makes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import islice
from typing import Any

from jarvis_client.contract.facts import Fill
from jarvis_client.contract.facts.base import SEPARATOR
from jarvis_client.contract.showing import first_few
from persistence.books import facts, movements
from persistence.domain.finding import Finding
from persistence.engine.contract import Connection
from persistence.proof.remedies import RESTORE

#: Fills that are looked through before those that the store cannot tell are read.
FILLS_AT_ONCE = 10_000


def content_and_movements_follow(connection: Connection, after: int = 0) -> Iterator[Finding]:
    """Of every fact (after a number): its content has the digest of its identity, and its transactions are those it makes."""
    fills = _fills(connection, after)
    while group := list(islice(fills, FILLS_AT_ONCE)):
        yield from _of_fills(connection, [number for number, digest, content, fits in group if not (fits and sha256(content.encode()).digest() == digest)])
    for content in (content for content in facts.CONTENTS if content is not facts.FILLS):
        found = movements.rows_of_facts(connection, content.table, after)
        leg = next(found, None)
        for row in facts.rows_of(connection, content, after):
            legs = []
            while leg is not None and leg[0] < (row[facts.NUMBER] + 1) * movements.LEGS:
                legs.append(leg)
                leg = next(found, None)
            yield from _differences(facts.recorded(row), legs)


def _fills(connection: Connection, after: int) -> Iterator[tuple[int, bytes, str, int]]:
    """Of every fill: its number, the digest of its identity, the text of its content, and whether its identity and its transactions are those of
    its row."""
    return iter(connection.execute(_FILLS, (after, SEPARATOR)))


def _of_fills(connection: Connection, numbers: Sequence[int]) -> Iterator[Finding]:
    """The same of fills that are read one by one: voided, with several fees, with a number that is written in another way, or damaged."""
    keys = [(number,) for number in numbers]
    legs = defaultdict[int, list[Any]](list)
    for leg in sorted(movements.rows_of_numbers(connection, facts.FILLS.table, keys)):
        legs[leg[0] // movements.LEGS].append(leg)
    for row in sorted(facts.rows_of_numbers(connection, facts.FILLS, keys)):
        yield from _differences(facts.recorded(row), legs[row[facts.NUMBER]])


def _differences(recorded: facts.Recorded, found: Sequence[tuple[Any, ...]]) -> Iterator[Finding]:
    """How a fact differs from what its identity says of it, and its transactions from those it makes."""
    fact, fact_no = recorded.fact, recorded.fact_no
    where = f"{fact.kind} {fact.record_id} of {fact.account_id} (fact {fact_no})"
    if recorded.identity != (fact.record_id, fact.account_id, fact.kind) or recorded.digest != fact.digest:
        said = f"digest {recorded.digest.hex()[:16]} of {' '.join(recorded.identity)}"
        yield Finding("every fact has its content", where, said, f"digest {fact.digest.hex()[:16]}", RESTORE)
    if isinstance(fact, Fill) and fact.settle is None and fact.instrument != (name := f"{fact.base}/{fact.quote}"):
        # No part of the digest, because base and quote say it; trades and listings go by it.
        yield Finding("every fact has its content", where, f"instrument {name}", f"instrument {fact.instrument}", RESTORE)
    expected = movements.transactions_of(fact_no, fact)
    if recorded.state == facts.VOIDED:
        expected += [movements.reversed_row(row) for row in expected]
    if found != expected:
        look = f"jarvis transactions --account {fact.account_id}; jarvis rebuild --check"
        yield Finding("transactions follow from their facts", where, _movements(expected), _movements(found), look)


def _movements(rows: Iterable[tuple[Any, ...]]) -> str:
    named = map(movements.TransactionRow._make, rows)
    return first_few((f"{row.type} {row.amount} {row.currency}" for row in named), 20) or "none"


# -- what the store itself can tell of a fill --------------------------------------------------------------------------
#
# A row that comes into Python costs as much as thirty comparisons where it lies, so the store makes the text of a fill's content as
# `Fill.content_of` does, and compares its transactions with those of `movements.fill_rows`. It only ever answers "this one fits": whatever
# does not is read, and judged by those two. Of 300,000 facts that takes 1.6 s of processor; reading each took 2.6 s.

#: Fields of a fill that its digest leaves out.
_NOT_IN_DIGEST = ("instrument", "given_time")
_MAY_BE_EMPTY = (
    "order_id", "settle", "fee", "fee_usd_rate", "more_fees", "quote_usd_rate", "liquidity", "order_type", "order_quantity", "order_price", "extra",
    "given_time",
)  # fmt: skip


def _text_of(column: str) -> str:
    if column == "inverse":
        return "CASE WHEN c.inverse = 1 THEN '1' ELSE '' END"
    return f"coalesce(c.{column}, '')" if column in _MAY_BE_EMPTY else f"c.{column}"


def _leg(alias: str, type_: str, currency: str, kind: str, amount: str) -> str:
    expected = f"(c.account_id, c.executed_at, {type_}, {currency}, {kind}, {amount})"
    columns = ", ".join(f"{alias}.{name}" for name in ("account_id", "occurred_at", "type", "currency", "kind", "amount"))
    return f"({columns}) = {expected} AND {alias}.description IS NULL AND {alias}.reference IS NULL"


_CONTENT = ", ".join(_text_of(column) for column in facts.FILLS.columns if column not in _NOT_IN_DIGEST)
#: An empty text has the digest of none at all.
_EMPTY = " OR ".join(f"c.{column} = ''" for column in _MAY_BE_EMPTY)
_CASH_LEAVES = "((c.side = 'buy') <> (c.inverse = 1)) <> (substr(c.quote_quantity, 1, 1) = '-')"
_BASE_LEG = _leg(
    "b", "CASE WHEN c.side = 'buy' THEN 'trade_in' ELSE 'trade_out' END", "CASE WHEN c.settle IS NULL THEN c.base ELSE c.instrument END",
    f"CASE WHEN c.settle IS NULL THEN '{movements.CURRENCY}' ELSE '{movements.CONTRACT}' END", "CASE WHEN c.side = 'buy' THEN '' ELSE '-' END || c.quantity",
)  # fmt: skip
_CASH_LEG = _leg(
    "q", f"CASE WHEN {_CASH_LEAVES} THEN 'trade_out' ELSE 'trade_in' END", "coalesce(c.settle, c.quote)", f"'{movements.CURRENCY}'",
    f"CASE WHEN {_CASH_LEAVES} THEN '-' ELSE '' END || ltrim(c.quote_quantity, '-')",
)  # fmt: skip
_IS_REBATE = "substr(c.fee, 1, 1) = '-'"
_FEE_LEG = _leg(
    "e", f"CASE WHEN {_IS_REBATE} THEN 'rebate' ELSE 'fee' END", "c.fee_currency", f"'{movements.CURRENCY}'",
    f"CASE WHEN {_IS_REBATE} THEN '' ELSE '-' END || ltrim(c.fee, '-')",
)  # fmt: skip
_THERE = "CASE WHEN {}.transaction_no IS NULL THEN 0 ELSE 1 END"
_LEGS, _LAST = movements.LEGS, movements.LEGS - 1
_ALL_LEGS = f"(SELECT count(*) FROM transactions t WHERE t.transaction_no BETWEEN c.fact_no * {_LEGS} AND c.fact_no * {_LEGS} + {_LAST})"
_FITS = (
    f"f.state = {facts.LIVE} AND f.kind = '{Fill.kind}' AND f.record_id = c.fill_id AND f.account_id = c.account_id AND c.more_fees IS NULL "
    f"AND NOT coalesce({_EMPTY}, 1 = 0) AND (c.settle IS NOT NULL OR c.instrument = c.base || '/' || c.quote) AND {_BASE_LEG} "
    f"AND CASE WHEN c.quote_quantity = '0' THEN q.transaction_no IS NULL ELSE {_CASH_LEG} END "
    f"AND CASE WHEN coalesce(c.fee, '0') = '0' THEN e.transaction_no IS NULL ELSE {_FEE_LEG} END "
    f"AND {_ALL_LEGS} = 1 + {_THERE.format('q')} + {_THERE.format('e')}"
)
_LEG_JOINS = " ".join(
    f"LEFT JOIN transactions {alias} ON {alias}.transaction_no = c.fact_no * {_LEGS} + {leg}"
    for alias, leg in (("b", movements.BASE), ("q", movements.QUOTE), ("e", movements.FEE))
)
_KIND = Fill.kind
_FILLS = (
    f"SELECT c.fact_no, f.digest, concat_ws(?2, '{_KIND}', {_CONTENT}), CASE WHEN {_FITS} THEN 1 ELSE 0 END FROM fills c "
    f"JOIN facts f ON f.fact_no = c.fact_no {_LEG_JOINS} WHERE c.fact_no > ?1 ORDER BY c.fact_no"
)

__all__ = ["content_and_movements_follow"]

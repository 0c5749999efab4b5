"""The text of each row as the hash chain seals it. docs/chain.md defines it to the byte."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from persistence.books.events import PLACE_CHANGED, RECORDED_ANEW, of_kind
from persistence.books.facts import CONTENTS
from persistence.books.movements import LEGS, REVERSAL
from persistence.domain.texts import canonical_text
from persistence.engine.contract import Connection
from persistence.engine.dialect import Dialect


class _Statements(NamedTuple):
    """The statements that make the texts, in the words of an engine."""

    facts: str
    erased: str
    quarantine: str
    events: str


@cache
def _statements(dialect: Dialect) -> _Statements:
    fact = dialect.array(*_FACT, dialect.hexadecimal("f.digest"), "f.recorded_at")
    leg = dialect.array("t.leg", "t.type", "t.currency", "t.kind", "t.amount", "t.occurred_at", "t.description", "t.reference")
    # The transactions of a fact lie side by side; the index by account would be the longer way, so it is kept from being used.
    legs = (
        f"SELECT {dialect.array_of_rows(leg, 't.leg')} FROM transactions t "
        f"WHERE t.transaction_no BETWEEN f.fact_no * {LEGS} AND f.fact_no * {LEGS} + {REVERSAL - 1} "
        "AND t.account_id || '' = f.account_id"
    )
    held = dialect.array("quarantine_no", dialect.hexadecimal("raw_digest"), "reason", "detail", "kind", "account_id", "record_id", "received_at")
    event = dialect.array("event_no", "kind", "happened_at", "content")
    return _Statements(
        f"SELECT f.fact_no, {fact}, ({legs}) FROM facts f WHERE f.fact_no BETWEEN ? AND ? ORDER BY f.fact_no",
        f"SELECT f.fact_no, {fact}, NULL FROM facts f WHERE f.fact_no BETWEEN ? AND ? ORDER BY f.fact_no",
        f"SELECT quarantine_no, {held} FROM quarantine WHERE quarantine_no BETWEEN ? AND ? ORDER BY quarantine_no",
        f"SELECT event_no, {event} FROM chain_events WHERE event_no BETWEEN ? AND ? ORDER BY event_no",
    )


_FACT = ("f.fact_no", "f.kind", "f.account_id", "f.record_id", "f.occurred_at", "f.sequence", "f.producer")
_SEQUENCE_AT, _PRODUCER_AT = _FACT.index("f.sequence"), _FACT.index("f.producer")
#: The text of a time that is finer than a microsecond, where the engine gave one: the content's digest leaves it out.
_FINER_TIMES = " UNION ALL ".join(
    f"SELECT fact_no, given_time FROM {table} WHERE fact_no BETWEEN ?1 AND ?2 AND given_time IS NOT NULL"
    for table in sorted(content.table for content in CONTENTS if "given_time" in content.columns)
)


def fact_texts(connection: Connection, first: int, last: int, places: Mapping[int, Any], *, erased: bool = False) -> Iterator[tuple[int, str]]:
    """(number, text) of the facts in a range, each in the place that it was recorded in."""
    statements = _statements(connection.dialect)
    rows: list[Any] = [] if erased else connection.execute(_FINER_TIMES, (first, last)).fetchall()
    finer: dict[int, str] = dict(rows)
    for number, text, legs in connection.execute(statements.erased if erased else statements.facts, (first, last)):
        if legs is not None:
            text = f"{text[:-1]},{legs}]"  # joined here: SQLite would read its own text again
        if number in places or number in finer:
            fields = json.loads(text)
            if number in places:
                fields[_SEQUENCE_AT], fields[_PRODUCER_AT] = places[number]
            if number in finer:
                fields.append(finer[number])
            yield number, canonical_text(fields)
        else:
            yield number, text


def quarantine_texts(connection: Connection, first: int, last: int) -> Iterator[tuple[int, str]]:
    return iter(connection.execute(_statements(connection.dialect).quarantine, (first, last)))


def event_texts(connection: Connection, first: int, last: int) -> Iterator[tuple[int, str]]:
    return iter(connection.execute(_statements(connection.dialect).events, (first, last)))


def recorded_places(connection: Connection) -> dict[int, Any]:
    """(sequence, producer) that facts were recorded with, of those that have moved to an earlier place since."""
    anew = {content["fact_no"]: number for number, content in of_kind(connection, RECORDED_ANEW)}
    places: dict[int, Any] = {}
    for number, content in of_kind(connection, PLACE_CHANGED):
        if number > anew.get(content["fact_no"], 0):
            places.setdefault(content["fact_no"], content["before"])
    return places

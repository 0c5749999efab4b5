"""The hash chain: what was recorded can not be changed, removed or slipped in afterwards without its showing.

Rows are sealed in blocks, off the path of recording. A block lists a digest for every row that it seals, and its hash covers that
list and the hash of the block before it, so the newest hash (the head) stands for everything. Who can write to the file can
forge a whole chain, but not one that ends with a head that was kept elsewhere: every backup's manifest keeps one.
docs/chain.md defines it to the byte.

A fact is sealed as it was recorded. What may happen to it later is an event with a place of its own in the chain: a delivery that
came with a smaller sequence, the deletion of its account, being saved by hand again after that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import apsw

from persistence.database import DatabaseManager

VERSION = b"jarvis chain 1\n"
#: Facts of one block: 164 KiB of digests, and as much to look through for the first difference.
BLOCK_FACTS = 4_096
#: Kind, number, SHA-256.
ENTRY_BYTES = 1 + 8 + 32
FACT, ERASED_FACT, QUARANTINED, EVENT = b"F", b"D", b"Q", b"E"

#: Events, and what their content holds.
PLACE_CHANGED = "place changed"  # fact_no, before, after: (sequence, producer)
ACCOUNT_DELETED = "account deleted"  # account_id, facts
ACCOUNT_REOPENED = "account reopened"  # account_id
QUARANTINE_DECIDED = "quarantine decided"  # quarantine_no, state, resolution
RECORDED_ANEW = "recorded anew"  # fact_no
SAVED_BY_HAND = "performance saved by hand"  # account_id, date, digest
LOSS_ACCEPTED = "loss accepted"  # what is missing; epoch, block_no: up to where the chain of that epoch is still this one
RESTORED = "restored from a backup"  # epoch, block_no
REBUILT = "rebuilt from the facts"


class Head(NamedTuple):
    """The newest block: what has to be kept elsewhere to prove the chain later."""

    block_no: int
    hash: bytes
    facts_to: int

    def __str__(self) -> str:
        return f"{self.block_no}:{self.hash.hex()}"


class Block(NamedTuple):
    block_no: int
    sealed_at: int
    facts_to: int
    quarantine_to: int
    events_to: int
    entries: bytes
    hash: bytes

    def hash_after(self, previous: bytes) -> bytes:
        header = canonical_text([self.block_no, self.sealed_at, self.facts_to, self.quarantine_to, self.events_to])
        return hashlib.sha256(VERSION + previous + header.encode() + b"\n" + self.entries).digest()

    def each(self) -> Iterator[tuple[bytes, int, bytes]]:
        """(kind, number, digest) of every entry."""
        entries = self.entries
        for at in range(0, len(entries), ENTRY_BYTES):
            yield entries[at : at + 1], int.from_bytes(entries[at + 1 : at + 9], "big"), entries[at + 9 : at + ENTRY_BYTES]


def canonical_text(value: Any) -> str:
    """The one JSON text of a value: no spaces, nothing escaped that need not be."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def record_event(connection: apsw.Connection, kind: str, now: int, content: Mapping[str, Any]) -> None:
    """Note what happens to recorded rows, in the commit in which it happens."""
    connection.execute("INSERT INTO chain_events (kind, happened_at, content) VALUES (?, ?, ?)", (kind, now, canonical_text(dict(content))))


def seal(database: DatabaseManager, now: int) -> Head:
    """Seal what was recorded since the last block, block by block. Rows are read and hashed outside the commit that adds them."""
    while True:
        with database.snapshot() as connection:
            last = newest(connection)
            block = _next_block(connection, last, now)
        if block is None:
            return _head(last)
        with database.transaction() as connection:
            # Whoever sealed meanwhile did the same work.
            if newest(connection).block_no == last.block_no:
                _insert(connection, block)


def seal_within(connection: apsw.Connection, now: int) -> None:
    """The same within the commit of somebody who is about to remove rows."""
    while (block := _next_block(connection, newest(connection), now)) is not None:
        _insert(connection, block)


def head_within_any(connection: apsw.Connection) -> Head | None:
    """The head of whatever books a connection shows; None of those from before there was a chain."""
    if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'chain_blocks'").get is None:
        return None
    return _head(newest(connection))


def newest(connection: apsw.Connection) -> Block:
    """The last block; before the first one, what it is chained to."""
    row = connection.execute("SELECT * FROM chain_blocks ORDER BY block_no DESC LIMIT 1").get
    return Block(*row) if row else Block(0, 0, 0, 0, 0, b"", beginning(connection))


def beginning(connection: apsw.Connection) -> bytes:
    """What the first block is chained to: these books and no others."""
    return hashlib.sha256(VERSION + book_id(connection).encode()).digest()


def blocks(connection: apsw.Connection, after: int = 0) -> Iterator[Block]:
    for row in connection.execute("SELECT * FROM chain_blocks WHERE block_no > ? ORDER BY block_no", (after,)):
        yield Block(*row)


# -- the rows as texts -----------------------------------------------------------------------------------------------------

_FACT_COLUMNS = "f.fact_no, f.kind, f.account_id, f.record_id, f.occurred_at, f.sequence, f.producer, lower(hex(f.digest)), f.recorded_at"
# The transactions of a fact lie side by side; any index would be the longer way.
_FACT_TEXTS = (
    f"SELECT f.fact_no, json_array({_FACT_COLUMNS}), (SELECT json_group_array(json_array(t.leg, t.type, t.currency, t.amount, t.occurred_at, "
    "t.description, t.reference)) FROM transactions t NOT INDEXED WHERE t.transaction_no BETWEEN f.fact_no * 16 AND f.fact_no * 16 + 7 "
    "AND t.account_id = f.account_id) FROM facts f WHERE f.fact_no BETWEEN ? AND ?"
)
_ERASED_TEXTS = f"SELECT f.fact_no, json_array({_FACT_COLUMNS}), NULL FROM facts f WHERE f.fact_no BETWEEN ? AND ?"
_QUARANTINE_TEXTS = (
    "SELECT quarantine_no, json_array(quarantine_no, lower(hex(raw_digest)), reason, detail, kind, account_id, record_id, received_at) "
    "FROM quarantine WHERE quarantine_no BETWEEN ? AND ?"
)
_EVENT_TEXTS = "SELECT event_no, json_array(event_no, kind, happened_at, content) FROM chain_events WHERE event_no BETWEEN ? AND ?"
_SEQUENCE_AT, _PRODUCER_AT = 5, 6
#: The text of a time that is finer than a microsecond, where the engine gave one: the content's digest leaves it out.
_FINER_TIMES = " UNION ALL ".join(
    f"SELECT fact_no, given_time FROM {table} WHERE fact_no BETWEEN ?1 AND ?2 AND given_time IS NOT NULL"
    for table in ("fills", "flows", "order_events", "equity_snapshots", "voids")
)


def fact_texts(connection: apsw.Connection, first: int, last: int, places: Mapping[int, Any], *, erased: bool = False) -> Iterator[tuple[int, str]]:
    """(number, text) of the facts in a range, each in the place that it was recorded in."""
    rows: list[Any] = [] if erased else connection.execute(_FINER_TIMES, (first, last)).fetchall()
    finer: dict[int, str] = dict(rows)
    for number, text, legs in connection.execute(_ERASED_TEXTS if erased else _FACT_TEXTS, (first, last)):
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


def quarantine_texts(connection: apsw.Connection, first: int, last: int) -> Iterator[tuple[int, str]]:
    return iter(connection.execute(_QUARANTINE_TEXTS, (first, last)))


def event_texts(connection: apsw.Connection, first: int, last: int) -> Iterator[tuple[int, str]]:
    return iter(connection.execute(_EVENT_TEXTS, (first, last)))


def events(connection: apsw.Connection, kind: str, after: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, content in connection.execute("SELECT event_no, content FROM chain_events WHERE kind = ? AND event_no > ? ORDER BY event_no", (kind, after)):
        yield number, json.loads(content)


def all_events(connection: apsw.Connection) -> Iterator[tuple[int, str, int, str]]:
    """(number, kind, instant, content as JSON) of every event, the oldest first."""
    yield from connection.execute("SELECT event_no, kind, happened_at, content FROM chain_events ORDER BY event_no")


def book_id(connection: apsw.Connection) -> str:
    """Whose books these are, whatever the file is called."""
    return identity(connection)[0]


def identity(connection: apsw.Connection) -> tuple[str, str]:
    """Whose books these are, and their epoch, which going back renews."""
    book, epoch = connection.execute("SELECT book_id, epoch FROM book").get
    return str(book), str(epoch)


def epochs_left(connection: apsw.Connection) -> dict[str, int]:
    """The epochs of these books, each with the last block that its chain shares with this one."""
    shared = {content["epoch"]: content["block_no"] for kind in (RESTORED, LOSS_ACCEPTED) for _, content in events(connection, kind)}
    return shared | {connection.execute("SELECT epoch FROM book").get: newest(connection).block_no + 1_000_000_000}


def recorded_places(connection: apsw.Connection) -> dict[int, Any]:
    """(sequence, producer) that facts were recorded with, of those that have moved to an earlier place since."""
    anew = {content["fact_no"]: number for number, content in events(connection, RECORDED_ANEW)}
    places: dict[int, Any] = {}
    for number, content in events(connection, PLACE_CHANGED):
        if number > anew.get(content["fact_no"], 0):
            places.setdefault(content["fact_no"], content["before"])
    return places


# -- details ---------------------------------------------------------------------------------------------------------------


def _next_block(connection: apsw.Connection, last: Block, now: int) -> Block | None:
    """The block after `last`; None where there is nothing to seal."""
    newest_fact = int(connection.execute("SELECT coalesce(max(fact_no), 0) FROM facts").get)
    facts_to = min(newest_fact, last.facts_to + BLOCK_FACTS)
    quarantine_to, events_to = last.quarantine_to, last.events_to
    if facts_to == newest_fact:
        quarantine_to = min(int(connection.execute("SELECT coalesce(max(quarantine_no), 0) FROM quarantine").get), quarantine_to + BLOCK_FACTS)
        events_to = min(int(connection.execute("SELECT coalesce(max(event_no), 0) FROM chain_events").get), events_to + BLOCK_FACTS)
    if (facts_to, quarantine_to, events_to) <= (last.facts_to, last.quarantine_to, last.events_to):
        return None
    places = recorded_places(connection)
    first = last.facts_to + 1
    # Erased before there was a chain: sealed as what is left of them.
    gone: list[Any] = connection.execute("SELECT fact_no FROM facts WHERE fact_no BETWEEN ? AND ? AND state = 2", (first, facts_to)).fetchall()
    erased: set[int] = {number for (number,) in gone}
    entries = [_entry(FACT, number, text) for number, text in fact_texts(connection, first, facts_to, places) if number not in erased]
    entries += [_entry(ERASED_FACT, n, text) for number in sorted(erased) for n, text in fact_texts(connection, number, number, places, erased=True)]
    since = [(number, kind, json.loads(content)) for number, kind, content in connection.execute(
        "SELECT event_no, kind, content FROM chain_events WHERE event_no BETWEEN ? AND ?", (last.events_to + 1, events_to)
    )]  # fmt: skip
    for _, kind, content in since:
        if kind == RECORDED_ANEW and content["fact_no"] <= last.facts_to:
            entries += [_entry(FACT, n, text) for n, text in fact_texts(connection, content["fact_no"], content["fact_no"], places)]
        elif kind == ACCOUNT_DELETED:
            sql = "SELECT fact_no FROM facts WHERE account_id = ? AND state = 2 ORDER BY fact_no"
            gone = list[Any](connection.execute(sql, (content["account_id"],)))
            entries += [_entry(ERASED_FACT, n, text) for (no,) in gone for n, text in fact_texts(connection, no, no, places, erased=True)]
    entries += [_entry(QUARANTINED, n, text) for n, text in quarantine_texts(connection, last.quarantine_to + 1, quarantine_to)]
    entries += [_entry(EVENT, n, text) for n, text in event_texts(connection, last.events_to + 1, events_to)]
    block = Block(last.block_no + 1, now, facts_to, quarantine_to, events_to, b"".join(entries), b"")
    return block._replace(hash=block.hash_after(last.hash))


def _entry(kind: bytes, number: int, text: str) -> bytes:
    return kind + number.to_bytes(8, "big") + hashlib.sha256(text.encode()).digest()


def digest_of(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _insert(connection: apsw.Connection, block: Block) -> None:
    connection.execute("INSERT INTO chain_blocks VALUES (?, ?, ?, ?, ?, ?, ?)", tuple(block))


def _head(block: Block) -> Head:
    return Head(block.block_no, block.hash, block.facts_to)

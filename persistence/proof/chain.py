"""The hash chain: it shows every recorded row that was changed, removed or inserted afterwards.

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
from collections.abc import Iterator
from struct import Struct
from typing import Any, NamedTuple

from persistence.books.book import book_id
from persistence.books.events import ACCOUNT_DELETED, LOSS_ACCEPTED, RECORDED_ANEW, RESTORED, of_kind
from persistence.domain.texts import canonical_text
from persistence.engine.contract import Connection, Database
from persistence.proof.sealed_texts import event_texts, fact_texts, quarantine_texts, recorded_places

VERSION = b"jarvis chain 1\n"
#: Facts of one block: 164 KiB of digests, and as much to look through for the first difference.
BLOCK_FACTS = 4_096
#: Kind, number, SHA-256.
_ENTRY = Struct(">cQ32s")
FACT, ERASED_FACT, QUARANTINED, EVENT = b"F", b"D", b"Q", b"E"


class Reach(NamedTuple):
    """The newest numbers of what is sealed."""

    fact_no: int
    quarantine_no: int
    event_no: int


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
        whole = len(self.entries) - len(self.entries) % _ENTRY.size
        yield from _ENTRY.iter_unpack(self.entries[:whole])
        if rest := self.entries[whole:]:
            yield rest[:1], int.from_bytes(rest[1:9], "big"), rest[9:]  # no entry of ours: whoever compares it finds it


_BLOCK = ", ".join(Block._fields)


def seal(database: Database, now: int) -> Head:
    """Seal what was recorded since the last block, block by block. Rows are read and hashed outside the commit that adds them."""
    with database.transaction(alone=True) as connection:
        settled = reach(connection)
    while True:
        with database.snapshot() as connection:
            last = newest(connection)
            block = _next_block(connection, last, settled, now)
        if block is None:
            return _head(last)
        with database.transaction() as connection:
            # If another process sealed meanwhile, it sealed the same rows.
            if newest(connection).block_no == last.block_no:
                _insert(connection, block)


def seal_within(connection: Connection, now: int) -> None:
    """The same within the commit of somebody who is about to remove rows, and is alone."""
    while (block := _next_block(connection, newest(connection), reach(connection), now)) is not None:
        _insert(connection, block)


def head(connection: Connection) -> Head:
    """The head of the chain as it is sealed now."""
    return _head(newest(connection))


def newest(connection: Connection) -> Block:
    """The last block; before the first one, what it is chained to."""
    row = connection.execute(f"SELECT {_BLOCK} FROM chain_blocks ORDER BY block_no DESC LIMIT 1").get
    return Block(*row) if row else Block(0, 0, 0, 0, 0, b"", beginning(connection))


def beginning(connection: Connection) -> bytes:
    """What the first block is chained to: these books and no others."""
    return hashlib.sha256(VERSION + book_id(connection).encode()).digest()


def blocks(connection: Connection, after: int = 0) -> Iterator[Block]:
    for row in connection.execute(f"SELECT {_BLOCK} FROM chain_blocks WHERE block_no > ? ORDER BY block_no", (after,)):
        yield Block(*row)


def epochs_left(connection: Connection) -> dict[str, int]:
    """The epochs of these books, each with the last block that its chain shares with this one."""
    shared = {content["epoch"]: content["block_no"] for kind in (RESTORED, LOSS_ACCEPTED) for _, content in of_kind(connection, kind)}
    return shared | {connection.execute("SELECT epoch FROM book").get: newest(connection).block_no + 1_000_000_000}


def reach(connection: Connection) -> Reach:
    """How far everything is there, in a commit that is alone: what comes later has higher numbers. Otherwise one that is still under way
    might bring a lower number into what is sealed already."""
    sql = (
        "SELECT coalesce((SELECT max(fact_no) FROM facts), 0), coalesce((SELECT max(quarantine_no) FROM quarantine), 0), "
        "coalesce((SELECT max(event_no) FROM chain_events), 0)"
    )
    return Reach(*connection.execute(sql).get)


def _next_block(connection: Connection, last: Block, settled: Reach, now: int) -> Block | None:
    """The block after `last`, of what is settled; None where there is nothing to seal."""
    facts_to = min(settled.fact_no, last.facts_to + BLOCK_FACTS)
    quarantine_to, events_to = last.quarantine_to, last.events_to
    if facts_to >= settled.fact_no:
        facts_to = max(facts_to, last.facts_to)
        quarantine_to = max(quarantine_to, min(settled.quarantine_no, quarantine_to + BLOCK_FACTS))
        events_to = max(events_to, min(settled.event_no, events_to + BLOCK_FACTS))
    if (facts_to, quarantine_to, events_to) <= (last.facts_to, last.quarantine_to, last.events_to):
        return None
    places = recorded_places(connection)
    entries = [_entry(FACT, number, text) for number, text in fact_texts(connection, last.facts_to + 1, facts_to, places)]
    since = [(number, kind, json.loads(content)) for number, kind, content in connection.execute(
        "SELECT event_no, kind, content FROM chain_events WHERE event_no BETWEEN ? AND ? ORDER BY event_no", (last.events_to + 1, events_to)
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


def _insert(connection: Connection, block: Block) -> None:
    connection.execute(f"INSERT INTO chain_blocks ({_BLOCK}) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (block_no) DO NOTHING", tuple(block))


def _head(block: Block) -> Head:
    return Head(block.block_no, block.hash, block.facts_to)

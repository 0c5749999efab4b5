"""Checking the chain: the blocks against each other, against heads that were kept elsewhere, and against the rows they seal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from jarvis_client.contract.instants import to_text
from persistence.books import events
from persistence.books.performance import DERIVED, row_digest
from persistence.domain.finding import Finding
from persistence.domain.texts import digest_of
from persistence.engine.contract import Connection
from persistence.proof import chain, sealed_texts
from persistence.proof.chain import ERASED_FACT, EVENT, FACT, QUARANTINED, Block

NAME = "the chain holds"
LOOK = "jarvis chain events; jarvis backup list; jarvis restore --latest"
NOTHING = Block(0, 0, 0, 0, 0, b"", b"")


class Anchor(NamedTuple):
    """A head that was kept elsewhere, and where."""

    block_no: int
    hash: bytes
    where: str


class Further(NamedTuple):
    """The entries of facts that were sealed more than once, or erased: (block, kind) in their order; and of every block its number, up to
    where facts were sealed before it, and events up to its end."""

    entries: dict[int, list[tuple[int, bytes]]]
    blocks: list[tuple[int, int, int]]

    def was_erased(self, number: int, before_block: int | None = None) -> bool:
        """Whether the last entry of a fact (before a block) says that it is erased."""
        found = [kind for block_no, kind in self.entries.get(number, ()) if before_block is None or block_no < before_block]
        return bool(found) and found[-1] == ERASED_FACT


def check_chain(connection: Connection, anchors: Sequence[Anchor] = (), *, after: int = 0) -> Iterator[Finding]:
    """Findings in the order of the rows: each names a row that was changed, removed or inserted after it was sealed.

    With `after` only the blocks after that one are looked at.
    """
    kept = [a for a in anchors if a.block_no > after or not after]
    start = next((b for b in chain.blocks(connection, after - 1) if b.block_no == after), None) or NOTHING
    previous, before = start.hash or chain.beginning(connection), start
    later: dict[int, tuple[bytes, bytes, int]] = {}
    further = Further({}, [])
    broken = False
    if not after:
        yield from _contradictions(kept, 0, previous, "the beginning of the chain")
    for block in chain.blocks(connection, start.block_no):
        problem = _problem_of(block, before, previous)
        if problem and not broken:
            broken = True
            yield Finding(NAME, _where(block, before), *problem, LOOK)
        yield from _contradictions(kept, block.block_no, block.hash, _where(block, before))
        further.blocks.append((block.block_no, before.facts_to, block.events_to))
        for kind, number, digest in block.each():
            if kind == ERASED_FACT or (kind == FACT and number <= before.facts_to):
                later[number] = kind, digest, block.block_no
                further.entries.setdefault(number, []).append((block.block_no, kind))
        previous, before = block.hash, block
    for anchor in kept:
        if anchor.block_no > before.block_no:
            yield Finding(NAME, f"block {anchor.block_no}", f"hash {anchor.hash.hex()[:16]}…, kept in {anchor.where}", "no such block", LOOK, anchor.where)
    # Saved by hand after a deletion, and not sealed again yet.
    anew = {content["fact_no"] for _, content in events.of_kind(connection, events.RECORDED_ANEW, before.events_to)}
    unsealed = {number for number in anew if after or further.was_erased(number)}
    yield from _rows(connection, {**later, **dict.fromkeys(unsealed, (FACT, b"", 0))}, start)
    later = {number: entry for number, entry in later.items() if number not in unsealed}
    yield from _later_rows(connection, later)
    if not after:
        yield from _erased(connection, {n for n, entry in later.items() if entry[0] == ERASED_FACT}, before.facts_to)
        yield from _erased_first(connection, further)
    yield from _places(connection)
    yield from _saved_by_hand(connection)
    yield from _decided(connection)
    yield from _tombstones(connection)


def first_difference(ours: Connection, theirs: Connection) -> Finding | None:
    """The first row that our chain and the chain of a backup seal differently: it shows where a whole chain was forged."""
    others = {b.block_no: b for b in chain.blocks(theirs)}
    for block in chain.blocks(ours):
        other = others.get(block.block_no)
        if other is None or other.hash == block.hash:
            continue
        mine, kept = {(k, n): d for k, n, d in block.each()}, {(k, n): d for k, n, d in other.each()}
        for key in sorted({*mine, *kept}, key=lambda k: (k[1], k[0])):
            if mine.get(key) != kept.get(key):
                what = "changed" if key in mine and key in kept else "removed" if key in kept else "inserted"
                return Finding(NAME, _row_name(ours, key[0], key[1], theirs), "as it is in the backup", f"{what}, and the chain sealed anew", LOOK)
    return None


def _problem_of(block: Block, before: Block, previous: bytes) -> tuple[str, str] | None:
    if block.block_no != before.block_no + 1:
        return f"block {before.block_no + 1}", f"block {block.block_no}"
    if block.hash_after(previous) != block.hash:
        return f"hash {block.hash_after(previous).hex()[:16]}…", f"{block.hash.hex()[:16]}…"
    if (block.facts_to, block.quarantine_to, block.events_to) < (before.facts_to, before.quarantine_to, before.events_to):
        return f"rows after {before.facts_to}", f"rows up to {block.facts_to}"
    return None


def _where(block: Block, before: Block) -> str:
    return f"block {block.block_no}, sealed {to_text(block.sealed_at)}, facts {before.facts_to + 1:,} to {block.facts_to:,}"


def _rows(connection: Connection, later: dict[int, tuple[bytes, bytes, int]], before: Block) -> Iterator[Finding]:
    """Every row against the digest that its block lists."""
    places = sealed_texts.recorded_places(connection)
    for block in chain.blocks(connection, before.block_no):
        sealed: dict[bytes, dict[int, bytes]] = {FACT: {}, QUARANTINED: {}, EVENT: {}}
        for kind, number, digest in block.each():
            if kind in sealed and not (kind == FACT and number <= before.facts_to):
                sealed[kind][number] = digest
        found = {
            FACT: _digests(sealed_texts.fact_texts(connection, before.facts_to + 1, block.facts_to, places)),
            QUARANTINED: _digests(sealed_texts.quarantine_texts(connection, before.quarantine_to + 1, block.quarantine_to)),
            EVENT: _digests(sealed_texts.event_texts(connection, before.events_to + 1, block.events_to)),
        }
        for kind in sealed if found != sealed else ():
            for number in sorted({*found[kind], *sealed[kind]}):
                if found[kind].get(number) != sealed[kind].get(number) and not (kind == FACT and number in later):
                    yield _finding(connection, kind, number, found[kind].get(number), sealed[kind].get(number), block)
        before = block


def _digests(texts: Iterator[tuple[int, str]]) -> dict[int, bytes]:
    return {number: digest_of(text) for number, text in texts}


def _contradictions(kept: Sequence[Anchor], block_no: int, found: bytes, where: str) -> Iterator[Finding]:
    for anchor in kept:
        if anchor.block_no == block_no and anchor.hash != found:
            yield Finding(NAME, where, f"hash {anchor.hash.hex()[:16]}…, kept in {anchor.where}", f"{found.hex()[:16]}…", LOOK, anchor.where)


def _erased(connection: Connection, sealed: set[int], facts_to: int) -> Iterator[Finding]:
    """A fact is erased where the chain says so, and only there."""
    rows: list[Any] = connection.execute("SELECT fact_no FROM facts WHERE state = 2 AND fact_no <= ?", (facts_to,)).fetchall()
    found = {number for (number,) in rows}
    for number in sorted(found ^ sealed):
        said = ("recorded", "erased, and no event tells of it") if number in found else ("erased with its account", "recorded, and no event tells of it")
        yield Finding(NAME, _row_name(connection, FACT, number), *said, LOOK)


def _erased_first(connection: Connection, further: Further) -> Iterator[Finding]:
    """A fact is recorded anew only after it was erased, and a deletion erases every fact that its account had."""
    for number, entries in further.entries.items():
        for block_no, kind in entries:
            if kind == FACT and not further.was_erased(number, block_no):
                yield Finding(NAME, _row_name(connection, FACT, number), "erased before it was recorded anew", f"sealed again in block {block_no}", LOOK)
    for event_no, content in events.of_kind(connection, events.ACCOUNT_DELETED):
        sealed = next(((block_no, facts_to) for block_no, facts_to, events_to in further.blocks if events_to >= event_no), None)
        if sealed is None:
            continue  # not sealed yet
        block_no, facts_to = sealed
        sql = "SELECT fact_no FROM facts WHERE account_id = ? AND fact_no <= ?"
        rows: list[Any] = connection.execute(sql, (content["account_id"], facts_to)).fetchall()
        for (number,) in rows:
            if (block_no, ERASED_FACT) not in further.entries.get(number, ()) and not further.was_erased(number, block_no):
                yield Finding(NAME, _row_name(connection, FACT, number), f"erased with its account in block {block_no}", "not", LOOK)


def _later_rows(connection: Connection, later: dict[int, tuple[bytes, bytes, int]]) -> Iterator[Finding]:
    """Facts that were erased with their account, or saved by hand again after that: an event has to tell of each."""
    if not later:
        return
    places = sealed_texts.recorded_places(connection)
    deleted = {content["account_id"] for _, content in events.of_kind(connection, events.ACCOUNT_DELETED)}
    anew = {content["fact_no"] for _, content in events.of_kind(connection, events.RECORDED_ANEW)}
    for number, (kind, digest, block_no) in sorted(later.items()):
        texts = list(sealed_texts.fact_texts(connection, number, number, places, erased=kind == ERASED_FACT))
        found = digest_of(texts[0][1]) if texts else None
        [block] = [b for b in chain.blocks(connection, block_no - 1) if b.block_no == block_no][:1]
        if found != digest:
            yield _finding(connection, kind, number, found, digest, block)
        elif (kind == ERASED_FACT and json.loads(texts[0][1])[2] not in deleted) or (kind == FACT and number not in anew):
            yield Finding(NAME, _row_name(connection, kind, number), "an event that tells why it was sealed again", "none", LOOK)


def _places(connection: Connection) -> Iterator[Finding]:
    """A fact moves only to an earlier place, each move from where the one before left it, the last one to where it is."""
    standing: dict[int, list[object]] = {}
    anew = {content["fact_no"]: number for number, content in events.of_kind(connection, events.RECORDED_ANEW)}
    for number, content in events.of_kind(connection, events.PLACE_CHANGED):
        fact_no = content["fact_no"]
        if number < anew.get(fact_no, 0):
            continue
        if standing.get(fact_no, content["before"]) != content["before"] or not _earlier(content["after"], content["before"]):
            yield Finding(NAME, _row_name(connection, FACT, fact_no), f"an earlier place than {content['before']}", str(content["after"]), LOOK)
        standing[fact_no] = content["after"]
    for fact_no, place in standing.items():
        row = connection.execute("SELECT sequence, producer FROM facts WHERE fact_no = ?", (fact_no,)).get
        if row is not None and list(row) != place:
            yield Finding(NAME, _row_name(connection, FACT, fact_no), f"sequence and producer {place}", str(list(row)), LOOK)


def _earlier(after: list[object], before: list[object]) -> bool:
    def pair(place: list[object]) -> tuple[int, str]:
        return -1 if place[0] is None else int(str(place[0])), str(place[1] or "")

    return pair(after) < pair(before)


def _saved_by_hand(connection: Connection) -> Iterator[Finding]:
    """Performance rows that somebody saved are records of their own, not derived from any fact."""
    gone = {content["account_id"]: number for number, content in events.of_kind(connection, events.ACCOUNT_DELETED)}
    saved = events.of_kind(connection, events.SAVED_BY_HAND)
    latest = {(c["account_id"], c["date"]): c["digest"] for number, c in saved if number > gone.get(c["account_id"], 0)}
    for (account_id, date), digest in latest.items():
        found = row_digest(connection, account_id, date)
        if found != digest and found != DERIVED:  # a rollup may have been told to take its place
            said = "no row" if found is None else "other figures"
            yield Finding(NAME, f"performance row {date} of {account_id}", "what was saved by hand", said, f"jarvis performance {account_id}")

    by_hand = connection.execute("SELECT account_id, date FROM performance_metrics WHERE source = 'manual'")
    for account_id, date in (key for key in by_hand if tuple(key) not in latest):
        yield Finding(NAME, f"performance row {date} of {account_id}", "an event that tells who saved it by hand", "none", f"jarvis performance {account_id}")


def _decided(connection: Connection) -> Iterator[Finding]:
    """The state of a quarantined record is the state of its last decision; a record without a decision is held."""
    decided = {c["quarantine_no"]: (c["state"], c["resolution"]) for _, c in events.of_kind(connection, events.QUARANTINE_DECIDED)}
    for number, *found in connection.execute("SELECT quarantine_no, state, resolution FROM quarantine"):
        expected = decided.get(number, ("held", None))
        if tuple(found) != expected:
            look = f"jarvis quarantine show {number}; jarvis chain events"
            yield Finding(NAME, f"quarantined record {number}", f"{expected[0]}, {expected[1]}", f"{found[0]}, {found[1]}", look)


def _tombstones(connection: Connection) -> Iterator[Finding]:
    """An account that was deleted takes no further message until somebody opens it again by hand."""
    told = [(n, c["account_id"], kind) for kind in (events.ACCOUNT_DELETED, events.ACCOUNT_REOPENED) for n, c in events.of_kind(connection, kind)]
    for account_id, kind in {account_id: kind for _, account_id, kind in sorted(told)}.items():
        stands = connection.execute("SELECT 1 FROM account_tombstones WHERE account_id = ?", (account_id,)).get is not None
        if stands != (kind == events.ACCOUNT_DELETED):
            said = ("a tombstone", "none") if not stands else ("no tombstone", "one")
            yield Finding(NAME, f"account {account_id}", *said, "jarvis chain events")


def _finding(connection: Connection, kind: bytes, number: int, found: bytes | None, sealed: bytes | None, block: Block) -> Finding:
    what = "changed" if found and sealed else "removed" if sealed else "inserted"
    expected = f"as sealed in block {block.block_no} on {to_text(block.sealed_at)}" if sealed else f"nothing in block {block.block_no}"
    return Finding(NAME, _row_name(connection, kind, number), expected, what, LOOK)


def _row_name(connection: Connection, kind: bytes, number: int, elsewhere: Connection | None = None) -> str:
    if kind in (FACT, ERASED_FACT):
        for source in (connection, elsewhere):
            row = source.execute("SELECT kind, record_id, account_id FROM facts WHERE fact_no = ?", (number,)).get if source else None
            if row is not None:
                return f"fact {number} ({row[0]} {row[1]} of {row[2]}, with its transactions)"
        return f"fact {number}"
    return f"{'quarantined record' if kind == QUARANTINED else 'event'} {number}"

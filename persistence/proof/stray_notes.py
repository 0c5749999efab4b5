"""What lies in the broker and nobody claims, or what it lost: a note for each place, as workers saw it last. It is no account's."""

from __future__ import annotations

from collections.abc import Iterator

from jarvis_client.contract.instants import to_instant, to_text
from persistence.books import strays
from persistence.domain.strays import StrayKind
from persistence.proof.notes import Look, NoteCheck, Oddity

_DELETE = "correct whoever sends them there, then delete that queue and its .msgs"
_AGAIN = "publish again what engines sent lately, since what is recorded already counts as a duplicate; appendonly yes, appendfsync always"

#: (kind, what is as it should be, what settles it).
_KINDS: tuple[tuple[StrayKind, str, str], ...] = (
    (StrayKind.UNREAD_QUEUE, "messages on the queues that workers read", _DELETE),
    (StrayKind.LEFT_HELD, "nothing held by the dead", "look at the example; delete that key where nobody needs it"),
    (StrayKind.LOST_PAYLOADS, "an id for every payload", "let the queue become shorter: workers take them back by themselves then"),
    (StrayKind.WRONG_TYPE, "a list of ids, a hash of payloads, a set of what is held", "RENAME that key; restrict publishers by users.acl"),
    (StrayKind.FOREIGN_WORKER, "workers of jarvis alone", "give one of the two another broker.namespace, its engines the same"),
    (StrayKind.BROKER_EMPTIED, "the broker that workers left their mark in", _AGAIN),
    (StrayKind.BROKER_WENT_BACK, "a broker that keeps what it has accepted", _AGAIN),
)


def _check(kind: StrayKind, expected: str, settled_by: str) -> NoteCheck:
    def find(look: Look) -> Iterator[Oddity]:
        for stray in strays.find_open(look.connection):
            if stray.kind == kind:
                found = f"{stray.count:,}, first seen {to_text(to_instant(stray.first_seen))}: {stray.example}"
                yield Oddity("", stray.subject, stray.count, found)

    return NoteCheck(str(kind), expected, settled_by, find)


STRAY_NOTES = tuple(_check(*of_kind) for of_kind in _KINDS)

__all__ = ["STRAY_NOTES"]

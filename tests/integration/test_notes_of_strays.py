"""What lies in the broker and nobody claims is told by `verify`, one note for each kind and place, until it is gone or accepted."""

from __future__ import annotations

import pytest
from books import deposit

from jarvis_client.contract import instants
from persistence.domain.strays import StrayKind
from persistence.proof.notes import accept
from persistence.proof.stray_notes import STRAY_NOTES
from persistence.repositories.strays import SQLiteStrayRepository
from scheduler.jobs import verify
from scheduler.notes import look_for_notes
from scheduler.rollup.options import RollupOptions, RollupPlan

PLAN = RollupPlan(RollupOptions())


def told(database):
    return look_for_notes(database, PLAN, instants.now()).notes


@pytest.fixture
def strays(database, ledger):
    ledger.post([deposit(1)])
    return SQLiteStrayRepository(database)


def test_there_is_a_note_for_every_kind():
    assert [check.name for check in STRAY_NOTES] == [str(kind) for kind in StrayKind]


@pytest.mark.parametrize("kind", StrayKind)
def test_a_stray_is_a_note_until_it_is_gone(database, strays, kind):
    assert told(database) == []
    strays.note(kind, "dramatiq:default", 1_200, "id m1: {}")
    [note] = told(database)
    assert (note.check, note.account_id, note.subject, note.where) == (str(kind), "", "dramatiq:default", "dramatiq:default")
    assert note.found.startswith("1,200, first seen 2")
    assert note.found.endswith(": id m1: {}")
    assert note.look
    strays.settle(kind, "dramatiq:default")
    assert told(database) == []


def test_there_is_one_for_each_kind_and_place_and_verify_tells_them(database, strays):
    for place in ("a", "b"):
        strays.note(StrayKind.UNREAD_QUEUE, place, 1, "x")
        strays.note(StrayKind.UNREAD_QUEUE, place, 2, "y")
    strays.note(StrayKind.WRONG_TYPE, "a", 1, "x")
    assert sorted((n.check, n.subject) for n in told(database)) == [
        ("a key of the wrong type", "a"), ("messages on a queue that nobody reads", "a"), ("messages on a queue that nobody reads", "b"),
    ]  # fmt: skip
    by_check = {"messages on a queue that nobody reads": 2, "a key of the wrong type": 1}
    assert verify(PLAN)(database, instants.now()) == {"findings": 0, "notes": 3, "notes_by_check": by_check, "quarantine_held": {}}


def test_what_was_accepted_is_silent_until_there_is_more_of_it(database, strays):
    strays.note(StrayKind.UNREAD_QUEUE, "mails", 5, "x")
    [note] = told(database)
    accept(database, note.number, "another program's")
    assert told(database) == []
    strays.note(StrayKind.UNREAD_QUEUE, "mails", 4, "x")
    assert told(database) == []
    strays.note(StrayKind.UNREAD_QUEUE, "mails", 6, "x")
    [again] = told(database)
    assert again.number != note.number


def test_a_loss_of_the_broker_is_told_until_somebody_accepts_it_and_the_next_one_anew(database, strays):
    strays.note_loss(StrayKind.BROKER_EMPTIED, "gone", "dramatiq", "token 1")
    [note] = told(database)
    accept(database, note.number, "published again")
    assert told(database) == []
    strays.note_loss(StrayKind.BROKER_EMPTIED, "gone", "dramatiq", "token 2")
    [again] = told(database)
    assert again.subject == "dramatiq token 2"

"""`jarvis notes`, `gaps accept`, `accounts close`: what is odd is told, settled with a reason, and found in the chain."""

from __future__ import annotations

import json

import pytest
from command import run


def line(kind: str, number: int, **more: object) -> str:
    record = {"type": kind, f"{kind}_id": f"{kind}{number}", "account_id": "acc", "currency": "USDT", "amount": "10", "occurred_at": "2026-01-01T00:00:00Z"}
    return json.dumps({**record, **more}) + "\n"


@pytest.fixture
def jarvis(tmp_path):
    def run_here(*arguments: str, code: int = 0, stdin: str | None = None):
        done = run(*arguments, folder=tmp_path, stdin=stdin, JARVIS_DATABASE__BACKUP__ENABLED="false")
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        return done

    (tmp_path / "config").mkdir()
    run_here("db", "init")
    return run_here


def test_a_note_is_listed_fails_nothing_and_is_accepted_with_a_reason(jarvis):
    jarvis("import", "-", stdin=line("withdrawal", 1))
    assert "note 1: a balance is below zero: acc USDT: expected 0 or more, found -10 USDT" in jarvis("verify").stdout
    [note] = json.loads(jarvis("verify", "--json", "--strict", code=1).stdout)
    assert (note["level"], note["number"], note["account_id"], note["subject"]) == ("note", 1, "acc", "USDT")
    assert [n["number"] for n in json.loads(jarvis("notes", "--account", "acc", "--json").stdout)] == [1]
    assert "there is only acc" in jarvis("notes", "--account", "other", code=2).stderr
    jarvis("notes", "accept", "1", code=2)
    jarvis("notes", "accept", "1", "--reason", " ", code=2)
    jarvis("notes", "accept", "1", "--reason", "opening balance is unknown")
    assert "there is no note 9" in jarvis("notes", "accept", "9", "--reason", "x", code=2).stderr
    jarvis("verify", "--strict")
    assert "opening balance is unknown" in jarvis("chain", "events", "--json").stdout
    jarvis("import", "-", stdin=line("withdrawal", 2))
    assert [n["number"] for n in json.loads(jarvis("notes", "--json").stdout)] == [2]


def test_what_is_held_in_quarantine_is_counted_and_fails_the_strict(jarvis):
    jarvis("import", "-", stdin=line("deposit", 1) + line("deposit", 2, amount="x"), code=1)
    assert "1 held in quarantine: malformed (1)" in jarvis("verify").stderr
    jarvis("verify", "--strict", code=1)


def test_a_gap_is_accepted_for_good(jarvis):
    numbered = "".join(line("deposit", n, producer="engine", sequence=n) for n in (1, 5, 9))
    jarvis("import", "-", stdin=numbered)
    assert "jarvis gaps accept engine" in jarvis("verify", code=1).stdout
    for wrong in ("5-x", "4-2", "-3"):
        jarvis("gaps", "accept", "engine", "--reason", "r", "--", wrong, code=2)
    jarvis("gaps", "accept", "engine", "2-4", "--reason", "the engine was restarted")
    assert [(g["first"], g["last"]) for g in json.loads(jarvis("gaps", "--json", code=1).stdout)] == [(6, 8)]
    assert "none of the numbers 2 to 4" in jarvis("gaps", "accept", "engine", "2-4", "--reason", "again", code=2).stderr
    jarvis("gaps", "accept", "engine", "--reason", "and again")
    jarvis("gaps")
    jarvis("verify")


def test_what_comes_for_a_closed_account_is_noted(jarvis):
    jarvis("import", "-", stdin=line("deposit", 1))
    jarvis("accounts", "close", "acc")
    jarvis("verify", "--strict")
    jarvis("import", "-", stdin=line("deposit", 2))
    assert "a record came for an account that is closed: acc deposit (deposit2)" in jarvis("verify").stdout
    jarvis("accounts", "open", "acc")
    jarvis("verify", "--strict")
    assert "does not exist" in jarvis("accounts", "close", "nobody", code=2).stderr

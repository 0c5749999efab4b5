"""Quarantine people can work with."""

from __future__ import annotations

import json

import pytest
from books import deposit, fill, statuses, void

from persistence.domain import Account, Refusal
from persistence.repositories import SQLiteAccountRepository, SQLiteQuarantineRepository
from persistence.repositories.quarantine import Filter
from workers.messages import item_of_line
from workers.replay import replay

pytestmark = pytest.mark.every_engine

RECORD = {"deposit_id": "d9", "account_id": "acc", "currency": "USDT", "amount": "5", "occurred_at": "2026-01-01T00:00:00Z"}


@pytest.fixture
def quarantine(database):
    return SQLiteQuarantineRepository(database)


def hold(ledger, raw, kind="deposit", reason="malformed"):
    ledger.post([Refusal(raw, reason, "was wrong", kind, "acc", "d9")])


def test_a_record_that_today_is_valid_is_applied_and_leaves(database, ledger, quarantine):
    hold(ledger, json.dumps(RECORD).encode())
    [result] = replay(database, quarantine.numbers(Filter()))
    assert (result.outcome.status, result.recorded) == ("applied", True)
    [found] = quarantine.stream(Filter(state="replayed"))
    assert (found.resolution, found.raw) == ("replay: applied", json.dumps(RECORD).encode())
    assert replay(database, [found.quarantine_no]) == [], "once is enough"
    assert statuses(ledger.post([item_of_line(json.dumps({"type": "deposit", **RECORD}).encode(), 1)])) == ["duplicate"]


@pytest.mark.parametrize(
    "raw",
    [
        json.dumps({"type": "deposit", **RECORD}).encode(),
        json.dumps({"actor_name": "record_deposit", "args": [RECORD], "queue_name": "x", "message_id": "m"}).encode(),
        json.dumps({"actor_name": "record_deposit", "args": [[RECORD, {**RECORD, "deposit_id": "d10"}]]}).encode(),
    ],
    ids=["a line of NDJSON", "a whole message", "a whole batch"],
)
def test_whatever_was_held_is_read_again(database, ledger, quarantine, raw):
    hold(ledger, raw, kind=None)
    [result] = replay(database, quarantine.numbers(Filter()))
    assert result.outcome.status == "applied"
    assert SQLiteAccountRepository(database).exists("acc")


def test_what_still_cannot_be_applied_stays_with_a_remark(database, ledger, quarantine):
    hold(ledger, b"not json at all")
    hold(ledger, json.dumps({**RECORD, "amount": "NaN"}).encode())
    ledger.post([deposit(9)])
    ledger.post([deposit(9, amount="7")])
    results = replay(database, quarantine.numbers(Filter()))
    assert [r.outcome.reason for r in results] == ["malformed", "malformed", "conflict"]
    held = list(quarantine.stream())
    assert [h.deliveries for h in held] == [1, 1, 1], "a replay is no delivery"
    assert held[2].resolution.startswith("replay: still")
    replay(database, quarantine.numbers(Filter()))
    assert quarantine.count() == 3


def test_a_fact_of_a_deleted_account_is_applied_once_it_is_reopened(database, ledger, quarantine):
    accounts = SQLiteAccountRepository(database)
    ledger.post([deposit(1)])
    accounts.delete("acc")
    raw = json.dumps(RECORD).encode()
    ledger.post([item_of_line(json.dumps({"type": "deposit", **RECORD}).encode(), 1)], lambda _: raw)
    assert [r.recorded for r in replay(database, quarantine.numbers(Filter()))] == [False]
    accounts.save(Account("acc"))
    assert [r.recorded for r in replay(database, quarantine.numbers(Filter()))] == [True]


def test_a_dry_run_tells_and_changes_nothing(database, ledger, quarantine):
    hold(ledger, json.dumps(RECORD).encode())
    [result] = replay(database, quarantine.numbers(Filter()), dry_run=True)
    assert result.outcome.status == "applied"
    assert quarantine.count() == 1
    assert SQLiteAccountRepository(database).find_all() == []


def test_replay_covers_what_was_there_at_its_start(database, ledger, quarantine):
    hold(ledger, b"first")
    numbers = quarantine.numbers(Filter())
    hold(ledger, b"second")
    assert [r.quarantine_no for r in replay(database, numbers)] == numbers


def test_filters_narrow_by_kind_reason_account_and_time(database, ledger, quarantine):
    hold(ledger, b"1")
    ledger.post([Refusal(b"2", "unknown kind", "x", "trade", "other"), Refusal(b"3", "malformed", "y", "fill", "other")])
    ledger.post([fill(1)])
    ledger.post([fill(1, fee="7")])

    def found(**options):
        return [q.raw[:4] for q in quarantine.stream(Filter(**options))]

    assert found(kind="fill") == [b"3", b'{"ty']
    assert found(reason="conflict") == [b'{"ty']
    assert found(account_id="other") == [b"2", b"3"]
    assert found(numbers=[1, 3], account_id="other") == [b"3"]
    received = next(quarantine.stream()).received_at
    assert found(end=received) == []
    assert len(found(start=received)) == 4


def test_both_versions_of_a_conflict_can_be_seen(database, ledger, quarantine):
    ledger.post([fill(1)])
    ledger.post([fill(1, fee="7")], lambda _: b'{"fee": "7"}')
    [held] = quarantine.stream()
    assert held.raw == b'{"fee": "7"}'
    assert str(quarantine.recorded_version(held).fee) == "0.1"


def test_a_discard_keeps_its_reason_and_happens_once(database, ledger, quarantine):
    hold(ledger, b"x")
    assert quarantine.resolve(1, "discarded", "sent by a test engine", 1)
    assert not quarantine.resolve(1, "discarded", "again", 2)
    found = quarantine.find(1)
    assert (found.state, found.resolution, found.raw) == ("discarded", "sent by a test engine", b"x")
    assert statuses(ledger.post([Refusal(b"x", "malformed", "again")])) == ["duplicate"]


def test_a_void_can_be_replayed_too(database, ledger, quarantine):
    ledger.post([deposit(1)])
    raw = {"void_id": "v", "account_id": "acc", "kind": "deposit", "id": "d1", "reason": "typo", "occurred_at": "2026-01-01T00:00:00Z"}
    hold(ledger, json.dumps(raw).encode(), kind="void")
    assert [r.outcome.status for r in replay(database, [1])] == ["applied"]
    assert statuses(ledger.post([void(1, "deposit", "d1")])) == ["applied"]
    assert SQLiteAccountRepository(database).find_by_id("acc").balance.total("USDT").amount == 0

"""The test double for engines: it checks, numbers, answers and refuses as the real publisher and empty books would."""

from __future__ import annotations

import pytest

from jarvis_client import MalformedRecord
from jarvis_client.contract.outcome import Reason
from jarvis_client.testing import MemoryPublisher

DEPOSIT = {"deposit_id": "1", "account_id": "a", "currency": "USDT", "amount": "1", "occurred_at": "2026-01-01T00:00:00Z"}


def test_it_keeps_what_was_published_and_answers_as_empty_books_would():
    with MemoryPublisher("redis://not/looked/at", producer="engine-1", answers=True) as publisher:
        assert publisher.publish_deposit(**DEPOSIT).wait().status == "applied"
        assert publisher.publish_deposit(**{**DEPOSIT, "amount": "1.0"}).wait().status == "duplicate"
        refused = publisher.publish_deposit(**{**DEPOSIT, "amount": "2"}).wait()
        assert (refused.status, refused.reason, refused.recorded) == ("quarantined", "conflict", False)
        assert [record["sequence"] for record in publisher.of_kind("deposit")] == [1, 2, 3]
        [refusal] = publisher.refusals()
        assert (refusal.kind, refusal.record_id, refusal.sequence) == ("deposit", "1", 3)
        assert list(publisher.refusals(after=refusal.entry_id)) == []
    assert publisher.closed


def test_it_refuses_what_the_real_one_refuses():
    publisher = MemoryPublisher()
    with pytest.raises(MalformedRecord, match="amount: it is -1; it must be above zero"):
        publisher.publish_deposit(**{**DEPOSIT, "amount": -1})
    with pytest.raises(MalformedRecord, match="at most 1,048,576 are taken"):
        publisher.publish_deposit(**DEPOSIT, extra={"note": "x" * 1_100_000})
    with pytest.raises(MalformedRecord, match="backup takes no arguments"):
        publisher.request_job("backup", account_id="a")
    assert publisher.records == []


def test_a_test_may_have_the_next_record_refused():
    publisher = MemoryPublisher(producer="e")
    publisher.refuse_next("the account was deleted", Reason.ACCOUNT_DELETED)
    outcomes = publisher.publish_deposits([DEPOSIT, {**DEPOSIT, "deposit_id": "2"}], records_per_message=2).wait()
    assert [str(outcome) for outcome in outcomes] == ["quarantined(account deleted)", "applied"]
    assert [refusal.detail for refusal in publisher.refusals()] == ["the account was deleted"]

"""What a worker counts is what happened, whatever the size of a batch."""

from __future__ import annotations

import random

import pytest

from jarvis_client.contract.facts import Fill
from jarvis_client.contract.instants import to_datetime
from jarvis_client.contract.jobs import JobRequest
from jarvis_client.contract.outcome import APPLIED, DUPLICATE, Outcome, Refusal
from workers.delivery import delivery_of
from workers.envelope import read_envelope
from workers.figures import Figures, Histogram

NOW = 1_795_600_000_000_000


def one_by_one(bounds, values):
    """The plain way: each value into the first bucket that is large enough."""
    counts = [0] * (len(bounds) + 1)
    for value in values:
        counts[next((n for n, bound in enumerate(bounds) if value <= bound), len(bounds))] += 1
    return counts


@pytest.mark.parametrize("size", [0, 1, 2, 7, 100, 1_000])
@pytest.mark.parametrize("seed", range(5))
def test_a_batch_is_counted_as_if_its_values_came_one_by_one(size, seed):
    chance = random.Random(seed)
    histogram, told = Histogram((10, 20, 50, 1_000)), []
    for _ in range(3):
        values = [chance.choice([0, 10, 11, 20, 21, 50, 1_000, 1_001, chance.randrange(3_000)]) for _ in range(size)]
        histogram.observe(values)
        told += values
    assert histogram.counts == one_by_one(histogram.bounds, told)
    assert histogram.sum == sum(told)


def test_the_values_that_are_handed_over_stay_in_their_order():
    values = [5, 3, 9]
    Histogram((4,)).observe(values)
    assert values == [5, 3, 9]


def test_a_clock_that_is_ahead_takes_nothing_from_a_sum():
    histogram = Histogram((10, 20))
    histogram.observe([-500, 15, 3])
    assert (histogram.counts, histogram.sum) == ([2, 1, 0], 18)


def fill(number, at):
    return Fill(fill_id=f"f{number}", account_id="acc", symbol="BTC/USDT", side="buy", quantity=1, price=2, executed_at=to_datetime(at))


def figures_of(now=NOW):
    return Figures(lambda: now)


def test_every_record_is_counted_by_kind_and_outcome_and_every_refusal_by_reason():
    figures = figures_of()
    batch = [
        fill(1, NOW - 7_000),
        fill(2, NOW),
        fill(3, NOW),
        Refusal(b"x", "malformed", "no", "order"),
        Refusal(b"x", "malformed", "no"),
        JobRequest("1", "backup", "{}"),
    ]
    outcomes = [
        APPLIED,
        DUPLICATE,
        Outcome("quarantined", "conflict", "differs"),
        Outcome("quarantined", "malformed"),
        Outcome("quarantined", "malformed"),
        APPLIED,
    ]
    assert figures.committed(batch, outcomes, 0.004) == {"applied": 2, "duplicate": 1, "quarantined": 3}
    assert figures.records() == {
        ("fill", "applied"): 1, ("fill", "duplicate"): 1, ("fill", "quarantined"): 1, ("order", "quarantined"): 1, ("unknown", "quarantined"): 1,
        ("job", "applied"): 1,
    }  # fmt: skip
    assert figures.quarantine_reasons() == {"conflict": 1, "malformed": 2}
    assert (figures.batch_records.sum, figures.commit.sum, figures.last_commit_at) == (6, 4_000, NOW)


def test_only_what_is_applied_tells_how_late_it_is():
    figures = figures_of()
    figures.committed([fill(1, NOW - 7_000), fill(2, NOW - 9_000_000)], [APPLIED, DUPLICATE], 0.001)
    assert (sum(figures.event_to_durable.counts), figures.event_to_durable.sum) == (1, 7_000)


def test_every_message_tells_how_late_it_is_unless_it_does_not_say_when_it_was_published():
    figures = figures_of()
    figures.committed([], [], 0.001, [("fills", "record_fill")] * 3, [NOW // 1_000 - 40, 0, NOW // 1_000 - 2])
    assert figures.messages == {("fills", "record_fill"): 3}
    assert (sum(figures.publish_to_durable.counts), figures.publish_to_durable.sum) == (2, 42_000)


@pytest.mark.parametrize(
    ("said", "taken"),
    [(1_795_600_000_000, 1_795_600_000_000), (1, 0), (-5, 0), (2**80, 0), (True, 0), (1.5, 0), ("1795600000000", 0), (None, 0), ([], 0)],
    ids=str,
)
def test_a_time_of_publishing_counts_only_where_it_can_be_one(said, taken):
    envelope = {"queue_name": "fills", "actor_name": "record_fill", "args": [{}], "kwargs": {}, "options": {}, "message_id": "m", "message_timestamp": said}
    delivery = delivery_of("fills", b"1", b"", read_envelope(envelope, b"1", {"record_fill"}))
    assert (delivery.published_ms, delivery.route) == (taken, ("fills", "record_fill"))

"""What is said of two versions of one record."""

from __future__ import annotations

import pytest
from books import NEW_YEAR, deposit, fill

from persistence.domain.differing import differing, in_words

LONG = "x" * 50


@pytest.mark.parametrize(
    ("arrived", "recorded", "said"),
    [
        (deposit(1, amount=2), deposit(1, amount=1), "amount 1, not 2"),
        (deposit(1), deposit(1), ""),
        (deposit(1, usd_rate="1.5"), deposit(1), "usd_rate none, not 1.5"),
        (deposit(1, description=LONG), deposit(1, description="y"), f"description y, not {LONG[:40]}…"),
        (deposit(1, producer="engine", sequence=2), deposit(1), ""),
        (
            deposit(1, amount=2, category="bonus", description="a", reference="b"), deposit(1, amount=1),
            "amount 1, not 2; category external, not bonus; description none, not a; 1 more field",
        ),
        (fill(1, executed_at=NEW_YEAR + 1), fill(1), "executed_at 2026-01-01T00:00:00.000000Z, not 2026-01-01T00:00:00.000001Z"),
    ],
)  # fmt: skip
def test_a_sentence_names_what_is_recorded_and_what_arrived(arrived, recorded, said):
    assert in_words(differing(arrived, recorded)) == said

"""What is missing is a function of the numbers seen, whatever order, batches and deliveries they came in."""

from __future__ import annotations

import pytest
from books import deposit
from hypothesis import given, settings
from hypothesis import strategies as st
from searching import of, searched

from persistence.books.ledger import Ledger
from persistence.domain import Refusal
from persistence.repositories import SQLiteGapRepository

pytestmark = pytest.mark.every_engine


def gaps(database):
    return [(g.producer, g.first, g.last) for g in SQLiteGapRepository(database).find_open()]


@searched
@settings(max_examples=of(40, 100))
@given(st.lists(st.lists(st.tuples(st.sampled_from("pq"), st.integers(0, 25)), max_size=8), max_size=6))
def test_gaps_are_exactly_the_numbers_between_the_first_and_the_last_that_never_came(another, batches):
    with another() as database:
        for batch in batches:
            Ledger(database).post([deposit(f"{p}{n}", producer=p, sequence=n) for p, n in batch])
        expected = []
        for producer in "pq":
            seen = {n for batch in batches for p, n in batch if p == producer}
            missing = [n for n in range(min(seen), max(seen)) if n not in seen] if seen else []
            for n in missing:
                if expected and expected[-1][0] == producer and expected[-1][2] == n - 1:
                    expected[-1] = (producer, expected[-1][1], n)
                else:
                    expected.append((producer, n, n))
        assert gaps(database) == expected


def test_a_quarantined_record_and_a_duplicate_count_as_arrived(database, ledger):
    ledger.post([deposit(1, producer="p", sequence=1), deposit(4, producer="p", sequence=4)])
    assert gaps(database) == [("p", 2, 3)]
    noticed = SQLiteGapRepository(database).find_open()[0].noticed_at
    ledger.post([Refusal(b"bad", "malformed", "x", producer="p", sequence=2)])
    assert gaps(database) == [("p", 3, 3)]
    assert SQLiteGapRepository(database).find_open()[0].noticed_at == noticed
    ledger.post([deposit(1, producer="p", sequence=3)])
    assert gaps(database) == []
    assert SQLiteGapRepository(database).find_open("nobody") == []

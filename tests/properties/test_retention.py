"""Which backups may go, over random histories and clocks that jump."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from persistence.copies.retention import KEPT_AT_LEAST, REMOVED_AT_MOST, expired

NOW = datetime(2026, 6, 15, 3, tzinfo=UTC)


@dataclass(frozen=True)
class Kept:
    taken_at: datetime
    proved: bool = True
    #: Clocks may jump; what was recorded only grows.
    reach: tuple[int, ...] = ()


HISTORIES = st.lists(
    st.builds(
        lambda hours, proved, reach: Kept(NOW - timedelta(hours=hours), proved, (reach,)), st.integers(-24 * 400, 24 * 800), st.booleans(), st.integers(0, 99)
    ),
    max_size=60,
    unique_by=lambda b: b.taken_at,
)
OPTIONS = {"keep_weekly": st.integers(0, 8), "keep_monthly": st.integers(0, 8), "forced": st.booleans()}


@given(HISTORIES, st.integers(-400, 400), st.integers(1, 90), st.fixed_dictionaries(OPTIONS))
def test_the_newest_proved_ones_stay_whatever_the_clock_says(backups, days_off, retention, options):
    now = NOW + timedelta(days=days_off)
    gone = expired(backups, now, retention, **options)
    proved = sorted((b for b in backups if b.proved), key=lambda b: (b.reach, b.taken_at), reverse=True)
    assert not set(proved[:KEPT_AT_LEAST]) & set(gone)
    assert options["forced"] or len(gone) <= REMOVED_AT_MOST
    assert all(b.taken_at < now - timedelta(days=retention) for b in gone)
    newest = max((b for b in backups if b.taken_at <= now), key=lambda b: b.taken_at, default=None)
    assert not gone or newest.proved, "nothing goes after a failed one"


@given(HISTORIES, st.integers(1, 90), st.fixed_dictionaries(OPTIONS))
def test_repeated_until_nothing_goes_it_ends_where_one_forced_run_ends(backups, retention, options):
    options["forced"] = False
    left = set(backups)
    while gone := expired(list(left), NOW, retention, **options):
        assert gone == sorted(gone, key=lambda b: b.taken_at)
        left -= set(gone)
    options["forced"] = True
    assert left == set(backups) - set(expired(backups, NOW, retention, **options))


def test_a_year_of_dailies_leaves_thirty_days_and_the_firsts_of_weeks_and_months():
    year = [Kept(NOW - timedelta(days=n)) for n in range(365)]
    left = set(year) - set(expired(year, NOW, 30, keep_weekly=8, keep_monthly=6, forced=True))
    assert {b for b in left if b.taken_at >= NOW - timedelta(days=30)} == set(year[:31])
    older = sorted(b.taken_at.date().isoformat() for b in left if b.taken_at < NOW - timedelta(days=30))
    assert older == ["2026-01-01", "2026-02-01", "2026-03-01", "2026-04-01", "2026-04-27", "2026-05-01", "2026-05-04", "2026-05-11"]

"""Times, durations, sizes and counts as people say them: tables of what is said for what."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from jarvis.cli import times
from jarvis.cli.common import CHOSEN
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.instants import to_instant
from persistence.domain import showing
from persistence.domain.showing import count_of, did_you_mean, size

SECOND = 1_000_000
NOON = to_instant(datetime(2026, 11, 25, 12, 0, 7, 999_999, tzinfo=UTC))


@pytest.fixture
def zone(monkeypatch):
    return lambda name: monkeypatch.setattr(CHOSEN, "time_zone", name)


@pytest.mark.parametrize(("seconds", "says"), [
    (0, "0 s ago"), (59, "59 s ago"), (60, "1 min ago"), (3_599, "59 min ago"), (3 * 3_600 + 5, "3 h ago"), (47 * 3_600, "47 h ago"),
    (48 * 3_600, "2 days ago"), (-28, "in 28 s"), (-7_200, "in 2 h"),
])  # fmt: skip
def test_how_long_ago(seconds, says):
    assert times.ago(NOON - seconds * SECOND, NOON) == says


@pytest.mark.parametrize(("seconds", "says"), [
    (0, "0 s"), (0.0, "0.0 s"), (0.44, "0.4 s"), (9.6, "9.6 s"), (6, "6 s"), (28.4, "28 s"), (59.7, "1 min"), (60, "1 min"), (80, "1 min 20 s"),
    (3_599, "59 min 59 s"), (3_600, "1 h"), (3_665, "1 h 1 min"), (86_399, "23 h 59 min"), (86_400, "1 day"), (97_200, "1 day 3 h"), (187_200, "2 days 4 h"),
    (86_400 * 1_234, "1,234 days"),
])  # fmt: skip
def test_how_long_something_took(seconds, says):
    assert showing.lasting(seconds) == says


@pytest.mark.parametrize(("name", "cell", "sentence", "heading"), [
    ("UTC", "2026-11-25 12:00:07", "2026-11-25 12:00:07 UTC", "times in UTC"),
    ("Europe/Berlin", "2026-11-25 13:00:07", "2026-11-25 13:00:07 CET", "times in Europe/Berlin"),
    ("Asia/Kolkata", "2026-11-25 17:30:07", "2026-11-25 17:30:07 IST", "times in Asia/Kolkata"),
])  # fmt: skip
def test_a_time_is_said_to_the_second_in_the_chosen_zone(zone, name, cell, sentence, heading):
    zone(name)
    assert (times.at(NOON), times.moment_of(NOON), times.times_are()) == (cell, sentence, heading)
    assert times.at(None) == ""


@pytest.fixture
def in_new_york(monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_local_times_are_those_of_the_machine(in_new_york, zone):
    zone(times.LOCAL)
    assert (times.at(NOON), times.moment_of(NOON), times.times_are()) == ("2026-11-25 07:00:07", "2026-11-25 07:00:07 EST", "local times")


def test_an_hour_that_clocks_show_twice_has_its_offset(zone):
    zone("Europe/Berlin")
    first, second = (to_instant(datetime(2026, 10, 25, hour, 30, tzinfo=UTC)) for hour in (0, 1))
    assert (times.at(first), times.at(second)) == ("2026-10-25 02:30:00+02:00", "2026-10-25 02:30:00+01:00")
    assert times.at(second + 3_600 * SECOND) == "2026-10-25 03:30:00"


@pytest.mark.parametrize(("name", "says"), [
    ("Europe/Berln", "did you mean Europe/Berlin?"), ("europe/berlin", "did you mean Europe/Berlin?"), ("locall", "did you mean local?"),
    ("", "write it as Europe/Berlin, UTC or local"), ("../../etc/passwd", "is no time zone"), ("+02:00", "is no time zone"),
])  # fmt: skip
def test_what_is_no_zone_is_refused_with_the_nearest(name, says):
    with pytest.raises(Invalid, match="is no time zone") as refused:
        times.check_zone(name)
    assert says in str(refused.value)


@pytest.mark.parametrize(("number", "says"), [
    (None, ""), (0, "0 B"), (512, "512 B"), (999, "999 B"), (1_000, "1 kB"), (1_234, "1.23 kB"), (12_345, "12.3 kB"), (999_499, "999 kB"), (999_500, "1 MB"),
    (244_004_999, "244 MB"), (79_485_473, "79.5 MB"), (5_000_000_000, "5 GB"), (10**15, "1 PB"), (1_234 * 10**15, "1,234 PB"),
])  # fmt: skip
def test_a_size_has_three_digits_and_its_unit(number, says):
    assert size(number) == says


@pytest.mark.parametrize(("arguments", "says"), [
    (("record", 0), "0 records"), (("record", 1), "1 record"), (("record", 1_200), "1,200 records"), (("entry", 1, "entries"), "1 entry"),
    (("entry", 2, "entries"), "2 entries"),
])  # fmt: skip
def test_a_noun_agrees_with_its_number(arguments, says):
    assert count_of(*arguments) == says


@pytest.mark.parametrize(("name", "names", "says"), [
    ("man-account", ["demo", "main-account"], "did you mean main-account?"), ("eur", ["BTC", "EUR"], "did you mean EUR?"),
    ("zzz", ["b", "a"], "there are a, b"), ("zzz", ["a"], "there is only a"), ("zzz", [], "there is none yet"),
    ("zzz", [f"n{n}" for n in range(8)], "there are n0, n1, n2, n3, n4 and 3 more"),
])  # fmt: skip
def test_a_name_that_is_none_is_answered_with_the_nearest_or_what_there_is(name, names, says):
    assert did_you_mean(name, names) == says

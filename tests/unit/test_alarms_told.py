"""When one channel is told of an alarm, minute by minute; and what stands at all."""

from __future__ import annotations

from dataclasses import fields

import pytest
from alarms import DAY, HOUR, MINUTE, NOON, ORIGIN, a_status

from jarvis.alerts.message import Kind, Message, Said
from jarvis.alerts.standing import MOST_STANDING, Holding, Standing
from jarvis.alerts.told import Told
from jarvis.status.alarms import ALARMS, PARTS, Raised, Severity, unknown
from jarvis.status.model import Status

ALARM = Raised("JarvisBrokerAway", Severity.CRITICAL, "localhost:6379", "says", "remedy", None, "the broker is away")
KEY = (ALARM.name, ALARM.subject)


def on_between(*spans: tuple[int, int]):
    return lambda minute: any(begin <= minute < end for begin, end in spans)


def told_minute_by_minute(stands, minutes: int, clock=lambda minute: NOON + minute * MINUTE, told: Told | None = None, begin: int = 0):
    """(minute, kind, minutes it lasted) of everything that is told, while a clock on the wall shows `clock` of the minute."""
    told = told or Told(1_800, [], now=clock(begin), steady=begin * 60.0)
    found, since = [], None
    for minute in range(begin, begin + minutes):
        now, steady = clock(minute), minute * 60.0
        since = (since if since is not None else now) if stands(minute) else None
        said = told.due({} if since is None else {KEY: Holding(ALARM, since)}, now, steady)
        told.confirm(said, now, steady)
        found += [(minute, str(one.kind), one.lasted_seconds // 60) for one in said]
    return found


#: What is told of an alarm that stands in these minutes, where a first pause is half an hour.
CASES = {
    "one that lasts, at pauses that double up to a day": (
        on_between((0, 9_999)),
        [(0, "raised"), (30, "still"), (90, "still"), (210, "still"), (450, "still"), (930, "still"), (1_890, "still"), (3_330, "still"), (4_770, "still")],
    ),
    "one that is over": (on_between((0, 10)), [(0, "raised"), (10, "over")]),
    "one that is over while it is repeated": (on_between((0, 45)), [(0, "raised"), (30, "still"), (45, "over")]),
    "one that comes back goes on as the same": (on_between((0, 10), (15, 200)), [(0, "raised"), (10, "over"), (15, "again"), (75, "still"), (195, "still"), (230, "over")]),
    "one that comes back later is another": (on_between((0, 10), (41, 50)), [(0, "raised"), (10, "over"), (41, "raised"), (50, "over")]),
    "one that comes and goes is told no more often than one that lasts": (
        lambda minute: minute < 600 and minute // 5 % 2 == 0,
        [(0, "raised"), (5, "over"), (10, "again"), (70, "still"), (190, "still"), (430, "still"), (625, "over")],
    ),
    "one that is away when it would be repeated is repeated when it is back": (
        on_between((0, 10), (12, 60), (80, 120)),
        [(0, "raised"), (10, "over"), (12, "again"), (80, "still"), (150, "over")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_an_alarm_is_told(case):
    stands, expected = CASES[case]
    assert [(minute, kind) for minute, kind, _ in told_minute_by_minute(stands, 4_800)] == expected


def test_the_end_says_how_long_it_lasted_without_the_wait_until_it_was_believed():
    assert told_minute_by_minute(on_between((0, 10)), 60)[-1] == (10, "over", 10)
    # It came and went, so its end is told after half an hour without it; it lasted from when it came back to when it was away.
    assert told_minute_by_minute(on_between((0, 10), (15, 25), (27, 40)), 120)[-1] == (70, "over", 25)


@pytest.mark.parametrize("jump", [365 * DAY, -365 * DAY], ids=["a year ahead", "a year back"])
def test_a_clock_that_jumps_changes_nothing_of_when_it_is_told(jump):
    stands = on_between((0, 500))
    steady = [(minute, kind) for minute, kind, _ in told_minute_by_minute(stands, 600)]
    jumped = told_minute_by_minute(stands, 600, clock=lambda minute: NOON + minute * MINUTE + jump * (minute >= 40))
    assert [(minute, kind) for minute, kind, _ in jumped] == steady


#: What is told in the six hours after a restart at minute 100 (told at 0, 30 and 90, so again at 210), by where the clock stands then.
RESTARTS = {
    "right": (0, [210, 450]),
    "ahead, so it is repeated once and then as ever": (365 * DAY, [100, 340]),
    "back, so the pause begins anew": (-365 * DAY, [220, 460]),
}


@pytest.mark.parametrize("case", RESTARTS)
def test_after_a_restart_while_the_clock_was_set(case):
    jump, expected = RESTARTS[case]
    before = Told(1_800, [], now=NOON, steady=0.0)
    told_minute_by_minute(on_between((0, 9_999)), 100, told=before)
    after = NOON + 100 * MINUTE + jump
    told = Told(1_800, before.entries, now=after, steady=6_000.0)
    found = told_minute_by_minute(on_between((0, 9_999)), 400, told=told, begin=100, clock=lambda minute: NOON + minute * MINUTE + jump)
    assert [(minute, kind) for minute, kind, _ in found] == [(minute, "still") for minute in expected]


def looks(*found_by_look, names: set[str] = frozenset()):
    standing = Standing()
    stood = []
    for number, found in enumerate(found_by_look):
        standing.look([ALARM] if found else [], names, NOON + number * MINUTE)
        stood.append(bool(standing.alarms))
    return stood


def test_what_two_looks_agree_on_stands():
    assert looks(True, False, False, True) == [False, False, False, False], "found once: a restart of a process"
    assert looks(True, True, False, True) == [False, True, True, True], "away once: a blink"
    assert looks(True, True, False, False) == [False, True, True, False]
    assert looks(True, False, True, False, True) == [False, False, True, True, True], "what comes and goes with the looks is told"


def test_what_could_not_be_seen_is_neither_raised_nor_over():
    assert looks(True, True, False, False, False, names={ALARM.name}) == [False, True, True, True, True]
    unread = a_status(quarantine=None, gaps=None, unread={"records": "database disk image is malformed"})
    assert unknown(unread) == {"JarvisQuarantineHeld", "JarvisGaps"}
    assert unknown(a_status(copies=None)) == set(), "nothing of the kind is there"


def test_every_alarm_names_the_part_of_a_status_that_it_looks_at():
    assert {alarm.name for alarm in ALARMS} == {*PARTS, "JarvisBooksUnreadable"}
    assert {*PARTS.values()} <= {field.name for field in fields(Status)}


def test_an_endless_list_of_alarms_is_not_remembered():
    standing = Standing()
    for number in range(2):
        standing.look([Raised("JarvisUnclaimedMessages", Severity.WARNING, f"queue {n}", "", "", None, "x") for n in range(10_000)], set(), NOON + number)
    assert len(standing.alarms) == MOST_STANDING


def test_a_time_that_lies_ahead_is_not_taken_for_the_beginning():
    standing = Standing()
    for _ in range(2):
        standing.look([Raised(*KEY[:1], Severity.CRITICAL, KEY[1], "", "", NOON + HOUR, "x")], set(), NOON)
    assert standing.alarms[KEY].since == NOON


def test_a_message_reads_as_a_person_would_say_it():
    warning = Raised("JarvisGaps", Severity.WARNING, "gaps", "3 sequence numbers of 1 producer never arrived", "`jarvis gaps`")
    said = [
        Said(Kind.OVER, warning, NOON - 3 * HOUR, NOON - 40 * MINUTE), Said(Kind.STILL, warning, NOON - 26 * HOUR, NOON),
        Said(Kind.RAISED, Raised(*KEY[:1], Severity.CRITICAL, KEY[1], "localhost:6379 cannot be used: Connection refused", "start it"), NOON - 2 * MINUTE, NOON),
    ]  # fmt: skip
    message = Message.about(ORIGIN, said)
    assert message.title == "jarvis on db1: 3 alarms: 1 new, 1 lasting, 1 over"
    assert message.text == (
        "CRITICAL: localhost:6379 cannot be used: Connection refused\n"
        "since 2026-11-25 11:58:00 UTC  (JarvisBrokerAway)\n"
        "to do: start it\n\n"
        "STILL WARNING, for 1 day 2 h: 3 sequence numbers of 1 producer never arrived\n"
        "since 2026-11-24 10:00:00 UTC  (JarvisGaps)\n"
        "to do: `jarvis gaps`\n\n"
        "OVER after 2 h 20 min: 3 sequence numbers of 1 producer never arrived  (JarvisGaps)\n\n"
        "jarvis 1.2.3 on db1, /var/lib/jarvis"
    )
    assert Message.about(ORIGIN, said[2:]).title == "jarvis on db1: localhost:6379 cannot be used: Connection refused"
    assert Message.about(ORIGIN, said[:1]).title == "jarvis on db1: over: 3 sequence numbers of 1 producer never arrived"


def test_a_hundred_alarms_make_a_message_that_can_be_read():
    said = [Said(Kind.RAISED, Raised("JarvisUnclaimedMessages", Severity.WARNING, f"queue {n}", f"on queue {n}", "", None), NOON, NOON) for n in range(100)]
    message = Message.about(ORIGIN, said)
    assert "and 70 more: `jarvis alerts list`" in message.text
    assert len(message.text) < 5_000
    assert len(Message.about(ORIGIN, [Said(Kind.RAISED, Raised("A", Severity.WARNING, "s", "word " * 100, ""), NOON, NOON)]).title) == 150

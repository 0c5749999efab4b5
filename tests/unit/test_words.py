"""What a worker says of itself: its pace, its word, the gaps that it tells of."""

from __future__ import annotations

import json

import pytest
from structlog.testing import capture_logs

from jarvis_client.contract.instants import to_datetime
from persistence.books.gaps import Opened
from persistence.repositories.gaps import Gap
from workers.envelope import published_at
from workers.gap_lines import PATIENCE_SECONDS, GapLines
from workers.pace import HOUR, MINUTE, Pace
from workers.word import LONGEST_BYTES, Word, keep_word, kept_word

WORD = Word(name="worker", home="h", place="host:/data", pid=7, version="1", state="running", said_at=5, started_at=1, lag_seconds=0.25, problem="ü")


class Clock:
    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


def test_what_was_recorded_lately_is_counted_and_forgotten_second_by_second():
    clock = Clock()
    pace = Pace(clock)
    pace.note(5)
    clock.seconds += 30
    pace.note(2)
    assert (pace.last(MINUTE), pace.last(HOUR)) == (7, 7)
    clock.seconds += 30
    assert (pace.last(MINUTE), pace.last(HOUR)) == (2, 7)
    clock.seconds += HOUR - 60
    assert (pace.last(MINUTE), pace.last(HOUR)) == (0, 2)
    clock.seconds += 10 * HOUR
    pace.note(1)
    assert pace.last(HOUR) == 1


def test_a_word_is_read_as_it_was_said(tmp_path):
    assert Word.read(WORD.text().encode()) == WORD
    keep_word(tmp_path / "worker-worker.json", WORD)
    assert kept_word(tmp_path / "worker-worker.json") == WORD
    assert [(path.name, path.stat().st_mode & 0o777) for path in tmp_path.iterdir()] == [("worker-worker.json", 0o600)]
    keep_word(tmp_path / "not there" / "worker-worker.json", WORD)
    assert kept_word(tmp_path / "not there" / "worker-worker.json") is None


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"\xff", b"{}", b"null", json.dumps({**json.loads(WORD.text()), "pid": "7"}), json.dumps({"name": "worker"}), b" " * (LONGEST_BYTES + 1)],
)  # fmt: skip
def test_what_is_no_word_is_none(text):
    assert Word.read(text) is None


def test_what_a_later_version_says_besides_is_left_out():
    assert Word.read(json.dumps({**json.loads(WORD.text()), "mood": "good"})) == WORD


@pytest.mark.parametrize(
    ("payload", "at"),
    [
        (b'{"message_timestamp": 1795343043000}', 1_795_343_043_000_000), (b'{"message_timestamp": 1795343043000000}', None), (b"[]", None), (b"x", None),
        (b'{"message_timestamp": true}', None), (b'{"args": [{"message_timestamp": 5}]}', None),
    ],
)  # fmt: skip
def test_a_message_says_when_it_was_published(payload, at):
    assert published_at(payload) == at


class Table:
    """The open gaps, as the books have them."""

    def __init__(self) -> None:
        self.open: list[tuple[str, int, int]] = []

    def find_open(self, producer=None):
        return [Gap(*gap, to_datetime(0)) for gap in self.open if gap[0] == producer]


def test_a_gap_that_stays_is_told_of_once_and_once_more_when_it_is_over():
    table, clock = Table(), Clock()
    lines = GapLines(table, clock=clock)

    def said(*open_now, seconds=PATIENCE_SECONDS):
        clock.seconds += seconds
        table.open = list(open_now)
        with capture_logs() as logs:
            lines.look()
        return [{name: entry[name] for name in ("event", "producer", "numbers", "missing", "were_missing") if name in entry} for entry in logs]

    # given: two gaps, one of which the next commit fills, as where records travel through two queues
    lines.opened([Opened("e1", 3, 3)])
    lines.opened([Opened("e1", 7, 20)])
    assert said(("e1", 7, 20), seconds=5) == [], "it may be on its way"
    # then: the other one is told of, as far as it is still open
    missing = "numbers of a producer are missing"
    assert said(("e1", 7, 8), ("e1", 12, 20)) == [{"event": missing, "producer": "e1", "numbers": "7 to 8, 12 to 20", "missing": 11}]
    assert said(("e1", 12, 20)) == []
    assert said() == [{"event": "no number of a producer is missing any more", "producer": "e1", "were_missing": 11}]
    assert said() == []

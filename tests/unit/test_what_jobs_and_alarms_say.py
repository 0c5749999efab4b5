"""What a job did, and how a status is laid out: one way to say each thing, wherever it is said."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console

from jarvis.cli.output import words as words_of_a_command
from jarvis.cli.status_screen import screen
from jarvis.cli.times import ago
from jarvis.said import words
from jarvis.status.alarms import Raised, Severity
from jarvis.status.model import Copies, Job, Status
from persistence.domain.showing import moment

SECOND = 1_000_000
NOW = 1_795_000_000 * SECOND
EMPTY = Status(taken_at=NOW, version="1", host="h", folder="f", namespace="n")
BACKUP = Job(
    name="backup", says="", cron="0 3 * * *", zone="UTC", enabled=True, paused_since=None, state="succeeded", last_started_at=None, last_ended_at=NOW,
    last_success_at=NOW, last_seconds=1.0, result=None, failed=False, next_at=None, next_try_at=None, late_since=None,
)  # fmt: skip


def lines_of(status: Status, alarms: list[Raised], width: int = 80) -> list[str]:
    console = Console(width=width, highlight=False)
    with console.capture() as captured:
        console.print(screen(status, alarms))
    return [line.rstrip() for line in captured.get().splitlines()]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"accounts": 1, "rows_added": 1_200, "warning": None}, "accounts 1, rows added 1,200"),
        ({"quick": True, "skipped": []}, "quick yes, skipped none"),
        ({"digest": "0123456789abcdef" * 4}, "digest 0123456789ab…"),
        ({"recorded_until": NOW}, f"recorded until {moment(NOW)}"),
        (None, ""),
    ],
)
def test_a_result_is_said_alike_by_commands_and_alarms(value, says):
    assert words(value) == words_of_a_command(value) == says


@pytest.mark.parametrize(("seconds", "says"), [(0, "0 s ago"), (59, "59 s ago"), (-0.4, "now"), (-1, "in 1 s"), (-90, "in 1 min")])
def test_what_is_due_within_the_second_is_due_now(seconds, says):
    assert ago(NOW - int(seconds * SECOND), NOW) == says


def test_the_further_lines_of_an_alarm_stand_under_its_first():
    alarm = Raised("JarvisNoWorker", Severity.CRITICAL, "worker", " ".join(["word"] * 30), " ".join(["do"] * 60))
    shown = lines_of(EMPTY, [alarm])
    assert [line.split("do")[0].split("word")[0] for line in shown[1:7]] == ["✗ ", "  ", "  → ", "    ", "    ", ""]


def test_a_job_that_ended_while_others_were_looked_at_is_just_done():
    [line] = [line for line in lines_of(replace(EMPTY, jobs=(replace(BACKUP, last_success_at=NOW + 2 * SECOND),)), []) if "backup" in line]
    assert line.endswith("done 0 s ago")


def test_a_folder_without_a_backup_is_said_in_one_phrase():
    empty = Copies(place="data/backups", second=False, count=0, bytes=0, newest_at=None, problem=None)
    assert "backups  data/backups: none is proved yet" in lines_of(replace(EMPTY, copies=(empty,)), [])

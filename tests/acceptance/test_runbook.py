"""The runbook, followed: a fault is staged, `jarvis status` names the alarm, the entry's commands are typed, the alarm is over."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from command import run

from jarvis.status.alarms import ALARMS

HOUSE = Path(__file__).parents[2]
PAGE = (HOUSE / "docs" / "runbook.md").read_text()
GOOD = {"type": "deposit", "account_id": "a", "currency": "USDT", "amount": "1", "occurred_at": "2026-01-01T00:00:00Z"}
#: What may end with a finding while the fault lasts; every other command has to succeed.
MAY_FIND = {"status", "doctor", "verify", "gaps", "db", "quarantine"}


def blocks_of(entry: str) -> list[list[list[str]]]:
    """The commands of each block of an entry."""
    text = re.split(r"^##", PAGE.partition(f"### {entry}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    blocks = [[line.partition(" #")[0].strip() for line in block.splitlines()] for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)]
    return [[shlex.split(line)[1:] for line in block if line.startswith("jarvis ")] for block in blocks]


def commands_of(entry: str) -> list[list[str]]:
    """All commands of an entry, in their order."""
    return [command for block in blocks_of(entry) for command in block]


@dataclass
class Stage:
    """A folder with books, and settings that a fault may change."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *command: str, stdin: str | None = None, may_fail: bool = False) -> str:
        done = run(*command, folder=self.folder, stdin=stdin, **self.environment)
        allowed = {0, 1} if may_fail or command[0] in MAY_FIND else {0}
        assert done.returncode in allowed, (command, done.stdout, done.stderr)
        return done.stdout

    def record(self, *numbers: int, **changes: object) -> None:
        lines = [json.dumps({**GOOD, "deposit_id": str(n), **changes, **({"sequence": n} if "producer" in changes else {})}) for n in numbers]
        self.run("import", "-", stdin="\n".join(lines), may_fail=True)

    def alarms(self) -> set[str]:
        return {alarm["name"] for alarm in json.loads(self.run("status", "--json"))["alarms"]}


@pytest.fixture
def stage(short_folder) -> Stage:
    stage = Stage(short_folder)
    stage.run("db", "init")
    stage.record(1, 2)
    stage.run("backup", "create")
    stage.run("jobs", "run", "verification", "--here")
    return stage


Staged = tuple[Callable[[Stage], None], Callable[[Stage], None]]


def tampered(stage: Stage) -> None:
    with sqlite3.connect(stage.folder / "data" / "jarvis_trading.db") as connection:
        connection.execute("UPDATE balances SET available = '7'")
    stage.run("jobs", "run", "verification", "--here", may_fail=True)


def second_place(stage: Stage) -> None:
    (stage.folder / "elsewhere").mkdir()
    stage.environment["JARVIS_DATABASE__BACKUP__SECOND__PATH"] = str(stage.folder / "elsewhere" / "copies")


def failed_backup(stage: Stage) -> None:
    stage.environment["JARVIS_DATABASE__BACKUP__SECOND__COMMAND"] = "false {file}"
    stage.run("jobs", "run", "backup", "--here", may_fail=True)


def settled(*command: str) -> Callable[[Stage], None]:
    def settle(stage: Stage) -> None:
        stage.run(*command)

    return settle


def back_to_normal(name: str) -> Callable[[Stage], None]:
    def mend(stage: Stage) -> None:
        stage.environment.pop(name)

    return mend


def retried_backup(stage: Stage) -> None:
    stage.environment.pop("JARVIS_DATABASE__BACKUP__SECOND__COMMAND")
    stage.run("jobs", "run", "backup", "--here")


def rehearsed_long_ago(stage: Stage) -> None:
    stage.run("jobs", "run", "restore_drill", "--here")
    threshold("DRILL_AGE_DAYS", "0.0000001")(stage)


def threshold(name: str, value: str) -> Callable[[Stage], None]:
    return lambda stage: stage.environment.update({f"JARVIS_MONITORING__THRESHOLDS__{name}": value})


#: By alarm: how the fault comes about, and what the entry says in words beside its commands.
STAGED: dict[str, Staged] = {
    "JarvisQuarantineHeld": (lambda stage: stage.record(3, amount="-1"), settled("quarantine", "discard", "--reason", "typed by hand", "1")),
    "JarvisGaps": (lambda stage: stage.record(4, 6, producer="engine"), lambda stage: stage.record(5, producer="engine")),
    "JarvisVerificationFindings": (tampered, settled("rebuild", "--stop")),
    "JarvisBackupStale": (lambda stage: shutil.rmtree(stage.folder / "data" / "backups"), settled("backup", "adopt", "data/backups")),
    "JarvisCopyStale": (second_place, settled("jobs", "run", "backup", "--here")),
    "JarvisJobFailed": (failed_backup, retried_backup),
    "JarvisDiskLow": (threshold("DISK_FREE_PERCENT", "99.9"), back_to_normal("JARVIS_MONITORING__THRESHOLDS__DISK_FREE_PERCENT")),
    "JarvisDrillStale": (rehearsed_long_ago, back_to_normal("JARVIS_MONITORING__THRESHOLDS__DRILL_AGE_DAYS")),
    "JarvisVerificationStale": (
        threshold("VERIFICATION_AGE_HOURS", "0.0000001"),
        back_to_normal("JARVIS_MONITORING__THRESHOLDS__VERIFICATION_AGE_HOURS"),
    ),
}


@pytest.mark.parametrize("name", STAGED)
def test_who_follows_the_entry_of_an_alarm_is_rid_of_it(name, stage):
    begins, in_words = STAGED[name]
    assert name not in stage.alarms()
    begins(stage)
    assert name in stage.alarms(), "the fault is seen"
    look, *mend = blocks_of(name)
    for command in look:
        stage.run(*command)
    in_words(stage)
    for command in (command for block in mend for command in block):
        stage.run(*command)
    assert name not in stage.alarms(), "it is over"


@pytest.mark.parametrize("name", [alarm.name for alarm in ALARMS if alarm.name not in STAGED])
def test_every_command_of_the_other_entries_can_be_typed(name, stage):
    for command in commands_of(name):
        stage.run(*command)


@pytest.mark.parametrize("way", ["A lost broker", "A leaked secret", "On a new host, from backups alone"])
def test_every_command_of_a_way_back_can_be_typed(way, stage):
    commands = commands_of(way)
    assert commands
    for command in commands:
        stage.run(*command)


def test_back_to_a_moment(stage):
    moment = datetime.now(UTC).isoformat()
    stage.record(3, amount="1000000")
    for command in commands_of("Back to a moment"):
        stage.run(*[moment if word.startswith("20") else word for word in command])
    [account] = json.loads(stage.run("accounts", "--json"))
    assert account["balances"]["USDT"]["total"] == "2", "what was there at the moment, and nothing of later"

"""The ways back that docs/runbook.md writes down, run as they stand there."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from books import deposit
from command import run
from parts import a_further_migration

from jarvis.restoring import restore_books
from jarvis.settings import Settings
from jarvis_client.contract import instants
from persistence.books.ledger import Ledger
from persistence.copies import backups
from persistence.database import DatabaseManager
from persistence.domain.errors import WrongDatabase
from workers.messages import item_of_line

HOUSE = Path(__file__).parents[2]
GOOD = {"type": "deposit", "account_id": "a", "currency": "USDT", "amount": "1", "occurred_at": "2026-01-01T00:00:00Z"}


def blocks(section: str) -> list[list[str]]:
    """The commands of each block of a section, without their remarks."""
    page = (HOUSE / "docs" / "runbook.md").read_text()
    text = re.split(r"^##", page[page.index(f"### {section}\n") + 4 :], maxsplit=1, flags=re.MULTILINE)[0]
    return [[line.partition(" #")[0].strip() for line in block.splitlines()] for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)]


def go_through(commands: list[str], folder: Path, archive: Path) -> None:
    for command in commands:
        words = [str(archive) if word == "/tmp/jarvis.tar" else word for word in shlex.split(command)]
        words = [found for word in words for found in ([str(p) for p in folder.glob(word)] if "*" in word else [word])]
        if words[0] == "jarvis":
            done = run(*words[1:], folder=folder)
            assert done.returncode == 0, (command, done.stdout, done.stderr)
        else:
            subprocess.run(words, cwd=folder, check=True)


def record(folder: Path, *numbers: int) -> None:
    lines = "\n".join(json.dumps({**GOOD, "deposit_id": str(n)}) for n in numbers)
    assert run("import", "-", folder=folder, stdin=lines).returncode == 0


def total(folder: Path) -> str:
    [account] = json.loads(run("accounts", "--json", folder=folder).stdout)
    return account["balances"]["USDT"]["total"]


@pytest.fixture
def running(short_folder):
    shutil.copytree(HOUSE / "config", short_folder / "config")
    assert run("db", "init", folder=short_folder).returncode == 0
    record(short_folder, 1, 2, 3)
    return short_folder


def test_at_3_a_m(running, tmp_path):
    assert run("backup", "create", folder=running).returncode == 0
    record(running, 4)
    [commands] = blocks("Restore at 3 a.m.")
    assert commands.pop() == "jarvis up"
    go_through(commands, running, tmp_path)
    assert total(running) == "4"


def test_moving_to_another_host(running, tmp_path):
    here, there = blocks("Moving to another host")
    go_through(here, running, tmp_path / "jarvis.tar")
    new_host = tmp_path / "host"
    new_host.mkdir()
    go_through(there, new_host, tmp_path / "jarvis.tar")
    assert total(new_host) == "3"


def test_upgrading(running, tmp_path):
    for commands in blocks("Upgrading"):
        go_through(commands, running, tmp_path)
    assert total(running) == "3"


@pytest.mark.on_disk
def test_going_back_a_version_takes_along_what_the_newer_one_recorded(tmp_path):
    settings = Settings(database={"path": tmp_path / "books.db", "backup": {"path": tmp_path / "backups"}})
    with closing(DatabaseManager(settings.database.path)) as database:
        database.initialize()
        Ledger(database).post([deposit(1)])
        before = backups.create(database, settings.database.backup.path, instants.now())
    with a_further_migration():
        with closing(DatabaseManager(settings.database.path)) as newer:
            newer.initialize()
            Ledger(newer).post([deposit(2), deposit(3)])
        later = restore_books(settings, before, datetime.now(UTC), stop=False).later
    with pytest.raises(WrongDatabase, match="schema version"), DatabaseManager(settings.database.path):
        pass
    done = restore_books(settings, before, datetime.now(UTC), stop=False)
    assert (done.compared, "schema version" in done.problem) == (False, True), "what only the newer program can read is not said to be nothing"
    with DatabaseManager(settings.database.path) as older:
        Ledger(older).post([item_of_line(line, n) for n, line in enumerate(later.read_bytes().splitlines(), 1)])
        assert len(older.execute_query("SELECT 1 FROM facts")) == 3


def test_what_takes_its_time_is_shown_on_a_terminal_alone(running):
    ours, theirs = pty.openpty()
    for command, stages in (("backup create", "copying the books|reading the backup back"), ("restore --latest", "reading the backup back|checking the books")):
        with subprocess.Popen([sys.executable, "-m", "jarvis", *command.split()], cwd=running, stderr=theirs, stdout=subprocess.PIPE) as process:
            assert process.stdout.read() == b"", "data alone goes to stdout"
            assert process.wait(30) == 0
        shown = os.read(ours, 1 << 16).decode()
        assert re.search(stages, shown), shown
    os.close(theirs)
    os.close(ours)
    assert "reading the backup back" not in run("backup", "verify", folder=running).stderr

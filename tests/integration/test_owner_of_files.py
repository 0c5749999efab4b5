"""What root makes beside the books of another user belongs to that user: really run as root, over files of another uid."""

from __future__ import annotations

import json
import os
import re
import sys
import traceback
from pathlib import Path

import pytest
from books import deposit
from command import run

from jarvis_client.contract import instants
from persistence.books.ledger import Ledger
from persistence.copies import backups
from persistence.copies.second_place import SecondPlace, carry
from persistence.database import DatabaseManager
from persistence.files import locked_file, make_last_folder, replaced, scratch_folder

UID = 1234
HOUSE = Path(__file__).parents[2]
#: What makes a file or a folder without giving it an owner.
MAKES = re.compile(r"O_CREAT|\.mkdir\(|\.write_(text|bytes)\(|\bopen\([^()]*, \"[wax]|\.touch\(|copyfile\(|mkstemp|mkdtemp")
#: Where that is right, and why.
MAY_MAKE = {
    "persistence/files.py": "it is what gives the owner",
    "persistence/exports.py": "an export is its caller's",
    "persistence/copies/second_place.py": "copies into a file that is there already",
}
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files for somebody else")


def give(folder: Path) -> None:
    """The whole folder to the other user."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, UID, UID, follow_symlinks=False)


def owners(folder: Path) -> dict[str, int]:
    """What is not the other user's."""
    return {str(path.relative_to(folder)): path.lstat().st_uid for path in folder.rglob("*") if path.lstat().st_uid != UID}


def as_the_user(work) -> None:
    """Run something in a process of the other user; it has to succeed."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            os.setgroups([])
            os.setgid(UID)
            os.setuid(UID)
            work()
            code = 0
        except BaseException:  # the child must not go on as a second test run
            traceback.print_exc(file=sys.__stderr__)
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.fixture
def installed(short_folder, tmp_path):
    """A folder of the other user, with books in it, without backups."""
    (tmp_path / "data").mkdir()
    for _ in range(2):  # loads what the other user may not read: Python itself may lie below /root
        go_on(tmp_path)
    record = {"type": "deposit", "deposit_id": "1", "account_id": "a", "currency": "USDT", "amount": 1, "occurred_at": "2026-01-01T00:00:00Z"}
    assert run("db", "init", folder=short_folder).returncode == 0
    assert run("import", "-", folder=short_folder, stdin=json.dumps(record)).returncode == 0
    give(short_folder)
    return short_folder


def go_on(folder: Path) -> None:
    """What the daemon does every day: record, take its locks, back up."""
    with DatabaseManager(folder / "data" / "jarvis_trading.db") as database:
        Ledger(database).post([deposit("of the daemon")])
        with locked_file(folder / "data" / "jarvis.lock", "daemon"), locked_file(folder / "data" / "scheduler.lock", "daemon"):
            backups.create(database, folder / "data" / "backups", instants.now())


@pytest.mark.parametrize(
    "commands", [[("backup", "create")], [("backup", "create"), ("restore", "--latest")], [("rebuild",)], [("db", "salvage", "data/new.db")]]
)
def test_after_a_command_of_root_the_daemon_s_user_goes_on(installed, commands):
    for command in commands:
        done = run(*command, folder=installed)
        assert done.returncode == 0, done.stderr
    assert owners(installed) == {}
    as_the_user(lambda: go_on(installed))


def test_a_restore_by_root_where_there_is_no_database_any_more_makes_it_the_user_s(installed):
    assert run("backup", "create", folder=installed).returncode == 0
    for path in (installed / "data").glob("jarvis*"):
        path.unlink()
    done = run("restore", "--latest", folder=installed)
    assert done.returncode == 0, done.stderr
    assert owners(installed) == {}
    as_the_user(lambda: go_on(installed))


def test_the_database_says_whose_where_the_folder_is_root_s(installed):
    os.chown(installed / "data", 0, UID)
    (installed / "data").chmod(0o770)
    assert run("backup", "create", folder=installed).returncode == 0
    os.chown(installed / "data" / "backups", UID, UID)
    assert run("restore", "--latest", folder=installed).returncode == 0
    for name in ("jarvis_trading.db", "jarvis_trading.db-mark", "jarvis.lock", "scheduler.lock"):
        assert (installed / "data" / name).stat().st_uid == UID, name


def test_a_second_place_notes_and_scratch_folders_too(installed):
    with DatabaseManager(installed / "data" / "jarvis_trading.db") as database:
        made = backups.create(database, installed / "backups", instants.now())
        carry(made, SecondPlace(installed / "second"), instants.now())
    with scratch_folder(installed, "test") as scratch, replaced(scratch / "note") as note:
        note.write(b"x")
        assert owners(installed) == {}
    with replaced(installed / "export.csv", of_the_caller=True) as file:
        file.write(b"x")
    assert owners(installed) == {"export.csv": 0}, "what was asked for stays the caller's"


def test_what_another_user_put_there_is_not_given_away(tmp_path):
    """A link that its folder's owner planted must not hand a file of root to them."""
    theirs, secret = tmp_path / "theirs", tmp_path / "secret"
    theirs.mkdir()
    secret.write_text("root's")
    (theirs / "jarvis.lock").symlink_to(secret)
    (theirs / "folder").symlink_to(tmp_path)
    give(theirs)
    with locked_file(theirs / "jarvis.lock", "test"):
        pass
    make_last_folder(theirs / "folder")
    assert (secret.stat().st_uid, tmp_path.stat().st_uid) == (0, 0)


def test_nothing_beside_the_books_is_made_otherwise():
    for path in [*sorted((HOUSE / "persistence").rglob("*.py")), *(HOUSE / "jarvis" / name for name in ("restoring.py", "cli/restore.py", "cli/backup.py"))]:
        name = str(path.relative_to(HOUSE))
        made = MAKES.search(path.read_text())
        assert made is None or name in MAY_MAKE, f"{name} makes a file by {made[0]!r}; persistence.files gives it the owner of what it lies beside"

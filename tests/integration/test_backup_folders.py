"""Folders are never made, nor backups written, on the wrong disk in silence."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import command
import pytest
from books import NEW_YEAR, deposit

from persistence.copies import backups, places
from persistence.copies.second_place import SecondPlace, carry
from persistence.database import DatabaseManager
from persistence.domain.errors import WrongFolder
from scheduler.jobs import back_up

SECOND = 1_000_000


def book_id(database: DatabaseManager) -> str:
    return str(database.execute_query("SELECT book_id FROM book")[0][0])


def become_an_empty_mount_point(folder: Path) -> None:
    folder.rename(folder.with_name(f"{folder.name}-on-its-disk"))
    folder.mkdir()


def test_a_folder_is_marked_and_remembered_when_it_is_used_first(database, tmp_path):
    backups.create(database, tmp_path / "backups", NEW_YEAR)
    assert places.marked(tmp_path / "backups") == [book_id(database)]
    assert database.execute_query("SELECT path FROM backup_folders")[0][0] == str(tmp_path / "backups")
    commits = database.execute_query("SELECT commit_no FROM book")[0][0]
    places.claim(database, tmp_path / "backups")
    assert database.execute_query("SELECT commit_no FROM book")[0][0] == commits, "what is known is not written again"


@pytest.mark.parametrize("mark", [None, "f" * 32], ids=["no mark", "the mark of other books"])
def test_a_folder_that_lost_its_mark_is_refused_until_it_is_adopted(database, tmp_path, mark):
    folder = tmp_path / "backups"
    backups.create(database, folder, NEW_YEAR)
    become_an_empty_mount_point(folder)
    if mark:
        (folder / places.MARKER).write_text(f"{mark}\n")

    with pytest.raises(WrongFolder, match=rf"Is the disk mounted\?.*jarvis backup adopt {folder}"):
        backups.create(database, folder, NEW_YEAR + SECOND)
    assert not list(folder.glob("[!.]*"))
    places.claim(database, folder, adopt=True)
    backups.create(database, folder, NEW_YEAR + SECOND)
    assert places.marked(folder) == [*([mark] if mark else []), book_id(database)]


def test_the_second_place_is_held_to_the_same(database, tmp_path):
    other_disk = tmp_path / "usb"
    times = iter(range(9))
    job = back_up(tmp_path / "backups", 30, elsewhere=SecondPlace(other_disk), clock=lambda: NEW_YEAR + next(times) * SECOND)
    job(database, 0)
    become_an_empty_mount_point(other_disk)

    with pytest.raises(WrongFolder, match=r"Is the disk mounted\?"):
        job(database, 0)
    assert list(other_disk.iterdir()) == []
    assert len(backups.present(tmp_path / "backups")) == 2, "the first copy stands"
    other_disk.rmdir()
    other_disk.with_name("usb-on-its-disk").rename(other_disk)
    job(database, 0)
    assert len(backups.present(other_disk)) == 2


def test_backups_of_these_books_are_as_good_as_a_mark(database, tmp_path):
    backups.create(database, tmp_path / "backups", NEW_YEAR)
    (tmp_path / "backups" / places.MARKER).unlink()
    backups.create(database, tmp_path / "backups", NEW_YEAR + SECOND)
    assert places.marked(tmp_path / "backups") == [book_id(database)]


def test_two_books_may_share_a_folder(database, another, tmp_path):
    with another() as others:
        for number, books in enumerate((database, others, database, others)):
            backups.create(books, tmp_path / "backups", NEW_YEAR + number * SECOND)
        assert places.marked(tmp_path / "backups") == [book_id(database), book_id(others)]


def test_only_the_last_folder_of_a_path_is_made(database, ledger, tmp_path):
    ledger.post([deposit(1)])
    made = backups.create(database, tmp_path / "backups", NEW_YEAR)
    said = rf"{tmp_path}/mnt does not exist. Is its disk mounted.*mkdir -p"
    for make in (
        lambda: DatabaseManager(tmp_path / "mnt" / "disk" / "b.db").initialize(),
        lambda: backups.create(database, tmp_path / "mnt" / "disk", NEW_YEAR),
        lambda: carry(made, SecondPlace(tmp_path / "mnt" / "disk"), NEW_YEAR),
        lambda: places.claim(database, tmp_path / "mnt" / "disk", adopt=True),
    ):
        with pytest.raises(WrongFolder, match=said):
            make()
    assert not (tmp_path / "mnt").exists()


def test_a_fresh_copy_of_the_program_has_its_own_folders_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with closing(DatabaseManager("data/b.db", backup_folder="data/backups")) as database:
        database.initialize()
        backups.create(database, Path("data/backups"), NEW_YEAR)
    shutil.rmtree("data")
    with closing(DatabaseManager("b.db")) as database:
        database.initialize()
        backups.create(database, Path("data/backups"), NEW_YEAR)
    assert len(backups.present(tmp_path / "data" / "backups")) == 1


def test_by_the_command(tmp_path):
    run = command.Jarvis(tmp_path)
    run("db", "init")
    run("backup", "create")
    become_an_empty_mount_point(tmp_path / "data" / "backups")
    assert "jarvis backup adopt data/backups" in run("backup", "create", code=4).stderr
    run("backup", "adopt", "data/backups")
    run("backup", "create")
    elsewhere = {"JARVIS_DATABASE__PATH": str(tmp_path / "mnt" / "disk" / "b.db"), "JARVIS_DATABASE__BACKUP__PATH": "none"}
    for what in (("db", "init"), ("db", "init", "--anew"), ("up",), ("import", "-")):
        assert f"{tmp_path}/mnt does not exist. Is its disk mounted" in run(*what, code=4, **elsewhere).stderr
    assert not (tmp_path / "mnt").exists()

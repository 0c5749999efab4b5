"""Which backup is meant, and which are left alone: by whose books it holds and how far they reach, whatever clocks and names say."""

from __future__ import annotations

import json
import re
import shutil
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from books import NEW_YEAR, deposit
from command import Jarvis

from jarvis.restoring import restore_books
from jarvis.settings import Settings
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.instants import to_datetime, to_instant
from persistence.books.book import book_id
from persistence.books.ledger import Ledger
from persistence.copies import backups
from persistence.copies.backup_checks import backups_are_sound, protected
from persistence.copies.choosing import choose
from persistence.copies.manifest import manifest_path, write_manifest
from persistence.copies.restoring import restore_copy
from persistence.copies.second_place import SecondPlace, carry
from persistence.database import DatabaseManager
from persistence.domain import Currency, Money
from persistence.domain.errors import WrongDatabase
from persistence.proof.books_checks import check_books
from persistence.repositories import SQLiteAccountRepository
from scheduler.jobs import back_up, drill
from scheduler.rollup.options import RollupPlan

SECOND = 1_000_000
DAY = 86_400 * SECOND
YEAR = 365 * DAY


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "backups"


@pytest.fixture
def settings(tmp_path):
    return Settings(database={"path": tmp_path / "books.db", "backup": {"path": tmp_path / "backups"}})


class Keeper:
    """Books whose clock is set by hand."""

    def __init__(self, database: DatabaseManager, folder: Path) -> None:
        self.database, self.folder = database, folder
        self.now = NEW_YEAR
        self.number = 0

    @property
    def book(self) -> str:
        with self.database.get_connection() as connection:
            return book_id(connection)

    def record(self, count: int = 1) -> None:
        for _ in range(count):
            self.number += 1
            Ledger(self.database, clock=lambda: self.now).post([deposit(f"{self.folder.parent.name}-{self.number}")])

    def back_up(self) -> backups.Backup:
        return backups.create(self.database, self.folder, self.now)

    def findings(self) -> dict[str, str]:
        return {f.check: f.found for f in backups_are_sound(self.folder, self.now, protected(self.database))}


@pytest.fixture
def keeper(database, folder):
    return Keeper(database, folder)


@pytest.fixture
def others(tmp_path, folder):
    """Other books whose backups lie in the same folder."""
    with closing(DatabaseManager(tmp_path / "others" / "books.db")) as other:
        other.initialize()
        yield Keeper(other, folder)


def facts(path: Path) -> int:
    with closing(DatabaseManager(path)) as restored:
        assert check_books(restored) == []
        return restored.execute_query("SELECT count(*) FROM facts")[0][0]


# -- the clock -------------------------------------------------------------------------------------------------------------


def test_a_backup_from_a_clock_that_was_ahead_is_neither_the_newest_nor_recent(keeper, folder, settings):
    keeper.record(3)
    keeper.now += YEAR
    ahead = keeper.back_up()
    keeper.now -= YEAR
    keeper.record(5)
    daily = []
    for _ in range(3):
        keeper.now += DAY
        daily.append(keeper.back_up())

    choice = choose(folder, keeper.now)
    assert choice.backup == daily[-1]
    assert choice.remarks == [f"passed over, taken by a clock that was ahead, reaching less far: {ahead.path.name}"]
    assert set(keeper.findings()) == {"backups are from the past"}
    keeper.now += 10 * DAY
    assert set(keeper.findings()) == {"backups are from the past", "backups are recent"}, "it does not silence the alarm"
    keeper.database.close()
    restore_books(settings, choice.backup, to_datetime(keeper.now), stop=False)
    assert facts(settings.database.path) == 8


def test_a_backup_from_the_future_that_reaches_furthest_is_taken_and_said_to_be(keeper, folder):
    keeper.record()
    keeper.back_up()
    keeper.now += YEAR
    keeper.record()
    ahead = keeper.back_up()
    choice = choose(folder, keeper.now - YEAR)
    assert choice.backup == ahead
    assert "though the clock was ahead" in choice.remarks[0]


def test_after_a_clock_was_set_back_the_backup_that_reaches_furthest_has_the_older_name(keeper, folder):
    keeper.record()
    named_later = keeper.back_up()
    keeper.record(2)
    keeper.now -= 7 * DAY
    reaches_further = keeper.back_up()
    choice = choose(folder, keeper.now + 30 * DAY)
    assert choice.backup == reaches_further
    assert choice.remarks == [f"passed over, later by its clock, reaching less far: {named_later.path.name}"]


def test_after_going_back_new_backups_reach_further_than_those_that_were_left_behind(keeper, folder, settings):
    """Commits are counted on from the restored one: their number alone would name the wrong one."""
    keeper.record()
    first = keeper.back_up()
    keeper.now += DAY
    keeper.record(20)
    left = keeper.back_up()
    for number in range(2):
        keeper.database.close()
        restore_books(settings, first, to_datetime(keeper.now + number * SECOND), stop=False)
    keeper.now += DAY
    keeper.record()
    onwards = keeper.back_up()
    assert onwards.reach.commit_no < left.reach.commit_no
    assert choose(folder, keeper.now).backup == onwards
    keeper.database.close()
    for path in folder.parent.glob("books.db*"):
        path.unlink()
    restore_books(settings, left, to_datetime(keeper.now + DAY), stop=False)
    keeper.now += 2 * DAY
    keeper.record()
    assert choose(folder, keeper.now).backup == onwards
    last = keeper.back_up()
    assert choose(folder, keeper.now).backup == last, "the backups beside it tell which lives there were, where no database does"


def test_a_failed_proof_that_a_wrong_clock_dated_holds_no_pruning_up(keeper, folder):
    keeper.record()
    for _ in range(10):
        keeper.now += DAY
        keeper.back_up()
    (folder / "failed-jarvis-20990101T000000Z-schema0001.db.zst").write_bytes(b"torn")
    assert len(backups.prune(folder, keeper.now + YEAR, 30)) == 2


# -- other books ------------------------------------------------------------------------------------------------------------


def test_backups_of_other_books_are_passed_over_named_and_never_pruned(keeper, others, folder):
    keeper.record()
    ours = keeper.back_up()
    others.now += DAY
    others.record(9)
    for _ in range(9):
        others.now += SECOND
        others.back_up()
    keeper.now += 2 * DAY
    choice = choose(folder, keeper.now, book=keeper.book)
    assert choice.backup == ours
    assert choice.remarks == [f"passed over, of other books: 9 of books {others.book[:8]}"]
    assert "9 backups" in keeper.findings()["backups belong to these books"]

    now = keeper.now + YEAR
    assert backups.prune(folder, now, 1, book=keeper.book, forced=True) == [], "the newest seven of these books, whatever the others have"
    assert backups.prune(folder, now, 1, forced=True) == [], "nothing says whose"
    assert len(backups.prune(folder, now, 1, book=others.book, forced=True, dry_run=True)) == 2


def test_the_daily_job_and_the_second_place_prune_their_own_books_only(keeper, others, folder, tmp_path):
    others.record()
    for _ in range(3):
        others.now += SECOND
        carry(others.back_up(), SecondPlace(tmp_path / "second"), others.now)
    keeper.record()
    job = back_up(folder, 1, elsewhere=SecondPlace(tmp_path / "second", retention_days=1), clock=lambda: keeper.now)
    for _ in range(12):
        keeper.now += 30 * DAY
        job(keeper.database, 0)
    for place in (folder, tmp_path / "second"):
        held = [b.book for b in backups.present(place)]
        assert (held.count(others.book), held.count(keeper.book)) == (3, 7), place


def test_the_drill_restores_a_backup_of_these_books(keeper, others, folder):
    keeper.record()
    ours = keeper.back_up()
    others.now += DAY
    others.record()
    others.back_up()
    told = drill(folder, RollupPlan())(keeper.database, keeper.now + DAY)
    assert (told["backup"], told["remarks"]) == (ours.path.name, [f"passed over, of other books: 1 of books {others.book[:8]}"])


def test_without_a_database_backups_of_two_books_are_a_question(keeper, others, folder):
    for one in (keeper, others):
        one.now += SECOND * (1 + (one is others))
        one.record()
        one.back_up()
    ours, theirs = keeper.book, others.book
    with pytest.raises(WrongDatabase, match=r"backups of 2 books") as told:
        choose(folder, NEW_YEAR + DAY, beside=keeper.database.path)
    assert f"books {ours[:8]}: 1 backup" in str(told.value)
    assert f"--books {ours[:8]}" in str(told.value), "the mark that still lies there is theirs"
    assert choose(folder, NEW_YEAR + DAY, book=theirs[:8]).backup.book == theirs
    with pytest.raises(WrongDatabase, match=r"no proved backup of these books \(0123\)"):
        choose(folder, NEW_YEAR + DAY, book="0123")


# -- to a time --------------------------------------------------------------------------------------------------------------


def lines(path: Path) -> list[str]:
    return [json.loads(line)["deposit_id"] for line in path.read_text().splitlines()]


@pytest.fixture
def three_hours(keeper):
    """A backup, and a record in each of the three hours after it."""
    keeper.record()
    backup = keeper.back_up()
    for _ in range(3):
        keeper.now += 3_600 * SECOND
        keeper.record()
    keeper.database.close()
    return backup


def test_a_restore_to_a_time_lands_on_it(three_hours, keeper, settings):
    wanted = to_datetime(NEW_YEAR) + timedelta(hours=2, minutes=30)
    before = keeper.database.execute_query("SELECT record_id, recorded_at FROM facts")
    keeper.database.close()
    done = restore_books(settings, three_hours, to_datetime(keeper.now), stop=False, until=wanted)
    assert (done.compared, done.brought_in, done.later_count) == (True, 2, 1)
    assert lines(done.later) == [before[-1]["record_id"]]
    with closing(DatabaseManager(settings.database.path)) as restored:
        assert restored.execute_query("SELECT record_id, recorded_at FROM facts") == before[:3], "with the instants at which they were recorded"
        assert check_books(restored) == []
        told = backups_are_sound(settings.database.backup.path, keeper.now, protected(restored))
        assert told == []


def test_what_was_saved_by_hand_is_not_said_to_be_brought_in(three_hours, keeper, settings):
    accounts = SQLiteAccountRepository(keeper.database)
    account = accounts.find_by_id("acc")
    account.balance.add_available(Money("7", Currency("USDT")))
    accounts.save(account)
    keeper.database.close()
    now = datetime.now(UTC)
    done = restore_books(settings, three_hours, now, stop=False, until=now)
    assert (done.brought_in, done.left_out, done.by_hand, done.later_count) == (3, 1, 1, 0)


def test_a_restore_to_a_time_into_a_new_file_takes_from_books_that_are_in_use(three_hours, keeper, tmp_path):
    done = restore_to(tmp_path / "look.db", three_hours, keeper.database, to_datetime(NEW_YEAR) + timedelta(hours=1))
    assert (done.compared, done.brought_in) == (True, 1)
    assert facts(tmp_path / "look.db") == 2
    assert len(keeper.database.execute_query("SELECT 1 FROM facts")) == 4


def restore_to(target, backup, database, until):
    return restore_copy(backup, target, until=to_instant(until), present=database)


def test_a_backup_that_holds_what_was_recorded_after_the_time_is_not_the_one(keeper, folder):
    keeper.record()
    fits = keeper.back_up()
    keeper.now += DAY
    keeper.record()
    keeper.now -= DAY // 2
    dated_before_what_it_holds = keeper.back_up()
    choice = choose(folder, keeper.now + DAY, at=to_datetime(keeper.now))
    assert choice.backup == fits
    assert choice.remarks == [f"passed over, holding what was recorded later: {dated_before_what_it_holds.path.name}"]
    with pytest.raises(Invalid, match="lies in the future"):
        choose(folder, keeper.now, at=to_datetime(keeper.now + DAY))
    with pytest.raises(Invalid, match=f"no proved backup from 2025-.*the first one was taken 2026-01-01T00:00:00Z: {fits.path.name}"):
        choose(folder, keeper.now, at=datetime(2025, 6, 1, tzinfo=UTC))


# -- names ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["monday.db.zst", "jarvis-20260101T000000Z-schema0001.db (1).zst", "backup"])
@pytest.mark.parametrize("manifest", ["renamed too", "under its old name", "gone"])
def test_a_backup_is_known_by_its_content_whatever_it_is_called(three_hours, settings, tmp_path, name, manifest):
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    renamed = downloads / name
    shutil.copy(three_hours.path, renamed)
    if manifest != "gone":
        shutil.copy(manifest_path(three_hours.path), manifest_path(renamed) if manifest == "renamed too" else downloads)
    found = backups.identified(renamed)
    if manifest == "gone":
        with pytest.raises(WrongDatabase, match=r"neither .*\.manifest\.json beside it nor another there.*--unproved"):
            restore_books(settings, found, datetime.now(UTC), stop=False)
    else:
        assert (found.taken_at, found.reach) == (three_hours.taken_at, three_hours.reach)
        backups.verify(found)
    done = restore_books(settings, found, datetime.now(UTC), stop=False, unproved=manifest == "gone")
    assert done.later_count == 3
    assert facts(settings.database.path) == 1


def test_a_plain_copy_and_a_database_that_was_kept_aside_are_restored_with_their_log(keeper, settings, tmp_path):
    keeper.record(4)
    rescued = tmp_path / "backups" / "rescued-20260101T000000Z.db"
    rescued.parent.mkdir()
    keeper.database.backup(rescued)
    keeper.record()
    aside = tmp_path / "aside.db"
    for suffix in ("", "-wal"):
        shutil.copy(f"{keeper.database.path}{suffix}", f"{aside}{suffix}")
    keeper.database.close()
    for source, count in ((rescued, 4), (aside, 5)):
        with pytest.raises(WrongDatabase, match="--unproved"):
            restore_books(settings, backups.identified(source), datetime.now(UTC), stop=False)
        restore_books(settings, backups.identified(source), datetime.now(UTC), stop=False, unproved=True)
        assert facts(settings.database.path) == count
    with pytest.raises(Invalid, match="is no backup: there is no such file"):
        backups.identified(tmp_path / "nothing.db")


def test_what_is_no_database_at_all_is_refused_by_its_name(settings, tmp_path, database):
    (tmp_path / "notes.txt").write_text("not a database" * 500)
    with pytest.raises(WrongDatabase):
        restore_books(settings, backups.identified(tmp_path / "notes.txt"), datetime.now(UTC), stop=False, unproved=True)


# -- by the command ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def jarvis(short_folder):
    return Jarvis(short_folder)


def fed(jarvis, *numbers):
    common = {"type": "deposit", "account_id": "a", "currency": "USDT", "amount": 1, "occurred_at": "2026-01-01T00:00:00Z"}
    jarvis.feed(*({**common, "deposit_id": str(n)} for n in numbers))


def test_on_a_new_host_with_backups_only_it_says_since_when_to_publish_and_verifies(jarvis):
    jarvis("db", "init")
    fed(jarvis, 1, 2)
    jarvis("backup", "create")
    [listed] = json.loads(jarvis("backup", "list", "--json").stdout)
    elsewhere = jarvis.folder / "usb"
    shutil.copytree(jarvis.folder / "data" / "backups", elsewhere)
    shutil.rmtree(jarvis.folder / "data")
    [file] = elsewhere.glob("*.zst")
    said = jarvis("restore", str(file)).stderr
    assert "there was no database to compare with: publish it again from the engine, everything since 20" in said
    assert f"it was taken at {listed['taken_at'][:19]}Z" in said
    assert "nothing was recorded" not in said
    assert "could not write" not in said
    assert "no findings" in jarvis("verify").stderr
    assert list((jarvis.folder / "data" / "backups").glob("went-back-*.json"))


def test_two_books_in_one_folder_are_listed_and_told_apart(jarvis):
    whose = []
    for life in range(2):
        jarvis("db", "init", *["--anew"] * life)
        fed(jarvis, *range(life + 1))
        jarvis("backup", "create")
        whose.append(json.loads(jarvis("backup", "list", "--json").stdout)[0]["books"])
        if not life:
            for left in (jarvis.folder / "data").glob("jarvis_trading.db*"):
                left.rename(jarvis.folder / left.name)
            # Names are of a second.
            [name] = (jarvis.folder / "data" / "backups").glob("*.zst")
            set_back(name)
    listed = {row["books"]: row["remark"] for row in json.loads(jarvis("backup", "list", "--json").stdout)}
    assert listed == {whose[0]: "other books", whose[1]: ""}
    assert "backups belong to these books" in jarvis("verify", "--quick", code=1).stdout
    assert f"passed over, of other books: 1 of books {whose[0]}" in jarvis("restore", "--latest").stderr
    for left in (jarvis.folder / "data").glob("jarvis_trading.db*"):
        left.unlink()
    refused = jarvis("restore", "--latest", code=4).stderr
    assert all(f"books {book}: 1 backup" in refused for book in whose)
    assert "jarvis restore FILE" in refused
    [file, _] = (jarvis.folder / "data" / "backups").glob("*.zst")
    assert "a FILE says itself whose it is" in " ".join(jarvis("restore", str(file), "--books", whose[0], code=2).stderr.replace("│", "").split())
    jarvis("restore", "--latest", "--books", whose[0])
    assert facts(jarvis.folder / "data" / "jarvis_trading.db") == 1


def set_back(path: Path) -> None:
    """Give a backup the name of the day before."""
    made = backups.identified(path)
    target = path.with_name(path.name.replace(f"{made.taken_at:%Y%m%d}", f"{made.taken_at - timedelta(days=1):%Y%m%d}"))
    manifest_path(path).unlink()
    path.rename(target)
    write_manifest(target, made.manifest | {"file": target.name})


def test_what_restores_leave_is_listed_with_its_size_and_goes_only_when_told(jarvis):
    jarvis("db", "init")
    fed(jarvis, 1)
    jarvis("backup", "create")
    fed(jarvis, 2)
    said = jarvis("restore", "--latest").stderr
    assert "1 record came after this backup, it is in " in said
    assert "nothing was recorded after this backup" in jarvis("restore", "--latest").stderr
    kept = json.loads(jarvis("backup", "list", "--kept-aside", "--json").stdout)
    assert [k["what"] for k in kept].count("the database before a restore") == 2
    assert [k["what"] for k in kept].count("records from after a backup") == 1
    assert all(k["bytes"] > 0 for k in kept)
    assert "kept aside besides: 3 files" in jarvis("backup", "list").stderr
    assert "nothing is kept aside for more than 30 days" in jarvis("backup", "prune", "--kept-aside").stderr
    jarvis("backup", "prune", "--kept-aside", "--older-than", "0", code=1, stdin="n\n")
    assert all(Path(jarvis.folder, k["file"]).exists() for k in kept)
    jarvis("backup", "prune", "--kept-aside", "--older-than", "0", "--yes")
    assert not any(Path(jarvis.folder, k["file"]).exists() for k in kept)
    assert facts(jarvis.folder / "data" / "jarvis_trading.db") == 1

    (jarvis.folder / "data" / "jarvis_trading.db").unlink()
    said = jarvis("restore", "--latest").stderr
    assert "what came after this backup could not be read (the database was gone, its log is kept as " in said
    [log] = json.loads(jarvis("backup", "list", "--kept-aside", "--json").stdout)
    jarvis("backup", "prune", "--kept-aside", "--older-than", "0", "--yes")
    assert not list((jarvis.folder / "data").glob("*before-restore*")), log


def test_a_restore_to_a_time_says_how_far_from_it_the_books_stand(jarvis):
    jarvis("db", "init")
    fed(jarvis, 1)
    jarvis("backup", "create")
    fed(jarvis, 2)
    at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    fed(jarvis, 3)
    said = jarvis("restore", "--at", at, "--to", "look.db").stderr
    assert f"the books stand at {at} exactly" in said
    said = jarvis("restore", "--at", at).stderr
    assert f"the books stand at {at} exactly: what was recorded up to then is in them, 1 record of it" in said
    assert f"1 record came after {at}, it is in " in said
    assert facts(jarvis.folder / "data" / "jarvis_trading.db") == facts(jarvis.folder / "look.db") == 2
    for left in (jarvis.folder / "data").glob("jarvis_trading.db*"):
        left.unlink()
    said = jarvis("restore", "--at", at).stderr
    assert re.search(r"the books stand \d+\.\d s before ", said)
    assert "because there is no database that the rest could be taken from" in said
    assert "publish it again from the engine, everything since " in said
    assert "lies in the future" in jarvis("restore", "--at", "2100-01-01", code=2).stderr

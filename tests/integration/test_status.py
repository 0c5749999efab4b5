"""How the daemon stands, held against what was staged: each source by itself, and what one that is down leaves of the others."""

from __future__ import annotations

import random
import shutil
import threading
from contextlib import closing

import pytest
from books import deposit, fill
from parts import a_further_migration
from standing import look, settings_of

from jarvis.settings import Settings
from jarvis.status import copies as copies_module
from jarvis.status.alarms import raised
from jarvis.status.gathering import OF_THE_BOOKS, Watcher, gather
from jarvis.status.jobs import read_jobs
from jarvis.status.model import State
from jarvis_client.contract import instants
from jarvis_client.contract.outcome import Reason, Refusal
from persistence.books.ledger import Ledger
from persistence.copies import backups
from persistence.copies.places import claim
from persistence.database import DatabaseManager
from persistence.domain.strays import StrayKind
from persistence.repositories.job_runs import SQLiteJobRunRepository
from persistence.repositories.recorded import SQLiteRecordedRepository
from persistence.repositories.strays import SQLiteStrayRepository
from scheduler.timetable import TIMETABLE

SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3_600 * SECOND, 86_400 * SECOND


@pytest.fixture
def books(short_folder):
    with closing(DatabaseManager(short_folder / "b.db")) as manager:
        manager.initialize()
        yield manager


@pytest.fixture
def settings(short_folder) -> Settings:
    return settings_of(short_folder)


# -- the books ---------------------------------------------------------------------------------------------------------


def test_where_there_is_nothing_everything_is_told_and_nothing_is_made(short_folder, settings):
    status = look(settings)
    assert {process.name: process.state for process in status.processes} == dict.fromkeys(("broker", "worker", "scheduler"), State.STOPPED)
    assert set(status.unread) == set(OF_THE_BOOKS)
    assert "does not exist" in status.unread["records"]
    assert (status.broker.reachable, status.broker.problem, status.queues) == (False, "not running", None)
    assert {alarm.name for alarm in raised(status, settings.monitoring.thresholds)} >= {"JarvisBooksUnreadable", "JarvisNoWorker", "JarvisBrokerAway"}
    assert list(short_folder.iterdir()) == []


@pytest.mark.parametrize("wrong", ["no database", "newer", "a damaged page"])
def test_books_that_cannot_be_read_hide_nothing_else(short_folder, settings, wrong):
    if wrong == "newer":
        with a_further_migration(), closing(DatabaseManager(short_folder / "b.db")) as newer:
            newer.initialize()
    elif wrong == "no database":
        (short_folder / "b.db").write_bytes(b"nonsense" * 1_000)
    else:
        with closing(DatabaseManager(short_folder / "b.db")) as whole:
            whole.initialize()
        content = (short_folder / "b.db").read_bytes()
        (short_folder / "b.db").write_bytes(content[:4_096] + b"\xff" * (len(content) - 4_096))
    before = (short_folder / "b.db").read_bytes()
    status = look(settings)
    assert status.unread["records"]
    assert {"JarvisBooksUnreadable"} <= {alarm.name for alarm in raised(status, settings.monitoring.thresholds)}
    assert len(status.processes) == 3
    assert status.storage.database_bytes == len(before)
    assert status.storage.disks[0].total_bytes == shutil.disk_usage(short_folder).total
    assert (short_folder / "b.db").read_bytes() == before


def test_what_was_recorded_is_told_with_its_pace(books, settings):
    now = instants.now()
    for ago, numbers in ((2 * HOUR, range(3)), (30 * MINUTE, range(3, 7)), (20 * SECOND, range(7, 12))):
        Ledger(books, lambda ago=ago: now - ago).post([deposit(n) for n in numbers])
    records = gather(settings, now=now).records
    assert (records.total, records.last_hour, records.last_minute) == (12, 9, 5)
    assert (records.begun_at, records.last_commit_at, records.lag_seconds) == (now - 2 * HOUR, now - 20 * SECOND, None)


def test_halving_counts_what_counting_counts(books):
    luck = random.Random(7)
    at = 1_000
    for number in range(60):
        at += luck.choice((0, 0, 1, 7))
        Ledger(books, lambda at=at: at).post([deposit(f"{number}-{n}") for n in range(luck.randint(1, 4))])
    books.execute_update("DELETE FROM flows")
    books.execute_update("DELETE FROM facts WHERE fact_no % 3 = 1 AND fact_no > 1 AND fact_no < (SELECT max(fact_no) FROM facts)")
    recorded, newest = SQLiteRecordedRepository(books), books.execute_query("SELECT max(fact_no) FROM facts")[0][0]
    for instant in range(990, at + 10):
        first = books.execute_query("SELECT min(fact_no) FROM facts WHERE recorded_at >= ?", (instant,))[0][0]
        found = recorded.since(instant)
        # A hole before the first of them may be counted with them, or not.
        before = books.execute_query("SELECT coalesce(max(fact_no), 0) FROM facts WHERE recorded_at < ?", (instant,))[0][0]
        assert newest - (newest if first is None else first - 1) <= found <= newest - before


def test_what_waits_for_a_decision_is_told(books, settings):
    now = instants.now()
    refused = [Refusal(f"raw {n}".encode(), reason, "it breaks a rule") for n, reason in enumerate((Reason.MALFORMED, Reason.CONFLICT, Reason.MALFORMED))]
    Ledger(books, lambda: now - HOUR).post([refused[0]])
    Ledger(books, lambda: now - MINUTE).post([*refused[1:], fill(1, producer="e1", sequence=1), fill(2, order_id="o2", producer="e1", sequence=5)])
    SQLiteStrayRepository(books).note(StrayKind.UNREAD_QUEUE, "dramatiq:default", 2, "{}")
    status = gather(settings, now=now)
    assert status.quarantine.by_reason == {"malformed": 2, "conflict": 1}
    assert (status.quarantine.held, status.quarantine.oldest_at, status.quarantine.newest_at) == (3, now - HOUR, now - MINUTE)
    assert (status.gaps.missing, status.gaps.producers, status.gaps.first_noticed_at) == (3, 1, now - MINUTE)
    assert [(stray.kind, stray.subject, stray.count) for stray in status.strays] == [(str(StrayKind.UNREAD_QUEUE), "dramatiq:default", 2)]
    assert status.notes == 0


def test_a_look_costs_the_same_however_much_was_recorded(short_folder):
    steps = []
    for size in (200, 6_000):
        folder = short_folder / str(size)
        folder.mkdir()
        with closing(DatabaseManager(folder / "b.db", 1, durable=False)) as database:
            database.initialize()
            for start in range(0, size, 200):
                Ledger(database, lambda start=start: 1_000 * SECOND + start).post([deposit(n) for n in range(start, start + 200)])
            counted = 0

            def count() -> bool:
                nonlocal counted
                counted += 1
                return False

            with database.get_connection() as connection:
                connection.set_progress_handler(count, 1)
            status = gather(settings_of(folder), now=1_000 * SECOND + size, database=database)
            assert status.records.total == size
            assert status.unread == {}
            steps.append(counted)
    assert steps[1] < 1.5 * steps[0], f"{steps} steps of SQLite"


# -- the jobs ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def job(books):
    """How one job stands at an instant; by default the backup, which is due at three."""

    def read(now: int, name: str = "backup"):
        [found] = [job for job in read_jobs(SQLiteJobRunRepository(books), TIMETABLE, "UTC", now) if job.name == name]
        return found

    return read


THREE = 1_795_575_600 * SECOND
"""2026-11-25T03:00:00Z."""


def test_a_job_that_never_ran_is_late_only_once_a_scheduler_runs(books, job):
    found = job(THREE + HOUR)
    assert (found.state, found.last_success_at, found.late_since, found.next_at) == ("", None, None, THREE + DAY)
    SQLiteJobRunRepository(books).ticked("host:1:a", THREE + HOUR)
    assert job(THREE + HOUR + 10 * SECOND).late_since == THREE + HOUR


def test_a_failed_run_is_told_with_its_next_try_and_counts_while_it_is_tried_again(books, job):
    runs = SQLiteJobRunRepository(books)
    assert runs.claim("backup", THREE, "me", THREE)
    runs.fail("backup", THREE, "me", THREE + 5 * SECOND, "OSError: no space", THREE + 35 * SECOND)
    found = job(THREE + 10 * SECOND)
    assert (found.failed, found.state, found.result, found.next_try_at, found.last_seconds) == (True, "failed", "OSError: no space", THREE + 35 * SECOND, 5.0)
    assert runs.claim("backup", THREE, "me", THREE + 40 * SECOND)
    found = job(THREE + 41 * SECOND)
    assert (found.failed, found.state, found.next_try_at) == (True, "running", None)
    assert found.result == "it failed and is tried again now, try 2"
    runs.succeed("backup", THREE, "me", THREE + 50 * SECOND, {"bytes": 1_234, "removed": []})
    found = job(THREE + MINUTE)
    assert (found.failed, found.state, found.result, found.last_success_at) == (False, "succeeded", "bytes 1,234, removed none", THREE + 50 * SECOND)


def test_a_job_is_late_from_its_slot_on_unless_it_is_paused_or_at_work(books, job):
    runs = SQLiteJobRunRepository(books)
    assert runs.claim("backup", THREE, "me", THREE)
    runs.succeed("backup", THREE, "me", THREE + SECOND, None)
    assert job(THREE + DAY - SECOND).late_since is None
    assert job(THREE + DAY + HOUR).late_since == THREE + DAY
    # a scheduler that has just started is not late with what was due before
    runs.ticked("host:1:a", THREE + DAY + HOUR)
    assert job(THREE + DAY + HOUR + SECOND).late_since == THREE + DAY + HOUR
    runs.pause("backup", THREE + DAY)
    assert (job(THREE + DAY + HOUR).late_since, job(THREE + DAY + HOUR).paused_since) == (None, THREE + DAY)
    runs.resume("backup")
    assert runs.claim("backup", THREE + DAY, "me", THREE + DAY + HOUR)
    assert job(THREE + DAY + HOUR + SECOND).late_since is None


def test_a_run_that_was_asked_for_and_is_not_taken_makes_a_job_late(books, job):
    SQLiteJobRunRepository(books).request("statistics", THREE)
    found = job(THREE + MINUTE, "statistics")
    assert (found.state, found.late_since) == ("requested", THREE)


def test_of_a_verification_its_findings_are_told_and_a_failure_of_another_kind_is_not_taken_for_one(books, settings):
    runs, now = SQLiteJobRunRepository(books), instants.now()

    def ends(ago: int, error: str | None) -> None:
        assert runs.claim("verification", now - ago, "me", now - ago)
        if error is None:
            runs.succeed("verification", now - ago, "me", now - ago, {"findings": 0})
        else:
            runs.fail("verification", now - ago, "me", now - ago, error, None)

    assert gather(settings, now=now).proof.verified_at is None
    ends(3 * HOUR, None)
    assert (gather(settings, now=now).proof.findings, gather(settings, now=now).proof.verified_at) == (0, now - 3 * HOUR)
    ends(2 * HOUR, "Findings: 1,204 findings, the first: the chain holds, block 3: expected a, found b; look")
    proof = gather(settings, now=now).proof
    assert (proof.findings, proof.verified_at) == (1_204, now - 2 * HOUR)
    assert proof.found.startswith("the chain holds, block 3")
    ends(HOUR, "Unavailable: the disk is full")
    proof = gather(settings, now=now).proof
    assert (proof.findings, proof.verified_at) == (0, now - 3 * HOUR)


# -- copies ------------------------------------------------------------------------------------------------------------


def test_backups_are_told_by_their_manifests_in_both_places(books, short_folder):
    now = instants.now()
    Ledger(books, lambda: now - 2 * DAY).post([deposit(1)])
    made = backups.create(books, short_folder / "backups", now - 30 * HOUR)
    settings = settings_of(short_folder, second={"path": short_folder / "second"})
    first, second = gather(settings, now=now).copies
    assert (first.count, first.bytes, first.newest_at) == (1, made.size, now - 30 * HOUR - (now - 30 * HOUR) % SECOND)
    assert (second.count, second.newest_at, second.problem) == (0, None, "does not exist; is its disk mounted?")
    names = {alarm.name for alarm in raised(gather(settings, now=now), settings.monitoring.thresholds)}
    assert {"JarvisBackupStale", "JarvisCopyStale"} <= names
    # when: the second place is used, and then its disk is away, which leaves the folder that it was mounted at
    (short_folder / "second").mkdir()
    claim(books, short_folder / "second")
    shutil.copy(made.path, short_folder / "second")
    shutil.copy(f"{made.path}.manifest.json", short_folder / "second")
    assert gather(settings, now=now).copies[1].count == 1
    shutil.rmtree(short_folder / "second")
    (short_folder / "second").mkdir()
    assert "Is the disk mounted?" in gather(settings, now=now).copies[1].problem
    assert list((short_folder / "second").iterdir()) == []


def test_a_place_that_does_not_answer_is_not_waited_for(books, short_folder, monkeypatch):
    settings, answers = settings_of(short_folder), threading.Event()
    monkeypatch.setattr(copies_module, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(backups, "present", lambda _: answers.wait(60))
    with closing(Watcher(settings)) as watcher:
        before = threading.active_count()
        for _ in range(3):
            [found] = watcher.look(instants.now()).copies
            assert found.problem.startswith("does not answer")
        assert threading.active_count() == before + 1, "it is not asked again before it has answered"
        answers.set()

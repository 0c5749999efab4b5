"""How the daemon stands, held against what was staged: each source by itself, and what one that is down leaves of the others."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from books import deposit, fill
from parts import a_further_migration, wait_until
from structlog.testing import capture_logs

from jarvis.embedded_broker import server_binary
from jarvis.settings import Settings
from jarvis.status import copies as copies_module
from jarvis.status.alarms import raised
from jarvis.status.broker import BrokerLook
from jarvis.status.gathering import OF_THE_BOOKS, Watcher, gather, is_elsewhere
from jarvis.status.jobs import read_jobs
from jarvis.status.model import Process, State, Status
from persistence.books.ledger import Ledger
from persistence.copies import backups
from persistence.copies.places import claim
from persistence.database import DatabaseManager
from persistence.domain import instants
from persistence.domain.errors import Unavailable
from persistence.domain.outcome import Reason, Refusal
from persistence.domain.strays import StrayKind
from persistence.files import locked_file
from persistence.holders import program_version
from persistence.repositories.job_runs import SQLiteJobRunRepository
from persistence.repositories.recorded import SQLiteRecordedRepository
from persistence.repositories.strays import SQLiteStrayRepository
from scheduler.timetable import TIMETABLE
from workers.app import create_worker
from workers.messages import ROUTES
from workers.publisher import Publisher, encode
from workers.word import kept_word, path_of_word

SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3_600 * SECOND, 86_400 * SECOND
USERS = Path(__file__).parents[2] / "deploy" / "redis" / "users.acl"


def settings_of(folder: Path, url: str | None = None, **more) -> Settings:
    return Settings(database={"path": folder / "b.db", "backup": {"path": folder / "backups", **more}}, broker={"url": url})


@pytest.fixture
def books(short_folder):
    with closing(DatabaseManager(short_folder / "b.db")) as manager:
        manager.initialize()
        yield manager


@pytest.fixture
def settings(short_folder) -> Settings:
    return settings_of(short_folder)


def look(settings: Settings, **options) -> Status:
    return gather(settings, now=instants.now(), **options)


def process_of(status: Status, name: str) -> Process:
    assert status.processes is not None
    [process] = [process for process in status.processes if process.name == name]
    return process


def message(number: int) -> dict[str, object]:
    return {"deposit_id": f"d{number}", "account_id": "a", "currency": "USDT", "amount": "1", "occurred_at": 1_767_225_600_000_000}


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
    [found] = look(settings).copies
    answers.set()
    assert "does not answer" in found.problem


# -- processes and the broker ------------------------------------------------------------------------------------------


def test_a_lock_says_who_runs_and_is_not_taken_for_a_look(books, short_folder, settings):
    lock = short_folder / "scheduler.lock"
    with locked_file(lock, "scheduler"):
        found = process_of(look(settings), "scheduler")
        assert (found.state, found.pid, found.version) == (State.RUNNING, os.getpid(), program_version())
        assert abs(found.since - Path(f"/proc/{os.getpid()}").stat().st_ctime_ns // 1_000) < MINUTE
    assert process_of(look(settings), "scheduler").state is State.STOPPED
    # one that was killed leaves its note behind, and one in another container cannot be seen by its number
    noted = {"holder": "scheduler", "pid": 2**22 + 5, "started": 1, "namespace": os.readlink("/proc/self/ns/pid"), "host": "h"}
    lock.write_text(json.dumps(noted))
    assert process_of(look(settings), "scheduler").problem == "it ended without a word"
    lock.write_text(json.dumps({**noted, "namespace": "pid:[1]"}))
    assert process_of(look(settings), "scheduler").state is State.STOPPED


@pytest.fixture
def at_work(short_folder, broker_server):
    with create_worker(short_folder / "b.db", broker_server.url) as worker:
        yield worker


@pytest.fixture
def quick_beats(monkeypatch):
    monkeypatch.setattr("workers.broker.HEARTBEAT_SECONDS", 0.1)
    monkeypatch.setattr("workers.app.WORD_SECONDS", 0)


def test_a_worker_says_how_it_is_from_its_start_to_its_end(quick_beats, short_folder, broker_server):
    settings = settings_of(short_folder, broker_server.url)
    worker = create_worker(short_folder / "b.db", broker_server.url)
    worker.start()
    try:
        Publisher(broker_server.url).publish_deposit(message(1))
        wait_until(lambda: (process_of(look(settings), "worker").counts or {}).get("applied") == 1, "the worker says that it has recorded it")
        wait_until(lambda: process_of(look(settings), "worker").in_flight == 0, "and that it holds nothing any more")
        status = look(settings)
        found = process_of(status, "worker")
        assert (found.state, found.pid, found.last_minute, found.in_flight) == (State.RUNNING, os.getpid(), 1, 0)
        assert 0 <= status.records.lag_seconds < 10
        assert status.broker.since is not None
        assert [queue.name for queue in status.queues if queue.waiting or queue.held] == []

        # when: the disk is full
        class Full:
            def post(self, *_):
                raise Unavailable("the disk is full")

        whole, worker.writer._poster = worker.writer._poster, Full()
        Publisher(broker_server.url).publish_deposit(message(2))
        wait_until(lambda: process_of(look(settings), "worker").state is State.NOT_READY, "it is not ready")
        status = look(settings)
        found = process_of(status, "worker")
        assert found.problem == "commits fail and are tried again: Unavailable: the disk is full"
        assert found.not_ready_since <= status.taken_at
        [held] = [queue for queue in status.queues if queue.held]
        assert (held.name, held.waiting, held.held) == ("deposits", 0, 1)
        assert status.taken_at - MINUTE < held.oldest_at <= status.taken_at
        later = replace(status, taken_at=status.taken_at + 2 * MINUTE)
        assert {"JarvisWorkerNotReady", "JarvisQueueWaits"} <= {alarm.name for alarm in raised(later, settings.monitoring.thresholds)}
        worker.writer._poster = whole
        wait_until(lambda: process_of(look(settings), "worker").state is State.RUNNING, "it is ready again")

        # when: the broker goes
        broker_server.kill()
        wait_until(lambda: process_of(look(settings), "worker").state is State.NOT_READY, "it says so where the broker is not needed to hear it")
        status = look(settings)
        assert process_of(status, "worker").problem.startswith("the broker not reachable")
        assert (status.broker.reachable, status.broker.since) == (False, process_of(status, "worker").not_ready_since)
        broker_server.start()
        wait_until(lambda: process_of(look(settings), "worker").state is State.RUNNING, "it is ready again")
    finally:
        worker.stop()
    found = process_of(look(settings), "worker")
    assert (found.state, found.problem, found.counts["applied"]) == (State.STOPPED, None, 2)
    elsewhere = look(settings, broker_only=True)
    assert (process_of(elsewhere, "worker").state, process_of(elsewhere, "worker").problem) == (State.STOPPED, None)


def test_from_elsewhere_the_broker_tells_of_its_workers_and_queues(quick_beats, at_work, broker_server, short_folder, tmp_path):
    far = settings_of(tmp_path / "no such folder", broker_server.url)
    assert is_elsewhere(far)
    assert not is_elsewhere(settings_of(short_folder, broker_server.url))
    Publisher(broker_server.url).publish_many([("deposit", message(n)) for n in range(5)])
    wait_until(lambda: look(far, broker_only=True).records is not None and look(far, broker_only=True).records.last_minute == 5, "the workers say how much")
    status = look(far, broker_only=True)
    assert process_of(status, "worker").place.endswith(str(short_folder.resolve()))
    assert (status.jobs, status.copies, status.storage, status.unread) == (None, None, None, {})
    assert raised(status, far.monitoring.thresholds) == []
    # a worker that has gone without a word, and one of which nothing can be believed
    with broker_server.client() as client:
        word = json.loads(client.hget("dramatiq:__jarvis__.workers", "worker"))
        client.hset("dramatiq:__jarvis__.workers", "gone", json.dumps({**word, "name": "gone"}))
        client.hset("dramatiq:__jarvis__.workers", "liar", json.dumps({**word, "name": "worker"}))
        client.hset("dramatiq:__jarvis__.workers", "nonsense", b"\xff")
    status = look(far, broker_only=True)
    assert [(p.name, p.state, p.problem) for p in status.processes] == [("worker", State.RUNNING, None), ("gone", State.STOPPED, "it ended without a word")]


def test_what_waits_and_nobody_reads_grows_old(broker_server, short_folder):
    Publisher(broker_server.url).publish_many([("deposit", message(n)) for n in range(5)])
    with broker_server.client() as client:
        [first, *_] = client.lrange("dramatiq:deposits", 0, -1)
        old = json.loads(client.hget("dramatiq:deposits.msgs", first)) | {"message_timestamp": 1_795_000_000_000}
        client.hset("dramatiq:deposits.msgs", first, json.dumps(old))
        client.rpush("dramatiq:fills", "without a payload")
    with closing(Watcher(settings_of(short_folder, broker_server.url))) as watcher:
        found = {queue.name: queue for queue in watcher.look(instants.now()).queues}
    assert (found["deposits"].waiting, found["deposits"].held, found["deposits"].oldest_at) == (5, 0, 1_795_000_000_000_000)
    assert (found["fills"].waiting, found["fills"].oldest_at) == (1, None)


def test_a_broker_that_is_stopped_is_told_from_one_that_is_not_there(broker_server, short_folder):
    settings = settings_of(short_folder, broker_server.url)
    assert look(settings).broker.reachable
    broker_server._process.send_signal(signal.SIGSTOP)
    stopped = look(settings).broker
    broker_server._process.send_signal(signal.SIGCONT)
    assert (stopped.reachable, stopped.problem) == (False, "no answer within 2 s")
    broker_server.kill()
    assert look(settings).broker.problem.startswith("not reachable: ")
    broker_server.start()


def test_a_key_of_the_wrong_type_is_said_and_hides_nothing_else(broker_server, short_folder):
    with broker_server.client() as client:
        client.set("dramatiq:fills", "wrong")
    status = look(settings_of(short_folder, broker_server.url))
    assert status.broker.reachable
    assert "holds a key of the wrong type" in status.unread["queues"]


def test_a_look_needs_no_more_rights_than_a_worker_has(short_folder, quick_beats):
    users = USERS.read_text().replace("CHANGE-ME-1", "w").replace("CHANGE-ME-2", "p").replace("CHANGE-ME-3", "o")
    (short_folder / "users.acl").write_text(f"{users}user other on >x ~* +@all\n")
    arguments = ["--port", "0", "--unixsocket", f"{short_folder}/s", "--dir", str(short_folder), "--save", "", "--aclfile", f"{short_folder}/users.acl"]
    server = subprocess.Popen([server_binary(), *arguments], stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: (short_folder / "s").exists(), "the server listens")
        url = f"unix://worker:w@{short_folder}/s"
        Publisher(f"unix://publisher:p@{short_folder}/s").publish_deposit(message(1))
        waiting = BrokerLook(url, "dramatiq").look(instants.now())
        assert {queue.name: queue.waiting for queue in waiting.queues}["deposits"] == 1
        with create_worker(short_folder / "b.db", url) as worker:
            wait_until(lambda: worker.writer.counts.applied == 1, "it is recorded")
            worker.broker.heartbeat.forget_the_long_gone()
            seen = BrokerLook(url, "dramatiq").look(instants.now())
            assert (seen.broker.reachable, [*seen.spoken], seen.unread) == (True, ["worker"], None)
            assert seen.broker.server.startswith("valkey")
            with redis.Redis(unix_socket_path=f"{short_folder}/s", username="other", password="x") as other:
                refused = [entry["object"] for entry in other.acl_log() if entry["username"] == "worker" and "client|setinfo" not in entry["object"]]
            assert refused == []
        wrong = BrokerLook(f"unix://worker:no@{short_folder}/s", "dramatiq").look(instants.now()).broker
        assert (wrong.reachable, wrong.problem.partition(":")[0]) == (False, "refuses user or password")
        assert "LIST" in wrong.remedy
    finally:
        server.kill()
        server.wait()


def test_a_gap_that_stays_is_told_of_in_the_log_of_the_worker_that_met_it(at_work, broker_server, monkeypatch):
    monkeypatch.setattr("workers.gap_lines.PATIENCE_SECONDS", 0)
    monkeypatch.setattr("workers.gap_lines.LOOK_SECONDS", 0)
    numbered = [{**message(n), "producer": "e1", "sequence": n} for n in range(1, 8)]
    messages = [encode(ROUTES["deposit"], record)[1] for record in numbered]

    def send(*payloads: bytes) -> None:
        with broker_server.client() as client:
            recorded = at_work.writer.counts.applied + len(payloads)
            for payload in payloads:
                client.hset("dramatiq:deposits.msgs", payload[-40:], payload)
                client.rpush("dramatiq:deposits", payload[-40:])
            wait_until(lambda: at_work.writer.counts.applied == recorded, "they are recorded")

    send(messages[0])
    send(messages[6])
    with capture_logs() as logs:
        at_work.gap_lines.look()
    [said] = [entry for entry in logs if entry["event"] == "numbers of a producer are missing"]
    assert (said["producer"], said["numbers"], said["missing"]) == ("e1", "2 to 6", 5)
    send(*messages[1:6])
    with capture_logs() as logs:
        at_work.gap_lines.look()
    assert [(entry["event"], entry["were_missing"]) for entry in logs] == [("no number of a producer is missing any more", 5)]


def test_words_of_workers_that_are_long_gone_are_forgotten(at_work, broker_server):
    with broker_server.client() as client:
        wait_until(lambda: client.hexists("dramatiq:__jarvis__.workers", "worker"), "the worker has spoken")
        word = json.loads(client.hget("dramatiq:__jarvis__.workers", "worker"))
        client.hset("dramatiq:__jarvis__.workers", "old", json.dumps({**word, "name": "old", "said_at": word["said_at"] - 8 * DAY}))
        client.hset("dramatiq:__jarvis__.workers", "recent", json.dumps({**word, "name": "recent", "said_at": word["said_at"] - DAY}))
        client.hset("dramatiq:__jarvis__.workers", "nonsense", "x")
        at_work.broker.heartbeat.forget_the_long_gone()
        assert set(client.hkeys("dramatiq:__jarvis__.workers")) == {b"worker", b"recent"}


def test_a_worker_that_was_killed_or_stopped_is_known_by_its_silence(broker_server, short_folder):
    settings = settings_of(short_folder, broker_server.url)
    environment = {**os.environ, "JARVIS_BROKER__URL": broker_server.url, "JARVIS_DATABASE__PATH": str(short_folder / "b.db")}
    worker = subprocess.Popen([sys.executable, "-m", "jarvis", "worker", "run"], env=environment, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: process_of(look(settings), "worker").state is State.RUNNING, "the worker runs", 60)
        worker.send_signal(signal.SIGSTOP)
        said_at = kept_word(path_of_word(short_folder, "worker")).said_at
        found = process_of(gather(settings, now=said_at + 31 * SECOND), "worker")
        assert (found.state, found.problem) == (State.NOT_READY, f"process {worker.pid} is stopped; `kill -CONT {worker.pid}` sets it going again")
        assert found.not_ready_since >= said_at
    finally:
        worker.kill()
        worker.wait()
    found = process_of(look(settings), "worker")
    assert (found.state, found.problem) == (State.STOPPED, "it ended without a word")
    assert found.seen_at >= said_at

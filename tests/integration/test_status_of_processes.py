"""Who runs and how, and what the broker tells: of workers here and elsewhere, by what they say, by their locks, by their silence."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from parts import wait_until
from standing import look, message, process_of, settings_of
from structlog.testing import capture_logs

from jarvis.embedded_broker import server_binary
from jarvis.settings import Settings
from jarvis.status.alarms import raised
from jarvis.status.broker import BrokerLook
from jarvis.status.gathering import Watcher, gather, is_elsewhere
from jarvis.status.model import State
from jarvis_client import Publisher
from jarvis_client.contract import instants
from jarvis_client.contract.errors import Unavailable
from jarvis_client.contract.routes import ROUTES, encode
from persistence.database import DatabaseManager
from persistence.files import locked_file
from persistence.program import program_version
from persistence.repositories.job_runs import SQLiteJobRunRepository
from workers.app import create_worker
from workers.word import kept_word, path_of_word

SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3_600 * SECOND, 86_400 * SECOND
USERS = Path(__file__).parents[2] / "deploy" / "redis" / "users.acl"


@pytest.fixture
def books(short_folder):
    with closing(DatabaseManager(short_folder / "b.db")) as manager:
        manager.initialize()
        yield manager


@pytest.fixture
def settings(short_folder) -> Settings:
    return settings_of(short_folder)


def test_a_lock_says_who_runs_and_is_not_taken_for_a_look(books, short_folder, settings):
    lock = short_folder / "scheduler.lock"
    SQLiteJobRunRepository(books).ticked("host:1:a", instants.now())
    with locked_file(lock, "scheduler"):
        later = gather(settings, now=instants.now() + 2 * MINUTE)
        assert process_of(later, "scheduler").problem == "it does not tick: its log says why"
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
        assert process_of(status, "worker").problem.startswith("the broker is not reachable")
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
    users = re.sub(r" #\{(\w)\w*\}", r" >\1", USERS.read_text())  # each password is the first letter of the name
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
        wait_until(lambda: process_of(look(settings), "worker").state is State.NOT_READY, "it is seen at once", 5)
        found = process_of(look(settings), "worker")
        assert found.problem == f"process {worker.pid} is stopped; `kill -CONT {worker.pid}` sets it going again"
        assert found.not_ready_since >= said_at
    finally:
        worker.kill()
        worker.wait()
    found = process_of(look(settings), "worker")
    assert (found.state, found.problem) == (State.STOPPED, "it ended without a word")
    assert found.seen_at >= said_at

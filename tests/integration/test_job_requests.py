"""Runs that somebody asks for: by a message, by hand, by a script, to the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from books import deposit, snapshot
from parts import wait_until

from jarvis_client import Publisher
from jarvis_client.contract.errors import MalformedRecord
from jarvis_client.contract.jobs import JobRequest, job_of
from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from persistence.repositories.job_runs import SQLiteJobRunRepository
from scheduler.daemon import Scheduler
from scheduler.jobs import roll_up_zone
from scheduler.rollup.options import RollupPlan
from scheduler.timetable import TIMETABLE
from workers.app import create_worker
from workers.replay import replay

pytestmark = pytest.mark.every_engine

OPS = Path(__file__).parents[2] / "deploy" / "ops"


@pytest.mark.parametrize(("record", "says"), [
    ({"job": "dance"}, "rollup"), ({}, "job: is missing"), ({"job": "backup", "account_id": "a"}, "takes no arguments"), ({"job": "rollup", "when": "now"}, "no field"),
    ({"job": "rollup", "date": "yesterday"}, "YYYY-MM-DD"), ([], "job"),
])  # fmt: skip
def test_a_request_that_makes_no_sense_is_refused_with_the_rule(record, says):
    with pytest.raises(MalformedRecord, match=says):
        job_of(record, "m1")


def test_a_request_names_what_is_to_be_done():
    request = job_of({"job": "rollup", "from": "2026-01-02", "to": "2026-01-03", "rebuild": True, "account_id": "a"}, "m1")
    assert request == JobRequest("m1", "rollup", '{"account_id": "a", "end": "2026-01-03", "rebuild": true, "start": "2026-01-02"}')


def test_a_request_is_filed_once_in_the_commit_of_its_batch(database, ledger):
    request = JobRequest("r1", "rollup", "{}")
    assert [o.status for o in ledger.post([request, deposit(), request])] == ["applied", "applied", "duplicate"]
    assert [o.status for o in ledger.post([request])] == ["duplicate"]
    [run] = SQLiteJobRunRepository(database).history()
    assert (run.job, run.state, run.request_id) == ("rollup", "requested", "r1")


# -- through the programs, which open books of their own: SQLite's ---------------------------------------------------------------


def test_a_message_is_filed_by_the_worker_and_run_by_the_scheduler(tmp_path, broker_server):
    worker = create_worker(tmp_path / "books.db", broker_server.url, lock_folder=tmp_path, worker_name="w")
    worker.start()
    publisher = Publisher(broker_server.url)
    publisher.publish("deposit", _wire(deposit()))
    publisher.publish("metrics", _wire(snapshot()))
    publisher.request_job("rollup", account_id="acc")
    with broker_server.client() as client:
        client.hset("dramatiq:jobs.msgs", "bad", json.dumps(_envelope("bad", {"job": "dance"})))
        client.rpush("dramatiq:jobs", "bad")
    database = DatabaseManager(tmp_path / "books.db")
    runs = SQLiteJobRunRepository(database)
    wait_until(lambda: runs.history("rollup"), "the request is filed")
    wait_until(lambda: database.execute_query("SELECT 1 FROM quarantine"), "the other one is quarantined")
    worker.stop(10)
    scheduler = Scheduler(database, {"rollup": TIMETABLE["rollup"]}, jobs={"rollup": roll_up_zone(RollupPlan())})
    scheduler.tick()
    wait_until(lambda: runs.history("rollup")[0].state == "succeeded" and runs.history("rollup")[-1].state == "succeeded", "it is done")
    assert [r["date"] for r in database.execute_query("SELECT date FROM performance_metrics")] == ["2026-01-01"]
    [held] = database.execute_query("SELECT quarantine_no, kind, detail FROM quarantine")
    assert (held["kind"], "dance" in held["detail"]) == ("job", True)
    assert [r.recorded for r in replay(database, [held["quarantine_no"]])] == [False]
    database.close()


def _wire(fact):
    record = fact.record()
    record.pop("type")
    return record


def _envelope(message_id, record):
    return {
        "queue_name": "jobs", "actor_name": "request_job", "args": [record], "kwargs": {}, "options": {"redis_message_id": message_id},
        "message_id": message_id, "message_timestamp": 0,
    }  # fmt: skip


@contextmanager
def a_scheduler_over(path: Path, jobs):
    """A scheduler that ticks until the block ends."""
    database = DatabaseManager(path)
    scheduler = Scheduler(database, {n: TIMETABLE[n] for n in jobs}, jobs=jobs)
    ended = threading.Event()

    def tick():
        while not ended.wait(0.1):
            scheduler.tick()

    scheduler.tick()
    thread = threading.Thread(target=tick)
    thread.start()
    yield
    ended.set()
    thread.join()
    database.close()


def script(name: str, folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    jarvis = Path(sys.executable).parent / "jarvis"
    known = {"PATH": os.environ["PATH"], "JARVIS": str(jarvis), "JARVIS_DATABASE__PATH": str(folder / "books.db"), **environment}
    return subprocess.run([str(OPS / name), *arguments], capture_output=True, text=True, env=known, cwd=folder, timeout=60, check=False)


@pytest.mark.slow
def test_the_ops_scripts_wait_for_the_scheduler_and_tell_how_it_ended(tmp_path):
    database = DatabaseManager(tmp_path / "books.db")
    database.initialize()
    Ledger(database).post([deposit(), snapshot()])

    def verification(_, slot):
        raise RuntimeError("1 finding")

    alone = script("rollup.sh", tmp_path)
    assert (alone.returncode, "no scheduler is running" in alone.stderr) == (3, True)
    with a_scheduler_over(
        tmp_path / "books.db", {"rollup": roll_up_zone(RollupPlan()), "verification": verification, "backup": lambda _, slot: {"backup": "x"}}
    ):
        done = script("rollup.sh", tmp_path, "--account", "acc")
        assert done.returncode == 0, done.stderr
        assert "rollup done" in done.stderr
        nobody = script("rollup.sh", tmp_path, "--account", "nobody")
        assert (nobody.returncode, "account nobody does not exist" in nobody.stderr) == (1, True)
        assert script("backup.sh", tmp_path).returncode == 0
        assert script("verify.sh", tmp_path).returncode == 1
        assert script("rollup.sh", tmp_path, "--date", "yesterday").returncode == 2
    assert database.execute_query("SELECT count(*) FROM performance_metrics")[0][0] == 1
    database.close()


def test_the_ops_scripts_ask_through_redis_from_a_machine_without_the_database(tmp_path, broker_server):
    asked = script("rollup.sh", tmp_path, "--rebuild", VIA_BROKER="1", JARVIS_BROKER__URL=broker_server.url)
    assert (asked.returncode, "asked for rollup" in asked.stderr) == (0, True), asked.stderr
    with broker_server.client() as client:
        [payload] = client.hvals("dramatiq:jobs.msgs")
    assert json.loads(payload)["args"] == [{"job": "rollup", "rebuild": True}]
    assert not (tmp_path / "books.db").exists()

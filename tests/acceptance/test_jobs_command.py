"""`jarvis jobs` as people use it at 3 a.m.: on eighty columns, with a failed run, a paused job, no scheduler, an id of a message."""

from __future__ import annotations

import json
import os
import re
from types import SimpleNamespace

import command
import pytest
import typer
from parts import closing

from jarvis.cli import jobs
from jarvis_client.contract import instants
from persistence.database import DatabaseManager
from persistence.repositories.job_runs import SQLiteJobRunRepository

SECOND = 1_000_000
ZONES = {"JARVIS_ROLLUP__ACCOUNTS": json.dumps({"ny": {"timezone": "America/New_York"}})}


@pytest.fixture
def runs(short_folder):
    (short_folder / "data").mkdir()
    with closing(DatabaseManager(short_folder / "data" / "jarvis_trading.db")) as database:
        yield SQLiteJobRunRepository(database)


@pytest.fixture
def run(short_folder, runs):
    return command.Jarvis(short_folder, "jobs")


def fail(runs, *, in_seconds=None):
    """A run of the statistics that has failed, to be tried again in so many seconds."""
    now = instants.now()
    slot = runs.request("statistics", now - 5 * SECOND, request_id="m1").scheduled_for
    assert runs.claim("statistics", slot, "me", now - 5 * SECOND)
    runs.fail("statistics", slot, "me", now - 3 * SECOND, "OSError: no space", None if in_seconds is None else now + in_seconds * SECOND)


def test_the_jobs_can_be_read_listed_on_terminal(short_folder, runs):
    fail(runs, in_seconds=600)
    shown = command.listed_on_terminal(short_folder, "jobs", "list", **ZONES)
    assert max(len(line) for line in shown) <= 80
    whole = command.listed_on_terminal(short_folder, "jobs", "list", "--wide", **ZONES)
    for job, hours in (("rollup", "5 0 * * *"), ("restore_drill", "30 5 * * 0"), ("checkpoint", "*/15 * * * *"), ("rollup@America/New_York", "5 0 * * *")):
        [line] = [line for line in shown if line.split()[:1] == [job]]
        assert re.search(r" \d{4}-\d\d-\d\d \d\d:\d\d:00$", line), f"when it is next due stands in one piece: {line}"
        [line] = [line for line in whole if line.split()[:1] == [job]]
        assert line.endswith(hours)
    words = " ".join(" ".join(shown).split())
    assert re.search(r"failed, next try in (9|10)", words)
    assert len(shown) < 24, "on one screen"
    history = command.listed_on_terminal(short_folder, "jobs", "history", **ZONES)
    assert max(len(line) for line in history) <= 80
    assert re.search(r"statistics +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +asked for +failed +\d+ s ago", "\n".join(history))


def test_the_next_try_of_a_failed_run_is_shown(run, runs):
    fail(runs, in_seconds=600)
    [job] = [j for j in json.loads(run("list", "--json").stdout) if j["job"] == "statistics"]
    assert job["state"].startswith("failed, next try in")
    assert instants.to_text(instants.now()) < job["next_try"] < instants.to_text(instants.now() + 601_000_000)
    assert {j["next_try"] for j in json.loads(run("list", "--json").stdout) if j["job"] != "statistics"} == {None}
    [entry] = json.loads(run("history", "--json").stdout)
    assert (entry["next_try"], entry["request_id"], entry["clock_was_ahead"]) == (job["next_try"], "m1", False)


def test_a_run_that_was_asked_for_is_found_by_the_id_of_its_message(run, runs):
    assert "no run was asked for as m1" in run("show", "m1", code=3).stderr
    runs.request("statistics", instants.now(), request_id="m0")
    assert json.loads(run("show", "m0", "--json").stdout)["state"] == "requested"
    fail(runs)
    told = json.loads(run("show", "m1", "--json", code=1).stdout)
    assert (told["job"], told["state"], told["error"], told["next_try"], told["result"]) == ("statistics", "failed", "OSError: no space", None, None)
    filed = run("run", "seal").stderr
    assert "requested" in run("show", re.search(r"jobs show (\w+)", filed)[1]).stdout


def test_nobody_waits_for_a_paused_job_and_nothing_is_filed(run, runs):
    runs.ticked("a scheduler", instants.now())
    run("pause", "backup")
    said = run("run", "backup", "--wait", code=3).stderr
    assert "`jarvis jobs resume backup`" in said
    assert runs.history() == []
    assert "once it is resumed" in run("run", "backup").stderr
    assert [r.state for r in runs.history()] == ["requested"]


def test_that_no_scheduler_runs_is_said_without_wait_too(run, runs):
    assert "no scheduler is running" in run("run", "seal").stderr
    runs.ticked("a scheduler", instants.now())
    assert "no scheduler" not in run("run", "seal").stderr


def test_settings_that_changed_after_the_scheduler_started_are_named(run, runs, short_folder):
    (short_folder / "config").mkdir()
    (short_folder / "config" / "database.yaml").write_text("database: {}\n")
    runs.ticked("a scheduler", instants.now())
    assert "changed" not in run("list").stderr
    later = instants.now() // SECOND + 5
    os.utime(short_folder / "config" / "database.yaml", (later, later))
    assert "database.yaml changed after the scheduler started" in run("list").stderr


def waited(monkeypatch, runs, seconds):
    """How often the table of runs is asked in so many seconds of waiting, by a clock that costs nothing."""
    asked, now = [], [0.0]
    monkeypatch.setattr(jobs, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=lambda s: now.__setitem__(0, now[0] + s)))
    filed = runs.request("seal", instants.now())
    looking = SimpleNamespace(
        find=lambda *key: asked.append(key) or runs.find(*key), paused=runs.paused, scheduler_alive=runs.scheduler_alive
    )  # fmt: skip
    with pytest.raises(typer.Exit) as ended:
        jobs._ended("seal", filed, looking, seconds)
    assert ended.value.exit_code == 3
    return len(asked), now[0]


def test_waiting_costs_next_to_nothing(runs, monkeypatch):
    runs.ticked("a scheduler", instants.now())
    asked, took = waited(monkeypatch, runs, 60)
    assert asked < 45
    assert took < 61


def test_who_waits_is_told_once_nobody_would_take_it_any_more(runs, monkeypatch, capsys):
    runs.ticked("a scheduler", instants.now())
    runs.pause("seal", instants.now())
    _, took = waited(monkeypatch, runs, 3_600)
    assert took < jobs.LOOK_AROUND_SECONDS + 2 * jobs.LONGEST_PAUSE_SECONDS
    assert "jarvis jobs resume seal" in capsys.readouterr().err

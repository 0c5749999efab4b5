"""The figures as people and scripts see them: rollup, performance, explain, history, statement, jobs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import command
import pytest
from parts import wait_until

AT = "2026-01-0{}T12:00:00Z"


def record(kind, day, **fields):
    names = {"deposit": "deposit_id", "metrics": "snapshot_id", "fill": "fill_id"}
    when = {"deposit": "occurred_at", "metrics": "observed_at", "fill": "executed_at"}
    return {"type": kind, names[kind]: f"{kind}{day}", "account_id": "acc", when[kind]: AT.format(day), **fields}


HISTORY = [
    record("deposit", 1, currency="USDT", amount="1000", occurred_at="2026-01-01T00:00:00Z"),
    record("metrics", 1, total_value_usd="1000"),
    record("fill", 2, order_id="o1", symbol="BTC/USDT", side="buy", quantity="0.01", price="50000", fee="0.5"),
    record("metrics", 2, total_value_usd="1010.25", pnl_daily="10", sharpe_ratio="1"),
    record("fill", 3, order_id="o2", symbol="BTC/USDT", side="sell", quantity="0.01", price="51000", fee="0.5"),
    record("metrics", 3, total_value_usd="1009"),
]


@pytest.fixture
def run(short_folder):
    jarvis = command.Jarvis(short_folder)
    jarvis.feed(*HISTORY)
    return jarvis


def test_rows_for_people_and_for_scripts(run):
    assert "3 rows added" in run("rollup").stderr
    assert "0 rows added, 0 revised" in run("rollup", "--all").stderr
    shown = run("performance", "acc").stdout
    assert "1,010.25" in shown
    assert "+1.0250%" in shown
    rows = json.loads(run("performance", "acc", "--from", "2026-01-02", "--to", "2026-01-02", "--json").stdout)
    assert [(r["date"], r["pnl_daily"], r["daily_return"], r["source"]) for r in rows] == [("2026-01-02", "10.25", 0.01025, "rollup")]
    exported = json.loads(run("export", "performance", "-a", "acc", "--format", "json").stdout)
    assert [(r["pnl_total"], r["trades_count"], r["win_rate"]) for r in exported] == [("0", 0, None), ("10.25", 0, None), ("9", 1, 1.0)]


def test_a_figure_is_explained_down_to_its_fills(run):
    run("rollup")
    shown = run("performance", "explain", "acc", "2026-01-03").stdout
    for part in ("snapshot at 2026-01-03 12:00:00 UTC", "row of 2026-01-02", "long", "fill3", "-1.25"):
        assert part in shown, part
    found = json.loads(run("performance", "explain", "acc", "2026-01-03", "--json").stdout)
    assert found["previous_close"] == {"date": "2026-01-02", "value": "1010.25"}
    assert [(t["instrument"], t["pnl"], t["fees"]) for t in found["trades"]] == [("BTC/USDT", "9", "1")]
    assert [(f["fill_id"], f["realised_usd"]) for f in found["fills"]] == [("fill3", "10")]
    beside = json.loads(run("performance", "explain", "acc", "2026-01-02", "--json").stdout)["reported"]
    assert [(r["figure"], r["ours"], r["reported"], r["difference"]) for r in beside if r["figure"] == "pnl_daily"] == [("pnl_daily", "10.25", "10", "0.25")]
    assert "no snapshot that day" in run("performance", "explain", "acc", "2026-01-09", code=1).stderr


def test_a_revision_says_what_changed_and_which_record_did_it(run):
    run("rollup")
    run.feed(record("metrics", 2, snapshot_id="late", observed_at="2026-01-02T23:00:00Z", total_value_usd="1020"))
    assert "0 rows added, 2 revised" in run("rollup").stderr
    shown = run("performance", "history", "acc", "2026-01-02").stdout
    for part in ("metrics late", "pnl_daily", "10.25", "20"):
        assert part in shown, part
    [revision] = json.loads(run("performance", "history", "acc", "2026-01-03", "--json").stdout)
    assert (revision["before"]["pnl_daily"], revision["after"]["pnl_daily"], revision["cause"]) == ("-1.25", "-11", "late facts")
    assert "were never revised" in run("performance", "history", "acc", "2026-01-01").stderr


def test_a_statement_closes(run):
    run("rollup")
    shown = run("statement", "acc", "--date", "2026-01-03").stdout
    assert "unexplained" in shown
    [btc, usdt] = json.loads(run("statement", "acc", "--date", "2026-01-03", "--json").stdout)["currencies"]
    assert (btc["opening"], btc["traded_out"], btc["closing"], btc["unexplained"]) == ("0.01", "0.01", "0", "0")
    assert (usdt["opening"], usdt["traded_in"], usdt["fees"], usdt["closing"]) == ("499.5", "510", "0.5", "1009")


@pytest.mark.parametrize(("arguments", "says"), [
    (("rollup", "--date", "today"), "is no date"), (("rollup", "--account", "nobody"), "does not exist"), (("rollup", "--date", "2999-01-01"), "has not ended"),
    (("rollup", "--date", "2026-01-01", "--to", "2026-01-02"), "either --date"), (("rollup", "--from", "2026-01-03", "--to", "2026-01-02"), "is before"),
    (("rollup", "--all", "--account", "acc"), "leave out"), (("performance", "nobody"), "does not exist"), (("statement", "nobody"), "does not exist"),
    (("performance", "explain", "acc", "soon"), "is no date"), (("jobs", "run", "dance"), "is no job"), (("jobs", "pause", "dance"), "there are rollup"),
    (("jobs", "run", "backup", "--rebuild"), "takes no arguments"),
])  # fmt: skip
def test_what_is_asked_wrongly_is_refused_with_the_rule(run, arguments, says):
    assert says in " ".join(run(*arguments, code=2).stderr.replace("│", " ").split())


def test_figures_that_want_a_rate_are_withheld_with_the_way_on(run):
    run.feed(record("deposit", 2, currency="ETH", amount="1"))
    done = run("rollup")
    assert "withheld: acc 2026-01-02: deposit deposit2 of 1 ETH has no USD rate" in done.stderr
    assert "withheld" in run("performance", "acc").stderr
    assert "withheld" in run("performance", "explain", "acc", "2026-01-02").stdout
    for verified in (run("verify"), run("verify", "--strict", code=1)):
        assert "a rate is missing: acc ETH" in verified.stdout
        assert "publish a rate record of it" in verified.stdout


def test_jobs_are_listed_run_paused_and_resumed(run):
    jobs = {j["job"]: j for j in json.loads(run("jobs", "list", "--json").stdout)}
    assert (jobs["rollup"]["cron"], jobs["rollup"]["last_success"], jobs["backup"]["state"]) == ("5 0 * * *", None, "")
    assert "no scheduler is running" in run("jobs", "list").stderr
    assert "filed" in run("jobs", "run", "statistics").stderr
    assert "nobody would take it" in run("jobs", "run", "rollup", "--wait", code=3).stderr
    assert "rollup done: accounts 1, added 3" in run("jobs", "run", "rollup", "--here").stderr
    assert "nobody does not exist" in run("jobs", "run", "rollup", "--here", "-a", "nobody", code=1).stderr
    history = json.loads(run("jobs", "history", "--json").stdout)
    assert [(r["job"], r["state"]) for r in history] == [("rollup", "failed"), ("rollup", "succeeded"), ("statistics", "requested")]
    age = next(j["last_success_age_seconds"] for j in json.loads(run("jobs", "list", "--json").stdout) if j["job"] == "rollup")
    assert 0 <= age < 100
    assert "is paused" in run("jobs", "pause", "backup").stderr
    assert "was paused already" in run("jobs", "pause", "backup").stderr
    assert "paused" in run("jobs", "list").stdout
    assert "is resumed" in run("jobs", "resume", "backup").stderr


def test_options_of_single_accounts_have_zones_of_their_own(run, short_folder):
    (short_folder / "config").mkdir()
    (short_folder / "config" / "scheduler.yaml").write_text("rollup:\n  accounts:\n    acc: {timezone: Asia/Tokyo, annualization: 252}\n")
    run.feed(record("metrics", 4, observed_at="2026-01-03T15:00:00Z", total_value_usd="1009"))
    run("rollup")
    assert [r["date"] for r in json.loads(run("performance", "acc", "--json").stdout)] == ["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04"]
    assert "rollup@Asia/Tokyo" in run("jobs", "list").stdout
    (short_folder / "config" / "scheduler.yaml").write_text("rollup:\n  anualization: 252\n")
    assert "did you mean annualization?" in run("rollup", code=2).stderr
    (short_folder / "config" / "scheduler.yaml").write_text("rollup:\n  timezone: Mars/Olympus\n  window_days: 1\n")
    said = run("rollup", code=2).stderr
    assert "unknown time zone" in said
    assert "rollup.window_days" in said


def test_up_rolls_up_by_itself_what_has_ended(run, short_folder):
    yesterday = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%d")
    run.feed(record("metrics", 9, observed_at=f"{yesterday}T12:00:00Z", total_value_usd="1100"))
    with subprocess.Popen(
        [sys.executable, "-m", "jarvis", "scheduler", "run"], cwd=short_folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "JARVIS_SCHEDULER__TICK_SECONDS": "0.2"},
    ) as scheduler:  # fmt: skip
        wait_until(lambda: "no scheduler is running" not in run("jobs", "list").stderr, "the scheduler ticks")
        assert "rollup done" in run("jobs", "run", "rollup", "--wait", "--timeout", "30").stderr
        scheduler.terminate()
        assert scheduler.wait(30) == 0
    assert yesterday in run("performance", "acc").stdout

"""Exports of several accounts, of periods, and those that the timetable makes."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from books import NEW_YEAR, books, deposit, exported, fill, rate, snapshot, withdrawal

from jarvis.hours import entries_of
from jarvis.scheduling import create_scheduler, standing_exports
from jarvis.settings import SettingsError, load_settings
from jarvis_client.contract.errors import Invalid, Unavailable
from persistence import exports, imports
from persistence.books.ledger import Ledger
from persistence.columns import COMPUTED
from persistence.repositories.job_runs import SQLiteJobRunRepository
from scheduler import exporting
from scheduler.exporting import Standing, Wanted, write_standing
from scheduler.rollup.account import roll_up
from scheduler.rollup.options import RollupOptions, RollupPlan
from workers.messages import item_of_line

DAY = 86_400_000_000
PLAN = RollupPlan()
#: 2026-01-04T00:30:00Z, when the job of the 4th is due.
SLOT = NEW_YEAR + 3 * DAY + 1_800_000_000


@pytest.fixture
def two(database, ledger):
    """Account a, which trades for three days, and account b, which only has what it was given."""
    ledger.post([
        deposit(1, account_id="a"), deposit(2, account_id="b", amount="50"), rate(1),
        *(fill(n, account_id="a", price=str(100 + n), executed_at=NEW_YEAR + n * DAY) for n in range(3)),
        withdrawal(1, account_id="b", amount="7", occurred_at=NEW_YEAR + 2 * DAY),
    ])  # fmt: skip
    for account_id in "ab":
        roll_up(database, account_id, RollupOptions(), date(2026, 1, 4), now=NEW_YEAR + 5 * DAY)
    return database


def rows_of(database, table: str, form: str = "json", **wanted) -> list[dict[str, object]]:
    out = io.StringIO()
    exporting.write(database, PLAN, Wanted(table, form, **wanted), out)
    return json.loads(out.getvalue()) if form == "json" else list(csv.DictReader(io.StringIO(out.getvalue())))


@pytest.mark.parametrize("table", [name for name in (*exports.TABLES, *COMPUTED) if name != "rates"])
def test_all_accounts_are_each_account_after_the_other(two, table):
    a, b = (rows_of(two, table, accounts=(account_id,)) for account_id in "ab")
    assert rows_of(two, table) == rows_of(two, table, accounts=("b", "a", "b")) == a + b
    assert {row["account_id"] for row in a} <= {"a"}, "and no row is another account's"
    assert {row["account_id"] for row in b} <= {"b"}


def test_records_of_all_accounts_make_the_same_books_again(two, another):
    lines = [line for table in ("fills", "deposits", "orders", "metrics", "rates") for line in exported(two, table, None, "ndjson").splitlines()]
    with another() as second:
        assert imports.import_lines(Ledger(second), [line.encode() for line in lines], item_of_line).quarantined == 0
        for account_id in "ab":
            roll_up(second, account_id, RollupOptions(), date(2026, 1, 4), now=NEW_YEAR + 5 * DAY)
        assert books(second) == books(two)


def test_an_account_that_does_not_exist_is_no_empty_table(two):
    with pytest.raises(Invalid, match="account c does not exist"):
        rows_of(two, "equity", accounts=("a", "c"))


def test_returns_are_those_of_the_rows_that_have_one(two):
    days = rows_of(two, "equity", accounts=("a",))
    returns = rows_of(two, "returns", accounts=("a",))
    assert [(r["date"], r["daily_return"]) for r in returns] == [(d["date"], d["daily_return"]) for d in days if d["daily_return"] is not None]
    assert len(returns) >= 2


def test_the_job_writes_each_export_up_to_the_end_of_the_day_before(two, tmp_path):
    folder = tmp_path / "out"
    chosen = {
        "deposits": Standing(Wanted("deposits"), folder),
        "fills-of-a-day": Standing(Wanted("fills", "ndjson", ("a",)), folder, days=1),
        "lots": Standing(Wanted("lots", "json"), folder, days=1),
        "balances": Standing(Wanted("balances", "json", ("b",)), folder),
    }
    job = write_standing(chosen, PLAN)
    told = job(two, SLOT)
    assert told == {"rows": {"deposits-2026-01-03.csv": 3, "fills-of-a-day-2026-01-03.ndjson": 1, "lots-2026-01-03.json": 3, "balances-2026-01-03.json": 1}}
    assert {path.name for path in folder.iterdir()} == set(told["rows"]), "and nothing half written lies beside them"
    [line] = (folder / "fills-of-a-day-2026-01-03.ndjson").read_text().splitlines()
    assert json.loads(line)["fill_id"] == "f2"
    assert [row["total"] for row in json.loads((folder / "balances-2026-01-03.json").read_text())] == ["43"]

    Ledger(two).post([deposit(9, account_id="b", amount="1", occurred_at=NEW_YEAR + DAY), deposit(10, account_id="b", occurred_at=NEW_YEAR + 4 * DAY)])
    assert job(two, SLOT)["rows"]["deposits-2026-01-03.csv"] == 4, "the same day again has what came late, and nothing of later days"


def test_an_export_that_fails_keeps_no_other_from_being_written(two, tmp_path):
    folder = tmp_path / "out"
    chosen = {
        "gone": Standing(Wanted("equity", accounts=("nobody",)), folder),
        "unmounted": Standing(Wanted("equity"), tmp_path / "no" / "such" / "disk"),
        "fine": Standing(Wanted("equity"), folder),
    }
    with pytest.raises(Unavailable) as raised:
        write_standing(chosen, PLAN)(two, SLOT)
    assert "2 of 3 exports could not be written, the others were" in str(raised.value)
    assert "gone: account nobody does not exist" in str(raised.value)
    assert "Is its disk mounted" in str(raised.value)
    assert [path.name for path in folder.iterdir()] == ["fine-2026-01-03.csv"]


def test_a_file_that_was_there_stays_whole_until_the_new_one_is(two, tmp_path):
    path = tmp_path / "equity.csv"
    path.write_text("what was there\n")
    with pytest.raises(Invalid):
        exporting.into_file(two, PLAN, Wanted("equity", accounts=("nobody",)), path, print)
    assert path.read_text() == "what was there\n"
    assert list(tmp_path.glob("*equity*")) == [path]
    assert exporting.into_file(two, PLAN, Wanted("equity"), path, print) == path.read_text().count("\n") - 1


def settings_of(folder: Path, text: str):
    (folder / "scheduler.yaml").write_text(text)
    return load_settings(folder)


def test_the_job_is_off_until_an_export_is_named(tmp_path, two):
    assert not entries_of(settings_of(tmp_path, "{}"))["export"].enabled
    settings = settings_of(tmp_path, f"exports: {{month: {{table: trades, accounts: [a], form: json, folder: {tmp_path / 'out'}, days: 31}}}}")
    assert entries_of(settings)["export"].enabled
    assert standing_exports(settings) == {"month": Standing(Wanted("trades", "json", ("a",)), tmp_path / "out", 31)}
    scheduler, runs = create_scheduler(settings, two), SQLiteJobRunRepository(two)
    now = int(datetime(2026, 1, 4, 12, tzinfo=UTC).timestamp()) * 1_000_000
    assert scheduler.run_now("export", runs.request("export", now, {}).scheduled_for)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["month-2026-01-03.json"]


def test_asked_for_without_any_it_says_where_they_are_named(two):
    with pytest.raises(Invalid, match="name it under exports: in scheduler.yaml"):
        write_standing({}, PLAN)(two, SLOT)


WRONG = [
    ("table: trade", "did you mean trades?"), ("table: rates, accounts: [a]", "rates are of no account"), ("table: equity, form: xml", "csv"),
    ("table: equity, accounts: []", "at least 1"), ("table: equity, days: 0", "greater than or equal to 1"), ("table: equity, account: a", "no such setting"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), WRONG)
def test_a_wrong_setting_is_said_at_the_start(tmp_path, text, said):
    with pytest.raises(SettingsError) as raised:
        settings_of(tmp_path, f"exports: {{one: {{{text}}}}}")
    assert said in str(raised.value)


def test_a_name_is_one_that_a_file_can_have(tmp_path):
    with pytest.raises(SettingsError):
        settings_of(tmp_path, "exports: {../up: {table: equity}}")


def test_a_snapshot_is_exported_with_its_account(two, ledger):
    ledger.post([snapshot(1, account_id="b")])
    assert [row["account_id"] for row in rows_of(two, "snapshots")] == ["b"]


def test_the_settings_that_the_guide_shows_are_settings(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "performance.md").read_text()
    [text] = re.findall(r"```yaml exports\n(.*?)```", page, re.DOTALL)
    assert standing_exports(settings_of(tmp_path, text)) == {
        "equity": Standing(Wanted("equity"), Path("data/exports")),
        "fills": Standing(Wanted("fills", "ndjson", ("main",)), Path("/srv/exports"), 1),
    }

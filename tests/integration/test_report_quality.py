"""How complete a report is: what is missing, estimated, odd, held back or revised stands there by its name, and commands say where to look."""

from __future__ import annotations

import json

import command
import pytest
from books import NEW_YEAR, SECOND, deposit, fill, rate, snapshot, withdrawal
from report_pages import ReportPage

from jarvis.report.figures import report_of
from jarvis.report.page import page
from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from scheduler.jobs import roll_up_accounts
from scheduler.rollup.options import RollupOptions, RollupPlan

DAY, HOUR = 86_400 * SECOND, 3_600 * SECOND
PLAN = RollupPlan(RollupOptions())


def facts(name: str, *, odd: bool) -> list:
    """Six days of an account; an odd one lacks the third, owes coins, got coins of which no record says the rate, and skipped numbers."""
    found = [
        deposit("first", account_id=name, amount=1_000, occurred_at=NEW_YEAR),
        *(snapshot(n, account_id=name, snapshot_id=f"s{n}", total_value_usd=1_000 + n, observed_at=NEW_YEAR + n * DAY + 20 * HOUR) for n in range(6) if n != 2 or not odd),
        fill("in", account_id=name, executed_at=NEW_YEAR + HOUR, quote_usd_rate=None if odd else 1, producer=f"engine of {name}", sequence=1),
        fill("out", account_id=name, order_id="o2", side="sell", price=110, executed_at=NEW_YEAR + 2 * HOUR, quote_usd_rate=None if odd else 1, producer=f"engine of {name}", sequence=5 if odd else 2),
    ]  # fmt: skip
    if odd:
        found += [
            rate(1, currency="ETH", usd_rate=2_000, observed_at=NEW_YEAR), deposit("coins", account_id=name, currency="ETH", amount=2, occurred_at=NEW_YEAR + DAY),
            withdrawal("gone", account_id=name, currency="DOGE", amount=500, category="other", occurred_at=NEW_YEAR + DAY),
            deposit("funding", account_id=name, amount=3, category="funding", symbol="SOL/USDT", occurred_at=NEW_YEAR + DAY),
        ]  # fmt: skip
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("odd")
    (made / "data").mkdir()
    database = DatabaseManager(made / "data" / "jarvis_trading.db", durable=False)
    database.initialize()
    ledger = Ledger(database)
    ledger.post([*facts("odd", odd=True), *facts("even", odd=False)])
    roll_up_accounts(database, PLAN, NEW_YEAR + 6 * DAY + HOUR)
    ledger.post([snapshot(9, account_id="odd", snapshot_id="late", total_value_usd=2_000, observed_at=NEW_YEAR + 3 * DAY + 21 * HOUR)])
    roll_up_accounts(database, PLAN, NEW_YEAR + 6 * DAY + 2 * HOUR)
    ledger.post([deposit("first", account_id="odd", amount=999, occurred_at=NEW_YEAR)])
    database.close()
    return made


def completeness(folder, account: str) -> dict[str, list[str]]:
    """The lines that stand under each heading of the last table."""
    done = command.run("report", account, folder=folder)
    assert done.returncode == 0, done.stderr
    return {head: said.splitlines() for head, said in ReportPage((folder / "report.html").read_text()).tables["How complete this is"]}


def test_whatever_is_odd_of_an_account_stands_there_by_its_name(folder):
    said = completeness(folder, "odd")
    assert said["Days missing"] == ["1 day: 2026-01-03"]
    assert said["Deposits and withdrawals at an estimated rate"] == ["1 flow", "2026-01-02 00:00 UTC: 2 ETH, 4,000.00 USD (dcoins)"]
    assert said["Trades at an estimated rate"] == ["0 trades"], "USDT is worth a dollar unless somebody says otherwise"
    count, first, *_ = said["Revisions"]
    assert count == "3 revisions, of 3 days"
    assert first == "2026-01-06: late facts, 2026-01-07 02:00 UTC (metrics late)"
    assert said["What the rollup found odd, accepted or not"][0] == "1 record"
    assert said["What the rollup found odd, accepted or not"][1].startswith("2026-01-02: funding, SOL/USDT: ")
    assert said["Held in quarantine"] == ["1 record", "1: conflict, deposit dfirst"]
    assert said["Numbers that never arrived"] == ["3 numbers", "engine of odd: 2 to 4"]


def test_notes_of_every_kind_stand_there_with_what_settles_them(folder):
    said = completeness(folder, "odd")["Open notes"]
    listed = json.loads(command.run("notes", "--account", "odd", "--json", folder=folder).stdout)
    assert said[0] == f"{len(listed)} notes"
    assert {"a balance is below zero", "funding without an open trade"} <= {n["check"] for n in listed}
    assert said[1:] == [f"{n['number']}: {n['check']} ({n['subject']}): {n['found']}; to settle it, {n['look']}" for n in listed[:5]]


def test_nothing_odd_is_said_of_an_account_that_is_in_order(folder):
    said = completeness(folder, "even")
    gaps = said.pop("Numbers that never arrived")
    assert gaps == ["3 numbers", "engine of odd: 2 to 4"], "they may be of any account"
    assert all(lines[0].startswith("0 ") and len(lines) == 1 for lines in said.values()), said


def test_a_page_for_which_nobody_looked_for_notes_says_so(folder):
    database = DatabaseManager(folder / "data" / "jarvis_trading.db", durable=False)
    report = report_of(database, "odd", RollupOptions(), (None, None))
    database.close()
    rows = dict(ReportPage(page(report, "now")).tables["How complete this is"])
    assert rows["Open notes"] == "not looked for here: jarvis notes lists them"


def test_of_many_some_are_named_and_the_others_counted(database):
    records = [snapshot(n, total_value_usd=100 + n, snapshot_id=f"s{n}", observed_at=NEW_YEAR + n * DAY + HOUR) for n in range(9)]
    coins = [deposit(f"c{n}", currency="ETH", amount=1, occurred_at=NEW_YEAR + n * DAY + n) for n in range(8)]
    Ledger(database).post([deposit(1), rate(1, currency="ETH", usd_rate=1, observed_at=NEW_YEAR - 1), *records, *coins])
    roll_up_accounts(database, PLAN, NEW_YEAR + 9 * DAY + HOUR)
    said = dict(ReportPage(page(report_of(database, "acc", RollupOptions(), (None, None)), "now")).tables["How complete this is"])
    flows = said["Deposits and withdrawals at an estimated rate"].splitlines()
    assert (flows[0], len(flows), flows[-1]) == ("8 flows", 7, "and 3 more")

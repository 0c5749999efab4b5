"""Another account beside the one that is reported: both over the days that both have, never figures of different days."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from statistics import correlation

import command
import pytest
from books import NEW_YEAR, deposit, rate, snapshot
from plain_account import DAY, FIRST, HOUR, figures_of, plain_account
from report_pages import ReportPage, number

from jarvis.report.figures import Reported, report_of
from jarvis_client.contract.errors import Invalid
from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from scheduler.jobs import roll_up_accounts
from scheduler.rollup.options import RollupOptions, RollupPlan

CENT, SHARE = 0.00501, 0.0000501
NEW_YORK = "rollup: {accounts: {desk_ny: {timezone: America/New_York, day_ends: '17:00'}, weekdays: {annualization: 252, observation_days: weekdays}}}"
OURS, THEIRS = plain_account(11, 60, name="main"), plain_account(12, 30, name="other", start=20)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """`main` has sixty days, `other` the 21st to the 50th of them, `idle` two days in March that stand still, and `desk_ny` other days."""
    made = tmp_path_factory.mktemp("beside")
    (made / "data").mkdir()
    (made / "config").mkdir()
    (made / "config" / "scheduler.yaml").write_text(NEW_YORK)
    database = DatabaseManager(made / "data" / "jarvis_trading.db", durable=False)
    database.initialize()
    later = NEW_YEAR + 75 * DAY
    idle = [deposit("i", account_id="idle", amount=100, occurred_at=later)]
    idle += [snapshot(n, account_id="idle", snapshot_id=f"i{n}", total_value_usd=100, observed_at=later + n * DAY + HOUR) for n in range(2)]
    trading = plain_account(13, 60, name="desk_ny").facts + plain_account(14, 60, name="weekdays").facts
    for facts in (OURS.facts, THEIRS.facts, idle, trading):
        Ledger(database).post(facts)
    options = RollupPlan(RollupOptions(), {"desk_ny": RollupOptions(timezone="America/New_York", day_ends="17:00"),
                                           "weekdays": RollupOptions(annualization=252, observation_days="weekdays")})  # fmt: skip
    roll_up_accounts(database, options, NEW_YEAR + 80 * DAY)
    database.close()
    return made


def beside(folder, other: str, *more: str):
    done = command.run("report", "main", "--beside", other, *more, folder=folder, COLUMNS="400")
    return done, (folder / "report.html").read_text() if done.returncode == 0 else ""


def test_both_stand_in_one_table_over_the_days_that_both_have(folder):
    done, text = beside(folder, "other")
    assert done.returncode == 0, done.stderr
    rows = {row[0]: row[1:] for row in ReportPage(text).tables["Beside other"]}
    first, last = FIRST + timedelta(20), FIRST + timedelta(49)
    returns = OURS.returns(first, last), THEIRS.returns(first, last)
    ours, theirs = map(figures_of, returns)
    assert rows[""] == ["main", "other"]
    for label, name, within in (
        ("Return", "total", SHARE), ("Volatility", "volatility", SHARE), ("Sharpe", "sharpe", CENT), ("Sortino", "sortino", CENT), ("Max drawdown", "deepest", SHARE),
    ):  # fmt: skip
        assert [number(shown) for shown in rows[label]] == [pytest.approx(getattr(of, name), abs=within) for of in (ours, theirs)], label
    assert [number(shown) for shown in rows["Closing value"]] == [float(OURS.closes[49]), float(THEIRS.closes[-1])]
    assert [number(shown) for shown in rows["Opening value"]] == [float(OURS.closes[19]), 0]
    assert [int(shown) for shown in rows["Trades"]] == [sum(first <= t.day <= last for t in OURS.trades), len(THEIRS.trades)]
    assert number(rows["Correlation"][0]) == pytest.approx(correlation(*(list(r.values()) for r in returns)), abs=CENT)
    assert "Observations of a year" not in rows, "they are the same"
    assert f"Both over the days that both have, {first} to {last}" in text


def test_both_curves_start_at_nothing_on_the_first_day_of_both(folder):
    database = DatabaseManager(folder / "data" / "jarvis_trading.db", durable=False)
    found = report_of(database, "main", RollupOptions(), (None, None), other=Reported("other", RollupOptions()))
    database.close()
    first = FIRST + timedelta(20)
    for points, plain in ((found.beside.our_points, OURS), (found.beside.their_points, THEIRS)):
        assert points[0] == (first, pytest.approx(plain.returns()[first]))
        assert points[-1] == (FIRST + timedelta(49), pytest.approx(figures_of(plain.returns(first, FIRST + timedelta(49))).total))


def test_a_period_bounds_both(folder):
    _, text = beside(folder, "other", "--from", "2026-01-25", "--to", "2026-02-10")
    rows = {row[0]: row[1:] for row in ReportPage(text).tables["Beside other"]}
    bounds = date(2026, 1, 25), date(2026, 2, 10)
    assert [number(shown) for shown in rows["Return"]] == [pytest.approx(figures_of(of.returns(*bounds)).total, abs=SHARE) for of in (OURS, THEIRS)]


def test_accounts_of_different_years_say_so(folder):
    _, text = beside(folder, "weekdays")
    assert {row[0]: row[1:] for row in ReportPage(text).tables["Beside weekdays"]}["Observations of a year"] == ["365", "252"]


def test_an_account_that_stood_still_goes_with_nothing(folder):
    database = DatabaseManager(folder / "data" / "jarvis_trading.db", durable=False)
    found = report_of(database, "idle", RollupOptions(), (None, None), other=Reported("idle", RollupOptions()))
    database.close()
    assert found.beside.correlation is None


def test_an_account_without_a_day_in_common_is_said_and_left_out(folder):
    done, text = beside(folder, "idle")
    assert done.returncode == 0
    assert "idle has no figures of any day that main has in that period, so it is not beside it" in done.stderr
    assert "Beside" not in text


def test_days_that_end_at_another_hour_are_refused_with_both_named(folder):
    done, _ = beside(folder, "desk_ny")
    assert done.returncode == 2, done.stderr
    said = " ".join(done.stderr.split())
    assert "the days of desk_ny end at 17:00 in America/New_York, those of main at midnight in UTC" in said
    assert "rollup.accounts" in said


def test_two_zones_are_refused_wherever_they_come_from(database):
    Ledger(database).post(plain_account(1, 5).facts)
    roll_up_accounts(database, RollupPlan(RollupOptions()), NEW_YEAR + 6 * DAY)
    with pytest.raises(Invalid, match="Asia/Tokyo"):
        report_of(database, "acc", RollupOptions(), (None, None), other=Reported("acc", RollupOptions(timezone="Asia/Tokyo")))


@pytest.mark.parametrize(("first", "base"), [(None, None), (date(2026, 1, 5), date(2026, 1, 4)), (date(2026, 1, 8), date(2026, 1, 5))])
def test_a_benchmark_begins_with_the_close_that_the_first_return_is_of(database, first, base):
    """The account grows as its benchmark does, a tenth a day, so whatever the period both have to come to the same; two days have no snapshot."""
    growth = [Decimal(1_000) * 11**n / 10**n for n in range(10)]
    Ledger(database).post([
        deposit(1), *(snapshot(n, total_value_usd=v, snapshot_id=f"s{n}", observed_at=NEW_YEAR + n * DAY + HOUR) for n, v in enumerate(growth) if n not in (5, 6)),
        *(rate(n, currency="BTC", usd_rate=v, observed_at=NEW_YEAR + n * DAY + HOUR) for n, v in enumerate(growth)),
    ])  # fmt: skip
    roll_up_accounts(database, RollupPlan(RollupOptions()), NEW_YEAR + 10 * DAY + HOUR)
    report = report_of(database, "acc", RollupOptions(), (first, None), "BTC")
    day, worth = report.benchmark[0]
    assert day == (base or report.rows[0].date)
    assert report.benchmark[-1][1] / worth - 1 == pytest.approx(report.summary.figures.total_return)


@pytest.mark.parametrize(("arguments", "said"), [
    (["main", "--beside", "main"], "another account than the one"), (["--all", "--beside", "main"], "the index has all of them in one table"),
    (["main", "--beside", "nobody"], "account nobody does not exist"), (["main", "--beside", "other", "--terminal"], "--terminal"),
])  # fmt: skip
def test_what_cannot_stand_beside_is_said(folder, arguments, said):
    done = command.run("report", *arguments, folder=folder, COLUMNS="400")
    assert done.returncode == 2
    assert said in done.stderr

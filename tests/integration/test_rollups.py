"""What a rollup does beside the figures: late facts, rates that are missing, rows saved by hand, options that change, statements."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from books import NEW_YEAR, deposit, fill, rate, snapshot, void, withdrawal

from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.facts import EquitySnapshot
from persistence.domain.performance import PerformanceMetrics
from persistence.repositories import SQLiteAccountRepository, SQLitePerformanceRepository
from persistence.repositories.rollups import SQLiteRollupRepository
from scheduler.jobs import RollupFailed, roll_up_accounts
from scheduler.notes import look_for_notes
from scheduler.rollup.account import roll_up
from scheduler.rollup.explain import explain
from scheduler.rollup.options import RollupOptions, RollupPlan
from scheduler.rollup.statement import line, statement
from scheduler.rollup_checks import check_rollups

pytestmark = pytest.mark.every_engine

DAY = 86_400_000_000
LATER = NEW_YEAR + 40 * DAY
UNTIL = date(2026, 2, 5)
NEW_YEARS_DAY = date(2026, 1, 1)


def value(day: int, usd: object, **changes: object) -> EquitySnapshot:
    return snapshot(observed_at=NEW_YEAR + day * DAY + DAY // 2, total_value_usd=usd, snapshot_id=f"m{day}", **changes)


@pytest.fixture
def roll(database):
    def run(options=None, until=UNTIL, **how):
        return roll_up(database, "acc", options or RollupOptions(), until, now=LATER, **how)

    return run


@pytest.fixture
def rows(database):
    return lambda: {r.date: r for r in SQLitePerformanceRepository(database).find_all("acc")}


def revisions(database, day):
    return SQLiteRollupRepository(database).revisions("acc", day)


def test_a_second_rollup_finds_nothing_to_do_and_writes_nothing(database, ledger, roll):
    ledger.post([deposit(), value(0, 1000), value(1, 1010)])
    assert roll().added == 2
    before = database.execute_query("SELECT generation FROM rollup_accounts")[0][0]
    again = roll()
    assert (again.added, again.revised, again.through) == (0, 0, None)
    assert before == database.execute_query("SELECT generation FROM rollup_accounts")[0][0]


def test_today_is_not_rolled_up_and_has_its_row_once_it_is_over(ledger, roll, rows):
    ledger.post([deposit(), value(0, 1000), value(1, 1010)])
    roll(until=NEW_YEARS_DAY)
    assert list(rows()) == [NEW_YEARS_DAY]
    roll(until=date(2026, 1, 2))
    assert list(rows()) == [NEW_YEARS_DAY, date(2026, 1, 2)]


def test_what_comes_while_a_rollup_computes_is_in_the_rows_when_it_returns(database, ledger, roll, rows):
    ledger.post([deposit(), value(0, 1000), value(1, 1010), fill()])
    came = []

    def meanwhile(_day):
        if not came:
            came.append(ledger.post([value(2, 1500), deposit(2, amount=400, occurred_at=NEW_YEAR + DAY + 5)]))

    roll(progress=meanwhile)
    assert came
    assert [str(r.pnl_daily) for r in rows().values()] == ["0", "-390", "490"]
    assert database.execute_query("SELECT dirty_since FROM accounts")[0][0] is None


def test_a_void_takes_its_row_away_and_says_so(database, ledger, roll, rows):
    ledger.post([deposit(), value(0, 1000), value(1, 1010), value(2, 1020)])
    roll()
    ledger.post([void(1, "metrics", "m1")])
    roll()
    assert [d.day for d in rows()] == [1, 3]
    [revision] = revisions(database, date(2026, 1, 2))
    assert (revision.after, revision.before["pnl_daily"], revision.facts[0]["kind"]) == (None, "10", "void of metrics")
    assert rows()[date(2026, 1, 3)].pnl_daily == 20


def test_a_row_saved_by_hand_stays_unless_told_otherwise(database, ledger, roll, rows):
    ledger.post([deposit(), value(0, 1000), value(1, 1010)])
    mine = PerformanceMetrics("acc", date(2026, 1, 2), "7", "7", "7")
    SQLitePerformanceRepository(database).save(mine)
    done = roll()
    assert (done.added, done.kept_by_hand) == (1, 1)
    assert (rows()[date(2026, 1, 2)].total_value_usd, rows()[date(2026, 1, 2)].source) == (7, "manual")
    ledger.post(
        [
            value(
                1,
                1020,
            )._replace(snapshot_id="again", observed_at=NEW_YEAR + DAY + DAY // 2 + 1)
        ]
    )
    roll()
    assert rows()[date(2026, 1, 2)].source == "manual"
    roll(overwrite_by_hand=True)
    assert (rows()[date(2026, 1, 2)].total_value_usd, rows()[date(2026, 1, 2)].source) == (1020, "rollup")


def test_what_the_engine_reported_stands_beside_ours_and_never_instead(database, ledger, roll, rows):
    ledger.post([deposit(), value(0, 1000), value(1, 1010, reported='{"pnl_daily":"11","sharpe_ratio":"2"}')])
    roll()
    assert rows()[date(2026, 1, 2)].pnl_daily == 10
    assert explain(database, "acc", RollupOptions(), date(2026, 1, 2)).reported == {"pnl_daily": "11", "sharpe_ratio": "2"}


def test_a_flow_without_a_rate_is_valued_at_the_latest_one_known_and_marked(database, ledger, roll, rows):
    ledger.post([deposit(), value(0, 1000), fill(symbol="ETH/USDT", price="2000", executed_at=NEW_YEAR + DAY), value(2, 3000)])
    ledger.post([deposit(2, currency="ETH", amount=1, occurred_at=NEW_YEAR + 2 * DAY)])
    roll()
    assert rows()[date(2026, 1, 3)].pnl_daily == 0
    [flow] = explain(database, "acc", RollupOptions(), date(2026, 1, 3)).flows
    assert (flow.usd, flow.given) == (2000, False)
    # A rate that is known later for an earlier instant counts, too.
    ledger.post([fill(9, order_id="o9", symbol="ETH/USDT", price="1500", executed_at=NEW_YEAR + DAY + 7)])
    roll()
    assert rows()[date(2026, 1, 3)].pnl_daily == 500


def test_a_flow_that_nobody_can_value_withholds_the_profit_alone_until_its_rate_comes(database, ledger, roll, rows):
    ledger.post([deposit(), value(0, 1000), value(1, 1010), value(2, 1020), deposit(2, currency="ETH", amount=1, occurred_at=NEW_YEAR + DAY)])
    done = roll()
    assert [(d, "deposit d2 of 1 ETH has no USD rate" in why) for d, why in done.withheld] == [(date(2026, 1, 2), True)]
    assert [(str(r.total_value_usd), r.pnl_daily, r.pnl_total) for r in rows().values()] == [("1000", 0, 0), ("1010", None, None), ("1020", 10, None)]
    assert check_rollups(database, RollupPlan()) == []
    [note] = look_for_notes(database, RollupPlan(), NEW_YEAR + 9 * DAY).notes
    assert note.check == "a rate is missing"
    ledger.post([rate(0, currency="ETH", usd_rate="5", observed_at=NEW_YEAR + DAY)])
    assert roll().withheld == []
    assert [str(r.pnl_total) for r in rows().values()] == ["0", "5", "15"]
    assert check_rollups(database, RollupPlan()) == []
    assert look_for_notes(database, RollupPlan(), NEW_YEAR + 9 * DAY).notes == []


def test_a_trade_whose_quote_nobody_can_value_withholds_win_rate_and_profit_factor(database, ledger, roll, rows):
    ledger.post([deposit(), value(0, 1000), value(1, 1010)])
    ledger.post([fill(n, symbol="ETH/EUR", side=side, executed_at=NEW_YEAR + DAY + n) for n, side in ((1, "buy"), (2, "sell"))])
    assert "ETH/EUR" in roll().withheld[0][1]
    newest = rows()[date(2026, 1, 2)]
    assert (newest.pnl_daily, newest.trades_count, newest.win_rate, newest.profit_factor) == (10, 1, None, None)
    assert "without a USD rate" in explain(database, "acc", RollupOptions(), date(2026, 1, 2)).row.warnings
    ledger.post([rate(0, currency="EUR", usd_rate="1.1", observed_at=NEW_YEAR + DAY)])
    roll()
    assert rows()[date(2026, 1, 2)].win_rate == 0


def test_an_account_is_valued_from_its_books_until_the_day_of_its_first_snapshot(database, ledger, roll, rows):
    ledger.post([deposit(), fill(quantity=2, fee=0, price=100), fill(2, quantity=1, price=150, fee=0, side="sell", order_id="o2", executed_at=NEW_YEAR + DAY)])
    roll()
    assert [str(r.total_value_usd) for r in rows().values()] == ["1000", "1100"]
    assert explain(database, "acc", RollupOptions(), date(2026, 1, 2)).valuation == "books"
    ledger.post([value(1, 1234), value(2, 1334)])
    roll()
    assert [(r.date.day, str(r.total_value_usd), str(r.pnl_total)) for r in rows().values()] == [(1, "1000", "0"), (2, "1234", "0"), (3, "1334", "100")]
    assert "234 USD between the books and the first snapshot" in explain(database, "acc", RollupOptions(), date(2026, 1, 2)).row.warnings
    ledger.post([void(1, "metrics", "m1")])
    roll()
    assert [(r.date.day, str(r.total_value_usd), str(r.pnl_total)) for r in rows().values()] == [(1, "1000", "0"), (2, "1100", "100"), (3, "1334", "100")]
    assert check_rollups(database, RollupPlan()) == []


def test_a_holding_without_a_rate_withholds_that_row_alone(ledger, roll, rows):
    ledger.post([deposit(), deposit(2, currency="DOGE", amount=5, usd_rate=None, occurred_at=NEW_YEAR + DAY, category="bonus")])
    ledger.post([fill(1, symbol="DOGE/USDT", price="0.5", quantity=1, fee=0, executed_at=NEW_YEAR + 2 * DAY)])
    done = roll()
    assert [(d.day, "DOGE" in why) for d, why in done.withheld] == [(2, True)]
    assert [(r.date.day, str(r.total_value_usd)) for r in rows().values()] == [(1, "1000"), (3, "1002.5")]


def test_a_change_of_options_rebuilds_and_says_why(database, ledger, roll, rows):
    ledger.post([deposit(), *(value(n, 1000 + n * n) for n in range(6))])
    roll()
    before = rows()
    roll(RollupOptions(annualization=252))
    after = rows()
    day = date(2026, 1, 5)
    assert after[day].sharpe_ratio == pytest.approx(before[day].sharpe_ratio * (252 / 365) ** 0.5)
    assert revisions(database, day)[0].cause == "options changed"
    assert revisions(database, NEW_YEARS_DAY) == [], "nothing to revise there"


def test_a_window_forgets_what_is_older_but_never_the_total(ledger, roll, rows):
    ledger.post([deposit(), *(value(n, usd) for n, usd in enumerate((1000, 500, 510, 520, 530, 540)))])
    roll(RollupOptions(window_days=3))
    newest = rows()[date(2026, 1, 6)]
    assert (newest.max_drawdown, newest.pnl_total) == (0.0, -460)
    roll()
    assert rows()[date(2026, 1, 6)].max_drawdown == -0.5


def test_a_large_flow_that_no_snapshot_shows_is_warned_of(database, ledger, roll):
    ledger.post([deposit(), value(0, 1000), snapshot(observed_at=NEW_YEAR + DAY + 5, total_value_usd=2000, snapshot_id="a"), value(1, 2000)])
    ledger.post([deposit(2, occurred_at=NEW_YEAR + DAY + 6)])
    roll()
    found = explain(database, "acc", RollupOptions(), date(2026, 1, 2))
    assert "does not show" in found.row.warnings


def test_each_account_is_rolled_up_when_its_own_day_has_ended(database, ledger):
    ledger.post([deposit(), value(0, 1000), value(0, 1)._replace(account_id="tokyo"), value(0, 1)._replace(account_id="hawaii")])
    plan = RollupPlan(RollupOptions(), {"tokyo": RollupOptions(timezone="Asia/Tokyo"), "hawaii": RollupOptions(timezone="Pacific/Honolulu")})
    done = roll_up_accounts(database, plan, NEW_YEAR + DAY - 8 * 3_600_000_000)
    assert [r.account_id for r in done if r.added] == ["tokyo"]
    done = roll_up_accounts(database, plan, NEW_YEAR + DAY + 6 * 60_000_000)
    assert [r.account_id for r in done if r.added] == ["acc"]


@pytest.mark.parametrize(("account", "until", "says"), [(["nobody"], None, "nobody does not exist"), (["acc"], date(2030, 1, 1), "has not ended")])
def test_what_cannot_be_rolled_up_is_refused(database, ledger, account, until, says):
    ledger.post([deposit()])
    with pytest.raises(Invalid, match=says):
        roll_up_accounts(database, RollupPlan(), LATER, account, until=until)


def test_a_deleted_account_takes_its_rows_with_it(database, ledger, roll):
    ledger.post([deposit(), value(0, 1000), fill(), fill(2, side="sell", order_id="o2")])
    roll()
    SQLiteAccountRepository(database).delete("acc")
    for table in ("rollup_accounts", "rollup_rows", "trades", "asset_closes", "flow_values", "currency_rates", "performance_metrics"):
        assert database.execute_query(f"SELECT count(*) FROM {table}")[0][0] == 0, table
    assert roll().through is None


# -- statements -----------------------------------------------------------------------------------------------------------


def stated(database, day, options=None):
    with SQLiteRollupRepository(database).reading("acc") as books:
        return {found.currency: found for found in statement(books, options or RollupOptions(), day)}


def test_a_statement_explains_what_moved_and_leaves_nothing_over(database, ledger, roll):
    ledger.post([deposit(), deposit(2, category="funding", amount=3), fill(quantity=2), withdrawal(occurred_at=NEW_YEAR + DAY)])
    for rolled_up in (False, True):
        if rolled_up:
            roll()
        first, second = stated(database, NEW_YEARS_DAY)["USDT"], stated(database, date(2026, 1, 2))["USDT"]
        assert first[1:] == tuple(map(Decimal, ("0", "1000", "0", "0", "200", "0.1", "3", "0", "0", "0", "802.9", "0")))
        assert second[1:] == tuple(map(Decimal, ("802.9", "0", "100", "0", "0", "0", "0", "0", "0", "0", "702.9", "0")))
        assert stated(database, date(2026, 1, 2))["BTC"].closing == 2


def test_a_late_record_moves_every_later_closing(database, ledger, roll):
    ledger.post([deposit(), *(withdrawal(n, amount=1, occurred_at=NEW_YEAR + n * DAY) for n in range(1, 5))])
    roll()
    ledger.post([deposit(2, amount=50, occurred_at=NEW_YEAR + 2 * DAY)])
    for _ in range(2):
        assert [int(stated(database, date(2026, 1, n))["USDT"].closing) for n in range(1, 6)] == [1000, 999, 1048, 1047, 1046]
        roll()
    assert check_rollups(database, RollupPlan()) == []


def test_what_nobody_recorded_is_unexplained_and_found(database, ledger, roll):
    ledger.post([deposit(), withdrawal(occurred_at=NEW_YEAR + DAY)])
    roll()
    with database.transaction() as connection:
        connection.execute("UPDATE asset_closes SET closing = '1001' WHERE date = '2026-01-01'")
    assert stated(database, NEW_YEARS_DAY)["USDT"].unexplained == 1
    assert stated(database, date(2026, 1, 2))["USDT"].unexplained == -1
    [finding] = check_rollups(database, RollupPlan())
    assert (finding.check, finding.look) == ("statements close", "jarvis statement acc --date 2026-01-02")


def test_every_type_of_transaction_has_its_column():
    from persistence.domain.transaction import TransactionType

    for kind in TransactionType:
        for amount in (Decimal(5), Decimal(-5)):
            found = line("USDT", Decimal(1), [(str(kind), amount)], Decimal(1) + amount)
            explained = found.opening + found.deposits - found.withdrawals + found.traded_in - found.traded_out - found.fees + found.income
            explained += found.loans + found.conversions + found.adjustments
            assert (explained, found.unexplained) == (found.closing, 0)


# -- what a review by fresh eyes found --------------------------------------------------------------------------------------


def test_an_account_that_moves_to_an_eastern_zone_leaves_nothing_of_the_western_days_behind(database, ledger, roll, rows):
    evening = NEW_YEAR + 20 * 3_600_000_000
    ledger.post([snapshot(observed_at=evening, total_value_usd=100, snapshot_id="a"), fill(1, executed_at=evening, quantity=1, fee=0)])
    ledger.post([value(1, 110), value(2, 120), fill(2, side="sell", quantity=1, fee=0, order_id="o2", executed_at=NEW_YEAR + 2 * DAY)])
    roll()
    tokyo = RollupOptions(timezone="Asia/Tokyo")
    roll(tokyo)
    assert [(d.day, r.trades_count) for d, r in rows().items()] == [(2, 0), (3, 1)]
    assert revisions(database, NEW_YEARS_DAY)[-1].after is None
    assert check_rollups(database, RollupPlan(tokyo)) == []


def test_a_rebuild_drops_days_that_a_clock_ahead_took_for_over(database, ledger, roll, rows):
    ledger.post([deposit(), value(0, 1000), value(1, 1010)])
    roll(until=date(2030, 1, 1))
    assert len(rows()) == 2
    done = roll_up(database, "acc", RollupOptions(), NEW_YEARS_DAY, now=NEW_YEAR + DAY + 1, rebuild=True)
    assert (done.through, list(rows())) == (NEW_YEARS_DAY, [NEW_YEARS_DAY])


def test_in_a_window_a_trade_that_moves_within_a_gap_moves_out_of_it(database, ledger, roll, rows):
    options = RollupOptions(window_days=5)
    ledger.post([deposit(), *(value(n, 1000) for n in (0, 1, 5, 6, 7, 8, 9))])
    ledger.post([fill(1, fee=0, executed_at=NEW_YEAR + DAY), fill(2, fee=0, price=110, side="sell", order_id="o2", executed_at=NEW_YEAR + 3 * DAY)])
    roll(options)
    ledger.post([void(1, "fill", "f2"), fill(3, fee=0, price=110, side="sell", order_id="o2", executed_at=NEW_YEAR + 2 * DAY)])
    roll(options)
    before = rows()
    roll(options, rebuild=True)
    for day, row in rows().items():
        assert (row.trades_count, row.win_rate) == (before[day].trades_count, before[day].win_rate), day
    assert before[date(2026, 1, 8)].trades_count == 0


def test_ruin_within_a_day_is_final_for_that_day(ledger, roll, rows):
    hour = 3_600_000_000
    ledger.post([value(0, 100)])
    for n, (at, usd) in enumerate(((1, -50), (3, 10), (5, -20), (7, 10), (9, 12))):
        ledger.post([snapshot(observed_at=NEW_YEAR + DAY + at * hour, total_value_usd=usd, snapshot_id=f"s{n}")])
    ledger.post([deposit(n, amount=amount, occurred_at=NEW_YEAR + DAY + at * hour) for n, at, amount in ((1, 2, 60), (2, 6, 30))])
    roll(RollupOptions(flow_timing="subperiod"))
    assert rows()[date(2026, 1, 2)].max_drawdown == -1.0


def test_weekend_snapshots_are_not_looked_at_by_sub_periods_either(database, ledger, roll):
    # 2026-01-03 is a Saturday.
    ledger.post([value(1, 1000), value(2, 1500), deposit(occurred_at=NEW_YEAR + 4 * DAY, amount=100), value(4, 1200)])
    roll(RollupOptions(flow_timing="subperiod", observation_days="weekdays"))
    found = explain(database, "acc", RollupOptions(), date(2026, 1, 5)).row
    assert found.daily_return == pytest.approx(1200 / 1100 - 1)


def test_one_damaged_account_does_not_keep_the_others_from_their_rows(database, ledger):
    accounts = ("aaa", "bbb", "zzz")
    ledger.post([value(0, 1000)._replace(account_id=a) for a in accounts])
    plan = RollupPlan()
    roll_up_accounts(database, plan, NEW_YEAR + DAY + 10 * 60_000_000)
    with database.transaction() as connection:
        connection.execute("UPDATE rollup_rows SET value = 'x' WHERE account_id = 'bbb'")
    ledger.post([value(1, 1100)._replace(account_id=a) for a in accounts])
    with pytest.raises(RollupFailed, match="1 of 3 accounts .* bbb"):
        roll_up_accounts(database, plan, LATER)
    assert [r[0] for r in database.execute_query("SELECT account_id FROM performance_metrics WHERE date = '2026-01-02' ORDER BY 1")] == ["aaa", "zzz"]
    roll_up_accounts(database, plan, LATER, ["bbb"], rebuild=True)
    assert len(SQLitePerformanceRepository(database).find_all("bbb")) == 2


def test_a_day_that_has_not_ended_everywhere_is_rolled_up_where_it_has(database, ledger):
    ledger.post([value(0, 1000)._replace(account_id=a) for a in ("aaa", "ny", "zzz")])
    plan = RollupPlan(RollupOptions(), {"ny": RollupOptions(timezone="America/New_York")})
    done = roll_up_accounts(database, plan, NEW_YEAR + DAY + 3_600_000_000, until=NEW_YEARS_DAY)
    assert [(r.account_id, r.added) for r in done] == [("aaa", 1), ("ny", 0), ("zzz", 1)]


def test_withheld_days_are_told_again_until_they_are_settled(ledger, roll):
    ledger.post([value(0, 1000), deposit(2, currency="ETH", amount=1, occurred_at=NEW_YEAR + DAY), value(1, 1000)])
    assert [len(roll().withheld) for _ in range(3)] == [1, 1, 1]


def test_rows_that_do_not_follow_from_what_stands_behind_them_are_found(database, ledger, roll):
    ledger.post([deposit(), value(0, 1000), value(1, 1010), fill(fee=0), fill(2, fee=0, side="sell", order_id="o2"), value(2, 1020)])
    roll()
    assert check_rollups(database, RollupPlan()) == []
    for damage in (
        "UPDATE performance_metrics SET pnl_daily = '999' WHERE date = '2026-01-02'", "UPDATE rollup_rows SET value = '5' WHERE date = '2026-01-02'",
        "UPDATE rollup_rows SET mean = 0.5 WHERE date = '2026-01-02'", "DELETE FROM trades", "DELETE FROM performance_metrics WHERE date = '2026-01-02'",
    ):  # fmt: skip
        with database.transaction() as connection:
            connection.execute(damage)
        found = check_rollups(database, RollupPlan())
        assert {f.check for f in found} == {"rows follow from what stands behind them"}, damage
        assert "2026-01-0" in found[0].where
        roll(rebuild=True)
        assert check_rollups(database, RollupPlan()) == [], damage


def test_the_first_row_of_an_account_that_had_a_value_explains_no_flow_from_before(database, ledger, roll):
    ledger.post([withdrawal(occurred_at=NEW_YEAR), value(0, 1000), withdrawal(2, occurred_at=NEW_YEAR + DAY - 5)])
    ledger.post([snapshot(observed_at=NEW_YEAR + DAY - 1, total_value_usd=950, snapshot_id="close")])
    roll()
    found = explain(database, "acc", RollupOptions(), NEW_YEARS_DAY)
    assert ([f.record_id for f in found.flows], found.row.pnl_daily) == (["w2"], 50)

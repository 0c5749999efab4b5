"""Every figure of a report: of three accounts, against a computation of its own and against the summary of the command."""

from __future__ import annotations

import json

import command
import pytest
from books import NEW_YEAR, deposit, fill, snapshot
from plain_account import DAY, HOUR, by_month, figures_of, plain_account, told
from report_pages import ReportPage, number, seconds

from jarvis.report.figures import report_of
from jarvis.report.page import page
from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from scheduler.jobs import roll_up_accounts
from scheduler.rollup.options import RollupOptions, RollupPlan

#: Of each account: seed, days.
ACCOUNTS = {"week": (6, 7), "quarter": (2, 90), "years": (3, 800)}
#: A figure is shown to a hundredth, a share to a hundredth of a percent, a win rate to a tenth.
CENT, SHARE, RATE = 0.00501, 0.0000501, 0.000501


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("three")
    (made / "data").mkdir()
    database = DatabaseManager(made / "data" / "jarvis_trading.db", durable=False)
    database.initialize()
    for name, (seed, days) in ACCOUNTS.items():
        facts = plain_account(seed, days, name=name).facts
        for at in range(0, len(facts), 1_000):
            Ledger(database).post(facts[at : at + 1_000])
    roll_up_accounts(database, RollupPlan(RollupOptions()), NEW_YEAR + 800 * DAY + HOUR)
    database.close()
    for name in ACCOUNTS:
        assert command.run("report", name, "-o", f"{name}.html", folder=made).returncode == 0
    return made


@pytest.fixture(params=ACCOUNTS)
def account(request, folder):
    """(its name, all that is known of it, its page, the summary that the command gives of it)."""
    name = request.param
    shown = ReportPage((folder / f"{name}.html").read_text())
    summary = json.loads(command.run("performance", name, "--summary", "--json", folder=folder).stdout)
    return name, plain_account(*ACCOUNTS[name], name=name), shown, summary


def card(shown: ReportPage, label: str) -> float | None:
    """The figure of a card; where it stands twice, both say the same."""
    values = {value for value, _ in shown.cards[label]}
    assert len(values) == 1, (label, values)
    return number(values.pop())


def test_the_cards_say_what_a_computation_of_its_own_says(account):
    _, plain, shown, _ = account
    figures, trades = figures_of(plain.returns()), told(plain.trades)
    came, left = sum(f for f in plain.flows if f > 0), -sum(f for f in plain.flows if f < 0)
    calmar = None if figures.cagr is None else figures.cagr / -figures.deepest
    wanted = {
        "Closing value": (plain.closes[-1], CENT), "Opening value": (0, CENT), "Deposits": (came, CENT), "Withdrawals": (left, CENT),
        "Profit": (plain.closes[-1] - came + left, CENT), "Return": (figures.total, SHARE), "Volatility": (figures.volatility, SHARE),
        "Sharpe": (figures.sharpe, CENT), "Sortino": (figures.sortino, CENT), "Max drawdown": (figures.deepest, SHARE), "CAGR": (figures.cagr, SHARE),
        "Calmar": (calmar, CENT), "Trades": (trades.count, 0), "Closed": (trades.count, 0), "Win rate": (trades.win_rate, RATE),
        "Profit factor": (trades.profit_factor, CENT), "Profit of trades": (trades.pnl, CENT), "Average win": (trades.average_win, CENT),
        "Average loss": (trades.average_loss, CENT), "Fees of trades": (trades.fees, CENT),
    }  # fmt: skip
    assert {*shown.cards} == {*wanted, "Holding time"}, "and there is no card that is not compared"
    for label, (value, within) in wanted.items():
        assert card(shown, label) == (None if value is None else pytest.approx(float(value), abs=within)), label
    assert shown.cards["Closed"][0][1] == f"{trades.wins} won, {trades.losses} lost"
    [(mean, remark)] = shown.cards["Holding time"]
    for said, exact in ((mean, trades.mean_seconds), (remark.removeprefix("median "), trades.median_seconds)):
        assert 0 <= exact - seconds(said) < (60 if exact < 86_400 else 3_600), "to a minute, from a day on to an hour"


def test_the_tables_say_what_a_computation_of_its_own_says(account):
    _, plain, shown, _ = account
    returns = plain.returns()
    drawdowns = [(number(row[1]), row[3]) for row in shown.tables["Drawdown"][1:]]
    assert drawdowns == [(pytest.approx(depth, abs=SHARE), f"{trough}") for depth, trough in figures_of(returns).drawdowns[:5]]
    months = {(int(row[0]), n): number(cell) for row in shown.tables["Returns by month"][1:] for n, cell in enumerate(row[1:13], 1)}
    assert {month: value for month, value in months.items() if value is not None} == pytest.approx(by_month(returns), abs=SHARE)
    for heading, key in (("By instrument", "instrument"), ("By side", "side")):
        rows = {row[0]: row[1:] for row in shown.tables[heading][1:]}
        assert rows.keys() == {getattr(t, key) for t in plain.trades}
        for name, (count, rate, factor, pnl, win, loss, fees, held) in rows.items():
            of = told([t for t in plain.trades if getattr(t, key) == name])
            assert (int(count), number(rate)) == (of.count, pytest.approx(of.win_rate, abs=RATE))
            wanted = (of.profit_factor, of.pnl, of.average_win, of.average_loss, of.fees)
            assert tuple(map(number, (factor, pnl, win, loss, fees))) == tuple(None if w is None else pytest.approx(w, abs=CENT) for w in wanted), name
            assert 0 <= of.median_seconds - seconds(held) < 3_600
    for heading, ranked in (("Best", sorted((t for t in plain.trades if t.pnl > 0), key=lambda t: -t.pnl)),
                            ("Worst", sorted((t for t in plain.trades if t.pnl < 0), key=lambda t: t.pnl))):  # fmt: skip
        assert [number(row[-1]) for row in shown.tables[heading][1:]] == [pytest.approx(float(t.pnl), abs=CENT) for t in ranked[:5]]
    columns = shown.tables["Fees by month"][0][1:-1]
    fees = {(row[0], name): number(cell) for row in shown.tables["Fees by month"][1:-1] for name, cell in zip(columns, row[1:-1], strict=True)}
    assert {key: usd for key, usd in fees.items() if usd} == pytest.approx({key: float(usd) for key, usd in plain.fees.items()}, abs=CENT)
    assert number(shown.tables["Fees by month"][-1][-1]) == pytest.approx(float(sum(plain.fees.values())), abs=CENT)


def test_the_cards_say_what_the_summary_says(account):
    _, _, shown, summary = account
    trades = summary["trades"]
    wanted = {
        "Closing value": (summary["closing_value"], CENT), "Opening value": (summary["opening_value"], CENT), "Profit": (summary["pnl"], CENT),
        "Deposits": (summary["inflow"], CENT), "Withdrawals": (summary["outflow"], CENT), "Return": (summary["total_return"], SHARE),
        "Volatility": (summary["volatility"], SHARE), "Sharpe": (summary["sharpe"], CENT), "Sortino": (summary["sortino"], CENT),
        "Max drawdown": (summary["max_drawdown"], SHARE), "CAGR": (summary["cagr"], SHARE), "Calmar": (summary["calmar"], CENT),
        "Trades": (trades["trades"], 0), "Closed": (trades["trades"], 0), "Win rate": (trades["win_rate"], RATE),
        "Profit factor": (trades["profit_factor"], CENT), "Profit of trades": (trades["pnl"], CENT), "Average win": (trades["average_win"], CENT),
        "Average loss": (trades["average_loss"], CENT), "Fees of trades": (trades["fees"], CENT),
    }  # fmt: skip
    assert {*shown.cards} == {*wanted, "Holding time"}
    for label, (value, within) in wanted.items():
        assert card(shown, label) == (None if value is None else pytest.approx(float(value), abs=within)), label


def test_the_index_says_what_the_pages_say(folder):
    assert command.run("report", "--all", folder=folder).returncode == 0
    rows = {row[0]: row[1:] for row in ReportPage((folder / "reports" / "index.html").read_text()).tables["Accounts"][1:]}
    assert rows.keys() == ACCOUNTS.keys()
    for name, (_, last, *figures) in rows.items():
        page_of = ReportPage((folder / f"{name}.html").read_text())
        assert last == f"{plain_account(*ACCOUNTS[name], name=name).days[-1]}"
        labels = ("Closing value", "Profit", "Return", "Sharpe", "Max drawdown", "Trades")
        assert [*map(number, figures)] == [card(page_of, label) for label in labels], name


def test_a_trade_that_closed_after_the_last_row_is_in_every_part_of_the_page_or_in_none(database):
    """The engine went on trading after its last snapshot: the summary counts that trade, so its tables have to."""
    Ledger(database).post([
        deposit(1), snapshot(1, total_value_usd=1_000), fill("in", quote_usd_rate=1, executed_at=NEW_YEAR + HOUR),
        fill("out", side="sell", order_id="o2", price=110, quote_usd_rate=1, executed_at=NEW_YEAR + 3 * DAY),
    ])  # fmt: skip
    roll_up_accounts(database, RollupPlan(RollupOptions()), NEW_YEAR + 5 * DAY + HOUR)
    shown = ReportPage(page(report_of(database, "acc", RollupOptions(), (None, None)), "now"))
    assert shown.cards["Trades"][0][0] == "1"
    assert [row[:2] for row in shown.tables["By instrument"][1:]] == [["BTC/USDT", "1"]]
    assert [row[-1] for row in shown.tables["Best"][1:]] == ["9.80"]
    assert shown.tables["Fees by month"][-1][-1] == shown.cards["Fees of trades"][0][0] == "0.20"

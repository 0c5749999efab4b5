"""The report of an account: its figures are those of the summary and of a computation of its own, and whatever a name holds stays text."""

from __future__ import annotations

import json
import math
import random
import re
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from html.parser import HTMLParser

import command
import pytest
from books import NEW_YEAR, SECOND, deposit, fill, rate, snapshot, withdrawal

from jarvis.report.figures import report_of
from jarvis.report.page import POLICY, page
from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from scheduler.jobs import roll_up_accounts
from scheduler.rollup.options import RollupOptions, RollupPlan

DAY, HOUR = 86_400 * SECOND, 3_600 * SECOND
JANUARY = date(2026, 1, 1)
HOSTILE = '<script>alert("1")</script><img src=x onerror=alert(2)>'


class Read(HTMLParser):
    """A page as a browser takes it apart: its texts, its elements, and what terms stand before which values."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        if data.strip():
            self.texts.append(data.strip())


def figures_on(text: str) -> dict[str, str]:
    """The figures of the page's cards, by their labels."""
    found = re.findall(r'<div class="figure"><dt>(?:<span class="term"[^>]*>)?([^<]+).*?</dt><dd(?: class="[^"]*")?>([^<]*)</dd>', text)
    return dict(reversed(found))


def trading(seed: int, days: int):
    """(facts, closes, flows) of an account that trades, gets and gives capital: what is recorded, and the plain numbers behind it."""
    chance = random.Random(seed)
    cents, closes, flows = 1_000_000, [], []
    facts = [deposit(f"first-{seed}", amount=10_000, occurred_at=NEW_YEAR + HOUR)]
    for day in range(days):
        flow = Decimal(chance.choice((0, 0, 0, 500, -300))) if day else Decimal(10_000)
        if day and flow > 0:
            facts.append(deposit(f"{seed}-{day}", amount=flow, occurred_at=NEW_YEAR + day * DAY + 2 * HOUR))
        elif day and flow < 0:
            facts.append(withdrawal(f"{seed}-{day}", amount=-flow, occurred_at=NEW_YEAR + day * DAY + 2 * HOUR))
        cents = cents * round(10_000 + chance.gauss(0, 200)) // 10_000 + (int(flow) * 100 if day else 0)
        value = Decimal(cents).scaleb(-2)
        facts.append(snapshot(day, snapshot_id=f"s{seed}-{day}", total_value_usd=value, observed_at=NEW_YEAR + day * DAY + 23 * HOUR))
        closes.append(value)
        flows.append(flow)
    return facts, closes, flows


@pytest.mark.parametrize(("seed", "days"), [(6, 5), (2, 45), (3, 400)])
def test_the_figures_on_the_page_are_those_of_a_computation_of_its_own(database, seed, days):
    closes, flows = _traded(database, seed, days)
    report = report_of(database, "acc", RollupOptions(), (None, None))
    shown = figures_on(page(report, "now"))
    returns, before = [], Fraction(0)
    for close, flow in zip(closes, flows, strict=True):
        came, left = Fraction(max(flow, Decimal(0))), Fraction(max(-flow, Decimal(0)))
        returns.append(float((Fraction(close) + left) / (before + came) - 1))
        before = Fraction(close)
    mean = sum(returns) / days
    deviation = math.sqrt(sum((r - mean) ** 2 for r in returns) / (days - 1))
    index, peak, deepest = 1.0, 1.0, 0.0
    for change in returns:
        index *= 1 + change
        peak = max(peak, index)
        deepest = min(deepest, index / peak - 1)
    shortfall = math.sqrt(sum(min(r, 0) ** 2 for r in returns) / days)
    assert shown["Closing value"] == f"{closes[-1]:,.2f}"
    assert shown["Profit"] == f"{closes[-1] - sum(flows):,.2f}"
    assert shown["Deposits"] == f"{sum(f for f in flows if f > 0):,.2f}"
    assert shown["Return"] == f"{index - 1:+.2%}"
    assert shown["Max drawdown"] == f"{deepest:.2%}"
    assert shown["Sharpe"] == f"{mean / deviation * math.sqrt(365):.2f}"
    assert shown["Sortino"] == f"{mean / shortfall * math.sqrt(365):.2f}"
    assert shown["Volatility"] == f"{deviation * math.sqrt(365):.2%}"
    assert shown["CAGR"] == (f"{index ** (365 / days) - 1:+.2%}" if days >= 365 else "–")


def _traded(database, seed, days):
    facts, closes, flows = trading(seed, days)
    Ledger(database).record(facts)
    roll_up_accounts(database, RollupPlan(RollupOptions()), NEW_YEAR + days * DAY + HOUR)
    return closes, flows


@pytest.fixture
def folder(tmp_path):
    """Books with an account that trades, one that has one day, one without any, and one whose name is a script."""
    (tmp_path / "data").mkdir()
    database = DatabaseManager(tmp_path / "data" / "jarvis_trading.db")
    database.initialize()
    facts, _, _ = trading(4, 30)
    trades = [
        fill(n, order_id=f"o{n}", side=("buy", "sell")[n % 2], price=100 + n, fee="0.5", fee_currency="USDT",
             quote_usd_rate=1, executed_at=NEW_YEAR + n * DAY)
        for n in range(8)
    ]  # fmt: skip
    hostile = [
        deposit("h", account_id=HOSTILE, amount=100), snapshot(1, account_id=HOSTILE, snapshot_id="h1", total_value_usd=100, observed_at=NEW_YEAR + HOUR),
        fill("h", account_id=HOSTILE, order_id="oh", symbol="<i>perpetual</i>", base="BTC", quote="USDT", settle="USDT", fee="0", executed_at=NEW_YEAR + 2),
    ]  # fmt: skip
    Ledger(database).record([
        *facts, *trades, *hostile, deposit("e", account_id="empty", currency="XYZ", occurred_at=NEW_YEAR + 20 * DAY),
        deposit("one", account_id="one-day", amount=100), snapshot(1, account_id="one-day", snapshot_id="one", total_value_usd=100, observed_at=NEW_YEAR + HOUR),
        *(rate(n, currency="BTC", usd_rate=100 + n, observed_at=NEW_YEAR + n * DAY) for n in range(30)),
    ])  # fmt: skip
    roll_up_accounts(database, RollupPlan(RollupOptions()), NEW_YEAR + 40 * DAY + HOUR)
    database.close()
    return tmp_path


def test_the_figures_on_the_page_are_those_of_the_summary(folder):
    done = command.run("report", "acc", folder=folder)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    shown = figures_on((folder / "report.html").read_text())
    summary = json.loads(command.run("performance", "acc", "--summary", "--json", folder=folder).stdout)
    assert Decimal(shown["Profit"].replace(",", "")) == round(Decimal(summary["pnl"]), 2)
    assert Decimal(shown["Closing value"].replace(",", "")) == round(Decimal(summary["closing_value"]), 2)
    assert shown["Return"] == f"{summary['total_return']:+.2%}"
    assert shown["Sharpe"] == f"{summary['sharpe']:.2f}"
    assert shown["Max drawdown"] == f"{summary['max_drawdown']:.2%}"
    assert shown["Trades"] == f"{summary['trades']['trades']:,}"


def test_a_period_has_its_own_figures_and_says_so(folder):
    done = command.run("report", "acc", "--from", "2026-01-05", "--to", "2026-01-20", "-o", "part.html", folder=folder)
    assert "wrote part.html: acc, 2026-01-05 to 2026-01-20" in done.stderr
    summary = json.loads(command.run("performance", "acc", "--summary", "--json", "--from", "2026-01-05", "--to", "2026-01-20", folder=folder).stdout)
    shown = figures_on((folder / "part.html").read_text())
    assert shown["Return"] == f"{summary['total_return']:+.2%}"
    assert Decimal(shown["Opening value"].replace(",", "")) == round(Decimal(summary["opening_value"]), 2)


def test_every_account_gets_a_page_and_the_index_leads_to_it(folder):
    done = command.run("report", "--all", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "without figures in that period: empty" in done.stderr
    read = Read((folder / "reports" / "index.html").read_text())
    links = [attributes["href"] for tag, attributes in read.elements if tag == "a"]
    assert len(links) == len({link.lower() for link in links}) == 3
    assert {"acc.html", "one-day.html"} < {*links}
    assert all((folder / "reports" / link).is_file() for link in links)


def test_books_without_an_account_have_an_index_that_says_so(tmp_path):
    (tmp_path / "data").mkdir()
    database = DatabaseManager(tmp_path / "data" / "jarvis_trading.db")
    database.initialize()
    database.close()
    done = command.run("report", "--all", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "There is no account yet." in Read((tmp_path / "reports" / "index.html").read_text()).texts


@pytest.mark.parametrize("account", ["acc", "one-day", HOSTILE])
def test_a_page_asks_for_nothing_and_runs_nothing_whatever_its_names_are(folder, account):
    assert command.run("report", account, folder=folder).returncode == 0
    text = (folder / "report.html").read_text()
    read = Read(text)
    assert account in read.texts, "the name is shown as it is"
    assert ("<i>perpetual</i>" in read.texts) == (account == HOSTILE), "and so is that of an instrument"
    assert not {"script", "img", "link", "iframe", "object", "form", "base"} & {tag for tag, _ in read.elements}
    attributes = {name for _, found in read.elements for name in found}
    assert not {name for name in attributes if name.startswith("on")} | ({"src", "href", "style"} & attributes)
    assert "http:" not in text
    assert "https:" not in text
    assert next(a["content"] for tag, a in read.elements if a.get("http-equiv") == "Content-Security-Policy") == POLICY


def test_every_figure_says_what_it_means_to_who_points_and_to_who_tabs(folder):
    command.run("report", "acc", folder=folder)
    read = Read((folder / "report.html").read_text())
    terms = [attributes for _, attributes in read.elements if attributes.get("class") == "term"]
    assert len(terms) > 20
    assert all(t["tabindex"] == "0" and t["title"].endswith(".") for t in terms)


def test_days_that_are_missing_are_named(database):
    Ledger(database).record([deposit(1), *(snapshot(n, total_value_usd=1000 + n, observed_at=NEW_YEAR + n * DAY + HOUR) for n in (0, 1, 5, 7))])
    roll_up_accounts(database, RollupPlan(RollupOptions()), NEW_YEAR + 10 * DAY + HOUR)
    after, end = (date(2026, 1, 7), date(2026, 1, 7)), (date(2026, 1, 9), date(2026, 1, 10))
    for first, missing in ((None, (date(2026, 1, 3), date(2026, 1, 5))), (JANUARY + timedelta(3), (date(2026, 1, 4), date(2026, 1, 5)))):
        report = report_of(database, "acc", RollupOptions(), (first, None))
        assert report.quality.missing == [missing, after, end]
        assert sum((last - first).days + 1 for first, last in report.quality.missing) == report.summary.days_without_row


def test_a_benchmark_is_drawn_beside_the_return_and_one_without_rates_is_said(folder):
    done = command.run("report", "acc", "--benchmark", "BTC", folder=folder)
    assert 'class="line beside"' in (folder / "report.html").read_text()
    assert "no rate" not in done.stderr
    done = command.run("report", "acc", "--benchmark", "DOGE", folder=folder)
    assert "no rate of DOGE is known in that period, so it is not drawn" in done.stderr
    assert 'class="line beside"' not in (folder / "report.html").read_text()


def test_fees_stand_by_month_and_instrument(database):
    Ledger(database).record([
        deposit(1, amount=10_000), snapshot(1, total_value_usd=10_000, observed_at=NEW_YEAR + 50 * DAY), fill(1, fee="1.5", quote_usd_rate=1),
        fill(2, fee="2", quote_usd_rate=1, order_id="o2", symbol="ETH/USDT"), fill(3, fee="4", quote_usd_rate=1, executed_at=NEW_YEAR + 40 * DAY),
        fill(4, fee="8", fee_currency="BNB", fee_usd_rate=None, executed_at=NEW_YEAR + 40 * DAY),
    ])  # fmt: skip
    roll_up_accounts(database, RollupPlan(RollupOptions()), NEW_YEAR + 60 * DAY + HOUR)
    report = report_of(database, "acc", RollupOptions(), (None, None))
    found = {f"{month:%Y-%m}": {f.instrument: (f.usd, f.without_rate) for f in fees} for month, fees in report.fees}
    assert found["2026-02"] == {"BTC/USDT": (4.0, 1)}


def test_a_changed_option_does_not_hide_what_came_before(database):
    """Positions are then read from the beginning, after which the books would show nothing of before."""
    facts, _, _ = trading(5, 20)
    Ledger(database).record([*facts, *(fill(n, price=100 + n, quote_usd_rate=1, executed_at=NEW_YEAR + n * DAY + HOUR) for n in range(20))])
    roll_up_accounts(database, RollupPlan(RollupOptions()), NEW_YEAR + 20 * DAY + HOUR)
    report = report_of(database, "acc", RollupOptions(cost_basis="fifo"), (None, None), "BTC")
    assert [worth for _, worth in report.benchmark] == [100.0 + n for n in range(20)]
    assert len(report.lots) > 20, "one by one, as they are under the changed option"


@pytest.mark.parametrize(("arguments", "said", "code"), [
    ([], "name an account, or say --all", 2), (["acc", "--all"], "name an account, or say --all", 2), (["nobody"], "account nobody does not exist", 2),
    (["empty"], "empty has no row in that period", 1), (["acc", "--to", "2025-01-01"], "acc has no row in that period", 1),
    (["acc", "--from", "2026-02-01", "--to", "2026-01-01"], "is before", 2), (["acc", "--terminal", "-o", "x.html"], "--terminal", 2),
    (["acc", "--benchmark", "us dollars"], "--benchmark", 2), (["acc", "-o", "data"], "could not write data", 3),
])  # fmt: skip
def test_what_cannot_be_shown_is_said(folder, arguments, said, code):
    done = command.run("report", *arguments, folder=folder, COLUMNS="400")
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert not (folder / "report.html").exists()


def test_the_terminal_shows_curves_and_the_summary(folder):
    done = command.run("report", "acc", "--terminal", folder=folder)
    assert done.returncode == 0, done.stderr
    first, second, *_ = done.stdout.splitlines()
    assert re.fullmatch(r"[▁-█]{30}  value, 2026-01-01 to 2026-01-30", first)
    assert second.endswith("below the peak since the beginning")
    assert done.stdout.endswith(command.run("performance", "acc", "--summary", folder=folder).stdout)


@pytest.mark.parametrize("columns", [20, 40, 80])
def test_a_curve_fits_the_terminal(folder, columns):
    lines = command.run("performance", "acc", folder=folder, COLUMNS=str(columns)).stdout.splitlines()
    [curve] = [line for line in lines if re.match("[▁-█]", line)]
    assert len(curve) <= columns
    assert "value, 2026-01-01 to 2026-01-30" in (curve, lines[-1]) or curve.endswith("value, 2026-01-01 to 2026-01-30")

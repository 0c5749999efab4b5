"""The pages of `jarvis web`: each over books of every kind, what they never do, what they lead to."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import shlex
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from books import NEW_YEAR, SECOND, deposit, fill, snapshot
from pages import BOOKS, DAY, HOSTILE, NAMES, PATHS, PLAN, Answer, ask, is_ours, path_for

from jarvis import web
from jarvis.report.figures import report_of
from jarvis.report.page import told
from jarvis.settings import Settings
from jarvis.web import books as web_books
from jarvis.web.app import create_app
from jarvis.web.desk import Reading
from jarvis.web.guard import Guard
from jarvis.web.pages.words import coded
from jarvis.web.remembered import RememberedFees
from persistence.books.ledger import Ledger
from persistence.copies import backups
from persistence.database import DatabaseManager
from persistence.reading import ReadOnlyBooks
from persistence.repositories.report import reading_report
from scheduler.jobs import roll_up_accounts

STATIC = Path(web.__file__).parent / "static"


class Site(NamedTuple):
    """Books with their pages, and an account of theirs."""

    reading: Reading
    app: Guard
    account: str

    def ask(self, path: str, **headers: str) -> Answer:
        return ask(self.app, path_for(path, self.account), **headers)


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    """Makes the site over books of a kind, once."""
    with contextlib.ExitStack() as stack:
        known: dict[str, Site] = {}

        def site(kind: str) -> Site:
            if kind not in known:
                folder = tmp_path_factory.mktemp(kind)
                settings = Settings(database={"path": folder / "books.db", "backup": {"path": folder / "backups"}})
                with contextlib.closing(DatabaseManager(settings.database.path, durable=False)) as database:
                    database.initialize()
                    account = BOOKS[kind](database)
                    if kind == "demo":
                        backups.create(database, folder / "backups", 1_793_577_600_000_000)
                books = stack.enter_context(contextlib.closing(ReadOnlyBooks(settings.database.path, 4)))
                reading = Reading(books, settings)
                known[kind] = Site(reading, create_app(reading, pages=True), account)
            return known[kind]

        yield site


@pytest.fixture
def demo(sites):
    return sites("demo")


@pytest.mark.parametrize("kind", BOOKS)
@pytest.mark.parametrize("path", PATHS)
def test_a_page_is_shown_whole_and_leads_nowhere_else(sites, kind, path):
    site = sites(kind)
    answer = site.ask(path)
    is_missing = kind == "empty" and ("account={account}" in path or "record" in path)
    assert answer.status == (404 if is_missing else 200), answer.body.decode()
    assert answer.headers["content-type"].startswith("text/html")
    page = answer.page
    assert answer.body.rstrip().endswith(b"</html>")
    assert [tag for tag, _ in page.elements].count("h1") == 1
    assert all(map(is_ours, page.addresses)), page.addresses
    scripts = [attributes for tag, attributes in page.elements if tag == "script"]
    assert all(s.get("src") or s.get("type") == "application/json" for s in scripts), "the policy would not run what stands in the page"
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on") or name == "style"]


@pytest.mark.parametrize("path", PATHS)
def test_names_stay_text_whatever_they_hold(sites, path):
    site = sites("hostile")
    for name in NAMES:
        answer = ask(site.app, path_for(path, name))
        assert answer.status == 200
        page = answer.page
        assert not {"img", "iframe", "object", "embed", "base"} & {tag for tag, _ in page.elements}
        assert not [a for a in page.addresses if not is_ours(a)]
        assert "55433" not in page.text, "a name is no template"
        if "account={account}" in path and "symbol" not in path and "type" not in path:
            assert name in page.text
    assert HOSTILE in ask(site.app, "/accounts").page.text


def test_what_a_page_says_beside_a_name_cannot_be_taken_for_more(sites):
    """A conflict of an account that is called like a script: what differs, what arrived, and the commands."""
    page = sites("hostile").ask("/quarantine/record?number=1").page
    assert ["amount", "6", "5"] in page.rows
    assert HOSTILE in page.text
    assert page.commands == ["jarvis quarantine replay 1", "jarvis quarantine discard 1 --reason "]
    accepting = [command for command in sites("hostile").ask("/gaps").page.commands if command.startswith("jarvis gaps accept")]
    assert {*NAMES} <= {word for command in accepting for word in shlex.split(command)}, "a shell takes a producer for one word"
    assert "jarvis gaps accept --reason '' -- --reason 2-8" in accepting, "what looks like an option is none, and no empty reason is taken"


@pytest.mark.parametrize("path", ["/", "/quarantine/record?number=1", "/nothing", "/orders?status=done", "/account?account=nobody"])
def test_every_answer_keeps_a_page_in(demo, path):
    headers = demo.ask(path).headers
    policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == policy["form-action"] == "'self'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert "unsafe" not in headers["content-security-policy"]
    assert (headers["x-content-type-options"], headers["x-frame-options"], headers["referrer-policy"]) == ("nosniff", "DENY", "no-referrer")
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/", "/quarantine", "/static/pages.js"])
def test_pages_are_read_and_nothing_else(demo, method, path):
    answer = ask(demo.app, path, method)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
    assert "books are read here" in answer.page.text


def test_every_file_that_a_page_asks_for_is_there_and_named_by_its_content(demo):
    wanted = {a for path in PATHS for a in demo.ask(path).page.addresses if a.startswith("/static/")}
    assert {urlsplit(a).path.rpartition("/")[2] for a in wanted} == {
        "report.css", "pages.css", "pages.js", "charts.js", "uPlot.iife.min.js", "uPlot.min.css", "icon.svg",
    }  # fmt: skip
    for address in wanted:
        answer = ask(demo.app, address)
        assert (answer.status, "immutable" in answer.headers["cache-control"]) == (200, True)
        assert hashlib.sha256(answer.body).hexdigest().startswith(urlsplit(address).query)


def test_uplot_is_what_its_page_says(demo):
    said = dict(re.findall(r"`([\w.]+)` \| `([0-9a-f]{64})`", (STATIC / "uplot" / "README.md").read_text()))
    assert {*said} == {path.name for path in (STATIC / "uplot").iterdir()} - {"README.md"}
    for name, digest in said.items():
        assert hashlib.sha256((STATIC / "uplot" / name).read_bytes()).hexdigest() == digest


def test_links_of_a_page_lead_to_pages(demo):
    seen, waiting = set(), ["/"]
    while waiting:
        path = waiting.pop()
        if path in seen or path.startswith(("/static/", "/api/")):
            continue
        seen.add(path)
        answer = ask(demo.app, path)
        assert answer.status == 200, path
        waiting += [str(attributes["href"]) for tag, attributes in answer.page.elements if tag == "a" and str(attributes["href"]).startswith("/")]
    assert {path.partition("?")[0] for path in seen} == {
        "/", "/queues", "/quarantine", "/quarantine/record", "/notes", "/gaps", "/jobs", "/backups", "/accounts", "/account", "/account/trades",
        "/transactions", "/orders",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "commands"),
    [
        ("/quarantine", ["jarvis quarantine replay 1", "jarvis quarantine replay 2"]),
        ("/quarantine/record?number=2", ["jarvis quarantine replay 2", "jarvis quarantine discard 2 --reason "]),
        ("/notes", ["jarvis notes accept 1 --reason "]),
        ("/gaps", ["jarvis gaps accept engine-1 2-8 --reason "]),
        ("/jobs", ["jarvis jobs run statistics", "jarvis jobs resume backup", "jarvis scheduler run"]),
        ("/backups", ["jarvis backup verify {folder}/backups/jarvis-20261102T000000Z-schema0001.db.zst"]),
    ],
)
def test_beside_what_waits_stands_the_command_that_settles_it(demo, path, commands):
    folder = demo.reading.settings.database.path.parent
    assert {c.format(folder=folder) for c in commands} <= {*demo.ask(path).page.commands}


def test_the_overview_says_what_the_status_command_says(demo):
    text = demo.ask("/").page.text
    for said in ("quarantine holds 2: 1 conflict, 1 malformed", "no scheduler is running", "never verified; no restore rehearsed yet", "1 proved"):
        assert said in text


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("/orders?status=&symbol=&account=demo", 200, ""),
        ("/orders?status=done", 400, "must be 'open'"),
        ("/orders?stauts=open", 400, "did you mean status"),
        ("/orders?account=nobody", 404, "there is no such account"),
        ("/transactions?limit=501", 400, "must be 500 or less"),
        ("/quarantine/record?number=99", 404, "there is no such record"),
        ("/quarantine/record", 400, "is needed"),
        ("/account?account=demo&from=2026-02-30", 400, "must be a day"),
        ("/account?account=demo&from=2026-02-02&to=2026-02-01", 400, "must not be before from"),
        ("/orders?account=%ff", 400, "percent-encoded as UTF-8"),
        ("/%3Cscript%3E", 404, "there is no such path"),
        ("/quarantine/", 404, "there is no such path"),
        ("/static/../app.py", 404, "there is no such path"),
        ("/api/v1/nothing", 404, "there is no such path"),
    ],
)
def test_what_cannot_be_shown_is_told_as_its_reader_can_read_it(demo, path, status, says):
    answer = demo.ask(path)
    assert (answer.status, says in answer.body.decode().replace("&#39;", "'")) == (status, True)
    assert answer.headers["content-type"].startswith("application/problem+json" if path.startswith("/api/") else "text/html")


@pytest.mark.parametrize("path", ["/transactions?account={account}", "/orders?account={account}&status=filled", "/quarantine?state=all", "/accounts?"])
def test_the_next_pages_of_a_listing_have_the_rest_of_it(sites, path):
    for site in (sites("demo"), sites("hostile")):
        whole = [row for row in site.ask(f"{path}&limit=500").page.rows if row]
        joined, following = whole[:1], path_for(f"{path}&limit=3", site.account)
        while following:
            page = ask(site.app, f"{following}&limit=3" if "limit" not in following else following).page
            joined += [row for row in page.rows if row][1:]
            following = page.link("next")
        assert joined[:60] == whole[:60]
        assert len(joined) >= min(len(whole), 500)


@pytest.mark.parametrize("most", [40, 333])
@pytest.mark.parametrize(
    "path",
    [
        "/orders?status=filled", "/orders?status=cancelled", "/orders?symbol=BTC/USDT", "/orders?status=open", "/transactions?type=fee",
        "/transactions?type=rebate", "/transactions?type=deposit", "/transactions?currency=USDT", "/transactions?currency=BTC&type=trade_in",
    ],
)  # fmt: skip
def test_a_search_in_steps_finds_what_a_search_at_once_does(demo, monkeypatch, path, most):
    def found() -> list[str]:
        rows, after = [], None
        while True:
            page = ask(demo.app, f"/api/v1{path}&account={demo.account}&limit=400{f'&after={after}' if after else ''}")
            rows += [row.get("transaction_id") or row["order_id"] for row in json.loads(page.body)["items"]]
            after = json.loads(page.body)["next"]
            if after is None:
                return rows

    at_once = found()
    monkeypatch.setattr(web_books, "MOST_LOOKED_THROUGH", most)
    assert found() == at_once
    assert len({*at_once}) == len(at_once)


def test_a_search_passes_an_instant_of_which_there_is_more_than_it_looks_through(tmp_path, monkeypatch):
    monkeypatch.setattr(web_books, "MOST_LOOKED_THROUGH", 3)
    with contextlib.closing(DatabaseManager(tmp_path / "books.db", durable=False)) as database:
        database.initialize()
        Ledger(database).record([
            fill(f"{at}-{n}", order_id=f"o{at}-{n}", executed_at=NEW_YEAR + at * SECOND) for at in range(3) for n in range(8)
        ])  # fmt: skip
    with contextlib.closing(ReadOnlyBooks(database.path, 4)) as books:
        app = create_app(Reading(books, Settings()), pages=True)
        for path, count in (("/orders?status=filled", 24), ("/orders?symbol=DOGE", 0), ("/transactions?type=fee", 24)):
            rows, following = 0, f"{path}{'&' if '?' in path else '?'}account=acc&limit=5"
            for _ in range(40):
                page = ask(app, following).page
                rows, following = rows + len([row for row in page.rows if row][1:]), page.link("next")
                if following is None:
                    break
            assert (rows, following) == (count, None), path


def test_a_search_that_found_nothing_yet_leads_on(demo, monkeypatch):
    monkeypatch.setattr(web_books, "MOST_LOOKED_THROUGH", 5)
    page = demo.ask("/orders?symbol=DOGE%2FUSDT").page
    assert "There is none among the 5 orders that were looked through" in page.text
    assert "symbol=DOGE" in str(page.link("next"))
    assert demo.ask("/transactions?type=rebate").page.link("next") is None, "what never was is not looked for"


def test_fees_are_summed_anew_when_something_of_their_month_comes(tmp_path):
    with contextlib.closing(DatabaseManager(tmp_path / "books.db", durable=False)) as database:
        database.initialize()
        ledger, fees, asked = Ledger(database), RememberedFees(), []
        year = (NEW_YEAR, NEW_YEAR + 31 * DAY)

        def summed() -> list[float]:
            with reading_report(database, "acc") as books:
                monkeyed = books.fees
                books.fees = lambda start, end: asked.append(start) or monkeyed(start, end)  # type: ignore[method-assign]
                return [round(of.usd, 6) for of in fees.of(books, *year)]

        assert (summed(), len(asked)) == ([], 1)
        ledger.record([deposit(), fill(1, quote_usd_rate=1), snapshot(1)])
        roll_up_accounts(database, PLAN, NEW_YEAR + 2 * DAY)
        assert [summed(), summed()] == [[0.1], [0.1]]
        assert len(asked) == 2, "what nothing has changed is known"
        ledger.record([fill(2, quote_usd_rate=1, executed_at=NEW_YEAR + 40 * DAY)])
        assert (summed(), len(asked)) == ([0.1], 2), "what comes after the month is not of it"
        ledger.record([fill(3, quote_usd_rate=1, executed_at=NEW_YEAR + DAY)])
        assert (summed(), len(asked)) == ([0.2], 3)
        roll_up_accounts(database, PLAN, NEW_YEAR + 3 * DAY)
        assert ([summed(), summed()], len(asked)) == ([[0.2], [0.2]], 4)


def test_a_filter_stays_in_the_links_and_in_the_form(demo):
    page = demo.ask("/orders?account={account}&status=filled&symbol=&limit=5").page
    assert "status=filled" in str(page.link("next"))
    assert ("option", {"value": "filled", "selected": None}) in page.elements


def test_the_account_page_has_the_figures_of_its_report_without_what_grows_with_trading(demo):
    settings, books = demo.reading.settings, demo.reading.books
    options = settings.rollup_plan.of(demo.account)
    whole = report_of(books, demo.account, options, (None, None))
    assert whole is not None
    page = demo.ask("/account?account={account}").page
    text = re.sub(r"\s+", " ", page.text)
    for value in (f"{whole.summary.figures.closing_value:,.2f}", f"{whole.summary.figures.total_return:+.2%}", f"{whole.summary.figures.sharpe:.2f}"):
        assert value in text
    raw = demo.ask("/account?account={account}").body.decode()
    curve = json.loads(raw.split('id="curve">')[1].split("</script>")[0])
    assert len({len(curve[name]) for name in ("days", "value", "capital", "below")}) == 1
    assert curve["value"][-1] == float(whole.summary.figures.closing_value)
    assert min(v for v in curve["below"] if v is not None) == pytest.approx(whole.summary.figures.max_drawdown)
    later = re.sub(r"\s+", " ", demo.ask("/account/trades?account={account}").page.text)
    best = told(whole, "now")["best"][0]
    assert f"{whole.summary.figures.trades.trades:,}" in later
    assert best.instrument in later
    assert "Fees by month" in later
    assert "Fees by month" not in text


def test_a_token_is_the_password_that_a_browser_asks_for(demo):
    guarded = create_app(demo.reading, token="t" * 40, pages=True)
    asked = ask(guarded, "/")
    assert (asked.status, asked.headers["www-authenticate"]) == (401, 'Basic realm="jarvis", charset="UTF-8"')
    assert "the name may be any" in asked.page.text
    assert ask(guarded, "/api/v1/accounts").headers["www-authenticate"] == "Bearer"

    def basic(password: str) -> str:
        return "Basic " + base64.b64encode(f"somebody:{password}".encode()).decode()

    for path in ("/", "/static/pages.js", "/api/v1/accounts"):
        assert ask(guarded, path, Authorization=basic("t" * 40)).status == 200
        assert ask(guarded, path, Authorization="Bearer " + "t" * 40).status == 200
        for wrong in (basic("wrong"), basic(""), "Basic %%%", "Basic", "Basic " + "t" * 40, "Digest " + "t" * 40):
            assert ask(guarded, path, Authorization=wrong).status == 401
    for_programs = create_app(demo.reading, token="t" * 40)
    assert ask(for_programs, "/api/v1/accounts", Authorization=basic("t" * 40)).status == 401


@pytest.mark.parametrize(
    ("site", "mode", "status"),
    [("none", "navigate", 200), ("same-origin", "cors", 200), ("cross-site", "navigate", 200), ("cross-site", "no-cors", 403), ("cross-site", "cors", 403)],
)
def test_a_page_of_another_place_may_lead_here_and_ask_nothing(demo, site, mode, status):
    assert demo.ask("/accounts", Sec_Fetch_Site=site, Sec_Fetch_Mode=mode).status == status


def test_an_unknown_host_is_refused_as_a_page(demo):
    answer = demo.ask("/", Host="evil.example")
    assert (answer.status, "must be a name of this server" in answer.page.text) == (421, True)


def test_the_server_for_programs_has_no_pages(demo):
    for_programs = create_app(demo.reading)
    for path in ("/", "/accounts", "/static/pages.js"):
        answer = ask(for_programs, path)
        assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("start `jarvis up` now", "start <code>jarvis up</code> now"),
        ("<b>`<i>`", "&lt;b&gt;<code>&lt;i&gt;</code>"),
        ("one ` alone <b>", "one ` alone &lt;b&gt;"),
        ("\u202e`x`", "\\u202e<code>x</code>"),
    ],
)
def test_what_stands_in_backquotes_is_code_and_the_rest_is_text(text, shown):
    assert str(coded(text)) == shown

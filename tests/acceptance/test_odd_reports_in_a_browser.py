"""Reports of odd accounts in a real browser: nothing runs over its card or off the page, in a window and on a phone, and nothing is run or asked for."""

from __future__ import annotations

import html
import json
import re

import pytest
from books import NEW_YEAR
from browser import PHONE as A_PHONE
from browser import WINDOW as A_WINDOW
from browser import browsing
from odd_books import DAY, DAYS, odd_accounts
from test_report_in_a_browser import BROWSER, PHONE, Served, browse

from jarvis.report.figures import Reported, report_of
from jarvis.report.page import index, page
from persistence.books.ledger import Ledger
from scheduler.jobs import roll_up_accounts
from scheduler.notes import look_for_notes
from scheduler.rollup.options import RollupOptions, RollupPlan

pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="no browser: apt-get install chromium")]
WINDOW = 1_100
#: What is too wide for where it stands, in a frame; the labels of a picture stand in its margin.
MEASURE = """
const complaints = {};
async function measure(frame) {
  const page = frame.contentDocument, room = frame.contentWindow.innerWidth, found = [];
  const body = page.documentElement.scrollWidth;
  if (body > room) found.push(`the page takes ${body} of ${room}`);
  for (const card of page.querySelectorAll(".figure dd")) if (card.scrollWidth > card.clientWidth) found.push(`card: ${card.textContent}`);
  for (const date of page.querySelectorAll("td.d")) {
    const words = page.createRange();
    words.selectNodeContents(date);
    if (words.getClientRects().length > 1) found.push(`broken: ${date.textContent}`);
  }
  for (const text of page.querySelectorAll(".picture text")) {
    const box = text.getBoundingClientRect();
    if (box.width && (box.left < 0 || box.right > room)) found.push(`label: ${text.textContent}`);
  }
  complaints[frame.name] = found;
  if (Object.keys(complaints).length === document.querySelectorAll("iframe").length) document.title = JSON.stringify(complaints);
}
"""


@pytest.fixture
def served(database, tmp_path):
    """The reports of all odd accounts, each beside `losing`, their index, an index of no account, and a page that frames them all."""
    accounts, plan = odd_accounts(), RollupPlan(RollupOptions())
    for facts in accounts.values():
        Ledger(database).post(facts)
    roll_up_accounts(database, plan, NEW_YEAR + (DAYS + 1) * DAY)
    notes = look_for_notes(database, plan, NEW_YEAR + (DAYS + 1) * DAY).notes
    folder, entries = tmp_path / "served", []
    folder.mkdir()
    for number, account in enumerate(accounts):
        report = report_of(database, account, RollupOptions(), (None, None), "BTC", other=Reported("losing", RollupOptions()), notes=notes)
        assert report is not None
        assert report.beside is not None
        (folder / f"{number}.html").write_text(page(report, "now"))
        entries.append((account, f"{number}.html", report))
    (folder / "all.html").write_text(index(entries, ["without one"], "now"))
    (folder / "none.html").write_text(index([], [], "now"))
    names = [path.name for path in sorted(folder.iterdir())]
    frames = "".join(f'<iframe name="{n} {w}" width="{w}" height="800" src="/{n}" onload="measure(this)"></iframe>' for n in names for w in (WINDOW, PHONE))
    (folder / "frames.html").write_text(f"<script>{MEASURE}</script>{frames}")
    served = Served(folder)
    yield served, {f"{n}.html": account for n, account in enumerate(accounts)}
    served.end()


def test_whatever_an_account_is_called_and_worth_its_report_fits_where_it_is_read(served, tmp_path):
    server, names = served
    seen = browse(tmp_path / "profile", "--virtual-time-budget=30000", "--dump-dom", f"{server.url}/frames.html")
    [title] = re.findall(r"<title>(.*?)</title>", seen.stdout)
    measured = json.loads(html.unescape(title))
    assert len(measured) == 2 * (len(names) + 2)
    assert {name: found for name, found in measured.items() if found} == {}, names
    assert not [line for line in seen.stderr.splitlines() if "CONSOLE" in line]
    assert {*server.asked} - {"/favicon.ico"} == {"/frames.html", "/all.html", "/none.html", *(f"/{name}" for name in names)}


#: Each term takes the focus in turn; those whose definition is not in sight then, or not all of it.
OUT_OF_SIGHT = """
[...document.querySelectorAll(".term")].filter(term => {
  term.focus();
  const box = term.querySelector(".tip").getBoundingClientRect();
  return !box.width || box.left < 0 || box.top < 0 || box.right > innerWidth || box.bottom > innerHeight;
}).map(term => term.textContent)
"""


def test_a_definition_is_in_sight_wherever_its_figure_stands(served, tmp_path):
    server, names = served
    losing = next(name for name, account in names.items() if account == "losing")
    with browsing(tmp_path) as tab:
        tab.call("Emulation.setFocusEmulationEnabled", enabled=True)
        for size in (A_WINDOW, A_PHONE):
            tab.look(size)
            tab.open(f"{server.url}/{losing}")
            assert tab.says("document.querySelectorAll('.term').length") > 20
            assert tab.says(OUT_OF_SIGHT) == []
            assert tab.says("document.documentElement.scrollWidth <= innerWidth")

"""The pages of `jarvis web` in a real browser: nothing to complain of, nothing asked of another place, readable by everybody."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from browser import BROWSER, PHONE, WINDOW, Tab, browsing
from pages import BOOKS, PATHS, path_for
from parts import wait_until
from serving import serving

from jarvis.report.figures import report_of
from jarvis.report.page import page
from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from persistence.domain import Refusal
from scheduler.rollup.options import RollupOptions

pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="no browser: apt-get install chromium")]

#: What looks for barriers, and the digest that npm gives of it.
AXE = "axe-core@4.14.1"
AXE_SHA512 = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
LOOKS = {"light": (WINDOW, False), "dark": (WINDOW, True), "phone": (PHONE, False)}


@pytest.fixture(scope="module", params=BOOKS)
def site(request, tmp_path_factory):
    """(a server over books of a kind, an account of theirs, their database)."""
    folder = tmp_path_factory.mktemp("site")
    database = DatabaseManager(folder / "data" / "jarvis_trading.db", durable=False)
    database.initialize()
    account = BOOKS[request.param](database)
    with contextlib.closing(database), serving(folder, command="web") as server:
        yield server, account, database


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    with browsing(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


def paths_of(account: str) -> list[str]:
    """The pages that there are for these books."""
    return [path_for(path, account) for path in PATHS if account != "nobody" or not ("account={account}" in path or "record" in path)]


@pytest.mark.parametrize("look", LOOKS)
def test_a_page_has_nothing_to_complain_of_and_asks_nothing_of_another_place(site, tab, look):
    server, account, _ = site
    size, dark = LOOKS[look]
    tab.look(size, dark=dark)
    tab.asked.clear()
    for path in paths_of(account):
        tab.open(server.url + path)
        assert not tab.complaints, f"{path}: {tab.complaints}"
        assert tab.says("window.ran") is None, "a name was run"
        width = tab.says("document.documentElement.scrollWidth")
        assert width <= size[0], f"{path} is {width} pixels wide"
        paper = tab.says("getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(18, 22, 28)") is dark
    beyond = {address for address in tab.asked if not address.startswith((server.url, "data:"))}
    assert not beyond
    assert not [address for address in tab.asked if urlsplit(address).path == "/asked-for"]


def test_the_pictures_of_an_account_can_be_looked_into(site, tab):
    server, account, _ = site
    if account == "nobody":
        pytest.skip("there is no account in empty books")
    tab.look()
    tab.open(server.url + path_for("/account?account={account}", account))
    assert tab.says("document.querySelectorAll('.chart.drawn canvas').length") == 2
    assert tab.says("document.querySelectorAll('#later h2').length") > 3, "trades and fees stand below"
    tab.look(media="print")
    assert tab.says("getComputedStyle(document.querySelector('.chart .uplot')).display") == "none"
    assert tab.says("document.querySelector('.chart > svg').getBoundingClientRect().height") > 100
    tab.look()


def test_a_picture_stays_as_it_is_looked_into_while_nothing_changes(site, tab):
    server, account, _ = site
    if account == "nobody":
        pytest.skip("there is no account in empty books")
    tab.look()
    added = tab.call("Page.addScriptToEvaluateOnNewDocument", source="window.setInterval = (look) => { window.look = look; }")
    tab.open(server.url + path_for("/account?account={account}", account))
    tab.call("Page.removeScriptToEvaluateOnNewDocument", identifier=added["identifier"])
    tab.says("document.querySelector('.chart canvas').mine = true; document.getElementById('taken').firstChild.nodeValue = 'before'; true")
    # More than once, as the page does: a server that is busy answers one look with "come again".
    wait_until(lambda: tab.says("window.look(), document.getElementById('taken').textContent !== 'before'"), "the page has looked again")
    assert tab.says("document.querySelector('.chart canvas').mine") is True


def test_a_page_looks_again_while_it_is_seen_and_only_then(site, tab):
    server, _, database = site
    hidden = "Object.defineProperty(document, 'visibilityState', {get: () => window.unseen ? 'hidden' : 'visible'});"
    added = tab.call("Page.addScriptToEvaluateOnNewDocument", source=f"window.setInterval = (look) => {{ window.look = look; }}; {hidden}")
    tab.open(f"{server.url}/quarantine")
    tab.call("Page.removeScriptToEvaluateOnNewDocument", identifier=added["identifier"])
    asked = len(tab.asked)
    tab.says("window.unseen = true; window.look(); true")
    Ledger(database).post([Refusal(b"{}", "malformed", "it came while the page was open", None, None, None)])
    assert (len(tab.asked), tab.says("document.body.innerText.includes('it came while the page was open')")) == (asked, False)
    tab.says("window.unseen = false; true")
    wait_until(lambda: tab.says("window.look(), document.body.innerText.includes('it came while the page was open')"), "the page has looked again")
    assert not tab.complaints


def test_a_command_is_copied(site, tab):
    server, account, _ = site
    if account == "nobody":
        pytest.skip("nothing is to be settled in empty books")
    tab.call("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    tab.call("Page.bringToFront")
    tab.open(f"{server.url}/quarantine/record?number=1")
    copied = "document.querySelector('.copy').click(), new Promise(done => setTimeout(() => navigator.clipboard.readText().then(done), 100))"
    assert tab.says(copied) == "jarvis quarantine replay 1"


@pytest.fixture(scope="module")
def axe(tmp_path_factory) -> str:
    """The script of axe-core, fetched once by npm."""
    kept = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "jarvis-tests"
    file = kept / f"{AXE.replace('@', '-')}.tgz"
    if not file.exists():
        if shutil.which("npm") is None:
            pytest.skip("npm is not installed")
        kept.mkdir(parents=True, exist_ok=True)
        folder = tmp_path_factory.mktemp("npm")
        fetched = subprocess.run(["npm", "pack", "--silent", AXE], cwd=folder, capture_output=True, text=True, timeout=120, check=False)
        if fetched.returncode:
            pytest.skip(f"{AXE} cannot be had: {fetched.stderr[-200:]}")
        shutil.move(folder / file.name, file)
    content = file.read_bytes()
    assert base64.b64encode(hashlib.sha512(content).digest()).decode() == AXE_SHA512, f"{file} is not what npm has; remove it"
    with tarfile.open(file) as packed:
        script = packed.extractfile("package/axe.min.js")
        assert script is not None
        return script.read().decode()


def barriers(tab: Tab, axe: str) -> list[str]:
    """What keeps somebody from reading a page: findings that are serious or critical."""
    tab.says(f"{axe}; true")
    found = json.loads(tab.says("axe.run(document).then(found => JSON.stringify(found.violations))"))
    return [
        f"{rule['id']} ({rule['impact']}): {rule['help']}: {node['target']} {node['html'][:200]} {node.get('failureSummary', '')[:300]}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("look", LOOKS)
def test_a_page_can_be_read_by_everybody(site, tab, axe, look):
    server, account, _ = site
    size, dark = LOOKS[look]
    tab.look(size, dark=dark)
    tab.call("Page.setBypassCSP", enabled=True)  # for the script of axe, which stands in no page of ours
    try:
        found = {}
        for path in paths_of(account):
            tab.open(server.url + path)
            found[path] = barriers(tab, axe)
    finally:
        tab.call("Page.setBypassCSP", enabled=False)
        tab.complaints.clear()
    assert not {path: told for path, told in found.items() if told}


@pytest.mark.parametrize("look", LOOKS)
def test_a_report_can_be_read_by_everybody(site, tab, axe, look, tmp_path):
    _, account, database = site
    report = report_of(database, account, RollupOptions(), (None, None))
    if report is None:
        pytest.skip("empty books have no report")
    (tmp_path / "report.html").write_text(page(report, "now"))
    size, dark = LOOKS[look]
    tab.look(size, dark=dark)
    tab.call("Page.setBypassCSP", enabled=True)
    tab.open(f"file://{tmp_path}/report.html")
    found = barriers(tab, axe)
    tab.call("Page.setBypassCSP", enabled=False)
    tab.complaints.clear()
    assert not found

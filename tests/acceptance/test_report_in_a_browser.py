"""Reports in a real browser: in light and dark, on a phone and printed, without an error and without a request for anything else."""

from __future__ import annotations

import decimal
import functools
import http.server
import random
import re
import shutil
import subprocess
import threading
import time
import zlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from books import NEW_YEAR, SECOND, deposit, fill, snapshot

from jarvis.demo import ACCOUNT, month_of_trading
from jarvis.report.figures import report_of
from jarvis.report.page import page
from jarvis_client.contract.decimals import SHOWN
from jarvis_client.contract.forms import fact_of
from jarvis_client.contract.instants import to_instant
from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from scheduler.jobs import roll_up_accounts
from scheduler.rollup.options import RollupOptions, RollupPlan

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="no browser: apt-get install chromium")]
DAY = 86_400 * SECOND
#: What a report of ten years of a busy account may take, in bytes and in seconds of one core.
MOST_BYTES, MOST_SECONDS = 1_000_000, 3.0
DARK = ("--force-dark-mode", "--blink-settings=preferredColorScheme=0")
PHONE = 390


def of_the_demo(database: DatabaseManager) -> tuple[str, int]:
    end = datetime(2026, 11, 1, tzinfo=UTC)
    with decimal.localcontext(SHOWN):
        records = [*month_of_trading(600, 7, end)]
    Ledger(database).record([fact_of(kind, record) for kind, record in records])
    return ACCOUNT, to_instant(end)


def of_one_day(database: DatabaseManager) -> tuple[str, int]:
    Ledger(database).record([deposit(1, amount=100), snapshot(1, total_value_usd=100, observed_at=NEW_YEAR + SECOND)])
    return "acc", NEW_YEAR + DAY


def of_names_that_are_scripts(database: DatabaseManager) -> tuple[str, int]:
    name = "<script>console.error('ran')</script><img src=/asked-for>"
    Ledger(database).record([
        deposit(1, account_id=name, amount=100), snapshot(1, account_id=name, total_value_usd=100, observed_at=NEW_YEAR + SECOND),
        fill(1, account_id=name, symbol="<img src=/asked-for>", base="BTC", quote="USDT", settle="USDT", executed_at=NEW_YEAR + SECOND),
    ])  # fmt: skip
    return name, NEW_YEAR + DAY


def of_ten_busy_years(database: DatabaseManager) -> tuple[str, int]:
    chance, days = random.Random(5), 3_650
    start = NEW_YEAR - days * DAY
    facts, cents, held = [deposit("first", amount=100_000, occurred_at=start)], 10_000_000, [0] * 8
    for day in range(days):
        for number in range(10):
            coin = chance.randrange(8)
            side, held[coin] = ("sell", 0) if held[coin] else ("buy", 1)
            facts.append(fill(
                f"{day}-{number}", order_id=f"{day}-{number}", symbol=f"C{coin}/USDT", side=side, price=chance.randrange(90, 111), fee="0.05", fee_currency="USDT",
                quote_usd_rate=1, executed_at=start + day * DAY + number * SECOND + 1,
            ))  # fmt: skip
        if day % 45 == 30:
            facts.append(deposit(f"d{day}", amount=500, occurred_at=start + day * DAY + 100 * SECOND))
            cents += 50_000
        cents = cents * round(10_000 + chance.gauss(4, 120)) // 10_000
        facts.append(snapshot(day, snapshot_id=f"s{day}", total_value_usd=f"{cents // 100}.{cents % 100:02}", observed_at=start + (day + 1) * DAY - SECOND))
    for at in range(0, len(facts), 2_000):
        Ledger(database).record(facts[at : at + 2_000])
    return "acc", NEW_YEAR


BOOKS = {"demo": of_the_demo, "one day": of_one_day, "scripts": of_names_that_are_scripts, "ten years": of_ten_busy_years}


@pytest.fixture(params=BOOKS)
def written(request, database, tmp_path) -> Path:
    """A folder with a report, and a page that frames it as wide as a phone."""
    account, until = BOOKS[request.param](database)
    roll_up_accounts(database, RollupPlan(RollupOptions()), until + DAY)
    began = time.process_time()
    report = report_of(database, account, RollupOptions(), (None, None))
    assert report is not None
    text = page(report, "now")
    took = time.process_time() - began
    assert (len(text.encode()) < MOST_BYTES, took < MOST_SECONDS) == (True, True), f"{len(text.encode()):,} bytes in {took:.1f} s"
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "report.html").write_text(text)
    measured = "document.title = this.contentDocument.documentElement.scrollWidth + ' of ' + this.contentWindow.innerWidth"
    (folder / "phone.html").write_text(f'<iframe width="{PHONE}" height="800" src="/report.html" onload="{measured}"></iframe>')
    return folder


class Served:
    """A folder over HTTP, and what was asked for."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                super().do_GET()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def end(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def served(written):
    served = Served(written)
    yield served
    served.end()


def browse(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    own = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-background-networking", "--enable-logging=stderr", "--v=0")
    return subprocess.run([BROWSER, *own, f"--user-data-dir={folder}", *arguments], capture_output=True, text=True, timeout=100, check=True)


def first_pixel(picture: Path) -> tuple[int, ...]:
    """The colour at the corner of a PNG: before it there is nothing that it could be told as a difference from."""
    data, at, packed = picture.read_bytes(), 8, b""
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] == b"IDAT":
            packed += data[at + 8 : at + 8 + length]
        at += 12 + length
    return tuple(zlib.decompress(packed)[1:4])


def test_a_report_is_shown_in_light_and_dark_and_printed_without_an_error_or_a_request(served, written, tmp_path):
    light, dark, phone, pdf = (tmp_path / name for name in ("light.png", "dark.png", "phone.png", "report.pdf"))
    url = f"{served.url}/report.html"
    shots = {light: ("--window-size=1100,4200",), dark: ("--window-size=1100,4200", *DARK), phone: (f"--window-size={PHONE},6000",)}
    said = [browse(tmp_path / "profile", *how, f"--screenshot={picture}", url).stderr for picture, how in shots.items()]
    said.append(browse(tmp_path / "profile", "--no-pdf-header-footer", f"--print-to-pdf={pdf}", url).stderr)
    assert not [line for text in said for line in text.splitlines() if "CONSOLE" in line]
    assert {*served.asked} <= {"/report.html", "/favicon.ico"}, "a favicon is what the browser itself asks every server for"
    assert first_pixel(light) == (255, 255, 255)
    assert max(first_pixel(dark)) < 50
    pages = len(re.findall(rb"/Type /Page\b(?!s)", pdf.read_bytes()))
    assert 2 <= pages <= 14


def test_a_report_is_no_wider_than_a_phone(served, written, tmp_path):
    shown = browse(tmp_path / "profile", "--virtual-time-budget=10000", "--dump-dom", f"{served.url}/phone.html").stdout
    [(width, room)] = re.findall(r"<title>(\d+) of (\d+)</title>", shown)
    assert int(width) <= int(room) <= PHONE

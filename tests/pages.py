"""The pages of `jarvis web` asked in this process, over books of every kind."""

from __future__ import annotations

import asyncio
import decimal
import json
from collections.abc import Callable
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from books import NEW_YEAR, SECOND, deposit, fill, placed, snapshot, withdrawal

from jarvis.demo import ACCOUNT, month_of_trading
from jarvis_client.contract import instants
from jarvis_client.contract.decimals import SHOWN
from jarvis_client.contract.forms import fact_of
from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from persistence.repositories.job_runs import SQLiteJobRunRepository
from scheduler.jobs import roll_up_accounts
from scheduler.notes import look_for_notes
from scheduler.rollup.options import RollupOptions, RollupPlan
from workers.messages import item_of_line

DAY = 86_400 * SECOND
PLAN = RollupPlan(RollupOptions())
#: An account whose id is each thing that a name can be and a page must not take it for.
HOSTILE = "<script>parent.ran=1</script>\"'><img src=/asked-for onerror=parent.ran=1>"
NAMES = (HOSTILE, "=HYPERLINK(\"http://evil.example\")", "javascript:parent.ran=1", "{{ 7*7919 }}{% raw %}", "a&b=c#d?e/../f", "--reason")  # fmt: skip


def empty(_database: DatabaseManager) -> str:
    return "nobody"


def of_the_demo(database: DatabaseManager) -> str:
    """The demo's month, with something in quarantine, a note, a gap and failed jobs."""
    end = datetime(2026, 11, 1, tzinfo=UTC)
    with decimal.localcontext(SHOWN):
        records = [*month_of_trading(300, 7, end)]
    Ledger(database).record([fact_of(kind, record) for kind, record in records])
    _oddities(database, ACCOUNT, "engine-1", "binance:BTCUSDT:1")
    roll_up_accounts(database, PLAN, instants.to_instant(end) + DAY)
    return ACCOUNT


def of_hostile_names(database: DatabaseManager) -> str:
    for n, name in enumerate(NAMES):
        Ledger(database).record([
            deposit(f"{n}{name}", account_id=name, amount=1000), snapshot(1, snapshot_id=f"{n}", account_id=name, total_value_usd=1000, observed_at=NEW_YEAR + SECOND),
            fill(f"{n}{name}", account_id=name, order_id=name, symbol=name, base="BTC", quote="USDT", settle="USDT", executed_at=NEW_YEAR + 2 * SECOND),
            placed(f"p{n}", account_id=name, order_id=f"{name}2", symbol=name, base="BTC", quote="USDT", settle="USDT"),
            snapshot(2, snapshot_id=f"{n}b", account_id=name, total_value_usd=1010, observed_at=NEW_YEAR + DAY + SECOND),
        ])  # fmt: skip
        _oddities(database, name, f"{name}", f"{n}{name}")
    roll_up_accounts(database, PLAN, NEW_YEAR + 3 * DAY)
    return HOSTILE


BOOKS: dict[str, Callable[[DatabaseManager], str]] = {"empty": empty, "demo": of_the_demo, "hostile": of_hostile_names}
#: Every page, for an account.
PATHS = (
    "/", "/queues", "/quarantine", "/quarantine?state=all&reason=conflict", "/quarantine/record?number=1", "/notes", "/gaps", "/jobs", "/jobs?job=backup",
    "/backups", "/accounts", "/account?account={account}", "/account?account={account}&from=2026-01-02&benchmark=BTC", "/account/trades?account={account}",
    "/transactions", "/transactions?account={account}&type=fee&currency=USDT", "/orders", "/orders?account={account}&status=open&symbol=BTC%2FUSDT",
)  # fmt: skip


def path_for(path: str, account: str) -> str:
    return path.format(account=quote(account, safe=""))


def _oddities(database: DatabaseManager, account: str, producer: str, known: str) -> None:
    """A conflict, something malformed, a balance below zero, a gap, a failed job and a paused one."""
    first = {"type": "deposit", "deposit_id": f"c{known}", "account_id": account, "currency": "USDT", "amount": "5", "occurred_at": "2026-01-01T00:00:00Z"}
    lines = [
        {**first, "producer": producer, "sequence": 1}, {**first, "amount": "6", "note": account}, {**first, "deposit_id": f"m{known}", "amount": "-1"},
        {**first, "deposit_id": f"g{known}", "producer": producer, "sequence": 9},
    ]  # fmt: skip
    Ledger(database).post([item_of_line(json.dumps(line).encode(), n) for n, line in enumerate(lines)])
    Ledger(database).record([withdrawal(f"w{known}", account_id=account, currency="EUR", amount="9000", occurred_at=NEW_YEAR + SECOND)])
    runs, now = SQLiteJobRunRepository(database), instants.now()
    slot = runs.request("statistics", now - 5 * SECOND, {"account_id": account}).scheduled_for
    if runs.claim("statistics", slot, "host:1", now - 5 * SECOND):
        runs.fail("statistics", slot, "host:1", now - SECOND, f"OSError: {account}", None)
    runs.pause("backup", now)
    look_for_notes(database, PLAN, now)


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def page(self) -> Page:
        return Page.read(self.body.decode())


def ask(app: Any, target: str, method: str = "GET", **headers: str) -> Answer:
    """One request to an application in this process, and its whole answer."""
    path, _, query = target.partition("?")
    sent: list[dict[str, Any]] = []
    given = {"host": "127.0.0.1:8787", **{name.replace("_", "-").lower(): value for name, value in headers.items()}}
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http", "path": path, "raw_path": path.encode(),
        "query_string": query.encode(), "root_path": "", "server": ("127.0.0.1", 8787), "client": ("127.0.0.1", 1),
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    start = next(message for message in sent if message["type"] == "http.response.start")
    told = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], told, b"".join(message.get("body", b"") for message in sent))


class Page(HTMLParser):
    """What a browser would make of a page: its elements with their attributes, its text, its data."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.commands: list[str] = []
        self.rows: list[list[str]] = []
        self._within: list[str] = []

    @classmethod
    def read(cls, text: str) -> Page:
        page = cls()
        page.feed(text)
        page.close()
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._within.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th") and self.rows:
            self.rows[-1].append("")
        if copied := dict(attrs).get("data-copy"):
            self.commands.append(copied)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._within:
            del self._within[len(self._within) - 1 - self._within[::-1].index(tag) :]

    def handle_data(self, data: str) -> None:
        if "script" in self._within:
            return
        self.text += data
        if self.rows and self.rows[-1] and ("td" in self._within or "th" in self._within):
            self.rows[-1][-1] += data

    @property
    def addresses(self) -> list[str]:
        return [str(value) for _, attributes in self.elements for name, value in attributes.items() if name in ("href", "src", "action", "data-later")]

    def link(self, text_of: str) -> str | None:
        """Where the link of a relation leads, such as `next`."""
        return next((str(a["href"]) for tag, a in self.elements if tag == "a" and a.get("rel") == text_of), None)


def is_ours(address: str) -> bool:
    """Whether an address is a path of the server itself, or a place in the page."""
    parts = urlsplit(address)
    return not parts.scheme and not parts.netloc and address.startswith(("/", "#")) and not address.startswith("//")

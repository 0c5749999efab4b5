"""Reading the books back from a server of `jarvis serve`, with the standard library alone.

books = Books("http://127.0.0.1:8787")
for balance in books.balances("main"):
    print(balance.currency, balance.available)

Amounts are Decimal, instants aware datetimes in UTC, days dates. Listings are fetched page by page while they are read on.
Every call raises `Unavailable` where the server cannot answer now, and `Invalid`, with what it said, for a request that it refuses.
"""

from __future__ import annotations

import json
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import date as Date
from datetime import datetime
from decimal import Decimal
from functools import cache
from http.client import HTTPException
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from jarvis_client.contract.errors import Invalid, Unavailable

T = TypeVar("T")

#: The most rows that the server sends at a time.
PAGE_ROWS = 1_000
#: An answer of the server has at most half as much.
LARGEST_ANSWER_BYTES = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What an account holds of a currency; of a contract (`kind` "contract") its quantity, of which nothing is reserved."""

    currency: str
    kind: str
    available: Decimal | None
    reserved: Decimal | None
    total: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    created_at: datetime | None
    order_id: str
    instrument: str | None
    side: str | None
    status: str
    quantity: Decimal | None
    filled: Decimal
    price: Decimal | None
    average_price: Decimal | None
    symbol: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One movement of money; `amount` is signed as the balance moves."""

    occurred_at: datetime
    type: str
    amount: Decimal
    currency: str
    transaction_id: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """What the account's own fills hold of an instrument; below zero is a short."""

    instrument: str
    kind: str
    quantity: Decimal
    average_price: Decimal | None
    cash_currency: str | None
    since: datetime | None
    fills: int
    unrealised_usd: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """What is held of an asset, and its cost without fees; one of each asset where lots are averaged, without `since`."""

    currency: str
    quantity: Decimal
    cost_usd: Decimal | None
    average_cost_usd: Decimal | None
    since: datetime | None
    brought_by: str
    worth_usd: Decimal | None
    unrealised_usd: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyRow:
    """The figures of a day in USD. `source` is "rollup", or "manual" for a row that was saved by hand."""

    date: Date
    source: str
    total_value_usd: Decimal
    pnl_daily: Decimal | None
    pnl_total: Decimal | None
    daily_return: float | None
    drawdown: float | None
    inflow: Decimal | None
    outflow: Decimal | None
    sharpe_ratio: float | None
    sortino_ratio: float | None
    max_drawdown: float | None
    win_rate: float | None
    profit_factor: float | None
    trades_count: int
    warnings: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodSummary:
    """The figures of a period as a whole, money in `currency`; what is undefined is None. The server's description lists further ones."""

    account_id: str
    currency: str
    first: Date
    last: Date
    rows: int
    opening_value: Decimal | None
    closing_value: Decimal | None
    pnl: Decimal | None
    inflow: Decimal | None
    outflow: Decimal | None
    total_return: float | None
    cagr: float | None
    volatility: float | None
    sharpe: float | None
    sortino: float | None
    calmar: float | None
    max_drawdown: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementLine:
    currency: str
    opening: Decimal
    deposits: Decimal
    withdrawals: Decimal
    traded_in: Decimal
    traded_out: Decimal
    fees: Decimal
    income: Decimal
    loans: Decimal
    conversions: Decimal
    adjustments: Decimal
    closing: Decimal
    unexplained: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """The statement of the days `first` to `last`, which `days_in` (a time zone) bounds."""

    account_id: str
    first: Date
    last: Date
    days_in: str
    currencies: list[StatementLine]


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """Messages of a queue: `waiting` for a worker, `held` by workers that have not committed them yet."""

    name: str
    waiting: int
    held: int
    oldest_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What waits in the broker; all None where it could not be asked, and `unread` says why."""

    queues: list[Queue] | None
    waiting: int | None
    held: int | None
    oldest_at: datetime | None
    unread: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    name: str
    severity: str
    subject: str
    says: str
    remedy: str
    since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How the daemon stands. `alarms` is what is wrong; `unread` names what could not be read, and why."""

    taken_at: datetime
    version: str
    host: str
    alarms: list[Alarm]
    queues: list[Queue] | None
    notes: int | None
    unread: dict[str, str]


class Books:
    """The books behind a server. It keeps no connection, so it need not be closed, and threads may share it."""

    def __init__(self, url: str, token: str | None = None, *, timeout_seconds: float = 20.0) -> None:
        """`url`: where `jarvis serve` answers, such as http://127.0.0.1:8787. `token`: the content of its `web.token_file`, where it has one."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.username is not None or parts.query or parts.fragment:
            raise Invalid("the url of a server of `jarvis serve` is needed, such as http://127.0.0.1:8787; a token is given as token=…")
        self._root = f"{url.rstrip('/')}/api/v1"
        self._headers = {"Accept": "application/json"} | ({} if token is None else {"Authorization": f"Bearer {token.strip()}"})
        self._timeout_seconds = timeout_seconds
        self._opener = build_opener(_NoRedirect)

    def accounts(self) -> list[str]:
        """The ids of all accounts."""
        return [row["account_id"] for row in self._rows("/accounts", {})]

    def balances(self, account: str) -> list[Balance]:
        return list(self._pages(Balance, "/balances", {"account": account}))

    def orders(self, account: str, *, status: str | None = None, symbol: str | None = None) -> Iterator[Order]:
        """The newest first."""
        return self._pages(Order, "/orders", {"account": account, "status": status, "symbol": symbol})

    def open_orders(self, account: str, *, symbol: str | None = None) -> list[Order]:
        """The newest first."""
        return list(self._pages(Order, "/orders/open", {"account": account, "symbol": symbol}))

    def transactions(self, account: str, *, type: str | None = None, currency: str | None = None) -> Iterator[Transaction]:
        """The newest first."""
        return self._pages(Transaction, "/transactions", {"account": account, "type": type, "currency": currency})

    def positions(self, account: str, date: Date | None = None) -> list[Position]:
        """What is open at the end of a day in the account's zone, by default now."""
        return list(self._pages(Position, "/positions", {"account": account, "date": date}))

    def lots(self, account: str, date: Date | None = None) -> list[Lot]:
        """What is held at the end of a day in the account's zone, by default now."""
        return list(self._pages(Lot, "/lots", {"account": account, "date": date}))

    def performance(self, account: str, start: Date | None = None, end: Date | None = None) -> list[DailyRow]:
        """The rows of [start, end], the oldest first."""
        return list(self._pages(DailyRow, "/performance", {"account": account, "from": start, "to": end}))

    def performance_summary(self, account: str, start: Date | None = None, end: Date | None = None, *, currency: str = "USD") -> PeriodSummary:
        """Raises `Invalid` where the period has no row."""
        return _made(PeriodSummary, self._get("/performance/summary", {"account": account, "from": start, "to": end, "in": currency}))

    def statement(self, account: str, start: Date | None = None, end: Date | None = None) -> Statement:
        """Of [start, end]; without either, of yesterday."""
        found = self._get("/statement", {"account": account, "from": start, "to": end})
        return _made(Statement, {**found, "first": found["from"], "last": found["to"]})

    def backlog(self) -> Backlog:
        return _made(Backlog, self._get("/backlog", {}))

    def status(self) -> Status:
        return _made(Status, self._get("/status", {}))

    def _pages(self, of: type[T], path: str, query: Mapping[str, Any]) -> Iterator[T]:
        return (_made(of, row) for row in self._rows(path, query))

    def _rows(self, path: str, query: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        after = None
        while True:
            page = self._get(path, {**query, "limit": PAGE_ROWS, "after": after})
            yield from page["items"]
            after = page["next"]
            if after is None:
                return

    def _get(self, path: str, query: Mapping[str, Any]) -> dict[str, Any]:
        text = urlencode({name: value for name, value in query.items() if value is not None})
        request = Request(f"{self._root}{path}{'?' if text else ''}{text}", headers=self._headers)  # noqa: S310 - http or https, as the constructor sees to
        try:
            with self._opener.open(request, timeout=self._timeout_seconds) as answer:
                return _object(answer.read(LARGEST_ANSWER_BYTES))
        except HTTPError as error:
            with error:
                said = _detail(error.read(LARGEST_ANSWER_BYTES)) or f"status {error.code}"
            kind = Unavailable if error.code >= 500 else Invalid
            raise kind(f"{self._root} does not answer {path}: {said}") from None
        except (URLError, HTTPException, OSError) as error:
            reason = error.reason if isinstance(error, URLError) else error
            why = getattr(reason, "strerror", None) or reason or type(error).__name__
            raise Unavailable(f"{self._root} could not be asked: {why}; does `jarvis serve` run there?") from error


class _NoRedirect(HTTPRedirectHandler):
    """The server never sends elsewhere; whoever does would get the token."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Unavailable("the answer is none of `jarvis serve`; check the url, and what stands between")
    return found


def _detail(body: bytes) -> str:
    try:
        found = json.loads(body)
    except ValueError:
        return ""
    return str(found.get("detail", "")) if isinstance(found, dict) else ""


@cache
def _hints(of: Any) -> dict[str, Any]:
    hints = get_type_hints(of)
    return {field.name: hints[field.name] for field in fields(of)}


def _made(of: type[T], values: Mapping[str, Any]) -> T:
    """A result of its values; those of a newer server that it does not know are left out."""
    try:
        return of(**{name: _typed(hint, values[name]) for name, hint in _hints(cast(Any, of)).items()})
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise Unavailable(f"the server's answer is no {of.__name__} ({type(error).__name__}: {error}); are its version and the client's far apart?") from error


def _typed(hint: Any, value: Any) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        return None if value is None else _typed(next(of for of in get_args(hint) if of is not type(None)), value)
    if get_origin(hint) is list:
        return [_typed(get_args(hint)[0], element) for element in value]
    if hint is Decimal:
        return Decimal(value)
    if hint is datetime:
        return datetime.fromisoformat(value)
    if hint is Date:
        return Date.fromisoformat(value)
    return _made(hint, value) if is_dataclass(hint) and isinstance(hint, type) else value

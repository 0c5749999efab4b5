"""What is known of the worth of currencies, from where, and what waits for a rate."""

from __future__ import annotations

from datetime import date as Date
from decimal import Decimal
from typing import NamedTuple

from persistence.domain.rollup import UsdRate
from persistence.engine.contract import Database


class RateOnRecord(NamedTuple):
    """The newest thing that one source says of a currency: a rate record (`account_id` None), or an account's own records. `carried`: one
    of them gives the rate, rather than that the price of a fill tells it."""

    currency: str
    account_id: str | None
    at: int
    rate: UsdRate
    carried: bool
    source: str | None = None


class Awaited(NamedTuple):
    """What of an account waits for a rate of a currency: so many days have no row (`detail` None), or so many amounts no worth."""

    currency: str
    account_id: str
    first: Date
    last: Date
    times: int
    detail: str | None


class SQLiteRateRepository:
    """Rates as rate records say them, and as the last rollup of each account found them in its records."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def known(self, now: int, currency: str | None = None, account_id: str | None = None) -> list[RateOnRecord]:
        """What counts now of each source, by currency: rate records first, then what accounts' own records carried or told."""
        said = self._database.execute_query(
            "WITH RECURSIVE codes (currency) AS (SELECT coalesce(?2, (SELECT min(currency) FROM rates)) UNION ALL "
            "SELECT (SELECT min(r.currency) FROM rates r WHERE r.currency > codes.currency) FROM codes WHERE ?2 IS NULL AND codes.currency IS NOT NULL) "
            "SELECT r.currency, r.observed_at, r.usd_rate, r.source FROM codes JOIN rates r ON r.fact_no = (SELECT n.fact_no FROM rates n "
            "JOIN facts f USING (fact_no) WHERE n.currency = codes.currency AND n.observed_at <= ?1 AND f.state = 0 "
            "ORDER BY n.observed_at DESC, coalesce(n.source, '') LIMIT 1)",
            (now, currency),
        )
        told = self._database.execute_query(
            "SELECT b.currency, b.account_id, t.at, t.rate, t.per, t.carried FROM balances b JOIN currency_rates t ON t.account_id = b.account_id "
            "AND t.currency = b.currency AND t.date = (SELECT max(n.date) FROM currency_rates n WHERE n.account_id = b.account_id AND n.currency = b.currency) "
            "WHERE b.kind = 'currency' AND b.account_id = coalesce(?1, b.account_id) AND b.currency = coalesce(?2, b.currency)",
            (account_id, currency),
        )
        found = [RateOnRecord(code, None, at, UsdRate(Decimal(rate)), carried=True, source=source) for code, at, rate, source in said]
        found += [RateOnRecord(code, account, at, UsdRate(Decimal(rate), Decimal(per)), bool(carried)) for code, account, at, rate, per, carried in told]
        if account_id is not None and currency is None:
            held = self.held(account_id)
            found = [r for r in found if r.currency in held]
        return sorted(found, key=lambda r: (r.currency, r.account_id or ""))

    def held(self, account_id: str | None = None) -> set[str]:
        """Every currency that an account, or any, ever had."""
        sql = "SELECT DISTINCT currency FROM balances WHERE kind = 'currency' AND account_id = coalesce(?, account_id)"
        return {row[0] for row in self._database.execute_query(sql, (account_id,))}

    def awaited(self, currency: str | None = None, account_id: str | None = None) -> list[Awaited]:
        """What waits for a rate, as the last rollup of each account left it."""
        rows = self._database.execute_query(
            "SELECT currency, account_id, min(date), max(date), count(*), NULL FROM withheld_currencies "
            "WHERE account_id = coalesce(?1, account_id) AND currency = coalesce(?2, currency) GROUP BY 1, 2 UNION ALL "
            "SELECT subject, account_id, min(date), max(date), count(*), min(date || ' ' || detail) FROM rollup_oddities "
            "WHERE oddity = 'rate missing' AND account_id = coalesce(?1, account_id) AND subject = coalesce(?2, subject) GROUP BY 1, 2 ORDER BY 1, 2, 3",
            (account_id, currency),
        )
        return [
            Awaited(code, account, Date.fromisoformat(first), Date.fromisoformat(last), count, None if detail is None else detail.partition(" ")[2])
            for code, account, first, last, count, detail in rows
        ]

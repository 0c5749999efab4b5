"""Statements of a month, a year, any period: the movements of its days added up, and nothing left over."""

from __future__ import annotations

import json
import random
from datetime import date, timedelta
from decimal import Decimal

import command
import pytest
from books import NEW_YEAR, SECOND, deposit, fill, void, withdrawal

from persistence.books.ledger import Ledger
from persistence.repositories.rollups import SQLiteRollupRepository
from scheduler.jobs import roll_up_accounts
from scheduler.rollup.options import RollupOptions, RollupPlan
from scheduler.rollup.statement import StatementLine, statement

DAY = 86_400 * SECOND
JANUARY = date(2026, 1, 1)
SUMS = StatementLine._fields[2:-2]


def stated(database, first, last=None):
    with SQLiteRollupRepository(database).reading("acc") as books:
        return {found.currency: found for found in statement(books, RollupOptions(), first, last)}


def history(seed, days=20):
    chance = random.Random(seed)
    yield deposit(0, amount="100000")
    for n in range(days * 3):
        at = NEW_YEAR + chance.randrange(days * DAY)
        match chance.randrange(6):
            case 0:
                yield deposit(f"a{n}", amount=chance.randrange(1, 500), occurred_at=at, category=chance.choice(["external", "funding", "interest", "transfer"]))
            case 1:
                yield withdrawal(f"b{n}", amount=chance.randrange(1, 50), occurred_at=at, category=chance.choice(["external", "fee", "loan"]))
            case _:
                side = chance.choice(["buy", "sell"])
                yield fill(f"c{n}", side=side, quantity=f"0.{chance.randrange(1, 99):02}", price=chance.randrange(90, 110), fee="0.013", executed_at=at)


@pytest.mark.parametrize("seed", range(4))
def test_a_period_is_the_sum_of_its_days_and_closes(database, seed):
    facts = list(history(seed))
    Ledger(database).record(facts)
    Ledger(database).record([void(1, "fill", next(f.fill_id for f in facts if hasattr(f, "fill_id")))])
    first, last = JANUARY + timedelta(3), JANUARY + timedelta(16)
    for rolled_up in (False, True):
        if rolled_up:
            roll_up_accounts(database, RollupPlan(), NEW_YEAR + 12 * DAY, None)  # days beyond are told by the ledger's balances
        days = [stated(database, first + timedelta(n)) for n in range((last - first).days + 1)]
        for currency, line in stated(database, first, last).items():
            of_days = [day[currency] for day in days if currency in day]
            for name in SUMS:
                assert getattr(line, name) == sum((getattr(d, name) for d in of_days), Decimal(0)), (currency, name)
            assert (line.opening, line.closing, line.unexplained) == (of_days[0].opening, of_days[-1].closing, 0)


def test_loans_splits_and_renames_have_columns_of_their_own_and_are_no_income(database):
    pair = {"category": "rename", "reference": "r1", "occurred_at": NEW_YEAR + 3 * DAY}
    Ledger(database).record([
        deposit(1, currency="ZEUR", amount=100, usd_rate="1.1"),
        deposit(2, currency="XYZ", amount=10, usd_rate="4"),
        deposit(3, currency="XYZ", amount=30, category="split", occurred_at=NEW_YEAR + DAY),
        deposit(4, currency="ETH", amount=2, usd_rate="3000", category="loan", occurred_at=NEW_YEAR + DAY),
        withdrawal(5, currency="ETH", amount="0.5", category="loan", occurred_at=NEW_YEAR + 2 * DAY),
        withdrawal(6, currency="ZEUR", amount=100, **pair), deposit(7, currency="EUR", amount=100, **pair),
    ])  # fmt: skip
    roll_up_accounts(database, RollupPlan(), NEW_YEAR + 10 * DAY)
    found = stated(database, JANUARY, date(2026, 1, 31))
    told = {c: (int(x.deposits), x.income, x.loans, int(x.conversions), x.closing, x.unexplained) for c, x in found.items()}
    assert told == {
        "XYZ": (10, 0, 0, 30, 40, 0), "ETH": (0, 0, Decimal("1.5"), 0, Decimal("1.5"), 0), "ZEUR": (100, 0, 0, -100, 0, 0), "EUR": (0, 0, 0, 100, 100, 0),
    }  # fmt: skip


def test_people_name_a_month_a_year_or_days(short_folder):
    jarvis = command.Jarvis(short_folder)
    jarvis.feed(*(
        {"type": "deposit", "deposit_id": f"d{n}", "account_id": "acc", "currency": "USDT", "amount": "10", "occurred_at": at, "category": category}
        for n, (at, category) in enumerate([("2024-02-29T23:59:59Z", "external"), ("2024-03-01T00:00:00Z", "external"), ("2024-12-31T12:00:00Z", "loan")])
    ))  # fmt: skip

    def found(*period):
        told = json.loads(jarvis("statement", "acc", *period, "--json").stdout)
        return told["from"], told["to"], *((c["opening"], c["deposits"], c["loans"], c["closing"]) for c in told["currencies"])

    assert found("--month", "2024-02") == ("2024-02-01", "2024-02-29", ("0", "10", "0", "10"))
    assert found("--year", "2024") == ("2024-01-01", "2024-12-31", ("0", "20", "10", "30"))
    assert found("--from", "2024-03-01", "--to", "2024-03-31") == ("2024-03-01", "2024-03-31", ("10", "10", "0", "20"))
    assert found("--to", "2024-03-31")[:2] == ("2024-02-29", "2024-03-31")
    shown = jarvis("statement", "acc", "--year", "2024").stdout
    assert "2024-01-01 to 2024-12-31 (UTC)" in shown
    assert "loans" in shown
    assert "conversions" not in shown
    wrong = {
        ("--month", "2024-13"): "write it as 2026-03", ("--year", "24"): "write it as 2026", ("--date", "2024-01-01", "--year", "2024"): "give one of",
        ("--from", "2024-03-02", "--to", "2024-03-01"): "is before", ("--year", "9999"): "outside the years",
    }  # fmt: skip
    for period, says in wrong.items():
        assert says in " ".join(jarvis("statement", "acc", *period, code=2).stderr.replace("│", " ").split())

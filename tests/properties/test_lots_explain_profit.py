"""Realised + unrealised - fees + income is the `pnl_total` of an account that is valued from its books, to the last digit that is not rounded."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, datetime
from datetime import date as Date
from decimal import Decimal
from fractions import Fraction

import pytest
from reference.histories import ACCOUNT, KINDS, history
from searching import of, searched

from jarvis_client.contract.conventions import Conventions
from jarvis_client.contract.forms import fact_of
from jarvis_client.contract.instants import to_instant
from persistence.books.ledger import Ledger
from persistence.domain.rollup import name_and_kind
from persistence.repositories.rollups import SQLiteRollupRepository
from scheduler.rollup.account import roll_up
from scheduler.rollup.disposals import read_again
from scheduler.rollup.movements import Moved
from scheduler.rollup.options import RollupOptions

END = Date(2026, 12, 30)
FAR = to_instant(datetime(2027, 1, 1, tzinfo=UTC))
CONVENTIONS = Conventions()
#: Everything but what leaves money without a rate to be told by.
BOOKS = tuple(kind for kind in KINDS if kind != "snapshots")
#: What capital does is neither profit nor loss, nor is what is borrowed.
NO_PROFIT = {"deposit", "withdrawal", "borrowed", "repaid", "fill", "sale", "spent", "split", "rename"}


def explained_until(books, options: RollupOptions, end: Date) -> dict[str, Fraction]:
    """The four parts of what an account gained, told by reading all its facts."""
    parts: dict[str, Fraction] = defaultdict(Fraction)

    def hear(moved: Moved) -> None:
        for taken in moved.taken:
            assert taken.gain is not None
            parts["realised"] += Fraction(taken.gain)
        if moved.origin.what in ("fee", "rebate"):
            parts["fees"] -= Fraction(moved.value)
        elif moved.origin.what == "contract":
            parts["realised"] += Fraction(moved.value)
        elif moved.origin.what not in NO_PROFIT:
            parts["income"] += Fraction(moved.value)

    replay = read_again(books, options, Date(2020, 1, 1), end, hear)
    for key in books.holdings():
        asset, (name, kind) = replay.asset(key), name_and_kind(key)
        if kind == "contract":
            if asset.balance:
                value = replay.contract_value(key)
                parts["unrealised"] += Fraction(replay.rate_at(value.settle, end).of(value.of(asset.balance)))
            continue
        rate = replay.rate_at(name, end)
        if not (asset.balance or asset.debt or asset.open_cash):
            continue
        for lot in asset.lots.open(asset.counted):
            parts["unrealised"] += Fraction(rate.of(lot.quantity)) - Fraction(lot.cost)
        parts["unrealised"] += Fraction(rate.of(asset.open_cash)) - Fraction(rate.of(asset.debt)) + Fraction(asset.debt_value or 0)
    return parts


@searched
@pytest.mark.parametrize("basis", ["wac", "fifo"])
def test_the_parts_of_a_profit_add_up_to_it(another, basis):
    options = RollupOptions(cost_basis=basis)
    for seed in range(300, of(310, 330)):
        records = history(seed, random.Random(seed).randrange(10, 60), BOOKS, rates=True)
        with another() as database:
            Ledger(database).post([fact_of(str(r["type"]), {k: v for k, v in r.items() if k != "type"}, CONVENTIONS) for r in records])
            roll_up(database, ACCOUNT, options, END, now=FAR)
            with SQLiteRollupRepository(database).reading(ACCOUNT) as books:
                last = books.rows_from(Date.min)[-1]
                parts = explained_until(books, options, last.date)
            total = parts["realised"] + parts["unrealised"] - parts["fees"] + parts["income"]
            assert abs(total - Fraction(last.pnl_total or Decimal(0))) < Fraction(1, 10**20), f"seed {seed}: {parts}, {last.pnl_total}"

"""Deposits and withdrawals of every category while an account's facts are replayed."""

from __future__ import annotations

from decimal import Decimal

from jarvis_client.contract.decimals import EXACT, QUOTIENT, ZERO, canonical
from persistence.books.account_facts import FlowRow
from persistence.domain.rollup import FlowValue, UsdRate
from scheduler.rollup.assets import Asset
from scheduler.rollup.lots import Origin
from scheduler.rollup.movements import Movements
from scheduler.rollup.reading import rate_of
from scheduler.rollup.trades import RatedCharge

_minus = EXACT.minus
#: Categories that are capital: they cross the account's boundary and are no profit.
CAPITAL = frozenset({"external", "transfer"})


class FlowReplay(Movements):
    """What a flow brings and takes."""

    def _take_flow(self, row: FlowRow) -> None:
        at, key, comes = row.instant, row.key, row.direction == "deposit"
        rate: UsdRate | None = None
        if row.usd_rate is not None:
            rate = rate_of(row.usd_rate)
        elif row.kind == "currency":
            rate = self.rates.at(row.currency, at)
        asset = self._asset(key)
        amount = Decimal(row.amount) if comes else _minus(Decimal(row.amount))
        value = None if rate is None else rate.of(amount)
        origin = Origin(at, row.fact_no, row.category if row.category not in CAPITAL else row.direction)
        match row.category:
            case "split":
                self._split(asset, amount, origin, row)
            case "loan" if comes:
                asset.borrow(amount, value)
                self._move(asset, amount, value, origin._replace(what="borrowed"))
                asset.settle()
            case "loan":
                self._repay(asset, amount, rate, origin, row)
            case "rename":
                self._rename(row, asset, amount, value, origin)
            case category:
                if category in CAPITAL:
                    self._capital(row, amount, value)
                self._move(asset, amount, value, origin)
                asset.settle()
                if row.symbol is not None:
                    self._earn(row, amount, value)
        if row.fee is not None and row.fact_no not in self._renamed:
            assert row.fee_currency is not None
            self._charge(RatedCharge(row.fee_currency, Decimal(row.fee), None), at, row.fact_no)

    def _capital(self, row: FlowRow, amount: Decimal, value: Decimal | None) -> None:
        self.flow_values.append((self._day, FlowValue(row.fact_no, row.instant, amount, value)))
        if value is None:
            what = f"{row.direction} {row.record_id} of {canonical(amount.copy_abs())} {row.currency}"
            self._odd("rate missing", row.currency, row.fact_no, f"{what} has no USD rate: the profit since is withheld")

    def _split(self, asset: Asset, amount: Decimal, origin: Origin, row: FlowRow) -> None:
        found = asset.scale(amount, origin)
        if found is None:
            self._odd("split", row.currency, row.fact_no, f"{row.direction} {row.record_id} splits {row.currency}, of which nothing was held")
            self._move(asset, amount, ZERO, origin)
            asset.settle()
            return
        self._heard(asset, amount, ZERO, origin, ())
        before, after = found
        if row.kind == "contract":
            known = self._contracts.get(asset.key) or self._books.contract_value_before(asset.key, self._day)
            if known is not None:
                self._contracts[asset.key] = known._replace(value=QUOTIENT.multiply(known.value, before), per=QUOTIENT.multiply(known.per, after))
        elif (known_rate := self.rates.newest(row.currency, row.instant)) is not None and known_rate.at < row.instant:
            self.rates.learn(row.currency, known_rate.rate.times(before, after), row.instant)

    def _repay(self, asset: Asset, amount: Decimal, rate: UsdRate | None, origin: Origin, row: FlowRow) -> None:
        """Coins given back realise what they were worth when they were borrowed; more than the debt is an outflow."""
        part, worth = asset.repay(_minus(amount))
        if part:
            self._move(asset, _minus(part), None if worth is None else _minus(worth), origin._replace(what="repaid"))
        beyond = EXACT.add(amount, part)
        if beyond:
            value = None if rate is None else rate.of(beyond)
            self._capital(row, beyond, value)
            self._move(asset, beyond, value, origin._replace(what=row.direction))
            what = f"withdrawal {row.record_id} repays {canonical(_minus(beyond))} {row.currency} more than is owed; that counts as an outflow"
            self._odd("loan", row.currency, row.fact_no, what)
        asset.settle()

    def _rename(self, row: FlowRow, asset: Asset, amount: Decimal, value: Decimal | None, origin: Origin) -> None:
        """One asset under another code: both halves at once, where the first of them stands."""
        if row.fact_no in self._renamed:
            return
        pair = self._pairs.get(row.fact_no)
        if pair is None:
            what = f"{row.direction} {row.record_id} of category rename has no other half of the same reference and instant; it counts as a transfer"
            self._odd("rename", row.currency, row.fact_no, what)
            self._capital(row, amount, value)
            self._move(asset, amount, value, origin)
            asset.settle()
            return
        leaving, coming = pair
        self._renamed |= {leaving.fact_no, coming.fact_no}
        old, new = self._asset(leaving.key), self._asset(coming.key)
        gone, come = Decimal(leaving.amount), Decimal(coming.amount)
        held = old.counted
        rate = self.rates.at(leaving.currency, row.instant)
        moves = min(gone, held) if held > 0 else ZERO
        if moves:
            into = come if moves == gone else QUOTIENT.divide(EXACT.multiply(come, moves), gone)
            self._hand_over(old, new, moves, into, origin)
        if (rest := EXACT.subtract(gone, moves)) > 0:
            worth = None if rate is None else rate.of(rest)
            self._move(old, _minus(rest), None if worth is None else _minus(worth), Origin(row.instant, leaving.fact_no, "rename"))
            into = EXACT.subtract(come, ZERO if not moves else into)
            self._move(new, into, worth, Origin(row.instant, coming.fact_no, "rename"))
        old.settle()
        new.settle()

    def _hand_over(self, old: Asset, new: Asset, quantity: Decimal, into: Decimal, origin: Origin) -> None:
        """Move lots and long positions at their cost: `quantity` of one asset becomes `into` of another."""
        held = old.counted
        given, left, received = old.lots.give(held, quantity), into, []
        for n, (part, cost, opened_at) in enumerate(given, 1):
            became = left if n == len(given) else QUOTIENT.divide(EXACT.multiply(part, into), quantity)
            left = EXACT.subtract(left, became)
            received.append((became, cost, opened_at))
        taken = new.lots.receive(new.counted, received, origin)
        for asset, amount, realised in ((old, _minus(quantity), ()), (new, into, taken)):
            asset.count(amount)
            asset.depends = True
            self._heard(asset, amount, ZERO, origin, realised)
        new.settle()  # what comes covers what is owed before anything is held
        for name in sorted(old.positions):
            position = old.positions[name]
            if position.quantity <= 0:
                continue
            part = position.quantity if quantity == held else QUOTIENT.divide(EXACT.multiply(position.quantity, quantity), held)
            moved, quote = position.give(part), name.partition("/")[2]
            if quote != new.key and new.counted > 0:
                moved.scale(quantity, into)
                new.position(f"{new.key}/{quote}").receive(moved)

    def _earn(self, row: FlowRow, amount: Decimal, value: Decimal | None) -> None:
        """Funding and the like count in the trade that is open in their instrument: a contract of that very symbol, else a spot pair."""
        assert row.symbol is not None
        for key, name in self._books.instruments_of(row.symbol, self.options.pairs):
            position = self._asset(key, touch=False).positions.get(name)
            if position is not None and position.is_open:
                position.earn(amount, value, in_quote=row.currency == self.cash_of(name))
                self._touched.add(key)
                return
        what = f"{row.direction} {row.record_id} of category {row.category} names {row.symbol}, in which no trade is open; it counts as income"
        self._odd("funding", row.symbol, row.fact_no, what)


__all__ = ["CAPITAL", "FlowReplay"]

"""One account, replayed from nothing in the order of facts (meaning.md, 2, 3, 7 and 8)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import groupby

from reference.facts import Fact, Fee, FeeRecord, Fill, Flow, Instrument
from reference.lots import Disposal, Lots
from reference.numbers import ONE, ZERO, part, plus, rounded
from reference.positions import Bundle, ClosedTrade, Position, Positions, Trade
from reference.rates import Rates
from reference.valuation import Contract, Debt, lacking, told_pnl, value


@dataclass(frozen=True)
class Options:
    cost_basis: str = "wac"
    dust_notional_usd: Fraction = ONE
    dust_share: Fraction = Fraction(1, 100)
    usd_like: tuple[str, ...] = ("USD", "USDT", "USDC")
    quote_currencies: tuple[str, ...] = ("USDT", "USDC", "FDUSD", "USD", "DAI", "EUR", "GBP", "TRY", "JPY", "BTC", "ETH", "BNB")
    valuation: str = "auto"
    opening_value: Fraction | None = None
    min_base_usd: Fraction = ONE
    #: The instant of the run: days that have not ended by then have no row. None: all have.
    now: int | None = None
    #: Rows of an account without snapshots: on each day with records ("facts") or on each day from the first of them on ("all").
    book_days: str = "facts"
    #: What an amount is worth whose own record says a rate, where another record of that instant says another: its own, or the one of the instant.
    own_rate_first: bool = True


@dataclass
class Missing:
    currency: str
    instant: int
    #: row, flow, trade, lots or income: what cannot be told.
    withholds: str


@dataclass
class Account:
    name: str
    facts: Sequence[Fact]
    options: Options
    balances: dict[tuple[str, str], Fraction] = field(default_factory=dict)  # without the cash of open contracts: what 8 calls a balance
    lots: dict[str, Lots] = field(default_factory=dict)
    contracts: dict[str, Contract] = field(default_factory=dict)
    debts: dict[str, Debt] = field(default_factory=dict)
    #: (instant, USD signed) of what crossed the boundary (rollups.md, 1.3).
    flows: list[tuple[int, Fraction | None]] = field(default_factory=list)
    values: dict[int, Fraction | None] = field(default_factory=dict)
    lacking: dict[int, set[str]] = field(default_factory=dict)
    #: At the same moments: realised + unrealised - fees + income (8.4).
    told_pnl: dict[int, Fraction | None] = field(default_factory=dict)
    contract_gains: Fraction | None = ZERO
    fees: Fraction | None = ZERO
    income: Fraction | None = ZERO
    notes: list[dict[str, object]] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rates = Rates(self.facts, self.options.usd_like)
        self.positions = Positions(self._is_dust, self._close)
        self.own = [f for f in self.facts if f.account == self.name]
        self.fills = [f for f in self.own if isinstance(f, Fill)]
        self.contract_codes = {f.instrument.name for f in self.fills if f.instrument.contract}
        self.ratios = self._quantities_before()

    # The replay

    def replay(self, moments: Iterable[int]) -> Account:
        """Every fact in its turn; the value at each moment is that after everything at or before it."""
        waiting = sorted(set(moments))
        for instant, group in groupby(self.own, key=lambda f: f.instant):
            while waiting and waiting[0] < instant:
                self._look(waiting.pop(0))
            together = list(group)
            for fact in together:
                self._hear(fact)  # 7: the rate of an instant is that of all its facts
            for fact in together:
                self._apply(fact)
                self._check(fact)
        for moment in waiting:
            self._look(moment)
        return self

    def _look(self, moment: int) -> None:
        self.values[moment] = value(self, moment)
        self.lacking[moment] = lacking(self, moment)
        self.told_pnl[moment] = told_pnl(self, moment)

    def _hear(self, fact: Fact) -> None:
        if isinstance(fact, Fill):
            self.rates.hear(fact)
        elif isinstance(fact, Flow) and fact.category == "split" and self._asset(fact.currency)[1] == "currency":
            before, after = self._before_and_after(fact)
            if before * after > 0:
                self.rates.scale(fact.currency, fact.instant, before / after)
        elif isinstance(fact, Flow) and fact.category == "rename" and self._leads(fact):
            old, new = self._old_and_new(fact)
            worth = self.rates.at(old.currency, fact.instant)
            if worth is not None and new.currency not in self.rates.usd_like:
                self.rates.tell(new.currency, fact.instant, worth * old.amount / new.amount)  # 8.5

    def _apply(self, fact: Fact) -> None:
        if isinstance(fact, Fill):
            self._contract_fill(fact) if fact.instrument.contract else self._spot_fill(fact)
        elif isinstance(fact, Flow):
            self._flow(fact)
            for fee in fact.fees:  # 3: a leg beside `amount`, part of P&L and not of the flow
                self._fee(fact, fee)
        elif isinstance(fact, FeeRecord):
            self._fee(fact, fact.fees[0])
            if not any(f.id == fact.fill_id for f in self.fills):
                self._note("fee without its fill", fact.fill_id, fact)

    # What an amount is worth

    def worth(self, fact: Fact, currency: str, amount: Fraction, purpose: str) -> Fraction | None:
        """7: amount × rate at the fact's instant, divided once; the rate that the fact itself says comes first. None is noted with its purpose."""
        if not amount:
            return ZERO
        rate = fact.own_rate(currency) if self.options.own_rate_first else None
        rate = self.rates.at(currency, fact.instant) if rate is None else rate
        if rate is None:
            self.missing.append(Missing(currency, fact.instant, purpose))
            return None
        return rounded(amount * rate)

    # Legs

    def _asset(self, code: str) -> tuple[str, str]:
        return (code, "contract" if code in self.contract_codes else "currency")

    def _lots(self, currency: str) -> Lots:
        pooled = self.options.cost_basis == "wac" or currency in self.rates.usd_like  # 8.4
        return self.lots.setdefault(currency, Lots(currency, pooled))

    def _move(self, currency: str, amount: Fraction, value: Fraction | None, by: str, at: int) -> None:
        """One leg: the balance, the lots at `value` (signed as `amount`), and the positions (8.2)."""
        if not amount:
            return
        asset = (currency, "currency")
        self.balances[asset] = self.balances.get(asset, ZERO) + amount
        if amount > 0:
            self._lots(currency).bring(amount, value, by, at)
        else:
            self._lots(currency).take(-amount, None if value is None else -value, by, at)
        self.positions.cover(asset, self.balances[asset])

    def _fee(self, fact: Fact, fee: Fee) -> None:
        """8.4: a fee takes lots at its value of that instant; a rebate brings one."""
        value = self.worth(fact, fee.currency, fee.amount, "lots")
        self.fees = plus(self.fees, value)
        self._move(fee.currency, -fee.amount, None if value is None else -value, "fee" if fee.amount > 0 else "rebate", fact.instant)

    # Fills

    def _bundle(self, fill: Fill) -> Bundle:
        """1.8, and 3: a fee record counts in the trade as its fill, valued there."""
        quote, base = fill.instrument.quote, fill.instrument.asset[0]
        quote_fees, other, total, missing = ZERO, ZERO, ZERO, set()  # type: tuple[Fraction, Fraction | None, Fraction | None, set[str]]
        entries = [(fee, False) for fee in fill.fees] + [(fee, True) for fee, _ in fill.later_fees]
        for fee, later in entries:
            own = fee.rate if fee.rate is not None and (later or self.options.own_rate_first) else None
            rate = own if own is not None else fill.own_rate(fee.currency) if self.options.own_rate_first else None
            rate = self.rates.at(fee.currency, fill.instant) if rate is None else rate
            usd = ZERO if not fee.amount else None if rate is None else rounded(fee.amount * rate)
            in_base = fee.currency == base and not fill.instrument.contract and not later
            if fee.currency == quote:
                quote_fees += fee.amount
            elif not in_base:  # a fee in the base moves the position instead
                other = plus(other, usd)
                if usd is None:
                    missing.add(fee.currency)
                    self.missing.append(Missing(fee.currency, fill.instant, "trade"))
            if in_base:  # for the listing: f × p
                rate = self.rates.at(quote, fill.instant)
                usd = None if rate is None else rounded(fee.amount * fill.price * rate)
            total = plus(total, usd)
        return Bundle(fill.cash, quote_fees, other, total, frozenset(missing))

    def _spot_fill(self, fill: Fill) -> None:
        asset, quote = fill.instrument.asset, fill.instrument.quote
        base = asset[0]
        base_fees = sum((fee.amount for fee in fill.fees if fee.currency == base), ZERO)
        self.positions.fill(fill, fill.sign * fill.quantity - base_fees, self._bundle(fill), self.balances.get(asset, ZERO))
        value = self.worth(fill, quote, fill.cash, "lots")  # 8.4: cost and proceeds without fees
        self.balances[asset] = self.balances.get(asset, ZERO) + fill.sign * fill.quantity
        if fill.sign > 0:
            self._lots(base).bring(fill.quantity, None if value is None else -value, "fill", fill.instant)
        else:
            self._lots(base).take(fill.quantity, value, "sale", fill.instant)
        for fee in (f for f in fill.fees if f.currency == base):
            worth = self.worth(fill, base, fee.amount, "lots")
            self.fees = plus(self.fees, worth)
            self.balances[asset] -= fee.amount
            if fee.amount > 0:
                self._lots(base).take(fee.amount, worth, "fee", fill.instant)
            else:
                self._lots(base).bring(-fee.amount, None if worth is None else -worth, "rebate", fill.instant)
        self.positions.cover(asset, self.balances[asset])
        self._move(quote, fill.cash, value, "sale" if fill.cash > 0 else "spent", fill.instant)
        for fee in (f for f in fill.fees if f.currency != base):
            self._fee(fill, fee)

    def _contract_fill(self, fill: Fill) -> None:
        asset, settle = fill.instrument.asset, fill.instrument.quote
        if fill.quanto:
            unit = abs(fill.cash) / fill.quantity * (-1 if fill.cash * fill.sign > 0 else 1)
        elif fill.inverse:
            unit = -fill.multiplier / fill.price if fill.price else ZERO
        else:
            unit = fill.multiplier * fill.price
        self.contracts[asset[0]] = Contract(settle, unit)
        self.positions.fill(fill, fill.sign * fill.quantity, self._bundle(fill), self.balances.get(asset, ZERO))
        self.balances[asset] = self.balances.get(asset, ZERO) + fill.sign * fill.quantity
        self.positions.cover(asset, self.balances[asset])
        self._settle(fill)
        for fee in fill.fees:  # fees count at once
            self._fee(fill, fee)

    def _settle(self, fact: Fact) -> None:
        """8: when a contract's trade closes, its whole cash enters as one gain or loss."""
        freed, self.positions.freed = self.positions.freed, []
        for currency, cash in freed:
            value = self.worth(fact, currency, cash, "lots")
            self.contract_gains = plus(self.contract_gains, value)
            self._move(currency, cash, value, "contract" if cash > 0 else "spent", fact.instant)

    def _is_dust(self, left: Fraction, peak: Fraction, fill: Fill) -> bool:
        """8.3: by value and by share; without a rate nothing is dust."""
        rate = self.rates.at(fill.instrument.quote, fill.instant)
        if rate is None:
            return False
        each = abs(fill.cash) / fill.quantity if fill.inverse or fill.quanto else abs(fill.price) * fill.multiplier
        return left * each * rate < self.options.dust_notional_usd and left < self.options.dust_share * peak

    def _close(self, position: Position, trade: Trade, fill: Fill) -> ClosedTrade:
        """1.7: net of fees, at quote → USD of the closing fill."""
        quote = position.instrument.quote
        missing = set(trade.money.missing)
        net = trade.money.cash + trade.income - trade.money.quote_fees
        usd = self.worth(fill, quote, net, "trade")
        if usd is None:
            missing.add(quote)
        pnl = plus(usd, None if trade.money.other_fees is None else -trade.money.other_fees, trade.other_income)
        return ClosedTrade(
            position.instrument.name,
            trade.opened_at,
            fill.instant,
            trade.direction,
            trade.peak,
            pnl,
            trade.money.fees_usd,
            list(trade.fills),
            frozenset(missing),
        )

    # Flows (8.5)

    def _flow(self, flow: Flow) -> None:
        if flow.category == "split":
            self._split(flow)
        elif flow.category == "rename" and flow.partner is not None:
            if self._leads(flow):
                self._rename(*self._old_and_new(flow))
        elif flow.category == "loan":
            self._loan(flow)
        elif flow.category in ("external", "transfer", "rename"):
            if flow.category == "rename":
                self._note("half a rename", flow.currency, flow)
            self._cross(flow, flow.amount)
        else:
            value = self.worth(flow, flow.currency, flow.sign * flow.amount, "income")
            self.income = plus(self.income, value)
            self._move(flow.currency, flow.sign * flow.amount, value, flow.category if flow.sign > 0 else "withdrawal", flow.instant)
            if flow.symbol is not None and flow.category in ("funding", "interest", "other"):
                self._attribute(flow, value)

    def _cross(self, flow: Flow, amount: Fraction) -> None:
        value = self.worth(flow, flow.currency, flow.sign * amount, "flow")
        self.flows.append((flow.instant, value))
        self._move(flow.currency, flow.sign * amount, value, flow.kind, flow.instant)

    def _split(self, flow: Flow) -> None:
        asset = self._asset(flow.currency)
        before = self.balances.get(asset, ZERO)
        after = before + flow.sign * flow.amount
        if before * after <= 0:  # nothing held, nothing left, or a long that became a short
            self._note("split with nothing held", flow.currency, flow)
            if asset[1] == "currency":
                self._move(flow.currency, flow.sign * flow.amount, ZERO, "split" if flow.sign > 0 else "withdrawal", flow.instant)
                return
        else:
            self.positions.scale(asset, before, after)
            if asset[1] == "contract":
                contract = self.contracts[flow.currency]
                contract.unit *= before / after
            else:
                self._lots(flow.currency).scale(before, after)
                debt = self.debts.get(flow.currency, Debt())
                debt.quantity = rounded(debt.quantity * after / before)  # no profit: what is owed splits, too
        self.balances[asset] = after
        self.positions.cover(asset, after)
        self._settle(flow)

    def _rename(self, out: Flow, into: Flow) -> None:
        """Both halves at once, where the first stands in the order of facts."""
        old, new = self._asset(out.currency), self._asset(into.currency)
        if old[1] == "contract" and new[1] == "currency":
            new = (into.currency, "contract")
        before = self.balances.get(old, ZERO)
        share = min(ONE, out.amount / before) if before > 0 else ZERO
        value = ZERO if old[1] == "contract" else self.worth(out, old[0], out.amount, "lots") if out.amount > max(ZERO, before) else ZERO
        self.balances[old] = before - out.amount
        self.balances[new] = self.balances.get(new, ZERO) + into.amount
        if old[1] == "currency":
            self._lots(old[0]).move_to(self._lots(new[0]), out.amount, into.amount, value, out.instant)
        elif old[0] in self.contracts:
            was = self.contracts[old[0]]
            self.contracts.setdefault(new[0], Contract(was.settle, was.unit * out.amount / into.amount))
            self.contract_codes.add(new[0])
        self.positions.cover(new, self.balances[new])  # what comes in first covers what is owed
        self.positions.rename(old, new, share, into.amount / out.amount, max(ZERO, self.balances[new]))
        self.positions.cover(old, self.balances[old])
        self.positions.cover(new, self.balances[new])
        self._settle(out)

    def _loan(self, flow: Flow) -> None:
        debt = self.debts.setdefault(flow.currency, Debt())
        if flow.sign > 0:
            value = self.worth(flow, flow.currency, flow.amount, "lots")
            debt.quantity, debt.value = debt.quantity + flow.amount, plus(debt.value, value)
            self._move(flow.currency, flow.amount, value, "loan", flow.instant)
            return
        repaid = min(flow.amount, debt.quantity)
        if repaid:  # at the average value of what was borrowed
            value = None if debt.value is None else part(debt.value, repaid, debt.quantity)
            debt.quantity, debt.value = debt.quantity - repaid, ZERO if repaid == debt.quantity else plus(debt.value, None if value is None else -value)
            self._move(flow.currency, -repaid, None if value is None else -value, "withdrawal", flow.instant)
        if flow.amount > repaid:
            self._note("loan repaid beyond the debt", flow.currency, flow, beyond=flow.amount - repaid)
            self._cross(flow, flow.amount - repaid)

    def _attribute(self, flow: Flow, value: Fraction | None) -> None:
        """8.5: it counts in the trade that is open there."""
        instrument = self.instrument_named(flow.symbol or "")
        position = self.positions.all.get(instrument) if instrument else None
        if position is None or position.trade is None:
            self._note("funding without an open trade", flow.symbol or "", flow)
        elif flow.currency == position.instrument.quote:
            position.trade.income += flow.sign * flow.amount
        else:
            position.trade.other_income = plus(position.trade.other_income, value)
            if value is None:
                position.trade.money.missing |= {flow.currency}

    def instrument_named(self, symbol: str) -> Instrument | None:
        """8.5: compared with instruments in any notation, never cut; a contract of that very symbol before a spot pair."""
        known = sorted({f.instrument for f in self.fills}, key=lambda i: (not i.contract, i.name))
        for instrument in known:
            texts = {instrument.name} | {f.symbol for f in self.fills if f.instrument == instrument}
            if not instrument.contract:
                base, quote = instrument.asset[0], instrument.quote
                texts |= {f"{base}{quote}", f"{base}-{quote}", f"{base}/{quote}"}
            if symbol in texts:
                return instrument
        return None

    # Quantities that rates need before the replay comes to them

    def _leads(self, flow: Flow) -> bool:
        return flow.partner is not None and flow.key < flow.partner.key

    def _old_and_new(self, flow: Flow) -> tuple[Flow, Flow]:
        other = flow.partner
        assert other is not None
        return (flow, other) if flow.sign < 0 else (other, flow)

    def _quantities_before(self) -> dict[int, Fraction]:
        """Before each split: Σ legs of its currency so far, the cash of contracts among it."""
        totals: dict[str, Fraction] = {}
        found: dict[int, Fraction] = {}

        def add(code: str, amount: Fraction) -> None:
            totals[code] = totals.get(code, ZERO) + amount

        for fact in self.own:
            if isinstance(fact, Fill):
                add(fact.instrument.quote, fact.cash)
                if not fact.instrument.contract:
                    add(fact.instrument.asset[0], fact.sign * fact.quantity)
            elif isinstance(fact, Flow):
                found[id(fact)] = totals.get(fact.currency, ZERO)
                halves = [fact, fact.partner] if fact.partner is not None and self._leads(fact) else [] if fact.partner is not None else [fact]
                for half in halves:
                    add(half.currency, half.sign * half.amount)
            for fee in fact.fees:
                add(fee.currency, -fee.amount)
        return found

    def _before_and_after(self, flow: Flow) -> tuple[Fraction, Fraction]:
        """A balance as 8 means it: what open contracts hold at the beginning of the instant is left out."""
        before = self.ratios[id(flow)] - self.positions.set_aside(flow.currency)
        return before, before + flow.sign * flow.amount

    # What there is

    def total(self, asset: tuple[str, str]) -> Fraction:
        """The whole balance, cash of open contracts included."""
        return self.balances.get(asset, ZERO) + (self.positions.set_aside(asset[0]) if asset[1] == "currency" else ZERO)

    def settles(self) -> set[str]:
        return {p.instrument.quote for p in self.positions.all.values() if p.instrument.contract}

    def assets(self) -> list[tuple[str, str]]:
        return sorted({(settle, "currency") for settle in self.settles()} | set(self.balances))

    def disposals(self) -> list[Disposal]:
        return [d for lots in self.lots.values() for d in lots.disposals]

    # Checks and notes

    def _check(self, fact: Fact) -> None:
        """8.2: after every fact. A break of it is a finding. Lots add up to the balance, too."""
        for asset in {*self.balances, *(p.instrument.asset for p in self.positions.all.values())}:
            balance = self.balances.get(asset, ZERO)
            if self.positions.longs(asset) > max(ZERO, balance) or self.positions.shorts(asset) > max(ZERO, -balance):
                self.broken.append(
                    f"{fact.kind} {fact.id}: longs {self.positions.longs(asset)}, shorts {self.positions.shorts(asset)}, balance of {asset[0]} {balance}"
                )
            if asset[1] == "currency" and self._lots(asset[0]).quantity != balance:
                self.broken.append(f"{fact.kind} {fact.id}: lots {self._lots(asset[0]).quantity}, balance of {asset[0]} {balance}")

    def _note(self, check: str, subject: str, fact: Fact, **more: object) -> None:
        self.notes.append({"check": check, "account": self.name, "subject": subject, "record": f"{fact.kind} {fact.id}", "instant": fact.instant, **more})

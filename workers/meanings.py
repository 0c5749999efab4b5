"""What a record would do to the books, in one line for people."""

from __future__ import annotations

from decimal import Decimal

from jarvis_client.contract.decimals import canonical
from jarvis_client.contract.facts import BalanceReport, Deposit, EquitySnapshot, Fee, Fill, OrderEvent, Rate, Void, Withdrawal
from jarvis_client.contract.facts.base import EventStatus
from persistence.domain.entries import AnyFact


def meaning_of(fact: AnyFact) -> str:
    """What a fact means, its defaults filled in: what moves, and how its symbol was read."""
    match fact:
        case Fill():
            return _fill(fact)
        case Deposit() | Withdrawal():
            return _flow(fact)
        case OrderEvent():
            return _order(fact)
        case Fee():
            return f"{_charged(fact.amount, fact.currency)} for fill {fact.fill_id}"
        case EquitySnapshot():
            return f"worth {canonical(fact.total_value_usd)} USD at the end of {fact.date}" if fact.date else f"worth {canonical(fact.total_value_usd)} USD"
        case Rate():
            return f"one {fact.currency} is worth {canonical(fact.usd_rate)} USD"
        case BalanceReport():
            return f"the venue holds {canonical(fact.total)} {fact.currency}; nothing is booked"
        case Void():
            return f"the {fact.target_kind} {fact.target_id} counts as never having been"
    return f"{canonical(fact.amount)} {fact.currency}"


def _fill(fill: Fill) -> str:
    traded = fill.traded
    verb = "buys" if fill.side == "buy" else "sells"
    what = f"{canonical(fill.quantity)} contracts {traded.name}" if traded.is_contract else f"{canonical(fill.quantity)} {fill.base}"
    cash = f"{canonical(fill.quote_quantity)} {traded.cash_currency}"
    fees = " and ".join(_charged(c.amount, c.currency) for c in fill.charges) if fill.fee is not None else "a fee that is not known yet"
    said = f"{verb} {what} at {canonical(fill.price)} for {cash}"
    return "; ".join(filter(None, (said + (f", {fees}" if fees else ""), _read(fill.symbol, traded.name), _contract(fill))))


def _contract(fact: Fill) -> str:
    if not fact.traded.is_contract:
        return ""
    form = "inverse" if fact.inverse else "quanto" if fact.traded.is_quanto else "linear"
    return f"a {form} contract of size {canonical(fact.multiplier)}"


def _flow(flow: Deposit | Withdrawal) -> str:
    amount = f"{'+' if flow.kind == 'deposit' else '-'}{canonical(flow.amount)} {flow.currency}"
    fee = "" if flow.fee is None else f", {_charged(flow.fee, str(flow.fee_currency))}"
    return f"{amount} ({flow.category}){fee}"


def _order(event: OrderEvent) -> str:
    said = f"order {event.order_id} {event.status}"
    if event.status == EventStatus.PLACED:
        said += f": {event.order_type} {event.side} {_asked(event)}"
    elif event.status == EventStatus.AMENDED and event.quantity is not None:
        said += f": quantity {canonical(event.quantity)}"
    if event.price is not None:
        said += f" at {canonical(event.price)}"
    if event.reserve:
        said += ", reserved"
    read = _read(event.symbol, event.instrument) if event.symbol and event.instrument else ""
    return f"{said}; {read}" if read else said


def _asked(event: OrderEvent) -> str:
    """What a placed order asks for."""
    if event.quantity is not None:
        return f"{canonical(event.quantity)} {event.instrument}"
    return f"{event.instrument}, whatever is open" if event.cost is None else f"{event.instrument} for {canonical(event.cost)} {event.quote}"


def _charged(amount: Decimal, currency: str) -> str:
    return f"fee {canonical(amount)} {currency}" if amount >= 0 else f"rebate {canonical(-amount)} {currency}"


def _read(symbol: str, name: str) -> str:
    """How a symbol was read, where it is not the instrument's own name."""
    return "" if symbol == name else f"{symbol} is {name}"

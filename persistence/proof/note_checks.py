"""What is odd of single records: each check finds its suspects among facts that are new, and says of suspects whether they are odd still."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from jarvis_client.contract.decimals import EXACT, ZERO, canonical
from jarvis_client.contract.facts.fill import more_charges
from jarvis_client.contract.instants import to_text
from persistence.books import events
from persistence.engine.contract import Connection
from persistence.proof.notes import Look, NoteCheck, Oddity, Slice, Suspect

_DAY = 86_400_000_000
#: How far a quote quantity may be off quantity × price × multiplier.
_OFF = Decimal("0.05")
#: A rebate above this part of the cash is a fee with the wrong sign.
_REBATE = Decimal("0.01")

Row = Any


class Records(NamedTuple):
    """Rows of one kind of fact that may be odd: a statement whose `{seen}` says which facts, by the column of their number.

    Its first columns are fact_no and account_id. `odd` makes of a row what is odd about it: (subject, found, record); None where nothing is.
    """

    sql: str
    column: str
    odd: Callable[[Row], tuple[str, str, str | None] | None]
    #: Facts that a newer one may have made odd: a statement of (after, to) that gives their numbers.
    also: str | None = None

    def suspects(self, new: Slice) -> Iterator[Suspect]:
        yield from self._of(new.connection, f"{self.column} > ? AND {self.column} <= ?", (new.after, new.to))
        if self.also is not None:
            yield from self._of(new.connection, f"{self.column} IN ({self.also})", (new.after, new.to))

    def _of(self, connection: Connection, seen: str, params: tuple[Any, ...]) -> Iterator[Suspect]:
        for row in connection.execute(self.sql.replace("{seen}", seen), params):
            if self.odd(row) is not None:
                yield Suspect(row[1], "", row[0])

    def find(self, look: Look) -> Iterator[Oddity]:
        seen = f"{self.column} IN (SELECT fact_no FROM note_suspects WHERE check_name = ?)"
        for row in look.connection.execute(f"{self.sql.replace('{seen}', seen)} ORDER BY {self.column}", (look.name,)):
            said = self.odd(row)
            if said is not None:
                yield Oddity(row[1], said[0], row[0], said[1], said[2], Suspect(row[1], "", row[0]))


def _check(name: str, expected: str, settled_by: str, records: Records) -> NoteCheck:
    return NoteCheck(name, expected, settled_by, records.find, records.suspects)


#: A void and a new record: how what a record says wrongly is corrected.
_VOID = "void it and send it again under a new id"


def _ahead(row: Row) -> tuple[str, str, str]:
    _, _, kind, record_id, at, recorded_at = row
    called = "snapshot" if kind == "metrics" else kind
    return called, f"{called} dated {to_text(at)}, recorded {to_text(recorded_at)}", record_id


AHEAD = _check(
    "a record is dated more than a day ahead of its arrival", "an instant that has been", f"{_VOID} with its own time; look at the engine's clock",
    Records(
        f"SELECT f.fact_no, f.account_id, f.kind, f.record_id, f.occurred_at, f.recorded_at FROM facts f WHERE f.occurred_at > f.recorded_at + {_DAY} "
        "AND f.state = 0 AND f.kind <> 'void' AND {seen}",
        "f.fact_no", _ahead,
    ),
)  # fmt: skip


def _off(row: Row) -> tuple[str, str, str] | None:
    _, _, fill_id, instrument, quantity, price, cash, multiplier = row
    expected = EXACT.multiply(EXACT.multiply(Decimal(quantity), Decimal(price)), Decimal(multiplier))
    if EXACT.subtract(Decimal(cash), expected).copy_abs() <= EXACT.multiply(_OFF, expected.copy_abs()):
        return None
    return instrument, f"quote_quantity {cash} of a fill worth {canonical(expected)}", fill_id


QUOTE_QUANTITY = _check(
    "quote_quantity is more than 5 % off quantity × price", "quantity × price × multiplier, within 5 %",
    f"{_VOID}, with the venue's own amount or without quote_quantity",
    Records(
        "SELECT l.fact_no, l.account_id, l.fill_id, l.instrument, l.quantity, l.price, l.quote_quantity, l.multiplier FROM fills l JOIN facts f "
        "ON f.fact_no = l.fact_no WHERE f.state = 0 AND l.inverse = 0 AND (l.settle IS NULL OR l.settle = l.base OR l.settle = l.quote) AND "
        # Whether to look at all is told by floats, what is odd by decimals.
        "abs(CAST(l.quote_quantity AS DOUBLE PRECISION) "
        "- CAST(l.quantity AS DOUBLE PRECISION) * CAST(l.price AS DOUBLE PRECISION) * CAST(l.multiplier AS DOUBLE PRECISION)) "
        "> 0.049 * abs(CAST(l.quantity AS DOUBLE PRECISION) * CAST(l.price AS DOUBLE PRECISION) * CAST(l.multiplier AS DOUBLE PRECISION)) AND {seen}",
        "l.fact_no", _off,
    ),
)  # fmt: skip


FEE_UNKNOWN = _check(
    "a fee is not known yet", "a record of kind fee for each fill without one", "publish a fee record (fee_id, fill_id, currency, amount) for each",
    Records(
        "SELECT l.fact_no, l.account_id, l.fill_id FROM fills l JOIN facts f ON f.fact_no = l.fact_no WHERE l.fee IS NULL AND f.state = 0 AND NOT EXISTS ("
        "SELECT 1 FROM fees e JOIN facts g ON g.fact_no = e.fact_no WHERE e.account_id = l.account_id AND e.fill_id = l.fill_id AND g.state = 0) AND {seen}",
        "l.fact_no", lambda row: ("fees", f"fill {row[2]} without its fee", row[2]),
        # A fee that is voided leaves its fill without one again.
        "SELECT t.fact_no FROM voids v JOIN fees e ON e.account_id = v.account_id AND e.fee_id = v.target_id JOIN facts t ON t.record_id = e.fill_id "
        "AND t.account_id = e.account_id AND t.kind = 'fill' WHERE v.target_kind = 'fee' AND v.fact_no > ? AND v.fact_no <= ?",
    ),
)  # fmt: skip


FEE_WITHOUT_FILL = _check(
    "a fee has no fill", "a fill of that id", "publish the fill that it belongs to, or void the fee",
    Records(
        "SELECT e.fact_no, e.account_id, e.fee_id, e.fill_id FROM fees e JOIN facts f ON f.fact_no = e.fact_no WHERE f.state = 0 AND NOT EXISTS ("
        "SELECT 1 FROM facts t WHERE t.record_id = e.fill_id AND t.account_id = e.account_id AND t.kind = 'fill' AND t.state = 0) AND {seen}",
        "e.fact_no", lambda row: ("fees without a fill", f"fee {row[2]} of fill {row[3]}, which is not recorded", row[2]),
    ),
)  # fmt: skip


def _rebate(row: Row) -> tuple[str, str, str] | None:
    """A fee in the currency of the cash against the cash, in the base against the quantity, in another one by the rates that records gave."""
    _, _, record, instrument, base, cash_currency, quantity, cash, quote_rate, *given = row
    for currency, amount, rate in _fees(*given):
        if amount >= ZERO:
            continue
        if currency == cash_currency:
            whole = Decimal(cash).copy_abs()
        elif currency == base:
            whole = Decimal(quantity)
        elif rate is not None and quote_rate is not None:
            whole, amount = EXACT.multiply(Decimal(cash), Decimal(quote_rate)).copy_abs(), EXACT.multiply(amount, rate)
        else:
            continue
        if EXACT.minus(amount) > EXACT.multiply(_REBATE, whole):
            return instrument, f"a fee of {canonical(amount)} {currency}, which is a rebate, on {canonical(whole)}", record
    return None


def _fees(fee: str | None, currency: str, rate: str | None, more: str | None) -> Iterator[tuple[str, Decimal, Decimal | None]]:
    if fee is not None:
        yield currency, Decimal(fee), None if rate is None else Decimal(rate)
    for charge in () if more is None else more_charges(more):
        yield tuple(charge)  # type: ignore[misc]  # a charge is a triple of just these


_TRADED = "l.instrument, l.base, coalesce(l.settle, l.quote), l.quantity, l.quote_quantity, l.quote_usd_rate"
REBATE = _check(
    "a negative fee is above 1 % of the cash", "a fee above zero: negative is a rebate", f"{_VOID} and the fee's sign turned",
    Records(
        f"SELECT l.fact_no, l.account_id, l.fill_id, {_TRADED}, l.fee, l.fee_currency, l.fee_usd_rate, l.more_fees FROM fills l "
        "JOIN facts f ON f.fact_no = l.fact_no WHERE f.state = 0 AND (l.fee LIKE '-%' OR l.more_fees LIKE '%\"-%') AND {seen}",
        "l.fact_no", _rebate,
    ),
)  # fmt: skip
LATER_REBATE = _check(
    "a later negative fee is above 1 % of the cash", "a fee above zero: negative is a rebate", f"{_VOID} and the fee's sign turned",
    Records(
        f"SELECT e.fact_no, e.account_id, e.fee_id, {_TRADED}, e.amount, e.currency, e.usd_rate, NULL FROM fees e JOIN facts f ON f.fact_no = e.fact_no "
        "JOIN facts t ON t.record_id = e.fill_id AND t.account_id = e.account_id AND t.kind = 'fill' JOIN fills l ON l.fact_no = t.fact_no "
        "WHERE f.state = 0 AND e.amount LIKE '-%' AND {seen}",
        "e.fact_no", _rebate,
        # The fill may come after its fee.
        "SELECT e.fact_no FROM fees e JOIN fills l ON l.account_id = e.account_id AND l.fill_id = e.fill_id WHERE e.amount LIKE '-%' "
        "AND l.fact_no > ? AND l.fact_no <= ?",
    ),
)  # fmt: skip


#: The snapshot before or after `s` that counts.
_NEIGHBOUR = (
    "(SELECT n.fact_no FROM equity_snapshots n JOIN facts g ON g.fact_no = n.fact_no WHERE n.account_id = s.account_id AND g.state = 0 "
    "AND n.observed_at {0} s.observed_at ORDER BY n.observed_at {1} LIMIT 1)"
)
_BEFORE, _AFTER = _NEIGHBOUR.format("<", "DESC"), _NEIGHBOUR.format(">", "ASC")
#: New snapshots, and those whose void is new: what stands beside them may have become odd.
_NEW_SNAPSHOTS = (
    "SELECT s.account_id, s.observed_at FROM equity_snapshots s WHERE s.fact_no > ?1 AND s.fact_no <= ?2 UNION ALL "
    "SELECT s.account_id, s.observed_at FROM voids v JOIN equity_snapshots s ON s.fact_no = v.target_fact_no WHERE v.fact_no > ?1 AND v.fact_no <= ?2"
)
ZERO_SNAPSHOT = _check(
    "a snapshot of 0 stands between two that are not", "what the account was worth", "void it, if the venue was only silent",
    Records(
        "SELECT s.fact_no, s.account_id, s.observed_at FROM equity_snapshots s JOIN facts f ON f.fact_no = s.fact_no WHERE s.total_value_usd = '0' "
        "AND f.state = 0 "
        f"AND (SELECT total_value_usd FROM equity_snapshots WHERE fact_no = {_BEFORE}) <> '0' "
        f"AND (SELECT total_value_usd FROM equity_snapshots WHERE fact_no = {_AFTER}) <> '0' AND {{seen}}",
        "s.fact_no", lambda row: ("snapshots", f"a snapshot of 0 at {to_text(row[2])}", to_text(row[2])),
        f"SELECT {_BEFORE} FROM ({_NEW_SNAPSHOTS}) AS s UNION SELECT {_AFTER} FROM ({_NEW_SNAPSHOTS}) AS s",
    ),
)  # fmt: skip


def _of_closed_accounts(look: Look) -> Iterator[Oddity]:
    closed = _closed_at(look.connection)
    sql = (
        "SELECT f.fact_no, f.account_id, f.kind, f.record_id FROM facts f JOIN accounts a ON a.account_id = f.account_id WHERE a.is_active = 0 "
        "AND f.state = 0 AND f.fact_no IN (SELECT fact_no FROM note_suspects WHERE check_name = ?) ORDER BY f.fact_no"
    )
    for number, account_id, kind, record_id in look.connection.execute(sql, (look.name,)):
        if number > closed.get(account_id, number):
            yield Oddity(account_id, kind, number, f"{kind} {record_id} after it was closed", record_id, Suspect(account_id, "", number))


def _suspects_of_closed_accounts(new: Slice) -> Iterator[Suspect]:
    sql = (
        "SELECT f.fact_no, f.account_id FROM facts f JOIN accounts a ON a.account_id = f.account_id WHERE a.is_active = 0 AND f.fact_no > ? AND f.fact_no <= ?"
    )
    return (Suspect(account_id, "", number) for number, account_id in new.connection.execute(sql, (new.after, new.to)))


def _closed_at(connection: Connection) -> dict[str, int]:
    """The newest fact when an account was closed, of those that are."""
    said = {content["account_id"]: content for _, content in events.of_kind(connection, events.ACCOUNT_SAVED)}
    return {account_id: content["facts_to"] for account_id, content in said.items() if not content["is_active"]}


CLOSED = NoteCheck(
    "a record came for an account that is closed", "nothing more of it", "jarvis accounts open ACCOUNT, or stop what still sends for it",
    _of_closed_accounts, _suspects_of_closed_accounts,
)  # fmt: skip


def _changed_contracts(look: Look) -> Iterator[Oddity]:
    sql = (
        "SELECT l.fact_no, l.account_id, l.instrument, l.multiplier, l.settle, l.inverse FROM fills l JOIN facts f ON f.fact_no = l.fact_no "
        "WHERE f.state = 0 AND l.fact_no IN (SELECT fact_no FROM note_suspects WHERE check_name = ?) ORDER BY l.fact_no"
    )
    terms: dict[tuple[str, str], dict[tuple[str, str, int], int]] = {}
    for number, account_id, contract, *said in look.connection.execute(sql, (look.name,)):
        terms.setdefault((account_id, contract), {}).setdefault(tuple(said), number)
    for (account_id, contract), found in terms.items():
        if len(found) > 1:
            told = "; ".join(f"multiplier {m}, settled in {s}{', inverse' if i else ''}" for m, s, i in found)
            yield Oddity(account_id, contract, len(found), told, f"fact {max(found.values())}")


def _contracts(new: Slice) -> Iterator[Suspect]:
    """The newest fill of each contract and terms stands for all of them."""
    sql = (
        "SELECT account_id, instrument, multiplier || ' ' || settle || ' ' || inverse, max(fact_no) FROM fills WHERE settle IS NOT NULL "
        "AND fact_no > ? AND fact_no <= ? GROUP BY 1, 2, 3"
    )
    for account_id, contract, terms, number in new.connection.execute(sql, (new.after, new.to)):
        yield Suspect(account_id, json.dumps([contract, terms]), number)


CONTRACT_CHANGED = NoteCheck(
    "a contract's multiplier, settlement or direction changed", "the same for every fill of a contract", f"{_VOID}, if one of them is wrong",
    _changed_contracts, _contracts, keeps_suspects=True,
)  # fmt: skip


RECORD_NOTES: Iterable[NoteCheck] = (
    AHEAD, QUOTE_QUANTITY, FEE_UNKNOWN, FEE_WITHOUT_FILL, REBATE, LATER_REBATE, ZERO_SNAPSHOT, CLOSED, CONTRACT_CHANGED,
)  # fmt: skip

"""What is odd of balances: below zero, or not what the venue says. The cash of contracts that are still open is no money that moved, and
is left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from jarvis_client.contract.decimals import EXACT, SHOWN, ZERO, canonical
from jarvis_client.contract.instants import to_text
from persistence.books.movements import CONTRACT, CURRENCY
from persistence.books.order_of_facts import newest_first
from persistence.domain.rollup import PAR, UsdRate
from persistence.engine.contract import Connection
from persistence.proof.notes import Look, NoteCheck, Oddity, Slice, Suspect, Terms

#: Later than every fact.
_EVER = 2**62
#: Decimals to compare to where a venue's own figures are whole: 0 is nothing, not a half.
_DECIMALS = 8


def open_cash(connection: Connection, account_id: str, at: int = _EVER) -> dict[str, Decimal]:
    """What the contracts that were open at an instant had moved since they were opened, by the currency that they settle in.

    Costs the fills since the oldest of them was opened.
    """
    held = _contracts_held(connection, account_id, at)
    found: dict[str, Decimal] = {}
    if not held:
        return found
    fills = connection.execute(
        "SELECT l.instrument, l.side, l.quantity, l.quote_quantity, l.inverse, l.settle FROM fills l JOIN facts f ON f.fact_no = l.fact_no "
        f"WHERE l.account_id = ? AND l.executed_at <= ? AND l.settle IS NOT NULL AND f.state = 0 ORDER BY {newest_first('l.executed_at')}",
        (account_id, at),
    )
    for contract, side, quantity, cash, inverse, settle in fills:
        position = held.get(contract)
        if position is None:
            continue
        signed = Decimal(quantity) if side == "buy" else EXACT.minus(Decimal(quantity))
        moved = Decimal(cash) if (side == "sell") != bool(inverse) else EXACT.minus(Decimal(cash))
        before = EXACT.subtract(position, signed)
        if before and (before > 0) != (position > 0):
            # It turned from long to short, or back: only the part beyond zero is open.
            moved, before = SHOWN.divide(SHOWN.multiply(moved, position.copy_abs()), signed.copy_abs()), ZERO
        found[settle] = EXACT.add(found.get(settle, ZERO), moved)
        if before:
            held[contract] = before
        else:
            del held[contract]
            if not held:
                break
    return found


def _contracts_held(connection: Connection, account_id: str, at: int) -> dict[str, Decimal]:
    sql = "SELECT currency, available, reserved FROM balances WHERE account_id = ? AND kind = ?"
    found = {}
    for contract, available, reserved in connection.execute(sql, (account_id, CONTRACT)).fetchall():
        total = EXACT.add(Decimal(available), Decimal(reserved))
        if at != _EVER:
            total = EXACT.subtract(total, _moved(connection, account_id, contract, CONTRACT, at, _EVER))
        if total:
            found[contract] = total
    return found


def _moved(connection: Connection, account_id: str, code: str, kind: str, after: int, until: int) -> Decimal:
    sql = "SELECT decimal_sum(amount) FROM transactions WHERE account_id = ? AND occurred_at > ? AND occurred_at <= ? AND currency = ? AND kind = ?"
    moved = connection.execute(sql, (account_id, after, until, code, kind)).get
    return ZERO if moved is None else Decimal(moved)


def known_rate(connection: Connection, account_id: str, currency: str, terms: Terms) -> UsdRate | None:
    """The newest USD rate that somebody said, or that the account's records told; None where there is none."""
    if currency == "USD":
        return PAR
    said = (
        "SELECT r.observed_at, r.usd_rate FROM rates r JOIN facts f ON f.fact_no = r.fact_no WHERE r.currency = ? AND f.state = 0 "
        "ORDER BY r.observed_at DESC LIMIT 1"
    )
    told = "SELECT at, rate, per FROM currency_rates WHERE account_id = ? AND currency = ? ORDER BY date DESC LIMIT 1"
    found = [row for row in (connection.execute(said, (currency,)).get, connection.execute(told, (account_id, currency)).get) if row is not None]
    if not found:
        return PAR if currency in terms.usd_like(account_id) else None
    _, usd, *per = max(found, key=lambda row: row[0])
    return UsdRate(Decimal(usd), *map(Decimal, per))


def _below_zero(look: Look) -> Iterator[Oddity]:
    totals: dict[str, dict[str, Decimal]] = {}
    below = (
        "SELECT account_id, currency, available, reserved FROM balances WHERE kind = 'currency' AND (available LIKE '-%' OR reserved LIKE '-%' "
        "OR account_id IN (SELECT account_id FROM balances WHERE kind = 'contract' AND (available <> '0' OR reserved <> '0')))"
    )
    for account_id, currency, available, reserved in look.connection.execute(below).fetchall():
        totals.setdefault(account_id, {})[currency] = EXACT.add(Decimal(available), Decimal(reserved))
    for account_id, held in sorted(totals.items()):
        for currency, cash in open_cash(look.connection, account_id).items():
            held[currency] = EXACT.subtract(held.get(currency, ZERO), cash)
        for currency, total in sorted(held.items()):
            if total >= ZERO:
                continue
            rate = known_rate(look.connection, account_id, currency, look.terms)
            worth = None if rate is None else rate.of(EXACT.minus(total))
            if worth is None or worth > look.terms.dust_usd(account_id) or not _ever_came(look.connection, account_id, currency):
                said = "of unknown rate" if worth is None else f"about {SHOWN.quantize(worth, Decimal('0.01'))} USD" if worth < 10**15 else "in USD, very much"
                yield Oddity(account_id, currency, EXACT.minus(total), f"{canonical(total)} {currency}, {said}")


def _ever_came(connection: Connection, account_id: str, currency: str) -> bool:
    """Whether anything of a currency ever came in. What only ever left is no residue, however little it is worth."""
    sql = "SELECT 1 FROM transaction_totals WHERE account_id = ? AND currency = ? AND kind = ? AND amount NOT LIKE '-%' AND amount <> '0' LIMIT 1"
    return connection.execute(sql, (account_id, currency, CURRENCY)).get is not None


BELOW_ZERO = NoteCheck(
    "a balance is below zero", "0 or more", "publish what came in and is missing: a deposit, a transfer, a fill; or void what never happened", _below_zero
)


def _reported(look: Look) -> Iterator[Oddity]:
    for suspect in look.suspects():
        oddity = _compared(look.connection, suspect.account_id, suspect.name)
        if oddity is not None:
            yield oddity._replace(suspect=suspect)


def _compared(connection: Connection, account_id: str, code: str) -> Oddity | None:
    """What the newest report and the books differ by, and since which report that agreed; None where they agree."""
    kinds = {
        kind: EXACT.add(Decimal(free), Decimal(held))
        for kind, free, held in connection.execute("SELECT kind, available, reserved FROM balances WHERE account_id = ? AND currency = ?", (account_id, code))
    }
    kind = CONTRACT if CONTRACT in kinds and CURRENCY not in kinds else CURRENCY
    reports = connection.execute(
        "SELECT b.observed_at, b.total FROM balance_reports b JOIN facts f ON f.fact_no = b.fact_no WHERE b.account_id = ? AND b.currency = ? AND f.state = 0 "
        f"ORDER BY {newest_first('b.observed_at')}",
        (account_id, code),
    ).fetchall()
    unit = Decimal(1).scaleb(-(max((len(total.partition(".")[2]) for _, total in reports), default=0) or _DECIMALS))
    books, until, difference, last, agreed = kinds.get(kind, ZERO), _EVER, ZERO, None, None
    differing = 0
    for at, said in reports:
        books, until = EXACT.subtract(books, _moved(connection, account_id, code, kind, at, until)), at
        held = EXACT.subtract(books, open_cash(connection, account_id, at).get(code, ZERO)) if kind == CURRENCY else books
        off = EXACT.subtract(Decimal(said), held)
        if off.copy_abs() < unit:
            agreed = at
            break
        if last is None:
            difference, last = off, (at, said, held)
        differing += 1
    if last is None:
        return None
    at, said, held = last
    since = "they never agreed" if agreed is None else f"they agreed last at {to_text(agreed)}"
    first = connection.execute(
        "SELECT f.kind, f.record_id, t.occurred_at FROM transactions t JOIN facts f ON f.fact_no = t.fact_no WHERE t.account_id = ? AND t.currency = ? "
        "AND t.kind = ? AND t.occurred_at > ? ORDER BY t.occurred_at, t.transaction_no LIMIT 1",
        (account_id, code, kind, -_EVER if agreed is None else agreed),
    ).get
    told = "" if first is None else f"; the first record after that: {first[0]} {first[1]} at {to_text(first[2])}"
    sign = "+" if difference > ZERO else ""
    found = f"{said} by the venue at {to_text(at)}, {canonical(held)} by the books ({sign}{canonical(difference)}); {since}, {differing} differ since{told}"
    return Oddity(account_id, code, difference.copy_abs(), found, None if first is None else f"{first[0]} {first[1]}")


def _new_reports(new: Slice) -> Iterator[Suspect]:
    sql = "SELECT DISTINCT account_id, currency FROM balance_reports WHERE fact_no > ? AND fact_no <= ?"
    return (Suspect(account_id, code, 0) for account_id, code in new.connection.execute(sql, (new.after, new.to)))


#: A fact that comes late changes what the books held at the instant of an older report, so a currency stays a suspect once it was reported.
REPORTED = NoteCheck(
    "the venue reports another balance than the books", "what the books held at that instant", "publish what is missing since, or void what is too much",
    _reported, _new_reports, keeps_suspects=True,
)  # fmt: skip

BALANCE_NOTES: Iterable[NoteCheck] = (BELOW_ZERO, REPORTED)

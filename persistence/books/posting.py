"""The work of one commit: what a batch of facts does to the rows of the books."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from persistence.books import accounts, events, facts, gaps, job_requests, movements, orders, quarantine
from persistence.books.facts import ERASED, LIVE, VOIDED, Identity, Known
from persistence.domain.errors import AccountDeleted, Conflict, Invalid
from persistence.domain.facts import Adjustment, AnyFact, Deposit, EquitySnapshot, Fill, ManualTransaction, OrderEvent, Void, Withdrawal
from persistence.domain.jobs import JobRequest
from persistence.domain.money import EXACT, ZERO, canonical
from persistence.domain.order import OrderState
from persistence.domain.outcome import APPLIED, DUPLICATE, Outcome, Reason, Refusal
from persistence.engine.contract import Connection

RawOf = Callable[[int], bytes]
#: The elements of a batch: facts, refused records, and requests for job runs.
Item = AnyFact | Refusal | JobRequest
#: Errors of one fact, not of its batch: it breaks a constraint, holds text that is not Unicode, or a number that cannot be added exactly.
UNRECORDABLE = (Invalid, OverflowError, UnicodeEncodeError, ArithmeticError)


class Posting:
    """The work of one commit. Made for it, used once, never kept: nothing is remembered from one commit to the next."""

    def __init__(self, connection: Connection, now: int, raw_of: RawOf | None, *, by_hand: bool = False, keep_refusals: bool = True) -> None:
        self._connection = connection
        self._keep_refusals = keep_refusals
        self._now = now
        self._raw_of = raw_of
        self._by_hand = by_hand
        self._totals = movements.Totals()
        self._reserved: dict[tuple[str, str], Decimal] = {}
        self._dirty: dict[str, int] = {}
        self._recheck: dict[str, int] = {}
        self._orders: dict[tuple[str, str], list[tuple[Fill, tuple[Any, ...]]]] = {}
        self._derive: set[tuple[str, str]] = set()

    def run(self, batch: Sequence[Item]) -> list[Outcome]:
        outcomes: list[Outcome] = [APPLIED] * len(batch)
        held: list[tuple[int, Refusal, int | None]] = []
        fresh, rivals = self._distinct(batch, outcomes, held)
        fresh = self._of_open_accounts(fresh, outcomes, held)
        numbered = self._identify(fresh, outcomes, held)
        self._settle_rivals(rivals, outcomes, held)
        self._record(numbered)
        self._apply_voids(numbered)
        self._update_orders()
        self._move_balances()
        accounts.mark_dirty(self._connection, self._dirty)
        if self._recheck:
            accounts.mark_recheck(self._connection, self._recheck)
        self._note_sequences(batch)
        for index, refusal, fact_no in sorted(held, key=lambda h: h[0]):
            if self._by_hand:
                raise _by_hand_error(refusal)
            new = not self._keep_refusals or quarantine.hold(self._connection, refusal, fact_no, self._now)
            outcomes[index] = Outcome("quarantined", refusal.reason, refusal.detail) if new else DUPLICATE
        return outcomes

    # -- for a rebuild: the parts of `run`, each over all facts ------------------------------------------------------------

    def derive_movements(self, numbered: list[tuple[int, AnyFact, Any]]) -> None:
        """The transactions of facts whose content is recorded."""
        self._record(numbered, content=False)
        # Orders are derived when all facts have been seen.
        self._orders.clear()
        self._derive.clear()

    def derive_voids(self, numbered: list[tuple[int, AnyFact, Any]]) -> None:
        """What voids undo, once every fact has its transactions."""
        self._apply_voids(numbered)

    def derive_balances(self, open_orders: Sequence[OrderState]) -> None:
        """Sums and balances, from everything derived before and from what open orders set aside."""
        for state in open_orders:
            amount, currency = state.reserved()
            if currency is not None:
                self._reserve(state.account_id, currency, amount)
        self._move_balances()

    # -- who is new --------------------------------------------------------------------------------------------------

    def _distinct(
        self, batch: Sequence[Item], outcomes: list[Outcome], held: list[tuple[int, Refusal, int | None]]
    ) -> tuple[dict[Identity, tuple[int, AnyFact]], list[tuple[int, AnyFact]]]:
        """The first fact of each identity, and later facts that differ from it. A fact that stands twice in the batch is a duplicate."""
        found: dict[Identity, tuple[int, AnyFact]] = {}
        rivals: list[tuple[int, AnyFact]] = []
        for index, item in enumerate(batch):
            if type(item) is Refusal:
                held.append((index, item, None))
                continue
            if type(item) is JobRequest:
                outcomes[index] = APPLIED if job_requests.file_request(self._connection, item, self._now) else DUPLICATE
                continue
            fact: AnyFact = item  # type: ignore[assignment]  # narrowing by `type() is`, which is what makes it quick
            key = (fact[1], fact[0], fact.kind)
            if key not in found:
                found[key] = (index, fact)
                continue
            at, first = found[key]
            if first.digest != fact.digest:
                rivals.append((index, fact))
                continue
            outcomes[index] = DUPLICATE
            if _pair(fact) < _pair(first):
                found[key] = (at, first._replace(producer=fact.producer, sequence=fact.sequence))
        return found, rivals

    def _of_open_accounts(
        self,
        fresh: dict[Identity, tuple[int, AnyFact]],
        outcomes: list[Outcome],
        held: list[tuple[int, Refusal, int | None]],
    ) -> dict[Identity, tuple[int, AnyFact]]:
        """Open the accounts that are new; facts of deleted ones go to quarantine, unless they are known (or saved by hand)."""
        account_ids = dict.fromkeys(key[1] for key in fresh)
        deleted = accounts.open_unknown(self._connection, account_ids, self._now, reopen=self._by_hand)
        if not deleted:
            return fresh
        late = {key: value for key, value in fresh.items() if key[1] in deleted}
        known = facts.find_known(self._connection, list(late))
        for key, (index, fact) in late.items():
            record = known.get(key)
            if record is not None and record.digest == fact.digest:
                outcomes[index] = DUPLICATE
            else:
                detail = f"account {key[1]} was deleted; save the account to reopen it, then replay"
                held.append((index, self._refuse(index, fact, Reason.ACCOUNT_DELETED, detail), None))
        return {key: value for key, value in fresh.items() if key not in late}

    def _identify(
        self, fresh: dict[Identity, tuple[int, AnyFact]], outcomes: list[Outcome], held: list[tuple[int, Refusal, int | None]]
    ) -> list[tuple[int, AnyFact, Any]]:
        """Give every new fact its number and record its identity; what is recorded already is a duplicate or a conflict."""
        if not fresh:
            return []
        connection, now = self._connection, self._now
        number = facts.next_fact_no(connection)
        numbered: list[tuple[int, AnyFact, Any]] = []
        rows: dict[Identity, tuple[Any, ...]] = {}
        sha256 = hashlib.sha256
        for key, (_, fact) in fresh.items():
            if type(fact) is Fill:
                texts = fact.texts()
                digest, instant = sha256(fact.content_of(texts).encode()).digest(), texts[13]
            else:
                texts, digest, instant = None, fact.digest, fact.instant
            rows[key] = (number, key[2], key[1], key[0], instant, fact[-1], fact[-2], digest, now)
            numbered.append((number, fact, texts))
            number += 1
        # Nearly always every fact is new: insert first, and look identities up only if fewer rows were inserted.
        connection.execute("SAVEPOINT identities")
        if connection.insert_many(facts.INSERT_IDENTITY, list(rows.values())) == len(rows):
            connection.execute("RELEASE identities")
            return numbered
        connection.execute("ROLLBACK TO identities")
        connection.execute("RELEASE identities")
        known = facts.find_known(connection, list(rows))
        return self._settle_known(known, fresh, rows, numbered, outcomes, held)

    def _settle_known(
        self,
        known: dict[Identity, Known],
        fresh: dict[Identity, tuple[int, AnyFact]],
        rows: dict[Identity, tuple[Any, ...]],
        numbered: list[tuple[int, AnyFact, Any]],
        outcomes: list[Outcome],
        held: list[tuple[int, Refusal, int | None]],
    ) -> list[tuple[int, AnyFact, Any]]:
        new: list[tuple[int, AnyFact, Any]] = []
        inserts = []
        for (key, row), (number, fact, texts) in zip(rows.items(), numbered, strict=True):
            record = known.get(key)
            index = fresh[key][0]
            if record is None:
                inserts.append(row)
                new.append((number, fact, texts))
            elif record.state == ERASED and self._by_hand:
                # An explicit save records anew what went with its account.
                self._connection.execute(
                    "UPDATE facts SET occurred_at = ?, sequence = ?, producer = ?, digest = ?, state = 0, recorded_at = ? WHERE fact_no = ?",
                    (row[4], row[5], row[6], row[7], self._now, record.fact_no),
                )
                new.append((record.fact_no, fact, texts))
                events.record(self._connection, events.RECORDED_ANEW, self._now, {"fact_no": record.fact_no})
                self._changed_in_place(fact[0], fact.instant)
            elif record.digest == row[7]:
                outcomes[index] = DUPLICATE
                if _pair(fact) < _pair(record):
                    self._take_earlier_pair(record, fact)
            else:
                held.append((index, self._conflict(index, fact), record.fact_no))
        self._connection.insert_many(facts.INSERT_IDENTITY, inserts)
        return new

    def _settle_rivals(self, rivals: list[tuple[int, AnyFact]], outcomes: list[Outcome], held: list[tuple[int, Refusal, int | None]]) -> None:
        """Two facts of this batch share an identity and differ. If the books already hold the second, it is the duplicate and the first is
        the conflict."""
        if not rivals:
            return
        known = facts.find_known(self._connection, [(f[1], f[0], f.kind) for _, f in rivals])
        for index, fact in rivals:
            record = known.get((fact[1], fact[0], fact.kind))
            if record is not None and record.digest == fact.digest:
                outcomes[index] = DUPLICATE
                if _pair(fact) < _pair(record):
                    self._take_earlier_pair(record, fact)
            else:
                held.append((index, self._conflict(index, fact), None if record is None else record.fact_no))

    def _take_earlier_pair(self, record: Known, fact: AnyFact) -> None:
        """Of two deliveries of one record the smaller (sequence, producer) counts: it decides the order of facts."""
        self._connection.execute("UPDATE facts SET sequence = ?, producer = ? WHERE fact_no = ?", (fact.sequence, fact.producer, record.fact_no))
        content = {"fact_no": record.fact_no, "before": [record.sequence, record.producer], "after": [fact.sequence, fact.producer]}
        events.record(self._connection, events.PLACE_CHANGED, self._now, content)
        if record.state == ERASED:
            return
        self._changed_in_place(fact[0], fact.instant)
        order = facts.order_of_fact(self._connection, fact.kind, record.fact_no)
        if order is not None:
            self._derive.add(order)

    # -- what they say -----------------------------------------------------------------------------------------------

    def _record(self, numbered: list[tuple[int, AnyFact, Any]], *, content: bool = True) -> None:
        """The content of each fact, its transactions, and which orders it touches."""
        fills: list[tuple[Any, ...]] = []
        flows: list[tuple[Any, ...]] = []
        events: list[tuple[Any, ...]] = []
        snapshots: list[tuple[Any, ...]] = []
        voids: list[tuple[Any, ...]] = []
        entries: list[tuple[Any, ...]] = []
        moved: list[movements.TransactionRow] = []
        totals, dirty, touched = self._totals, self._dirty, self._orders
        for number, fact, texts in numbered:
            if type(fact) is Fill:
                fills.append((number, *texts))
                movements.fill_transactions(number, fact, texts, totals, moved)
                touched.setdefault((fact[2], fact[0]), []).append((fact, texts))
                instant = texts[13]
            else:
                instant = fact.instant
                match fact:
                    case Deposit() | Withdrawal():
                        amount = canonical(fact.amount)
                        flows.append(facts.flow_row(number, fact, amount))
                        movements.flow_transaction(number, fact, totals, moved)
                    case OrderEvent():
                        events.append(facts.order_event_row(number, fact))
                        self._derive.add((fact.order_id, fact.account_id))
                    case EquitySnapshot():
                        snapshots.append(facts.snapshot_row(number, fact))
                    case Void():
                        voids.append(facts.void_row(number, fact))
                    case ManualTransaction() | Adjustment():
                        entries.append(facts.entry_row(number, fact))
                        movements.flow_transaction(number, fact, totals, moved)
                        self._reserve(fact.account_id, fact.currency, fact.reserved)
            account_id = fact[0]
            least = dirty.get(account_id)
            if least is None or instant < least:
                dirty[account_id] = instant
        if not content:
            self._connection.insert_many(movements.INSERT, moved)
            return
        facts.write_all(
            self._connection,
            [
                (facts.INSERT_FILL, fills), (facts.INSERT_FLOW, flows), (facts.INSERT_ORDER_EVENT, events), (facts.INSERT_SNAPSHOT, snapshots),
                (facts.INSERT_VOID, voids), (facts.INSERT_ENTRY, entries), (movements.INSERT, moved),
            ],
        )  # fmt: skip

    # -- what no longer counts ---------------------------------------------------------------------------------------

    def _apply_voids(self, numbered: list[tuple[int, AnyFact, Any]]) -> None:
        connection = self._connection
        for number, fact, _ in numbered:
            if type(fact) is not Void:
                continue
            key = (fact.target_id, fact.account_id, fact.target_kind)
            target = facts.find_known(connection, [key]).get(key)
            if target is not None and target.state != ERASED:
                connection.execute("UPDATE voids SET target_fact_no = ? WHERE fact_no = ?", (target.fact_no, number))
                if target.state == LIVE:
                    self._void(target.fact_no, fact.target_kind)
        if connection.execute("SELECT 1 FROM voids WHERE target_fact_no IS NULL LIMIT 1").get is None:
            return
        sql = "SELECT fact_no FROM voids WHERE account_id = ? AND target_id = ? AND target_kind = ? AND target_fact_no IS NULL"
        for number, fact, _ in numbered:
            waiting = connection.execute(sql, (fact[0], fact[1], fact.kind)).fetchall()
            if waiting:
                connection.executemany("UPDATE voids SET target_fact_no = ? WHERE fact_no = ?", [(number, void_no) for (void_no,) in waiting])
                # Another void of this very commit may have done it already.
                if connection.execute("SELECT state FROM facts WHERE fact_no = ?", (number,)).get == LIVE:
                    self._void(number, fact.kind)

    def _void(self, fact_no: int, kind: str) -> None:
        """Mark a live fact as voided and undo what it moved."""
        connection = self._connection
        account_id, instant = connection.execute("SELECT account_id, occurred_at FROM facts WHERE fact_no = ?", (fact_no,)).get
        connection.execute("UPDATE facts SET state = ? WHERE fact_no = ?", (VOIDED, fact_no))
        connection.executemany(movements.INSERT, movements.reversal_rows(connection, fact_no, self._totals))
        if kind == Adjustment.kind:
            currency, reserved = connection.execute("SELECT currency, reserved FROM entries WHERE fact_no = ?", (fact_no,)).get
            self._reserve(account_id, currency, EXACT.minus(Decimal(reserved)))
        order = facts.order_of_fact(connection, kind, fact_no)
        if order is not None:
            self._derive.add(order)
        self._touch(account_id, instant)

    # -- what follows ------------------------------------------------------------------------------------------------

    def _update_orders(self) -> None:
        """Every order that a fact of this commit belongs to. One plain fill needs only its order's row; anything else is
        derived again from the order's facts."""
        keys = list({**self._orders, **dict.fromkeys(self._derive)}) if self._derive else list(self._orders)
        if not keys:
            return
        stored = orders.find_states(self._connection, keys)
        writer = orders.StateWriter()
        for key in keys:
            known = stored.get(key)
            fills = self._orders.get(key, [])
            if key not in self._derive:
                if known is None and len(fills) == 1 and (row := orders.single_fill_row(*fills[0])) is not None:
                    writer.insert(row)
                    continue
                if known is not None and all(known.state.add(fill) for fill, _ in fills):
                    self._write_order(writer, known, known.state)
                    continue
            self._write_order(writer, known, OrderState.derive(facts.facts_of_order(self._connection, *key)))
        writer.write(self._connection)

    def _write_order(self, writer: orders.StateWriter, known: orders.Stored | None, state: OrderState | None) -> None:
        if known is not None and known.reserved_currency is not None:
            self._reserve(known.account_id, known.reserved_currency, EXACT.minus(known.reserved))
        if state is not None:
            amount, currency = state.reserved()
            if currency is not None:
                self._reserve(state.account_id, currency, amount)
        writer.put(known, state)

    def _move_balances(self) -> None:
        self._totals.write(self._connection)
        moved = self._totals.by_currency()
        keys = list({**moved, **self._reserved})
        accounts.move_balances(self._connection, [(*key, moved.get(key, ZERO), self._reserved.get(key, ZERO)) for key in keys], self._now)

    def _note_sequences(self, batch: Sequence[Item]) -> None:
        """Every delivery counts as arrived, whatever became of it: a quarantined record closes its gap."""
        arrived: dict[str, set[int]] = {}
        for item in batch:
            producer = item.producer
            if producer is not None and item.sequence is not None:
                arrived.setdefault(producer, set()).add(item.sequence)
        if arrived:
            gaps.note(self._connection, arrived, self._now)

    def _reserve(self, account_id: str, currency: str, amount: Decimal) -> None:
        if amount:
            key = (account_id, currency)
            self._reserved[key] = EXACT.add(self._reserved.get(key, ZERO), amount)

    def _touch(self, account_id: str, instant: int) -> None:
        self._dirty[account_id] = min(instant, self._dirty.get(account_id, instant))

    def _changed_in_place(self, account_id: str, instant: int) -> None:
        """Mark a recorded fact that changed in place: it has no new number by which the rollup would find it."""
        self._touch(account_id, instant)
        self._recheck[account_id] = min(instant, self._recheck.get(account_id, instant))

    # -- refusals ----------------------------------------------------------------------------------------------------

    def _conflict(self, index: int, fact: AnyFact) -> Refusal:
        detail = f"{fact.kind} {fact[1]} of account {fact[0]} is recorded with other content; a mistake is corrected by a void and a new record under a new id"
        return self._refuse(index, fact, Reason.CONFLICT, detail)

    def _refuse(self, index: int, fact: AnyFact, reason: Reason, detail: str) -> Refusal:
        return refusal_of(fact, reason, detail, self._raw_of, index)


def refusal_of(item: Item, reason: Reason, detail: str, raw_of: RawOf | None, index: int = 0) -> Refusal:
    """An element of a batch on its way to quarantine, with the bytes it arrived as."""
    if isinstance(item, Refusal):
        return item
    if isinstance(item, JobRequest):
        return Refusal(b"" if raw_of is None else raw_of(index), str(reason), detail, "job", None, item.request_id, item.producer, item.sequence)
    raw = raw_of(index) if raw_of is not None else json.dumps(item.record(), ensure_ascii=False).encode("utf-8", "surrogatepass")
    return Refusal(raw, str(reason), detail, item.kind, item[0], item[1], item.producer, item.sequence)


def _pair(delivery: AnyFact | Known) -> tuple[int, str]:
    return -1 if delivery.sequence is None else delivery.sequence, delivery.producer or ""


def _by_hand_error(refusal: Refusal) -> Conflict | AccountDeleted:
    return (Conflict if refusal.reason == Reason.CONFLICT else AccountDeleted)(refusal.detail)

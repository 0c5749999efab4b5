"""The work of one commit: what a batch of facts does to the rows of the books."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

from jarvis_client.contract.decimals import EXACT, ZERO
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.facts import Fee, Fill, OrderEvent, Void
from jarvis_client.contract.jobs import JobRequest
from jarvis_client.contract.outcome import APPLIED, DUPLICATE, Outcome, Reason, Refusal
from persistence.books import accounts, events, facts, gaps, job_requests, movements, orders, quarantine
from persistence.books.facts import ERASED, LIVE, VOIDED, Identity, Known
from persistence.books.orders import OrderId
from persistence.domain.differing import differing, in_words
from persistence.domain.entries import Adjustment, AnyFact, ManualTransaction
from persistence.domain.errors import AccountDeleted, Conflict
from persistence.domain.order_state import OrderKey, OrderState, derive_orders
from persistence.domain.ready import ReadyFill, as_it_was
from persistence.engine.contract import Connection

RawOf = Callable[[int], bytes]
#: What may be recorded. A fill that its reader has not made ready is made so here.
Recordable = AnyFact | ReadyFill
#: The elements of a batch: facts, refused records, and requests for job runs.
Item = Recordable | Refusal | JobRequest
#: New facts with their numbers.
Numbered = Sequence[tuple[int, Recordable]]
#: Errors of one fact, not of its batch: it breaks a constraint, holds text that is not Unicode, or a number that cannot be added exactly.
UNRECORDABLE = (Invalid, OverflowError, UnicodeEncodeError, ArithmeticError)


#: Where every fact has its account and its own id: read by place, because it is read for each.
ACCOUNT_ID, RECORD_ID = 0, 1


class Posting:
    """The work of one commit. Made for it, used once, never kept: nothing is remembered from one commit to the next."""

    def __init__(self, connection: Connection, now: int, raw_of: RawOf | None, *, by_hand: bool = False, keep_refusals: bool = True) -> None:
        self._connection = connection
        self._keep_refusals = keep_refusals
        self._now = now
        self._raw_of = raw_of
        self._by_hand = by_hand
        self._totals = movements.Totals()
        #: What is set aside, by account and currency.
        self._reserved: dict[tuple[str, str], Decimal] = {}
        self._dirty: dict[str, int] = {}
        self._recheck: dict[str, int] = {}
        #: New fills by (order id, account), and the order ids that have to be derived from all of their facts.
        self._orders: dict[OrderId, list[ReadyFill]] = {}
        self._derive: set[OrderId] = set()
        #: Gaps that the numbers of this commit show.
        self.gaps_opened: list[gaps.Opened] = []

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
        self._dirty.pop("", None)  # rates are of no account
        accounts.mark_dirty(self._connection, self._dirty, max((number for number, _ in numbered), default=0))
        if self._recheck:
            accounts.mark_recheck(self._connection, self._recheck)
        self._note_sequences(batch, numbered)
        for index, refused, fact_no in sorted(held, key=lambda h: h[0]):
            refusal = refused if fact_no is None else self._saying_what_differs(refused, batch[index], fact_no)
            if self._by_hand:
                raise _by_hand_error(refusal)
            new = not self._keep_refusals or quarantine.hold(self._connection, refusal, fact_no, self._now)
            # What is held already came again: it is not recorded either, so it says why, too.
            outcomes[index] = Outcome("quarantined" if new else "duplicate", refusal.reason, refusal.detail)
        return outcomes

    # -- for a rebuild: the parts of `run`, each over all facts ------------------------------------------------------------

    def derive_movements(self, moved: list[tuple[Any, ...]], others: Iterable[AnyFact]) -> None:
        """The rows of transactions of facts whose content is recorded; `others` than fills may set something aside, too."""
        self._move(moved)
        for fact in others:
            if isinstance(fact, ManualTransaction | Adjustment):
                self._reserve(fact.account_id, fact.currency, fact.reserved)

    def derive_voids(self, numbered: Numbered) -> None:
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
    ) -> tuple[dict[Identity, tuple[int, Recordable]], list[tuple[int, Recordable]]]:
        """The first fact of each identity, and later facts that differ from it. A fact that stands twice in the batch is a duplicate."""
        found: dict[Identity, tuple[int, Recordable]] = {}
        rivals: list[tuple[int, Recordable]] = []
        for index, item in enumerate(batch):
            if type(item) is Refusal:
                held.append((index, item, None))
                continue
            if type(item) is JobRequest:
                outcomes[index] = APPLIED if job_requests.file_request(self._connection, item, self._now) else DUPLICATE
                continue
            # Narrowing by `type() is` is what makes it quick.
            fact: Recordable = ReadyFill.of(item) if type(item) is Fill else item  # type: ignore[assignment]
            key: Identity = (fact[RECORD_ID], fact[ACCOUNT_ID], fact.kind)  # type: ignore[assignment]  # every fact begins with both
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
        fresh: dict[Identity, tuple[int, Recordable]],
        outcomes: list[Outcome],
        held: list[tuple[int, Refusal, int | None]],
    ) -> dict[Identity, tuple[int, Recordable]]:
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

    def _identify(self, fresh: dict[Identity, tuple[int, Recordable]], outcomes: list[Outcome], held: list[tuple[int, Refusal, int | None]]) -> Numbered:
        """Give every new fact its number and record its identity; what is recorded already is a duplicate or a conflict."""
        if not fresh:
            return []
        connection, now = self._connection, self._now
        numbered: list[tuple[int, Recordable]] = []
        rows: list[tuple[Any, ...]] = []
        for ((record_id, account_id, kind), (_, fact)), number in zip(fresh.items(), connection.fact_numbers(len(fresh)), strict=True):
            rows.append((number, kind, account_id, record_id, fact.sort_key, fact.instant, fact.sequence, fact.producer, fact.digest, now))
            numbered.append((number, fact))
        # Nearly always every fact is new: insert first, and look identities up only if fewer rows were inserted.
        if connection.insert_many(facts.INSERT_IDENTITY, rows) == len(rows):
            return numbered
        return self._settle_known(fresh, numbered, outcomes, held)

    def _settle_known(
        self,
        fresh: dict[Identity, tuple[int, Recordable]],
        numbered: Numbered,
        outcomes: list[Outcome],
        held: list[tuple[int, Refusal, int | None]],
    ) -> Numbered:
        known = facts.find_known(self._connection, list(fresh))
        new: list[tuple[int, Recordable]] = []
        for (key, (index, fact)), (number, _) in zip(fresh.items(), numbered, strict=True):
            record = known[key]
            if record.fact_no == number:  # nobody else has that number: it was new
                new.append((number, fact))
            elif record.state == ERASED and self._by_hand:
                # An explicit save records anew what went with its account.
                self._connection.execute(
                    "UPDATE facts SET occurred_at = ?, sequence = ?, producer = ?, digest = ?, state = 0, recorded_at = ? WHERE fact_no = ?",
                    (fact.instant, fact.sequence, fact.producer, fact.digest, self._now, record.fact_no),
                )
                new.append((record.fact_no, fact))
                events.record(self._connection, events.RECORDED_ANEW, self._now, {"fact_no": record.fact_no, "before": [record.sequence, record.producer]})
                self._changed_in_place(fact)
            elif record.digest == fact.digest:
                outcomes[index] = DUPLICATE
                if _pair(fact) < _pair(record):
                    self._take_earlier_pair(record, fact)
            else:
                held.append((index, self._conflict(index, fact), record.fact_no))
        return new

    def _settle_rivals(self, rivals: list[tuple[int, Recordable]], outcomes: list[Outcome], held: list[tuple[int, Refusal, int | None]]) -> None:
        """Two facts of this batch share an identity and differ. If the books already hold the second, it is the duplicate and the first is
        the conflict."""
        if not rivals:
            return
        known = facts.find_known(self._connection, [(f.record_id, f.account_id, f.kind) for _, f in rivals])
        for index, fact in rivals:
            record = known.get((fact.record_id, fact.account_id, fact.kind))
            if record is not None and record.digest == fact.digest:
                outcomes[index] = DUPLICATE
                if _pair(fact) < _pair(record):
                    self._take_earlier_pair(record, fact)
            else:
                held.append((index, self._conflict(index, fact), None if record is None else record.fact_no))

    def _take_earlier_pair(self, record: Known, fact: Recordable) -> None:
        """Of two deliveries of one record the smaller (sequence, producer) counts: it decides the order of facts."""
        self._connection.execute("UPDATE facts SET sequence = ?, producer = ? WHERE fact_no = ?", (fact.sequence, fact.producer, record.fact_no))
        content = {"fact_no": record.fact_no, "before": [record.sequence, record.producer], "after": [fact.sequence, fact.producer]}
        events.record(self._connection, events.PLACE_CHANGED, self._now, content)
        if record.state == ERASED:
            return
        self._changed_in_place(fact)
        order = facts.order_of_fact(self._connection, fact.kind, record.fact_no)
        if order is not None:
            self._derive.add(order)

    # -- what they say -----------------------------------------------------------------------------------------------

    def _record(self, numbered: Numbered) -> None:
        """The content of each fact, its transactions, and which orders it touches."""
        rows: dict[str, list[tuple[Any, ...]]] = {}
        moved: list[tuple[Any, ...]] = []
        fills = rows.setdefault(facts.FILLS.table, [])
        dirty, touched = self._dirty, self._orders
        for number, fact in numbered:
            if type(fact) is ReadyFill:
                account_id, _, instant, order_id, texts, *_ = fact
                fills.append((number, *texts))
                moved += movements.fill_rows(number, texts)
                if order_id is not None:
                    touched.setdefault((order_id, account_id), []).append(fact)
            else:
                other: AnyFact = fact  # type: ignore[assignment]  # narrowed by `type() is`
                kept = facts.CONTENT_OF[other.kind]
                rows.setdefault(kept.table, []).append(kept.row(number, other))
                moved += movements.flow_rows(number, other)
                account_id, instant = other.account_id, self._touched_by(other)
            least = dirty.get(account_id)
            if least is None or instant < least:
                dirty[account_id] = instant
        facts.write_all(self._connection, [(kept.insert, rows[kept.table]) for kept in facts.CONTENTS if rows.get(kept.table)])
        self._move(moved)

    def _move(self, moved: list[tuple[Any, ...]]) -> None:
        """Write some rows of transactions, and count them in the sums."""
        self._connection.insert_many(movements.INSERT, moved)
        self._totals.add(moved)
        self._totals.fold()

    def _touched_by(self, fact: AnyFact) -> int:
        """Which orders a fact belongs to, what it sets aside, and the least instant that it changes."""
        if isinstance(fact, OrderEvent):
            self._derive.add((fact.order_id, fact.account_id))
        elif isinstance(fact, ManualTransaction | Adjustment):
            self._reserve(fact.account_id, fact.currency, fact.reserved)
        elif isinstance(fact, Fee):
            return self._least_of_fee(fact.account_id, fact.fill_id, fact.instant)
        return fact.instant

    def _least_of_fee(self, account_id: str, fill_id: str, instant: int) -> int:
        """The least instant that a fee bears on: in the balance it counts at its own, in the trade at that of its fill."""
        sql = "SELECT executed_at FROM fills l JOIN facts f USING (fact_no) WHERE f.record_id = ? AND f.account_id = ? AND f.kind = 'fill'"
        executed_at = self._connection.execute(sql, (fill_id, account_id)).get
        return instant if executed_at is None else min(instant, int(executed_at))

    # -- what no longer counts ---------------------------------------------------------------------------------------

    def _apply_voids(self, numbered: Numbered) -> None:
        connection = self._connection
        others = [(number, fact) for number, fact in numbered if type(fact) is not ReadyFill]
        voids = [(number, fact) for number, fact in others if isinstance(fact, Void)]
        targets = facts.find_known(connection, [(void.target_id, void.account_id, void.target_kind) for _, void in voids])
        for number, void in voids:
            target = targets.get((void.target_id, void.account_id, void.target_kind))
            if target is not None and target.state != ERASED:
                connection.execute("UPDATE voids SET target_fact_no = ? WHERE fact_no = ?", (target.fact_no, number))
                self._void(target.fact_no, void.target_kind)
            if void.target_kind == Fill.kind:
                # A fill's further fees go with it, whether it came already or not.
                later = "SELECT fact_no FROM fees WHERE account_id = ? AND fill_id = ? ORDER BY fact_no"
                for (fee_no,) in connection.execute(later, (void.account_id, void.target_id)).fetchall():
                    self._void(fee_no, Fee.kind)
        self._void_fees_of_voided_fills([(number, fact) for number, fact in others if isinstance(fact, Fee)])
        if connection.execute("SELECT 1 FROM voids WHERE target_fact_no IS NULL LIMIT 1").get is None:
            return
        sql = (
            "SELECT account_id, target_id, target_kind, fact_no FROM voids "
            "WHERE account_id = ? AND target_id = ? AND target_kind = ? AND target_fact_no IS NULL"
        )
        numbers = {(fact.account_id, fact.record_id, fact.kind): number for number, fact in numbered}
        for account_id, target_id, kind, void_no in connection.lookup(sql, list(numbers)):
            number = numbers[account_id, target_id, kind]
            connection.execute("UPDATE voids SET target_fact_no = ? WHERE fact_no = ?", (number, void_no))
            self._void(number, kind)

    def _void_fees_of_voided_fills(self, fees: list[tuple[int, Fee]]) -> None:
        if not fees:
            return
        sql = "SELECT account_id, target_id FROM voids WHERE account_id = ? AND target_id = ? AND target_kind = 'fill'"
        voided = set(self._connection.lookup(sql, sorted({(fee.account_id, fee.fill_id) for _, fee in fees})))
        for number, fee in fees:
            if (fee.account_id, fee.fill_id) in voided:
                self._void(number, Fee.kind)

    def _void(self, fact_no: int, kind: str) -> None:
        """Mark a fact as voided and undo what it moved; nothing where that was done before."""
        connection = self._connection
        account_id, instant, state = connection.execute("SELECT account_id, occurred_at, state FROM facts WHERE fact_no = ?", (fact_no,)).get
        if state != LIVE:
            return
        connection.execute("UPDATE facts SET state = ? WHERE fact_no = ?", (VOIDED, fact_no))
        connection.executemany(movements.INSERT, movements.reversal_rows(connection, fact_no, self._totals))
        if kind == Adjustment.kind:
            currency, reserved = connection.execute("SELECT currency, reserved FROM entries WHERE fact_no = ?", (fact_no,)).get
            self._reserve(account_id, currency, EXACT.minus(Decimal(reserved)))
        order = facts.order_of_fact(connection, kind, fact_no)
        if order is not None:
            self._derive.add(order)
        if kind == Fee.kind:
            instant = self._least_of_fee(account_id, connection.execute("SELECT fill_id FROM fees WHERE fact_no = ?", (fact_no,)).get, instant)
        self._touch(account_id, instant)

    # -- what follows ------------------------------------------------------------------------------------------------

    def _update_orders(self) -> None:
        """Every order that a fact of this commit belongs to. One plain fill needs only its order's row; anything else is
        derived again from the facts of its order id."""
        ids = list({**self._orders, **dict.fromkeys(self._derive)}) if self._derive else list(self._orders)
        if not ids:
            return
        connection = self._connection
        stored = orders.find_states(connection, ids)
        waiting = orders.waiting_ids(connection, ids) if orders.events_wait(connection) else set()
        writer = orders.StateWriter()
        for order_id in ids:
            known = stored.get(order_id, {})
            fills = self._orders.get(order_id, [])
            if order_id not in self._derive and order_id not in waiting:
                if not known and len(fills) == 1:
                    writer.insert(orders.single_fill_row(fills[0].texts))
                    continue
                if len(known) == 1 and all(self._counts_in(known, fill.fact) for fill in fills):
                    for order in known.values():
                        self._write_order(writer, order, order.state)
                    continue
            derived = derive_orders(facts.facts_of_order(connection, *order_id))
            if order_id in self._derive or order_id in waiting:
                orders.mark_waiting(connection, order_id, derived.waiting)
            states = {state.key: state for state in derived.orders}
            for key in {**known, **states}:
                self._write_order(writer, known.get(key), states.get(key))
        writer.write(connection)

    @staticmethod
    def _counts_in(known: dict[OrderKey, orders.Stored], fill: Fill) -> bool:
        """Add a fill to its order; False where the other facts have to be read again."""
        order = known.get(OrderKey(fill.instrument, fill.settle is not None, fill.side))
        return order is not None and order.state.add(fill)

    def _write_order(self, writer: orders.StateWriter, known: orders.Stored | None, state: OrderState | None) -> None:
        if known is not None and known.reserved_currency is not None:
            self._reserve(known.state.account_id, known.reserved_currency, EXACT.minus(known.reserved))
        if state is not None:
            amount, currency = state.reserved()
            if currency is not None:
                self._reserve(state.account_id, currency, amount)
        writer.put(known, state)

    def _move_balances(self) -> None:
        self._totals.write(self._connection)
        moved = self._totals.by_balance()
        reserved = {(account_id, currency, movements.CURRENCY): amount for (account_id, currency), amount in self._reserved.items()}
        keys = {**moved, **reserved}
        changes = [accounts.BalanceChange(*key, moved.get(key, ZERO), reserved.get(key, ZERO)) for key in keys]
        accounts.move_balances(self._connection, changes, self._now)

    def _note_sequences(self, batch: Sequence[Item], numbered: Numbered) -> None:
        """Every delivery counts as arrived, whatever became of it: a quarantined record closes its gap."""
        arrived: dict[str, set[int]] = {}
        for item in batch:
            producer = item.producer
            if producer is not None and item.sequence is not None:
                arrived.setdefault(producer, set()).add(item.sequence)
        if not arrived:
            return
        if len(numbered) < len(batch):
            # No fact keeps the number of a record that was known already, or refused.
            kept = {(fact.producer, fact.sequence) for _, fact in numbered}
            for producer, spent in gaps.not_counted(self._connection, arrived).items():
                runs = gaps.runs(number for number in spent if (producer, number) not in kept)
                if runs:
                    events.record(self._connection, events.NUMBERS_SPENT, self._now, {"producer": producer, "numbers": runs})
        self.gaps_opened = gaps.note(self._connection, arrived, self._now)

    def _reserve(self, account_id: str, currency: str, amount: Decimal) -> None:
        if amount:
            key = (account_id, currency)
            self._reserved[key] = EXACT.add(self._reserved.get(key, ZERO), amount)

    def _touch(self, account_id: str, instant: int) -> None:
        self._dirty[account_id] = min(instant, self._dirty.get(account_id, instant))

    def _changed_in_place(self, fact: Recordable) -> None:
        """Mark a recorded fact that changed in place: it has no new number by which the rollup would find it."""
        account_id, instant = fact.account_id, fact.instant
        if isinstance(fact, Fee):
            instant = self._least_of_fee(account_id, fact.fill_id, instant)
        self._touch(account_id, instant)
        self._recheck[account_id] = min(instant, self._recheck.get(account_id, instant))

    # -- refusals ----------------------------------------------------------------------------------------------------

    def _conflict(self, index: int, fact: Recordable) -> Refusal:
        of = f" of account {fact.account_id}" if fact.account_id else ""
        return self._refuse(index, fact, Reason.CONFLICT, f"{fact.kind} {fact.record_id}{of} is recorded with other content")

    def _saying_what_differs(self, refusal: Refusal, arrived: Item, fact_no: int) -> Refusal:
        """Asked once everything is recorded, because the recorded version may be of the same batch."""
        recorded = facts.recorded_fact(self._connection, fact_no)
        fields = "" if recorded is None else in_words(differing(as_it_was(arrived), recorded))
        said = f" ({fields})" if fields else ""
        return refusal._replace(detail=f"{refusal.detail}{said}; a mistake is corrected by a void and a new record under a new id")

    def _refuse(self, index: int, fact: Recordable, reason: Reason, detail: str) -> Refusal:
        return refusal_of(fact, reason, detail, self._raw_of, index)


def refusal_of(item: Item, reason: Reason, detail: str, raw_of: RawOf | None, index: int = 0) -> Refusal:
    """An element of a batch on its way to quarantine, with the bytes it arrived as."""
    if isinstance(item, Refusal):
        return item
    if isinstance(item, JobRequest):
        return Refusal(b"" if raw_of is None else raw_of(index), str(reason), detail, "job", None, item.request_id, item.producer, item.sequence)
    raw = raw_of(index) if raw_of is not None else json.dumps(item.record(), ensure_ascii=False).encode("utf-8", "surrogatepass")
    return Refusal(raw, str(reason), detail, item.kind, item.account_id or None, item.record_id, item.producer, item.sequence)


def _pair(delivery: Recordable | Known) -> tuple[int, str]:
    return -1 if delivery.sequence is None else delivery.sequence, delivery.producer or ""


def _by_hand_error(refusal: Refusal) -> Conflict | AccountDeleted:
    return (Conflict if refusal.reason == Reason.CONFLICT else AccountDeleted)(refusal.detail)

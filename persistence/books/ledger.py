"""The ledger: a batch of facts in, one commit, an outcome for every fact.

Facts commute. Whatever a fact does to the books is a function of the set of recorded facts, so late, doubled and shuffled
deliveries end in the same books. Per commit:

    identities   one row per fact; what is known already is a duplicate, or a conflict for quarantine
    content      the row of each fact in the table of its kind
    movements    its transactions, and the sums they move
    voids        reversals of what is voided, whether the void came first or last
    orders       derived from their facts; a plain fill is added to its order without reading the others
    balances     available and reserved, from the sums and the orders
    dirty marks  the least instant that changed, per account, for the rollup
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from jarvis_client.contract.errors import BooksError
from jarvis_client.contract.outcome import Outcome, Reason
from persistence.books.gaps import Opened
from persistence.books.posting import UNRECORDABLE, Item, Posting, RawOf, refusal_of
from persistence.domain.entries import AnyFact
from persistence.domain.errors import Overtaken
from persistence.engine.contract import Connection, Database

#: Outcomes, and the gaps that the numbers of a commit show.
Posted = tuple[list[Outcome], list[Opened]]
#: Several writers on one server seldom meet twice in a row.
MOST_TRIES = 5


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Keep Python from looking for cycles meanwhile: a batch makes ten thousands of tuples and not one cycle, and walking them is a
    seventh of its time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Ledger:
    """Records facts. One instance per database; safe to use from several threads and several processes."""

    def __init__(self, database: Database, clock: Callable[[], int] | None = None, *, gaps_opened: Callable[[list[Opened]], None] = lambda _: None) -> None:
        """`clock`: dates what is recorded otherwise than the database would. `gaps_opened`: told after a commit that showed that numbers of a
        producer are missing, which the next commit may bring."""
        self._database = database
        self._clock = clock
        self._gaps_opened = gaps_opened

    def post(self, batch: Sequence[Item], raw_of: RawOf | None = None, *, keep_refusals: bool = True) -> list[Outcome]:
        """Record a batch in one commit; the outcomes stand in the order of the batch and are durable when this returns.

        A refusal goes to quarantine. So does a fact that conflicts with a recorded one, names a deleted account, or that the
        store refuses: alone, its neighbours are recorded. `raw_of(i)` gives the bytes that element i arrived as. Without
        `keep_refusals` what cannot be applied is only told, not kept (it is in quarantine already).
        Raises `Unavailable` where nothing was recorded and the same call may succeed later (after `CommitUnknown`, call again
        too: identities settle what was applied).
        """
        try:
            outcomes, opened = self._again_where_overtaken(lambda: self._post_together(batch, raw_of, keep_refusals))
        except UNRECORDABLE:
            outcomes, opened = self._again_where_overtaken(lambda: self._post_one_by_one(batch, raw_of, keep_refusals))
        if opened:
            self._gaps_opened(opened)
        return outcomes

    def record(self, batch: Sequence[AnyFact]) -> None:
        """Record what somebody saved by hand: all of it, or an error and nothing of it. Reopens a deleted account.

        Raises `Conflict` where an identity is recorded with other content, `RuleBroken` for what the store refuses.
        """
        if not batch:
            return
        with self._database.transaction() as connection:
            Posting(connection, self._now(connection), None, by_hand=True).run(batch)

    def _now(self, connection: Connection) -> int:
        return connection.now if self._clock is None else self._clock()

    def _again_where_overtaken(self, post: Callable[[], Posted]) -> Posted:
        """Another commit being faster says nothing of these facts: they are posted again, and never refused for it."""
        for _ in range(MOST_TRIES - 1):
            with suppress(Overtaken):
                return post()
        return post()

    def _post_together(self, batch: Sequence[Item], raw_of: RawOf | None, keep_refusals: bool) -> Posted:
        with self._database.transaction() as connection, _without_collecting():
            posting = Posting(connection, self._now(connection), raw_of, keep_refusals=keep_refusals)
            return posting.run(batch), posting.gaps_opened

    def _post_one_by_one(self, batch: Sequence[Item], raw_of: RawOf | None, keep_refusals: bool) -> Posted:
        """The batch held something the store refuses: find it, and record the rest, still in one commit."""
        outcomes: list[Outcome] = []
        opened: list[Opened] = []
        with self._database.transaction() as connection:
            now = self._now(connection)
            for index, item in enumerate(batch):
                raw = None if raw_of is None else (lambda _, index=index: raw_of(index))
                try:
                    with connection.savepoint():
                        posting = Posting(connection, now, raw, keep_refusals=keep_refusals)
                        outcomes += posting.run([item])
                        opened += posting.gaps_opened
                except UNRECORDABLE as error:
                    detail = str(error) if isinstance(error, BooksError) else f"{type(error).__name__}: {error}"
                    refusal = refusal_of(item, Reason.REFUSED, detail, raw)
                    posting = Posting(connection, now, None, keep_refusals=keep_refusals)
                    outcomes += posting.run([refusal])
                    opened += posting.gaps_opened
        return outcomes, opened

"""History in: a stream of NDJSON lines straight into the books, by the same `Ledger.post` as everything else."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, islice
from multiprocessing import get_context

from jarvis_client.contract.outcome import APPLIED, DUPLICATE, Refusal
from persistence.books.ledger import Ledger
from persistence.domain.entries import AnyFact

#: One commit per this many lines: an fsync costs little then, and a worker beside it waits a tenth of a second at most.
LINES_PER_COMMIT = 2_500


@dataclass(slots=True)
class ImportCounts:
    """What became of the lines. `quarantined` are those that quarantine holds, new there or not; `problems` has the first few
    details of them."""

    lines: int = 0
    applied: int = 0
    duplicate: int = 0
    quarantined: int = 0
    problems: list[str] = field(default_factory=list)


def import_lines(
    ledger: Ledger,
    lines: Iterable[bytes],
    item_of: Callable[[bytes, int], AnyFact | Refusal],
    progress: Callable[[], None] = lambda: None,
) -> ImportCounts:
    """Record every line; `item_of(line, number)` reads one. Blank lines are passed over. Restarting it is harmless. `progress` is called
    after each commit.

    Another process does the reading of a long input, so `item_of` must be something that can be pickled.

    Raises `Unavailable` where the store cannot take more now: what was counted is recorded, the rest is not.
    """
    counts = ImportCounts()
    for group, items in _read_ahead(lines, item_of):
        outcomes = ledger.post(items, lambda i, group=group: group[i][1])  # type: ignore[misc]
        applied = outcomes.count(APPLIED)
        counts.applied += applied
        for (number, _), item, outcome in zip(group, items, outcomes if applied < len(outcomes) else (), strict=False):
            counts.duplicate += outcome is DUPLICATE
            # What quarantine held already is not recorded either.
            counts.quarantined += not outcome.recorded
            if not outcome.recorded and len(counts.problems) < 10:
                counts.problems.append(outcome.detail if isinstance(item, Refusal) else f"line {number}: {outcome.detail}")
        counts.lines += len(group)
        progress()
    return counts


Group = list[tuple[int, bytes]]
Items = list[AnyFact | Refusal]

#: Short files are read in this process, before another one has started.
GROUPS_READ_HERE = 4
#: Groups that the other process may be ahead by.
GROUPS_AHEAD = 3


def _read_ahead(lines: Iterable[bytes], item_of: Callable[[bytes, int], AnyFact | Refusal]) -> Iterator[tuple[Group, Items]]:
    """Groups of lines with what they state; of a long input the next groups are read by another process while the caller writes."""
    numbered = ((number, line.strip()) for number, line in enumerate(lines, 1))
    filled = ((number, line) for number, line in numbered if line)
    groups = iter(lambda: list(islice(filled, LINES_PER_COMMIT)), [])
    opening = list(islice(groups, 2))
    if len(opening) < 2:
        yield from ((group, _read(item_of, group)) for group in opening)
        return
    # Ctrl-C is for the process that writes; the other one ends with it.
    with ProcessPoolExecutor(1, get_context("spawn"), initializer=_ignore_interrupts) as reader:
        reader.submit(_read, item_of, [])  # starts it
        for group in chain(opening, islice(groups, GROUPS_READ_HERE - 2)):
            yield group, _read(item_of, group)
        coming: deque[tuple[Group, Future[Items]]] = deque()
        for group in groups:
            coming.append((group, reader.submit(_read, item_of, group)))
            if len(coming) > GROUPS_AHEAD:
                yield _finished(*coming.popleft())
        for group, items in coming:
            yield _finished(group, items)


def _finished(group: Group, items: Future[Items]) -> tuple[Group, Items]:
    try:
        return group, items.result()
    except BrokenExecutor as error:
        raise OSError(f"the process that reads the lines was killed before line {group[0][0]}; what came before is recorded: import again") from error


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _read(item_of: Callable[[bytes, int], AnyFact | Refusal], group: Group) -> Items:
    return [item_of(line, number) for number, line in group]

"""History in: a stream of NDJSON lines straight into the books, by the same `Ledger.post` as everything else."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice

from jarvis_client.contract.outcome import APPLIED, DUPLICATE, Refusal
from persistence.beside import Companion, cores
from persistence.books.ledger import Ledger
from persistence.domain.entries import AnyFact
from persistence.domain.ready import ReadyFill, made_ready

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
Items = list[AnyFact | ReadyFill | Refusal]

#: Groups that the other process may be ahead by.
GROUPS_AHEAD = 3


def _read_ahead(lines: Iterable[bytes], item_of: Callable[[bytes, int], AnyFact | Refusal]) -> Iterator[tuple[Group, Items]]:
    """Groups of lines with what they state; of a long input the next groups are read by another process while the caller writes."""
    numbered = ((number, line.strip()) for number, line in enumerate(lines, 1))
    filled = ((number, line) for number, line in numbered if line)
    groups = iter(lambda: list(islice(filled, LINES_PER_COMMIT)), [])
    opening = list(islice(groups, 2))
    if len(opening) < 2 or cores() < 2:
        yield from ((group, _read(item_of, group)) for group in chain(opening, groups))
        return
    with Companion() as reader:
        reader.ask(_read, item_of, [])
        begun, coming = False, deque[Group]()
        rest = chain(opening, groups)
        for group in rest:
            if not begun:
                if reader.has_answered():
                    begun = reader.answered(_read, item_of, []) == []
                    coming.extend(_asked(reader, item_of, ahead) for ahead in islice(rest, GROUPS_AHEAD))
                # It takes a while to start, and then to read the first ones: this process reads meanwhile.
                yield group, _read(item_of, group)
                continue
            coming.append(_asked(reader, item_of, group))
            first = coming.popleft()
            yield first, reader.answered(_read, item_of, first)
        for group in coming:
            yield group, reader.answered(_read, item_of, group)


def _asked(reader: Companion, item_of: Callable[[bytes, int], AnyFact | Refusal], group: Group) -> Group:
    reader.ask(_read, item_of, group)
    return group


def _read(item_of: Callable[[bytes, int], AnyFact | Refusal], group: Group) -> Items:
    return [made_ready(item_of(line, number)) for number, line in group]

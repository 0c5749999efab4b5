"""History in: a stream of NDJSON lines straight into the books, by the same `Ledger.post` as everything else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from persistence.chunks import chunked
from persistence.domain.facts import AnyFact
from persistence.domain.outcome import Refusal
from persistence.ledger import Ledger

#: One commit per this many lines: an fsync costs little then, and a worker beside it waits a tenth of a second at most.
LINES_PER_COMMIT = 2_500


@dataclass(slots=True)
class ImportCounts:
    """What became of the lines. `problems` holds the first few details of what was quarantined."""

    lines: int = 0
    applied: int = 0
    duplicate: int = 0
    quarantined: int = 0
    problems: list[str] = field(default_factory=list)


def import_lines(
    ledger: Ledger,
    lines: Iterable[bytes],
    item_of: Callable[[bytes, int], AnyFact | Refusal],
    progress: Callable[[int], None] = lambda _: None,
) -> ImportCounts:
    """Record every line; `item_of(line, number)` reads one. Blank lines are passed over. Restarting it is harmless.

    Raises `Unavailable` where the store cannot take more now: what was counted is recorded, the rest is not.
    """
    counts = ImportCounts()
    for group, items in _read_ahead(lines, item_of):
        for (number, _), outcome in zip(group, ledger.post(items, lambda i, group=group: group[i][1]), strict=True):  # type: ignore[misc]
            setattr(counts, outcome.status, getattr(counts, outcome.status) + 1)
            if outcome.status == "quarantined" and len(counts.problems) < 10:
                counts.problems.append(outcome.detail if outcome.detail.startswith("line ") else f"line {number}: {outcome.detail}")
        counts.lines += len(group)
        progress(sum(len(line) + 1 for _, line in group))
    return counts


Group = list[tuple[int, bytes]]


def _read_ahead(lines: Iterable[bytes], item_of: Callable[[bytes, int], AnyFact | Refusal]) -> Iterator[tuple[Group, list[AnyFact | Refusal]]]:
    """Groups of lines with what they state; the next group is read while the caller writes this one."""
    numbered = ((number, line.strip()) for number, line in enumerate(lines, 1))
    groups = chunked(((number, line) for number, line in numbered if line), LINES_PER_COMMIT)

    def read() -> tuple[Group, list[AnyFact | Refusal]] | None:
        group = next(groups, None)
        return None if group is None else (group, [item_of(line, number) for number, line in group])

    with ThreadPoolExecutor(1, "reader") as reader:
        coming = reader.submit(read)
        while (found := coming.result()) is not None:
            coming = reader.submit(read)
            yield found

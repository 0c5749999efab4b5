"""History in, from a stream of lines: what another process read is what this one would have read."""

import json
import os
from functools import partial

import pytest
from books import fill

from persistence.books.ledger import Ledger
from persistence.imports import GROUPS_READ_HERE, LINES_PER_COMMIT, import_lines
from workers.messages import item_of_line


def _killed_at(line: bytes, number: int, last: int):
    if number > last:
        os._exit(9)
    return item_of_line(line, number)


def _lines(count: int) -> list[bytes]:
    return [b"no record %d" % n if n % 500 == 0 else json.dumps(fill(f"{n:06d}", order_id=f"o{n}").record()).encode() for n in range(1, count + 1)]


def test_a_long_file_is_read_by_another_process_to_the_same_end(database):
    lines = _lines((GROUPS_READ_HERE + 1) * LINES_PER_COMMIT + 700)

    counts = import_lines(Ledger(database), lines, item_of_line)

    bad = len(lines) // 500
    assert (counts.lines, counts.applied, counts.duplicate, counts.quarantined) == (len(lines), len(lines) - bad, 0, bad)
    details = [r["detail"] for r in database.execute_query("SELECT detail FROM quarantine ORDER BY quarantine_no")]
    assert [d.partition(":")[0] for d in details] == [f"line {n}" for n in range(500, len(lines) + 1, 500)]
    last = database.execute_query("SELECT max(record_id) AS id FROM facts")[0]["id"]
    assert last == max(json.loads(line)["fill_id"] for line in lines if line[:1] == b"{")


def test_the_death_of_the_reader_is_told_with_the_way_on_and_what_came_before_is_kept(database):
    lines = _lines((GROUPS_READ_HERE + 2) * LINES_PER_COMMIT)
    last = (GROUPS_READ_HERE + 1) * LINES_PER_COMMIT

    with pytest.raises(OSError, match="import again"):
        import_lines(Ledger(database), lines, partial(_killed_at, last=last))

    kept = database.execute_query("SELECT count(*) AS n FROM facts")[0]["n"]
    assert GROUPS_READ_HERE * LINES_PER_COMMIT * 0.99 < kept <= last
    assert import_lines(Ledger(database), lines, item_of_line).lines == len(lines)


def test_a_line_that_quarantine_holds_already_is_counted_and_told_again(database):
    lines = [*_lines(2), b"no record", b"no record"]
    assert [import_lines(Ledger(database), lines, item_of_line).quarantined for _ in range(2)] == [2, 2]

    counts = import_lines(Ledger(database), lines, item_of_line)

    assert (counts.lines, counts.applied, counts.duplicate, counts.quarantined) == (4, 0, 2, 2)
    assert [problem.partition(":")[0] for problem in counts.problems] == ["line 3", "line 4"]
    assert database.execute_query("SELECT count(*) AS n FROM quarantine")[0]["n"] == 1

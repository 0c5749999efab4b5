"""History in, from a stream of lines: what another process read is what this one would have read."""

import json
import os
import signal
from functools import partial
from pathlib import Path

import pytest
from books import fill

from persistence import imports
from persistence.beside import Companion
from persistence.books.ledger import Ledger
from persistence.imports import import_lines
from workers.messages import item_of_line

#: Lines of a commit, of which there are thousands otherwise.
GROUP = 500


@pytest.fixture
def read_elsewhere(monkeypatch):
    """Another process reads from the first line on, instead of once it has started."""
    monkeypatch.setattr(imports, "cores", lambda: 2)
    monkeypatch.setattr(imports, "LINES_PER_COMMIT", GROUP)
    monkeypatch.setattr(Companion, "has_answered", lambda self: self._line.poll(None))


def _noting_who(line: bytes, number: int, home: int, folder: str):
    if os.getpid() != home:
        (Path(folder) / "read elsewhere").touch()
    return item_of_line(line, number)


def _killed_at(line: bytes, number: int, home: int, last: int):
    if number > last and os.getpid() != home:
        os.kill(os.getpid(), signal.SIGKILL)
    return item_of_line(line, number)


def _lines(count: int) -> list[bytes]:
    return [b"no record %d" % n if n % 500 == 0 else json.dumps(fill(f"{n:06d}", order_id=f"o{n}").record()).encode() for n in range(1, count + 1)]


@pytest.mark.usefixtures("read_elsewhere")
def test_a_long_file_is_read_by_another_process_to_the_same_end(database, tmp_path):
    lines = _lines(5 * GROUP + 700)

    counts = import_lines(Ledger(database), lines, partial(_noting_who, home=os.getpid(), folder=str(tmp_path)))

    bad = len(lines) // 500
    assert (counts.lines, counts.applied, counts.duplicate, counts.quarantined) == (len(lines), len(lines) - bad, 0, bad)
    details = [r["detail"] for r in database.execute_query("SELECT detail FROM quarantine ORDER BY quarantine_no")]
    assert [d.partition(":")[0] for d in details] == [f"line {n}" for n in range(500, len(lines) + 1, 500)]
    last = database.execute_query("SELECT max(record_id) AS id FROM facts")[0]["id"]
    assert last == max(json.loads(line)["fill_id"] for line in lines if line[:1] == b"{")
    assert (tmp_path / "read elsewhere").exists()


@pytest.mark.usefixtures("read_elsewhere")
@pytest.mark.parametrize("last", [0, GROUP + 1, 5 * GROUP])
def test_where_the_other_process_is_killed_this_one_reads_on(database, last):
    lines = _lines(5 * GROUP + 7)

    counts = import_lines(Ledger(database), lines, partial(_killed_at, home=os.getpid(), last=last))

    assert (counts.lines, counts.applied, counts.quarantined) == (len(lines), len(lines) - len(lines) // 500, len(lines) // 500)
    assert database.execute_query("SELECT count(*) AS n FROM facts")[0]["n"] == counts.applied


@pytest.mark.usefixtures("read_elsewhere")
def test_a_defect_in_reading_is_raised_here_whichever_process_read(database):
    with pytest.raises(TypeError, match="item_of_line"):
        import_lines(Ledger(database), _lines(3 * GROUP), partial(item_of_line, nobody_knows_this=True))


def test_a_line_that_quarantine_holds_already_is_counted_and_told_again(database):
    lines = [*_lines(2), b"no record", b"no record"]
    assert [import_lines(Ledger(database), lines, item_of_line).quarantined for _ in range(2)] == [2, 2]

    counts = import_lines(Ledger(database), lines, item_of_line)

    assert (counts.lines, counts.applied, counts.duplicate, counts.quarantined) == (4, 0, 2, 2)
    assert [problem.partition(":")[0] for problem in counts.problems] == ["line 3", "line 4"]
    assert database.execute_query("SELECT count(*) AS n FROM quarantine")[0]["n"] == 1

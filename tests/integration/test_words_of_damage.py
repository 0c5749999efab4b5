"""What people read where the file itself is damaged: which file, how much of it, and what to do."""

from __future__ import annotations

import pytest
from books import fill

from jarvis_client.contract import instants
from persistence.copies import backups
from persistence.domain.errors import Damaged
from persistence.engine.sqlite.pages import PROBLEMS, TOLD
from persistence.proof.books_checks import FILE_CHECKS, run_checks


def test_a_backup_of_a_damaged_page_says_that_it_could_not_be_read(database, ledger, tmp_path):
    ledger.post([fill(n) for n in range(100)])
    [root] = database.execute_query("SELECT rootpage FROM sqlite_schema WHERE name = 'fills_by_time'")[0]
    database.close()
    with open(database.path, "r+b") as file:
        file.seek((root - 1) * 4096 + 2000)
        file.write(b"\xff" * 8)
    with pytest.raises(Damaged) as raised:
        backups.create(database, tmp_path / "backups", instants.now())
    assert str(raised.value).startswith(f"could not read {database.path}: a page of the file does not match its checksum")
    assert "jarvis db check" in str(raised.value)


@pytest.mark.parametrize(("rows", "most"), [(1, 0), (40, 30)])
def test_what_is_wrong_with_a_file_is_one_finding(database, ledger, rows, most):
    def without_index(sql: str, params: tuple = ()) -> list:
        with database.get_connection(writing=True) as connection:
            connection.pragma("writable_schema", True)
            found = connection.execute(sql, params).fetchall()
        database.close()
        return found

    [index] = without_index("SELECT * FROM sqlite_schema WHERE name = 'fills_by_time'")
    without_index("DELETE FROM sqlite_schema WHERE name = 'fills_by_time'")
    ledger.post([fill(n) for n in range(rows)])
    without_index("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", index)

    [found] = run_checks(database, FILE_CHECKS)
    assert found.check == "file is sound"
    assert found.found.count("; ") <= TOLD
    assert "fills_by_time" in found.found
    assert "jarvis restore --latest" in found.look
    if most:
        more = int(found.found.rpartition("; and ")[2].removesuffix(" more"))
        assert most < more < PROBLEMS
    else:
        assert "more" not in found.found

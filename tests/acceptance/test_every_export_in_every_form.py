"""Every table that can be exported says the same in every form, and DuckDB counts its rows in Parquet and in CSV."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from datetime import date, datetime
from decimal import Decimal

import pytest
import rich_books

from jarvis.settings import load_settings
from persistence.columns import COMPUTED, READ, kind_of
from persistence.database import DatabaseManager
from persistence.exports import TABLES
from scheduler import exporting
from scheduler.exporting import Wanted

pytestmark = pytest.mark.slow
EVERY = (*READ, *COMPUTED)
#: What reads the files in a process of its own: the libraries warn and set up what is no business of ours.
READER = """
import duckdb, json, pathlib, pyarrow.parquet
found = {}
for path in pathlib.Path().glob("*.parquet"):
    table = pyarrow.parquet.read_table(path)
    [(in_parquet,)] = duckdb.sql(f"SELECT count(*) FROM '{path}'").fetchall()
    [(in_csv,)] = duckdb.sql(f"SELECT count(*) FROM read_csv('{path.stem}.csv', header = true, all_varchar = true)").fetchall()
    rows = [[None if v is None else str(v) for v in row.values()] for row in table.to_pylist()]
    found[path.stem] = {"columns": table.column_names, "rows": rows, "counts": [in_parquet, in_csv]}
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Each table in each form that holds rows, and what other programs read in them."""
    folder = tmp_path_factory.mktemp("every")
    (folder / "out").mkdir()
    rich_books.make(folder)
    plan = load_settings(folder / "config").rollup_plan
    database = DatabaseManager(folder / "data" / "jarvis_trading.db", durable=False)
    for table in EVERY:
        for form in ("csv", "json", "ndjson", "parquet"):
            exporting.into_file(database, plan, Wanted(table, form, raw=True), folder / "out" / f"{table}.{form}", lambda said: None)
    database.close()
    done = subprocess.run([sys.executable, "-c", READER], cwd=folder / "out", capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return folder / "out", json.loads(done.stdout)


def value_of(column: str, shown: str | None) -> object:
    """What a text means, whichever form it comes from."""
    if shown is None or shown == "":
        return None
    match kind_of(column):
        case "amount":
            return Decimal(shown)
        case "number":
            return float(shown)
        case "integer":
            return int(shown)
        case "flag":
            return shown in ("True", "true", "1")
        case "instant":
            return datetime.fromisoformat(shown)
        case "date":
            return date.fromisoformat(shown)
    return shown


@pytest.mark.parametrize("table", EVERY)
def test_a_table_says_the_same_in_every_form(files, table):
    folder, read = files
    rows = json.loads((folder / f"{table}.json").read_text())
    assert rows, "there is something of every table"
    columns = [*rows[0]]
    wanted = [[value_of(c, None if v is None else str(v)) for c, v in row.items()] for row in rows]
    with (folder / f"{table}.csv").open(newline="") as lines:
        head, *texts = csv.reader(lines)
    assert head == read[table]["columns"] == columns
    assert [[value_of(c, v) for c, v in zip(columns, row, strict=True)] for row in texts] == wanted
    assert [[value_of(c, v) for c, v in zip(columns, row, strict=True)] for row in read[table]["rows"]] == wanted
    assert read[table]["counts"] == [len(rows), len(rows)]
    lines = [json.loads(line) for line in (folder / f"{table}.ndjson").read_text().splitlines()]
    if table in TABLES and TABLES[table].kinds:
        assert {line["type"] for line in lines} & {*TABLES[table].kinds}, "records, which an import takes again"
    else:
        assert lines == rows

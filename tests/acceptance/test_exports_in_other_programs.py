"""What people open our exports with reads the figures that we wrote: pyarrow, DuckDB, pandas, datasette, QuantStats."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.parse
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import command
import pytest
from year_for_analysts import DAYS, FIRST, LAST, date_of, history, micros

from jarvis_client.contract.decimals import EXACT, canonical
from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from scheduler.rollup.account import roll_up
from scheduler.rollup.options import RollupOptions

# Their wheels are some 500 MB, so they are no part of what every developer installs.
pytestmark = pytest.mark.slow
DOCS = Path(__file__).parents[2] / "docs"


def block(page: str, language: str) -> str:
    [found] = re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    return found


@pytest.fixture
def run(short_folder):
    """The command over the history, on whose folder the other programs work."""
    made = history()
    (short_folder / "config").mkdir()
    (short_folder / "config" / "database.yaml").write_text("database: {backup: {compress: false}}")

    jarvis = command.Jarvis(short_folder)
    jarvis("db", "init")
    books = DatabaseManager(short_folder / "data" / "jarvis_trading.db", durable=False)
    Ledger(books).post(made.records)
    for account_id in ("main", "desk"):
        roll_up(books, account_id, RollupOptions(), LAST, now=micros(DAYS + 1))
    books.close()
    jarvis.made = made
    return jarvis


def other(folder: Path, program: str) -> str:
    """The output of a Python program in a process of its own: what these libraries warn of and set up stays out of ours."""
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout


def bought(made) -> Decimal:
    total = Decimal(0)
    for fill in made.fills:
        if (fill.coin, fill.side) == ("BTC", "buy"):
            total = EXACT.add(total, fill.quantity)
    return total


def test_parquet_has_exact_decimals_instants_and_dates(run, short_folder):
    assert "wrote" in run("export", "fills", "main", "-f", "parquet", "-o", "fills.parquet").stderr
    run("export", "equity", "main", "-f", "parquet", "-o", "equity.parquet")
    seen = json.loads(other(short_folder, """
import json, pyarrow.parquet as pq
fills, equity = pq.read_table("fills.parquet"), pq.read_table("equity.parquet")
print(json.dumps({
    "types": {f.name: str(f.type) for f in [*fills.schema, *equity.schema]},
    "first": {k: str(v) for k, v in fills.slice(0, 1).to_pylist()[0].items()},
    "quantities": [str(v) for v in fills["quantity"].to_pylist()], "fees": [str(v) for v in fills["fee"].to_pylist()],
    "dates": [str(v) for v in equity["date"].to_pylist()],
}))
"""))  # fmt: skip
    needed = max(len(canonical(value).partition(".")[2]) for value in run.made.values)
    assert needed > 8, "so that it shows"
    types = {name: seen["types"][name] for name in ("quantity", "value_usd", "executed_at", "date", "is_voided", "daily_return", "sequence", "symbol")}
    assert types == {
        "quantity": "decimal128(38, 8)", "value_usd": f"decimal128(38, {needed})", "executed_at": "timestamp[us, tz=UTC]", "date": "date32[day]",
        "is_voided": "bool", "daily_return": "double", "sequence": "int64", "symbol": "string",
    }  # fmt: skip
    assert [Decimal(q) for q in seen["quantities"]] == [f.quantity for f in run.made.fills]
    assert [Decimal(q) for q in seen["fees"]] == [f.fee for f in run.made.fills]
    assert datetime.fromisoformat(seen["first"]["executed_at"]) == datetime.fromtimestamp(run.made.fills[0].at // 1_000_000, UTC)
    assert seen["dates"] == [date_of(n) for n in range(DAYS)]


#: An amount, and what its column becomes by it.
WIDE = [
    ("123456789012345678901234567890.5", "decimal128(38, 8)"), ("1234567890123456789.12345678901234567", "decimal128(38, 17)"), ("1.1234567890123456789012345", "decimal128(38, 25)"),
    ("12345678901234567890.123456789012345678", "decimal128(38, 18)"), ("1234567890123456789012.1234567890123456", "decimal128(38, 16)"),
    ("1234567890123456789012.12345678901234567", "string"),
]  # fmt: skip


@pytest.mark.parametrize(("amount", "type_"), WIDE)
def test_an_amount_is_a_decimal_up_to_38_digits_and_text_beyond(run, short_folder, amount, type_):
    record = {"type": "deposit", "deposit_id": "w", "account_id": "w", "currency": "SHIB", "amount": amount, "occurred_at": "2026-01-01T00:00:00Z"}
    run("import", "-", stdin=json.dumps(record))
    said = run("export", "deposits", "w", "-f", "parquet", "-o", "w.parquet").stderr
    assert ("amount is text: one amount has 39 digits, and a decimal that everybody reads holds 38" in " ".join(said.split())) == (type_ == "string")
    shown = other(short_folder, "import pyarrow.parquet as pq\nc = pq.read_table('w.parquet')['amount']\nprint(c.type, c.to_pylist()[0], sep='|')").strip()
    assert shown.split("|")[0] == type_
    assert Decimal(shown.split("|")[1]) == Decimal(amount)


def test_the_job_tells_which_amounts_are_text(run, short_folder):
    (short_folder / "config" / "scheduler.yaml").write_text("exports: {lots: {table: lots, form: parquet}}")
    said = " ".join(run("jobs", "run", "export", "--here").stderr.split())
    [path] = (short_folder / "data" / "exports").iterdir()
    assert f"export done: rows {path.name} 6, note {path.name}: average_cost_usd is text: one amount has" in said


def test_an_empty_table_has_its_columns_all_the_same(run, short_folder):
    run("export", "fills", "desk", "-f", "parquet", "-o", "none.parquet")
    assert other(short_folder, "import pyarrow.parquet as pq\nt = pq.read_table('none.parquet')\nprint(t.num_rows, 'quantity' in t.column_names)") == "0 True\n"


def test_without_pyarrow_it_says_what_to_install_and_leaves_no_file(run, short_folder):
    arguments = ["jarvis", "export", "fills", "-f", "parquet", "-o", "f.parquet"]
    program = f"import sys\nsys.modules['pyarrow'] = None\nsys.argv = {arguments}\nfrom jarvis.cli import main\nmain()"
    done = subprocess.run([sys.executable, "-c", program], cwd=short_folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert "pip install 'jarvis-trading[parquet]'" in done.stderr
    assert not [*short_folder.glob("*f.parquet*")]


def test_duckdb_answers_what_the_guide_asks(run, short_folder):
    run("export", "fills", "--format", "parquet", "--output", "fills.parquet")
    run("export", "equity", "--output", "equity.csv")
    queries = [q for q in block("sql.md", "sql duckdb").split(";") if q.strip()]
    program = f"import duckdb\nfor q in {queries!r}:\n    print([tuple(map(str, row)) for row in duckdb.sql(q).fetchall()])"
    volume, months = map(eval, other(short_folder, program).splitlines())
    for side, total in volume:
        wanted = Decimal(0)
        for fill in run.made.fills:
            if (fill.coin, fill.side) == ("BTC", side):
                wanted = EXACT.add(wanted, fill.notional)
        assert Decimal(total) == wanted, "to the last digit"
    assert [side for side, _ in volume] == ["buy", "sell"]
    flows, values = run.made.flows, run.made.values
    new_year = (date(2026, 1, 1) - FIRST.date()).days
    december = EXACT.subtract(values[new_year - 1], Decimal(flows[0][0]))
    january = EXACT.add(EXACT.subtract(EXACT.subtract(values[-1], values[new_year - 1]), Decimal(5_000)), Decimal(3_000))
    assert [(month[:10], Decimal(pnl)) for month, pnl in months] == [("2025-12-01", december), ("2026-01-01", january)]


def test_pandas_keeps_names_and_amounts_with_the_guides_types(run, short_folder):
    deposit = {"type": "deposit", "deposit_id": "z", "account_id": "007", "currency": "USDT", "amount": "0.1", "occurred_at": "2026-01-01T00:00:00Z"}
    run("import", "-", stdin=json.dumps(deposit))
    for table in ("fills", "deposits"):
        run("export", table, "--output", f"{table}.csv")
    run("export", "fills", "--format", "parquet", "--output", "fills.parquet")
    program = (
        block("sql.md", "python pandas")
        + """
print(bought)
print(pandas.read_csv("deposits.csv", dtype=str, keep_default_na=False)["account_id"].iloc[0])
f = pandas.read_parquet("fills.parquet")
print(sum(f[(f.account_id == "main") & (f.base == "BTC") & (f.side == "buy")]["quantity"]))
"""
    )
    exact, name, of_parquet = other(short_folder, program).splitlines()
    assert Decimal(exact) == Decimal(of_parquet) == bought(run.made)
    assert name == "007"


def test_datasette_shows_a_backup(run, short_folder):
    run("backup", "create")
    [copy] = (short_folder / "data" / "backups").glob("*.db")
    asked = urllib.parse.urlencode({"sql": "SELECT date, value FROM v_equity WHERE account_id = 'main' ORDER BY date", "_shape": "array"})
    program = [sys.executable, "-m", "datasette", "serve", "--immutable", str(copy), "--get", f"/{copy.stem}.json?{asked}"]
    done = subprocess.run(program, cwd=short_folder, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [(r["date"], Decimal(r["value"])) for r in rows] == [(date_of(n), v) for n, v in enumerate(run.made.values)]


@pytest.mark.parametrize("account_id", ["main", "desk"])
def test_quantstats_finds_the_ratios_that_we_found(run, short_folder, account_id):
    run("export", "returns", account_id, "--output", "returns.csv")
    figures = json.loads(run("performance", account_id, "--summary", "--json").stdout)
    program = (
        block("performance.md", "python quantstats")
        + """
import json
stats = quantstats.stats
print(json.dumps([float(stats.sharpe(returns, periods=365)), float(stats.sortino(returns, periods=365)), float(stats.max_drawdown(returns)), len(returns)]))
"""
    )
    sharpe, sortino, drawdown, count = json.loads(other(short_folder, program).splitlines()[-1])
    assert count == DAYS
    assert (sharpe, sortino, drawdown) == pytest.approx((figures["sharpe"], figures["sortino"], figures["max_drawdown"]), rel=1e-9)
    assert "<html" in (short_folder / "main.html").read_text(), "and its report is written"

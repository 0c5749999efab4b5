"""The command, as people and scripts use it: what it prints, where, and its exit codes."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import command
import pytest
from parts import TAPE, wait_until
from typer.testing import CliRunner

from jarvis.cli import app

AT = "2026-01-01T00:00:00Z"
GOOD = {"type": "deposit", "deposit_id": "d1", "account_id": "acc", "currency": "USDT", "amount": "100.50", "occurred_at": AT}
FILL = {
    "type": "fill",
    "fill_id": "f1",
    "account_id": "acc",
    "order_id": "o1",
    "symbol": "BTCUSDT",
    "side": "buy",
    "quantity": "0.001",
    "price": "50000",
    "executed_at": AT,
}


@pytest.fixture
def run(short_folder):
    return command.Jarvis(short_folder)


@pytest.fixture
def fed(run):
    run.feed(GOOD, FILL)
    return run


def test_listings_for_people_and_for_scripts(fed):
    assert "USDT" in fed("accounts").stdout
    [account] = json.loads(fed("accounts", "--json").stdout)
    assert account["balances"] == {
        "BTC": {"available": "0.001", "reserved": "0", "total": "0.001"},
        "USDT": {"available": "50.5", "reserved": "0", "total": "50.5"},
    }
    rows = json.loads(fed("transactions", "-a", "acc", "--json").stdout)
    assert [(r["type"], r["amount"], r["currency"]) for r in rows] == [("trade_out", "-50", "USDT"), ("trade_in", "0.001", "BTC"), ("deposit", "100.5", "USDT")]
    assert len(json.loads(fed("transactions", "-a", "acc", "--type", "deposit", "--currency", "USDT", "--json").stdout)) == 1
    [order] = json.loads(fed("orders", "-a", "acc", "--status", "filled", "--symbol", "BTCUSDT", "--json").stdout)
    assert (order["average_price"], order["status"]) == ("50000", "filled")
    assert "account acd does not exist; did you mean acc?" in " ".join(fed("transactions", "-a", "acd", code=2).stderr.replace("│", " ").split())


def test_a_type_in_one_currency_is_found_behind_many_in_others(fed):
    later = [{**GOOD, "deposit_id": f"later-{n}", "currency": "ETH", "occurred_at": f"2026-01-02T00:00:{n:02}Z"} for n in range(25)]
    fed("import", "-", stdin="\n".join(map(json.dumps, later)))
    [found] = json.loads(fed("transactions", "-a", "acc", "--type", "deposit", "--currency", "USDT", "--limit", "2", "--json").stdout)
    assert found["amount"] == "100.5"
    assert len(json.loads(fed("transactions", "-a", "acc", "--type", "deposit", "--currency", "ETH", "--limit", "2", "--json").stdout)) == 2


def test_exports_to_stdout_or_a_file(fed):
    rows = list(csv.DictReader(io.StringIO(fed("export", "fills", "-a", "acc").stdout)))
    assert [(r["fill_id"], r["price"]) for r in rows] == [("f1", "50000")]
    assert json.loads(fed("export", "balances", "-a", "acc", "-f", "json").stdout)[1]["total"] == "50.5"
    assert fed("export", "transactions", "-a", "acc", "--from", "2026-01-02").stdout.count("\n") == 1
    assert fed("export", "transactions", "-a", "acc", "--from", "2026-01-01", "--to", "2026-01-01", "-f", "ndjson").stdout.count("\n") == 3
    assert json.loads(fed("export", "performance", "-a", "acc", "-f", "json").stdout) == []
    assert "wrote 3 rows" in fed("export", "transactions", "-a", "acc", "-o", "t.csv").stderr
    assert (fed.folder / "t.csv").read_text().count("\n") == 4


def test_a_malformed_line_is_quarantined_with_its_number_and_the_rest_is_recorded(run):
    lines = f"{json.dumps(GOOD)}\nnonsense\n\n" + json.dumps({**GOOD, "deposit_id": "d2", "amount": "NaN"}) + "\n"
    done = run("import", "-", code=1, stdin=lines)
    assert "quarantined: line 2: not JSON" in done.stderr
    assert "quarantined: line 4: deposit: amount: it is 'NaN'" in done.stderr
    assert "imported 3 records: 1 applied, 0 duplicates, 2 quarantined" in done.stderr
    held = json.loads(run("quarantine", "list", "--json").stdout)
    assert [(h["reason"], h["record_id"]) for h in held] == [("malformed", None), ("malformed", "d2")]
    run("import", "-", code=0, stdin=json.dumps(GOOD))
    run("import", "-", code=1, stdin=json.dumps(GOOD) + "\nmore nonsense")
    run("import", "-", "--keep-going", code=0, stdin=json.dumps(GOOD) + "\nother nonsense")
    assert "is no record" in run("import", "-", code=2, stdin="other nonsense").stderr


def test_publish_names_bad_lines_sends_the_good_ones_and_exits_1(run, broker_server):
    lines = f"{json.dumps(GOOD)}\n{{}}\n{json.dumps(FILL)}\n"
    dry = run("publish", "-", "--dry-run", code=1, stdin=lines)
    assert "would publish 2 records, refused 1 line" in dry.stderr
    done = run("publish", "-", code=1, stdin=lines, JARVIS_BROKER__URL=broker_server.url)
    assert 'line 2: not a record: a line is a JSON object with a "type"' in done.stderr
    with broker_server.client() as client:
        assert (client.llen("dramatiq:deposits"), client.llen("dramatiq:fills")) == (1, 1)


def test_without_a_broker_the_remedy_is_said(run):
    assert "start `jarvis up`" in run("publish", str(TAPE), code=3).stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("export", "nothing", "-a", "x"), "there are transactions, fills"), (("export", "fills", "-a", "x", "-f", "xml"), "there are csv, json, ndjson"),
        (("export", "fills", "-a", "x", "--from", "yesterday"), "neither a date"), (("export", "fills", "-a", "x", "--from", "2026-01-01T00:00:00"), "no offset"),
        (("import", "no-such-file"), "is no file"), (("transactions", "-a", "x", "--type", "gift"), "there are deposit"), (("nonsense",), "No such command"),
        (("orders",), "Missing option"), (("export", "fills", "-a", "x", "--from", "2026-01-02", "--to", "2026-01-01"), "nothing lies between 2026-01-02 and"),
    ],
)  # fmt: skip
def test_wrong_usage_is_exit_code_2_with_what_there_is(fed, arguments, said):
    assert said in " ".join(fed(*arguments, code=2).stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("", {"up", "import", "accounts", "quarantine"}), ("qu", {"quarantine"}), ("jobs ", {"list", "history", "show", "run", "pause", "resume"}),
        ("accounts ", {"close", "open", "delete"}), ("orders --s", {"--status", "--symbol"}),
    ],
)  # fmt: skip
def test_the_shell_completes_commands_what_lies_below_them_and_options(typed, offered):
    words = f"jarvis {typed}"
    asked = {"_JARVIS_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    shown = CliRunner().invoke(app, prog_name="jarvis", env=asked).stdout.split()
    assert offered == {*shown} if typed else offered < {*shown}


@pytest.mark.parametrize("process", ["worker run", *(pytest.param(other, marks=pytest.mark.slow) for other in ("up", "broker run", "scheduler run"))])
def test_too_few_open_files_are_refused_at_the_start_with_the_remedy(run, process):
    done = subprocess.run(
        ["sh", "-c", f'ulimit -n 100; exec "$0" -m jarvis {process}', sys.executable], cwd=run.folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (
        3, "jarvis: the limit of open files is 100, 256 are needed; raise it with `ulimit -n`, or LimitNOFILE= in a unit\n",
    )  # fmt: skip


def test_a_soft_limit_of_open_files_is_raised_as_far_as_allowed(run, broker_server):
    line = ["sh", "-c", 'ulimit -S -n 16; exec "$0" -m jarvis worker run', sys.executable]
    environment = {**os.environ, "JARVIS_BROKER__URL": broker_server.url}
    worker = subprocess.Popen(line, cwd=run.folder, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: (run.folder / "data" / "jarvis_trading.db").exists(), "the worker is at work")
        limits = Path(f"/proc/{worker.pid}/limits")
        if limits.exists():
            wait_until(lambda: int(next(line for line in limits.read_text().splitlines() if "open files" in line).split()[3]) >= 256, "the limit is raised")
    finally:
        worker.terminate()
        _, said = worker.communicate(timeout=60)
    assert worker.returncode == 0, said


@pytest.mark.skipif(sys.platform != "linux", reason="no other system limits the memory of a process")
def test_a_process_that_gets_no_further_thread_says_what_to_raise():
    program = (
        "import resource, threading; from jarvis.limits import remedy_of; forever = threading.Event()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20))\n"
        "try:\n"
        "    while True: threading.Thread(target=forever.wait, daemon=True).start()\n"
        "except RuntimeError as error: print(remedy_of(error))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert "MemoryMax= and TasksMax= in a unit" in done.stdout, done.stderr


def test_wrong_settings_are_exit_code_2_and_all_named(run):
    (run.folder / "config").mkdir()
    (run.folder / "config" / "workers.yaml").write_text("worker: {thread: 1}\nbrokr: {}\n")
    done = run("accounts", code=2)
    assert "worker.thread: no such setting; did you mean threads?" in done.stderr
    assert "brokr: no such setting; did you mean broker?" in done.stderr


def test_missing_and_foreign_databases(run):
    assert "jarvis db init" in run("accounts", code=3).stderr
    run("db", "init")
    run("accounts")
    (run.folder / "foreign.db").write_bytes(b"not a database, certainly not" * 100)
    assert "no SQLite database" in run("db", "init", code=4, JARVIS_DATABASE__PATH="foreign.db").stderr


def test_db_check_finds_what_does_not_add_up(fed):
    assert "no findings" in fed("db", "check").stderr
    import apsw

    with apsw.Connection(str(fed.folder / "data" / "jarvis_trading.db")) as connection:
        connection.execute("UPDATE balances SET available = '7' WHERE currency = 'USDT'")
    findings = json.loads(fed("db", "check", "--json", code=1).stdout)
    assert findings[0]["expected"] == "50.5"
    assert findings[0]["found"] == "7"
    assert json.loads(fed("db", "stats", "--json").stdout)["rows"]["facts"] == 2
    assert "facts" in fed("db", "stats").stdout


def test_config_show_hides_secrets(run):
    shown = run("config", "show", JARVIS_BROKER__URL="redis://:hunter2@localhost:1/0").stdout
    assert "hunter2" not in shown
    assert "max_records: 1000" in shown


def test_a_reader_that_goes_away_is_no_error(fed):
    # More than a pipe and the buffers at its ends hold.
    fed("import", "-", stdin="\n".join(json.dumps({**FILL, "fill_id": f"f{n}", "order_id": f"o{n}"}) for n in range(3_000)))
    assert len(fed("export", "transactions", "-a", "acc").stdout) > 400_000
    line = f"{sys.executable} -m jarvis export transactions -a acc | head -n 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, cwd=fed.folder)
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)


def test_the_procfiles_lines_work_together_and_idle_where_a_broker_is_named(run, broker_server):
    environment = {**os.environ, "JARVIS_BROKER__URL": broker_server.url}
    lines = dict(line.split(": ") for line in (Path(__file__).parents[2] / "Procfile").read_text().splitlines())
    processes = {
        name: subprocess.Popen([sys.executable, "-m", *line.split()], env=environment, cwd=run.folder, stderr=(run.folder / name).open("wb"))
        for name, line in lines.items()
    }
    said = {"broker": "idling", "worker": "worker started", "scheduler": "job done"}
    for name, text in said.items():
        wait_until(lambda name=name, text=text: text in (run.folder / name).read_text(), f"the {name} says {text!r}")
    run("publish", "-", stdin=json.dumps(GOOD), JARVIS_BROKER__URL=broker_server.url)
    wait_until(lambda: json.loads(run("accounts", "--json").stdout), "it is recorded")
    again = run("worker", "run", code=4, JARVIS_BROKER__URL=broker_server.url)
    assert "is held by worker 'worker'" in again.stderr
    for process in processes.values():
        process.send_signal(signal.SIGTERM)
    assert [p.wait(30) for p in processes.values()] == [0, 0, 0]
    lines = [json.loads(line) for line in (run.folder / "worker").read_text().splitlines()]
    assert lines[-1]["event"] == "worker stopped", "JSON lines where there is no terminal"


def test_the_demo_records_a_month_and_leaves_nothing_behind(run):
    done = run("demo", "--fills", "100")
    assert "Balances" in done.stdout
    assert "100 fills" in done.stdout
    assert list(run.folder.iterdir()) == []


@pytest.mark.slow
def test_the_same_seed_trades_the_same_month(run):
    once, again = (run("demo", "--fills", "300", "--seed", "3").stdout for _ in range(2))
    assert once == again


@pytest.mark.slow
def test_the_demo_keeps_its_books_only_in_a_new_folder(run):
    run("demo", "--fills", "20", "--keep", "kept")
    assert "no findings" in run("db", "check", JARVIS_DATABASE__PATH="kept/jarvis.db").stderr
    assert "not empty" in run("demo", "--fills", "20", "--keep", "kept", code=2).stderr


def test_quarantine_is_listed_shown_replayed_discarded_and_exported(fed):
    bad = [{**GOOD, "deposit_id": "d2", "amount": "NaN"}, {**GOOD, "amount": "7"}, {"type": "trade"}]
    fed("import", "-", code=1, stdin="\n".join(json.dumps(r) for r in bad))
    assert [q["reason"] for q in json.loads(fed("quarantine", "list", "--json").stdout)] == ["malformed", "conflict", "unknown kind"]
    [conflict] = json.loads(fed("quarantine", "list", "--for", "conflict", "--json").stdout)
    shown = fed("quarantine", "show", str(conflict["number"])).stdout
    assert '"amount": "7"' in shown
    assert ["amount", "7", "100.5"] in [line.split() for line in shown.splitlines()], "both versions side by side"
    assert json.loads(fed("quarantine", "show", "1", "--json").stdout)["recorded"] is None
    assert "would replay 3" in fed("quarantine", "replay", "--dry-run", code=1).stderr
    assert "still conflict" in fed("quarantine", "replay", "2", code=1).stderr
    assert "say --all" in fed("quarantine", "discard", "--reason", "x", code=2).stderr.replace("│", "")
    assert "would discard 3" in fed("quarantine", "discard", "--all", "--reason", "x", "--dry-run").stderr
    assert "discarded 1" in fed("quarantine", "discard", "--for", "malformed", "--reason", "test engine").stderr
    lines = [json.loads(line) for line in fed("quarantine", "export", "--state", "all").stdout.splitlines()]
    assert (lines[0]["state"], lines[0]["resolution"]) == ("discarded", "test engine")
    assert "wrote 2 records" in fed("quarantine", "export", "-o", "q.ndjson").stderr
    assert "there is no record 99" in " ".join(fed("quarantine", "show", "99", code=2).stderr.replace("│", " ").split())


def test_ids_of_every_make_are_shown_as_they_are(run):
    """Square brackets are markup to the library that prints tables, control characters an order to the terminal."""
    hostile = [{**GOOD, "deposit_id": name, "amount": "-1"} for name in ("[/b]", "d[x]")] + [
        {**GOOD, "account_id": "a[b]"},
        {**GOOD, "amount": "\x1b]0;no\x07"},
    ]
    run("import", "-", code=1, stdin="\n".join(json.dumps(r, ensure_ascii=False) for r in hostile))
    listed = run("quarantine", "list").stdout
    assert "[/b]" in listed
    assert "d[x]" in listed
    assert "a[b]" in run("accounts").stdout
    shown = run("quarantine", "show", "3").stdout
    assert "\x1b" not in shown


def test_what_is_named_wrongly_is_told_and_what_is_left_out_is_counted(run):
    run("import", "-", code=1, stdin="\n".join(json.dumps({**GOOD, "deposit_id": f"d{n}", "amount": "-1"}) for n in range(3)))
    assert "and 2 more" in run("quarantine", "list", "-n", "1").stderr
    assert "there are held, replayed, discarded" in " ".join(run("quarantine", "list", "--state", "nope", code=2).stderr.replace("│", " ").split())
    assert "there are malformed" in " ".join(run("quarantine", "list", "--for", "nope", code=2).stderr.replace("│", " ").split())
    run("quarantine", "discard", "1", "--reason", "x")
    assert "1: discarded already" in run("quarantine", "discard", "1", "--reason", "x").stderr
    assert "9: there is no such record" in run("quarantine", "replay", "9").stderr
    run("quarantine", "replay", str(10**30), code=2)
    for _ in range(2):
        run("quarantine", "replay", "2", code=1)
    assert len(json.loads(run("chain", "events", "--json").stdout)) == 2, "a replay that says nothing new is no event"


def test_gaps_are_findings(run):
    numbered = [{**GOOD, "deposit_id": str(n), "producer": "engine", "sequence": n} for n in (1, 2, 5)]
    run("import", "-", stdin="\n".join(json.dumps(r) for r in numbered))
    [gap] = json.loads(run("gaps", "--json", code=1).stdout)
    assert (gap["producer"], gap["first"], gap["last"], gap["missing"]) == ("engine", 3, 4, 2)
    run("import", "-", stdin="\n".join(json.dumps({**GOOD, "deposit_id": str(n), "producer": "engine", "sequence": n}) for n in (4, 3)))
    assert "no gaps" in run("gaps").stderr


def test_backups_by_hand_and_the_way_back(fed):
    assert "backed up and proved" in fed("backup", "create").stderr
    [listed] = json.loads(fed("backup", "list", "--json").stdout)
    assert (listed["proved"], listed["facts"]) == ("yes", 2)
    assert "sound" in fed("backup", "verify").stderr
    assert "nothing to remove" in fed("backup", "prune", "--dry-run").stderr
    fed("import", "-", stdin=json.dumps({**GOOD, "deposit_id": "d2"}))
    assert "restored" in fed("restore", "--latest", "--to", "elsewhere.db").stderr
    said = fed("restore", "--latest").stderr
    assert "1 record came after this backup" in said
    [account] = json.loads(fed("accounts", "--json").stdout)
    assert account["balances"]["USDT"]["total"] == "50.5"
    [later] = fed.folder.glob("data/after-*.ndjson")
    fed("import", str(later))
    [account] = json.loads(fed("accounts", "--json").stdout)
    assert account["balances"]["USDT"]["total"] == "151"
    assert "exists already" in fed("restore", "--latest", "--to", "elsewhere.db", code=2).stderr
    assert "name a FILE" in " ".join(fed("restore", code=2).stderr.split())
    assert "is no backup" in fed("restore", "nonsense.db", code=2).stderr
    assert "no proved backup from 2020" in fed("restore", "--at", "2020-01-01", code=2).stderr
    [backup] = fed.folder.glob("data/backups/*.zst")
    backup.write_bytes(backup.read_bytes()[:-5])
    assert "not sound" in fed("backup", "verify", code=1).stderr
    assert "bytes, its manifest says" in fed("restore", str(backup), code=4).stderr


def test_verification_says_what_it_found_and_where_to_look(fed):
    assert "no findings" in fed("verify").stderr, "books of today need no backup yet"
    (fed.folder / "data" / "jarvis_trading.db").chmod(0o644)
    assert "files are for their owner alone" in fed("verify", code=1).stdout
    (fed.folder / "data" / "jarvis_trading.db").chmod(0o600)
    fed("backup", "create")
    assert "no findings" in fed("verify", "--full").stderr
    assert json.loads(fed("verify", "--quick", "--json").stdout) == []
    assert "give one of" in " ".join(fed("verify", "--quick", "--full", code=2).stderr.split())
    assert "could not be checked" in fed("verify", code=3, JARVIS_DATABASE__PATH="nowhere/x.db").stderr


def test_a_restore_stops_a_running_daemon_only_when_told_to(fed):
    fed("backup", "create")
    with subprocess.Popen(
        [sys.executable, "-m", "jarvis", "up"], cwd=fed.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as daemon:
        wait_until(lambda: (fed.folder / "data" / "worker-worker.lock").exists() and "no scheduler" not in fed("jobs", "list").stderr, "the daemon runs")
        refused = fed("restore", "--latest", code=4).stderr
        assert "is held by `jarvis up`" in refused
        assert "--stop" in refused
        assert "restored" in fed("restore", "--latest", "--stop").stderr
        assert daemon.wait(30) == 0
    assert fed("verify", "--quick").returncode == 0


def test_a_refused_symbol_is_recorded_once_the_settings_say_what_it_means(run):
    ambiguous, unknown = ({**FILL, "fill_id": symbol, "symbol": symbol} for symbol in ("XBTUSD", "BTCPLN"))
    told = run("import", "-", code=1, stdin=f"{json.dumps(ambiguous)}\n{json.dumps(unknown)}").stderr
    assert "XB/TUSD or XBT/USD" in told
    assert "'BTCPLN' does not say which currencies it trades" in told
    run("quarantine", "replay", code=1)
    (run.folder / "config").mkdir()
    (run.folder / "config" / "workers.yaml").write_text("symbols: {quote_currencies: [USDT, USD, PLN], pairs: {XBTUSD: XBT/USD}}")
    run("quarantine", "replay")
    account = run("accounts", "--json").stdout
    assert json.loads(run("quarantine", "list", "--json").stdout) == []
    assert {"XBT", "USD", "BTC", "PLN"} <= set(json.loads(account)[0]["balances"])


def test_a_gzip_file_that_is_damaged_inside_is_said_to_be(run):
    content = bytearray(gzip.compress(json.dumps(GOOD).encode() * 50))
    content[12:24] = b"\xff" * 12
    (run.folder / "bad.gz").write_bytes(content)
    assert "bad.gz is damaged" in run("import", "bad.gz", code=3).stderr

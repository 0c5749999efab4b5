"""Programs of Dramatiq's users as real processes, against a real server and a real worker."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from parts import wait_until

from persistence.repositories import SQLiteAccountRepository, SQLiteQuarantineRepository
from workers.app import create_worker

HOUSE = Path(__file__).parents[2]
DRAMATIQ = Path(sys.executable).with_name("dramatiq")
DEPOSIT = {"deposit_id": "d1", "account_id": "bot", "currency": "USDT", "amount": "1", "occurred_at": "2026-01-01T00:00:00Z"}


def run(folder, *command, **environment):
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
    )


def run_program(folder, program, **environment):
    return run(folder, sys.executable, "-c", program, **environment)


@pytest.fixture
def worker(broker_server, tmp_path):
    with create_worker(tmp_path / "books.db", broker_server.url) as worker:
        yield worker


@pytest.fixture
def settings(broker_server, tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "workers.yaml").write_text(f"broker: {{url: '{broker_server.url}'}}")


def counted(worker, **expected):
    wait_until(lambda: worker.writer.counts.messages == expected["messages"], "everything is taken")
    return {name: getattr(worker.writer.counts, name) for name in expected}


def test_the_example_of_the_documents_runs_and_ends_in_the_books(worker, settings, tmp_path):
    [example] = re.findall(r"```python dramatiq\n(.*?)```", (HOUSE / "docs" / "publishing.md").read_text(), re.DOTALL)
    done = run_program(tmp_path, example)
    assert (done.returncode, done.stderr) == (0, "")
    assert counted(worker, messages=4, applied=4, quarantined=0) == {"messages": 4, "applied": 4, "quarantined": 0}
    balance = SQLiteAccountRepository(worker.database).find_by_id("bot").balance
    assert (str(balance.total("BTC").amount), str(balance.total("USDT").amount)) == ("0.01", "4361")


def test_a_program_with_a_broker_of_its_own_sends_through_that_one(worker, broker_server, tmp_path):
    program = f"""
import dramatiq
from dramatiq.brokers.redis import RedisBroker
dramatiq.set_broker(RedisBroker(url={broker_server.url!r}))
from workers.actors import record_deposit
deposit = {DEPOSIT!r}
record_deposit.send_with_options(args=(deposit,), delay=3_600_000)
dramatiq.group([record_deposit.message(**{{**deposit, "deposit_id": f"g{{n}}"}}) for n in range(3)]).run()
(record_deposit.message({{**deposit, "deposit_id": "p1"}}) | record_deposit.message({{**deposit, "deposit_id": "p2"}})).run()
"""
    done = run_program(tmp_path, program)
    assert (done.returncode, done.stderr) == (0, "")
    assert counted(worker, messages=5, applied=4, quarantined=1) == {"messages": 5, "applied": 4, "quarantined": 1}
    [held] = SQLiteQuarantineRepository(worker.database).stream()
    assert (held.kind, held.account_id, held.record_id) == ("deposit", "bot", "p1")
    assert "the option pipe_target asks to send 'record_deposit' on" in held.detail
    assert json.loads(held.raw)["options"]["pipe_target"]["args"] == [{**DEPOSIT, "deposit_id": "p2"}], "kept whole"


def test_without_any_broker_the_program_ends_with_a_sentence_and_connects_nowhere(tmp_path):
    program = """
import sys
def look(event, args):
    if event == "socket.connect":
        print("connected to", args[1], flush=True)
sys.addaudithook(look)
from workers.actors import record_fill
record_fill.send(fill_id="f")
"""
    done = run_program(tmp_path, program)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.search(r"Unavailable: record_fill has no broker: .*broker\.url.*dramatiq\.set_broker", done.stderr.splitlines()[-1])


@pytest.mark.parametrize("named", [["workers.app"], ["workers.actors"], ["workers"], ["workers.app", "workers.actors"], ["workers.actors:record_fill.broker"]])
def test_the_dramatiq_command_says_what_runs_this_worker_and_never_that_it_is_ready(settings, tmp_path, named):
    done = run(tmp_path, DRAMATIQ, *named, "--processes", "1")
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if not line.startswith("[")]
    assert said == ["jarvis: the dramatiq command cannot run this worker (it acknowledges before the commit): run `jarvis worker run`"]
    assert "ready for action" not in done.stdout + done.stderr


PROGRAM = """
import os, signal, dramatiq
from dramatiq.brokers.redis import RedisBroker
dramatiq.set_broker(RedisBroker(url=os.environ["URL"]))
from workers.actors import record_deposit

@dramatiq.actor
def trade(n):
    record_deposit.send(deposit_id=f"t{n}", account_id="bot", currency="USDT", amount="1", occurred_at="2026-01-01T00:00:00Z")
    if n == 19:
        os.kill(os.getppid(), signal.SIGTERM)
"""


def test_a_dramatiq_worker_of_the_programs_own_sends_records_and_takes_none_of_ours(worker, broker_server, tmp_path):
    (tmp_path / "workers_of_mine.py").write_text(PROGRAM)
    sent = run_program(tmp_path, "import workers_of_mine as w\nfor n in range(20): w.trade.send(n)", URL=broker_server.url)
    assert (sent.returncode, sent.stderr) == (0, "")
    done = run(tmp_path, DRAMATIQ, "workers_of_mine", "--processes", "1", "--threads", "1", URL=broker_server.url)
    assert done.returncode == 0, done.stderr
    assert counted(worker, messages=20, applied=20, quarantined=0) == {"messages": 20, "applied": 20, "quarantined": 0}

"""The client as its user meets it: the examples of the guide, the types, and the installation."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from parts import wait_until

from workers.app import create_worker

HOUSE = Path(__file__).parents[2]


def test_the_examples_of_the_client_do_what_the_guide_says(broker_server, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"URL": broker_server.url}
    with create_worker(tmp_path / "books.db", broker_server.url) as worker:
        for number, block in enumerate(re.findall(r"```python client\n(.*?)```", (HOUSE / "docs" / "publishing.md").read_text(), re.DOTALL)):
            exec(compile(block, f"docs/publishing.md, example {number} of the client", "exec"), names)
        wait_until(lambda: worker.writer.counts.messages == 4, "everything is recorded")
        assert (worker.writer.counts.applied, worker.writer.counts.quarantined) == (3, 1)
    assert "deposit d-1 conflict deposit d-1 of account asked is recorded with other content" in capsys.readouterr().out


ENGINE = """
from datetime import UTC, datetime
from decimal import Decimal

from jarvis_client import AsyncPublisher, AsyncReceipt, Outcome, Publisher, Receipt, Sent, records
from jarvis_client.testing import MemoryPublisher

publisher = Publisher("redis://localhost", answers=True)
receipt: Receipt = publisher.publish_fill(
    fill_id="1", account_id="a", symbol="BTC/USDT", side="buy", quantity=Decimal(1), price=64000.5, executed_at=datetime.now(UTC), fee=None
)
outcome: Outcome = receipt.wait()
publisher.publish_deposit({"deposit_id": "1", "account_id": "a", "currency": "USDT", "amount": 1, "occurred_at": "2026-01-01T00:00:00Z"})
sent: Sent = publisher.publish_many([records.rate(currency="BNB", usd_rate=1, observed_at=datetime.now(UTC))])


async def engine(slow: AsyncPublisher, double: MemoryPublisher) -> AsyncReceipt:
    double.publish_metrics(account_id="a", total_value_usd="1", observed_at=datetime.now(UTC))
    return await slow.publish_rate(currency="BNB", usd_rate=1, observed_at=datetime.now(UTC))
"""
WRONG = [
    ('publisher.publish_deposit(deposit_idd="1")', 'did you mean "deposit_id"?'),
    ('publisher.publish_rate(currency="BNB")', "No overload variant"),
    ('publisher.publish_rate({"curency": "BNB"})', "No overload variant"),
    ('publisher.publish_void(void_id="v", kind="fil", id="1", reason="r", occurred_at=1)', "No overload variant"),
    ("publisher.publish_rate(currency=1, usd_rate=1, observed_at=1)", "No overload variant"),
]


def checked_by_mypy(folder: Path, program: str) -> tuple[int, str]:
    """As a user has it: installed, its types its own."""
    (folder / "engine.py").write_text(program)
    environment = {**os.environ, "MYPYPATH": str(HOUSE / "clients" / "python"), "MYPY_CACHE_DIR": str(folder / "cache")}
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull, "engine.py"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


@pytest.mark.slow
def test_the_types_let_right_calls_through_and_no_wrong_ones(tmp_path):
    assert checked_by_mypy(tmp_path, ENGINE) == (0, "Success: no issues found in 1 source file\n")
    for call, said in WRONG:
        code, shown = checked_by_mypy(tmp_path, f"{ENGINE}\n{call}\n")
        assert (code, said in shown) == (1, True), f"{call}: {shown}"


@pytest.mark.slow
def test_installing_the_client_brings_redis_s_client_and_nothing_else(tmp_path):
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(HOUSE / "clients" / "python")], check=True, timeout=300)
    listed = json.loads(subprocess.run([python, "-m", "pip", "list", "--format=json"], capture_output=True, text=True, check=True).stdout)
    installed = {package["name"] for package in listed} - {"pip", "setuptools", "wheel"}
    assert installed == {"jarvis-trading-client", "redis"}
    [site] = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    ours = [path for name in ("jarvis_client", "redis") for path in (site / name).rglob("*.py*") if "__pycache__" not in path.parts]
    assert sum(path.stat().st_size for path in ours) < 6_000_000
    assert (site / "jarvis_client" / "py.typed").exists()
    program = "import jarvis_client.testing, jarvis_client.aio; print(jarvis_client.Publisher, jarvis_client.__version__)"
    subprocess.run([python, "-I", "-c", program], check=True, cwd=tmp_path)

"""A worker, and the second process that reads for it, killed again and again while there is a backlog."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import redis
from books import unexplained
from parts import closing, wait_until

from jarvis_client import Publisher
from persistence.beside import cores
from persistence.database import DatabaseManager

FILLS, KILLS = 40_000, 8
WORKER = """
import sys, threading
from workers.app import create_worker, tune_interpreter
tune_interpreter()
with create_worker(sys.argv[1], sys.argv[2]):
    print(flush=True)
    sys.stdin.readline()
"""


def started(path: Path, url: str) -> subprocess.Popen[bytes]:
    log = open(path.parent / "log", "ab")
    worker = subprocess.Popen([sys.executable, "-c", WORKER, str(path), url], stdin=subprocess.PIPE, stdout=log, stderr=log)
    log.close()
    return worker


def second_process(worker: subprocess.Popen[bytes]) -> int | None:
    """What a worker has started; None while there is nothing."""
    children = [int(pid) for tid in os.listdir(f"/proc/{worker.pid}/task") for pid in Path(f"/proc/{worker.pid}/task/{tid}/children").read_text().split()]
    return children[0] if children else None


def are_left(client: redis.Redis, at_most: int) -> bool:
    """Whether no more fills than this wait, or none."""
    return client.llen("dramatiq:fills") <= max(0, at_most)


def recorded(path: Path) -> int:
    with closing(DatabaseManager(path)) as books:
        return int(books.execute_query("SELECT count(*) AS n FROM facts")[0]["n"])


@pytest.mark.slow
@pytest.mark.skipif(cores() < 2, reason="a worker has no second process on one core")
def test_nothing_is_lost_or_doubled_and_no_process_is_left(broker_server, tmp_path):
    chance = random.Random(20261126)
    path = tmp_path / "books.db"
    fills = [
        {
            "fill_id": f"f{n}", "account_id": f"a{n % 3}", "order_id": f"o{n // 2}", "symbol": "BTC/USDT", "side": ("buy", "sell")[n % 2], "quantity": "0.5",
            "price": "100", "fee": "0.01", "executed_at": 1_767_225_600_000_000 + n,
        }
        for n in range(FILLS)
    ]  # fmt: skip
    with closing(DatabaseManager(path)), Publisher(broker_server.url) as publisher:
        publisher.publish_fills(fills)
    client = broker_server.client()
    killed: list[str] = []
    for round_ in range(KILLS):
        with started(path, broker_server.url) as worker:
            wait_until(partial(second_process, worker), "it has a second process")
            before = client.llen("dramatiq:fills")
            share = chance.randrange(500, 2_500)
            wait_until(partial(are_left, client, before - share), "it is at work")
            reader = second_process(worker)
            if reader is None:
                worker.stdin.close()
                continue
            ends = os.pidfd_open(reader)
            if round_ % 2:
                signal.pidfd_send_signal(ends, signal.SIGKILL)
                killed.append("reader")
                wait_until(partial(are_left, client, before - 2 * share), "the worker goes on without it")
                worker.stdin.close()
            else:
                worker.kill()
                killed.append("worker")
            assert select.select([ends], [], [], 30)[0], "the second process ends with its worker"
            os.close(ends)
    assert {"reader", "worker"} <= set(killed)
    with started(path, broker_server.url) as worker:
        wait_until(lambda: recorded(path) == FILLS, "all of them are recorded")
        wait_until(lambda: not client.llen("dramatiq:fills") and not client.hlen("dramatiq:fills.msgs"), "everything is acknowledged")
        worker.stdin.close()
    assert recorded(path) == FILLS
    with closing(DatabaseManager(path)) as books:
        assert unexplained(books) == []
        assert books.execute_query("SELECT count(*) AS n FROM quarantine")[0]["n"] == 0
    assert "Traceback" not in (tmp_path / "log").read_text()

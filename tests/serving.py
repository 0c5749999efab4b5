"""A real process of `jarvis serve` or `jarvis web`, and asking it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from parts import wait_until

#: Of an import with everything that a listing shows.
HISTORY = [
    {"type": "deposit", "deposit_id": "d1", "account_id": "acc", "currency": "USDT", "amount": "1000", "occurred_at": "2026-01-01T00:00:00Z"},
    {"type": "metrics", "snapshot_id": "m1", "account_id": "acc", "observed_at": "2026-01-01T12:00:00Z", "total_value_usd": "1000"},
    *(
        {
            "type": "fill", "fill_id": f"f{n}", "account_id": "acc", "order_id": f"o{n // 2}", "symbol": "BTC/USDT", "side": "sell" if n % 4 > 1 else "buy",
            "quantity": f"0.0{n % 9 + 1}", "price": f"{50_000 + n}", "fee": "0.05", "executed_at": f"2026-01-02T12:{n:02}:00Z",
        }
        for n in range(60)
    ),
    {"type": "order", "event_id": "e1", "account_id": "acc", "order_id": "open1", "status": "placed", "symbol": "ETH/USDT", "side": "buy",
     "order_type": "limit", "quantity": "2", "price": "1000.5", "occurred_at": "2026-01-03T00:00:00Z"},
    {"type": "fee", "fee_id": "late", "account_id": "acc", "fill_id": "f1", "currency": "USDT", "amount": "0.7", "occurred_at": "2026-01-03T01:00:00Z"},
    {"type": "metrics", "snapshot_id": "m2", "account_id": "acc", "observed_at": "2026-01-02T13:00:00Z", "total_value_usd": "1010.25"},
    {"type": "metrics", "snapshot_id": "m3", "account_id": "acc", "observed_at": "2026-01-03T13:00:00Z", "total_value_usd": "1009"},
    {"type": "deposit", "deposit_id": "d2", "account_id": "a/../b <script>ü", "currency": "EUR", "amount": "7", "occurred_at": "2026-01-01T00:00:00Z"},
    {"type": "deposit", "deposit_id": "d3", "account_id": "acc", "currency": "USDT", "amount": "-1", "occurred_at": "2026-01-01T00:00:00Z"},
    {"type": "deposit", "deposit_id": "n1", "account_id": "acc", "currency": "USDT", "amount": "5", "occurred_at": "2026-01-01T00:00:00Z",
     "producer": "engine", "sequence": 1},
    {"type": "deposit", "deposit_id": "n4", "account_id": "acc", "currency": "USDT", "amount": "5", "occurred_at": "2026-01-01T00:00:00Z",
     "producer": "engine", "sequence": 4},
]  # fmt: skip


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Server:
    """Where a process answers."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process = process
        self.url = url
        parts = urlsplit(url)
        self.host, self.port = str(parts.hostname), int(parts.port or 0)

    def ask(self, target: str, method: str = "GET", **headers: str) -> Answer:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        try:
            connection.putrequest(method, target, skip_host="Host" in headers)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders()
            got = connection.getresponse()
            return Answer(got.status, {name.lower(): value for name, value in got.getheaders()}, got.read())
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        answer = self.ask(f"/api/v1{path}")
        assert answer.status == 200, answer.body
        return answer.json


@contextmanager
def serving(folder: Path, *arguments: str, command: str = "serve", **environment: str) -> Iterator[Server]:
    """A server over the books of a folder, on a port that is free, for a block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "jarvis", command, "--listen", "127.0.0.1:0", *arguments], cwd=folder, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **environment},
    )  # fmt: skip
    lines: list[str] = []
    assert process.stderr is not None

    def read() -> None:
        lines.extend(iter(process.stderr.readline, ""))

    threading.Thread(target=read, daemon=True).start()
    try:
        wait_until(lambda: process.poll() is not None or any("answering" in line for line in lines), "the server answers", 60)
        assert process.poll() is None, lines
        yield Server(process, next(json.loads(line)["url"] for line in lines if "answering" in line))
        assert "Traceback" not in "".join(lines)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(20)

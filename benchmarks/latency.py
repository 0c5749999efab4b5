"""From publishing to durable, measured from the intended send time, beside the disk's own fsync."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from jarvis_client import Publisher
from persistence.database import DatabaseManager
from workers.app import create_worker, tune_interpreter

from .workers import Server

RECORD = {"account_id": "a", "currency": "USDT", "amount": "1", "occurred_at": 1_767_225_600_000_000}


def measure(rate: int = 500, seconds: float = 6.0, trials: int = 8, silence: float = 5.0) -> dict[str, float]:
    """Milliseconds: p50 and p99 at a steady rate, median and worst first message after silence, median fsync."""
    tune_interpreter()
    server = Server()
    worker = create_worker(server.folder / "books.db", server.url)
    committed: dict[int, float] = {}
    poster = worker.writer._poster
    post = poster.post

    def timed(items, raw_of=None):  # type: ignore[no-untyped-def]
        outcomes = post(items, raw_of)
        now = time.perf_counter()
        for item in items:
            committed[int(item[1])] = now
        return outcomes

    poster.post = timed  # type: ignore[method-assign]
    worker.start()
    Publisher(server.url).publish_deposit({**RECORD, "deposit_id": "999999999"})
    time.sleep(0.5)
    count = int(rate * seconds)
    steady = sorted(_waits(server.url, committed, [n / rate for n in range(count)], 0))
    first = _waits(server.url, committed, [n * silence for n in range(1, trials + 1)], 10**6)
    worker.stop()
    fsyncs = sorted(fsync_ms(server.folder / "probe") for _ in range(50))
    server.close()
    return {
        "p50": steady[len(steady) // 2], "p99": steady[int(len(steady) * 0.99)], "first median": sorted(first)[len(first) // 2], "first worst": max(first),
        "fsync": fsyncs[25],
    }  # fmt: skip


def first_message_stages(trials: int = 10, silence: float = 5.0) -> dict[str, float]:
    """Where the time of a first message after silence goes: median milliseconds from its intended send time to each stage."""
    tune_interpreter()
    server = Server()
    worker = create_worker(server.folder / "books.db", server.url)
    seen: dict[str, list[float]] = {"fetched": [], "handed to the writer": [], "commit begins": [], "durable": []}
    fetch, submit, post = worker.broker.fetch, worker.writer.submit, worker.writer._poster.post

    def fetched(queue: str) -> Any:
        found = fetch(queue)
        if found:
            seen["fetched"].append(time.perf_counter())
        return found

    def submitted(*submissions: Any) -> bool:
        if submissions:
            seen["handed to the writer"].append(time.perf_counter())
        return submit(*submissions)

    def posted(items: Any, raw_of: Any = None) -> Any:
        seen["commit begins"].append(time.perf_counter())
        outcomes = post(items, raw_of)
        seen["durable"].append(time.perf_counter())
        return outcomes

    worker.broker.fetch, worker.writer.submit, worker.writer._poster.post = fetched, submitted, posted  # type: ignore[method-assign]
    worker.start()
    Publisher(server.url).publish_deposit({**RECORD, "deposit_id": "999999999"})
    time.sleep(0.5)
    for times in seen.values():
        times.clear()
    start = time.perf_counter() + 1.0
    offsets = [n * silence for n in range(1, trials + 1)]
    arguments = [server.url, str(start), "0", *map(str, offsets)]
    subprocess.run([sys.executable, "-c", "from benchmarks.latency import send_all; send_all()"], input="\n".join(arguments), text=True, check=True)
    time.sleep(0.5)
    worker.stop()
    server.close()
    return {stage: sorted((t - start - o) * 1000 for t, o in zip(times, offsets, strict=True))[trials // 2] for stage, times in seen.items()}


def _waits(url: str, committed: dict[int, float], offsets: list[float], first: int) -> list[float]:
    """Milliseconds from the intended send time of each message to its commit; an engine of its own process sends them."""
    start = time.perf_counter() + 1.0
    arguments = [url, str(start), str(first), *map(str, offsets)]
    subprocess.run([sys.executable, "-c", "from benchmarks.latency import send_all; send_all()"], input="\n".join(arguments), text=True, check=True)
    deadline = time.perf_counter() + 10
    while first + len(offsets) - 1 not in committed and time.perf_counter() < deadline:
        time.sleep(0.01)
    return [(committed[first + n] - start - offset) * 1000 for n, offset in enumerate(offsets)]


def send_all() -> None:
    """The engine: publishes on schedule what its input names. The clock is the machine's, the same in every process."""
    url, start, first, *offsets = sys.stdin.read().split("\n")
    publisher = Publisher(url)
    publisher._client.ping()  # an engine's connection stands before its first fill
    for n, offset in enumerate(offsets):
        time.sleep(max(0.0, float(start) + float(offset) - time.perf_counter()))
        publisher.publish_deposit({**RECORD, "deposit_id": str(int(first) + n)})


def fsync_ms(path: Path) -> float:
    with path.open("ab") as file:
        file.write(b"x" * 4096)
        file.flush()
        started = time.perf_counter()
        os.fsync(file.fileno())
        return (time.perf_counter() - started) * 1000


def worker_memory(messages: int) -> tuple[float, float]:
    """MiB of a worker process a quarter and three quarters into a backlog of so many messages."""
    from .common import fill_records

    server = Server()
    publisher = Publisher(server.url)
    for n in range(0, messages, 50_000):
        publisher.publish_fills(fill_records(min(50_000, messages - n), first=n))
    DatabaseManager(server.folder / "books.db").initialize()
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.workers", "ours", server.url, str(server.folder / "books.db"), str(messages), "m", "alone"],
        stdout=subprocess.DEVNULL,
    )
    seen: list[float] = []
    for part in (0.75, 0.25):
        while int(server.client.llen("dramatiq:fills")) > messages * part:  # type: ignore[arg-type]
            time.sleep(0.05)
        status = Path(f"/proc/{process.pid}/status").read_text()
        seen.append(int(status.split("VmRSS:")[1].split()[0]) / 1024)
    process.wait()
    server.close()
    return seen[0], seen[1]

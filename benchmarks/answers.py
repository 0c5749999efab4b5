"""What publishing costs an engine, and what answers cost engine and worker: `python -m benchmarks.answers`.

Processor time a record is what to compare; a machine with others at work shows in the rates.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jarvis_client import Publisher
from jarvis_client.contract.instants import to_text

from .common import fill_records
from .workers import Server

ONE_BY_ONE, BULK = 3_000, 20_000


def cost(work: Callable[[], object], count: int) -> tuple[float, float]:
    """(records a second, microseconds of processor time a record) of this process."""
    started, used = time.perf_counter(), time.process_time()
    work()
    return count / (time.perf_counter() - started), (time.process_time() - used) / count * 1e6


def publishing(**options: Any) -> dict[str, tuple[float, float]]:
    server = Server()
    records = fill_records(BULK)
    try:
        publisher = Publisher(server.url, **options)
        publisher.publish_fills(records[:500])
        return {
            "one by one": cost(lambda: [publisher.publish_fill(r) for r in records[:ONE_BY_ONE]], ONE_BY_ONE),
            "in bulk": cost(lambda: publisher.publish_fills(records), BULK),
            "in bulk, 100 a message": cost(lambda: publisher.publish_fills(records, records_per_message=100), BULK),
        }
    finally:
        server.close()


def of_a_worker(count: int, records_per_message: int, *, answers: bool) -> float:
    """Microseconds of processor time a fill, from Redis to acknowledged; its start included."""
    server = Server()
    try:
        Publisher(server.url, answers=answers).publish_fills(fill_records(count), records_per_message=records_per_message)
        command = [sys.executable, "-m", "benchmarks.workers", "ours", server.url, str(server.folder / "books.db"), str(count), "w"]
        said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
        return float(said[-2]) / count * 1e6
    finally:
        server.close()


def waiting(count: int) -> float:
    """Milliseconds from publishing to the answer, the median: one at a time, with a worker at work."""
    server = Server()
    worker = "import sys, threading; from workers.app import create_worker; w = create_worker(*sys.argv[1:]); w.start(); threading.Event().wait()"
    process = subprocess.Popen([sys.executable, "-c", worker, str(server.folder / "books.db"), server.url], stdout=subprocess.DEVNULL)
    try:
        publisher = Publisher(server.url, answers=True)
        records = fill_records(count + 1)
        publisher.publish_fill(records[-1]).wait(60)
        taken = []
        for record in records[:-1]:
            started = time.perf_counter()
            publisher.publish_fill(record).wait(60)
            taken.append((time.perf_counter() - started) * 1000)
        return statistics.median(taken)
    finally:
        process.kill()
        process.wait()
        server.close()


def spooling(count: int) -> tuple[float, float]:
    """(records a second, microseconds of processor time a record) into the spool while Redis is away, on the disk of temporary files."""
    folder = Path(tempfile.mkdtemp(prefix="jb-"))
    publisher = Publisher(f"unix://{folder}/nobody", spool=folder / "spool")
    rates = [{"currency": "BNB", "usd_rate": "640", "observed_at": to_text(1_767_225_600_000_000 + n)} for n in range(count + 1)]
    publisher.publish_rate(rates[-1])
    found = cost(lambda: [publisher.publish_rate(rate) for rate in rates[:-1]], count)
    publisher.close()
    shutil.rmtree(folder)
    return found


def main() -> None:
    for name, options in (("", {}), ("with answers", {"answers": True}), ("with numbers", {"producer": "e"})):
        for how, (rate, used) in publishing(**options).items():
            print(f"{'publishing ' + how + ' ' + name:<60} {rate:>9,.0f} records/s {used:>8.1f} µs of CPU")
    for size, count in ((1, 12_000), (100, 40_000)):
        silent, answering = (of_a_worker(count, size, answers=answers) for answers in (False, True))
        print(f"{f'a worker, {size} fills a message: nobody asks, everybody asks':<60} {silent:>9.1f} and {answering:.1f} µs of CPU a fill")
    print(f"{'published, durable and answered, one at a time':<60} {waiting(300):>9.1f} ms")
    rate, used = spooling(500)
    print(f"{'into the spool while Redis is away':<60} {rate:>9,.0f} records/s {used:>8.1f} µs of CPU")


if __name__ == "__main__":
    main()

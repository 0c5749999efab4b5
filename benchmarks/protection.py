"""What protection costs: page checksums, the mark of what was durable, the hash chain; backups while ingesting; verification, quick and full."""

from __future__ import annotations

import random
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from jarvis_client.contract import instants
from persistence.books.ledger import Ledger
from persistence.copies import backups
from persistence.database import DatabaseManager
from persistence.engine.sqlite import database as engine
from persistence.proof import chain
from scheduler.rollup.options import RollupOptions, RollupPlan
from scheduler.verification import Depth, verify

from .common import COMMIT, fill_facts, median
from .workers import processor_time

PLAN = RollupPlan(RollupOptions())


@contextmanager
def without(what: str) -> Iterator[None]:
    """The books without one of their protections, for the comparison only."""
    reserve, number = DatabaseManager._reserve, engine._counted
    if what == "checksums":
        DatabaseManager._reserve = 0  # type: ignore[assignment,method-assign]
    elif what == "mark":
        engine._counted = lambda connection: None  # type: ignore[assignment,return-value]
    try:
        yield
    finally:
        DatabaseManager._reserve, engine._counted = reserve, number  # type: ignore[method-assign]


def _cpu_of_posting(facts: list[Any], per_commit: int, what: str) -> float:
    """Microseconds of CPU time a fill, checkpoints included."""
    with tempfile.TemporaryDirectory(prefix="jarvis-bench-") as folder, without(what):
        database = DatabaseManager(Path(folder) / "b.db")
        database.initialize()
        ledger = Ledger(database)
        started = time.process_time()
        for n in range(0, len(facts), per_commit):
            ledger.post(facts[n : n + per_commit])
        database.checkpoint()
        taken = time.process_time() - started
        database.close()
        return taken / len(facts) * 1e6


def ingestion_cost(rounds: int = 7, fills: int = 20_000, per_commit: int = COMMIT) -> dict[str, float]:
    """Medians over interleaved pairs of CPU time with : without each protection, a fill."""
    facts = fill_facts(fills)
    pairs: dict[str, list[float]] = {"checksums": [], "mark": []}
    _cpu_of_posting(facts, per_commit, "nothing")
    for _ in range(rounds):
        for what, ratios in pairs.items():
            first, second = ("nothing", what) if random.random() < 0.5 else (what, "nothing")
            found = {first: _cpu_of_posting(facts, per_commit, first), second: _cpu_of_posting(facts, per_commit, second)}
            ratios.append(found["nothing"] / found[what])
    return {what: median(ratios) for what, ratios in pairs.items()}


def sealing_cost(fills: int = 50_000) -> tuple[float, float]:
    """Microseconds of CPU time a fill: of `Ledger.post`, and of sealing."""
    facts = fill_facts(fills)
    with tempfile.TemporaryDirectory(prefix="jarvis-bench-") as folder, closing(DatabaseManager(Path(folder) / "b.db")) as database:
        database.initialize()
        ledger = Ledger(database)
        started = time.process_time()
        for n in range(0, fills, COMMIT):
            ledger.post(facts[n : n + COMMIT])
        posted = time.process_time() - started
        started = time.process_time()
        chain.seal(database, instants.now())
        return posted / fills * 1e6, (time.process_time() - started) / fills * 1e6


def sealing_share(rounds: int = 5, fills: int = 20_000, records_per_message: int = 1) -> tuple[float, float, float]:
    """Medians of pairs: CPU time of sealing : of the worker that recorded the same fills, and both in microseconds a fill."""
    pairs = [processor_time(fills, records_per_message=records_per_message) for _ in range(rounds)]
    return median([s / w for w, s in pairs]), median([s for _, s in pairs]), median([w for w, _ in pairs])


def large_book(fills: int) -> dict[str, float]:
    """Seconds and MB of a backup while another thread ingests, of its restore, of verification, quick and full; the slow-down of ingestion."""
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="jarvis-bench-") as folder:
        database = DatabaseManager(Path(folder) / "b.db")
        database.initialize()
        ledger = Ledger(database)
        for n in range(0, fills, 50_000):
            facts = fill_facts(min(50_000, fills - n), first=n)
            for at in range(0, len(facts), COMMIT):
                ledger.post(facts[at : at + COMMIT])
        database.checkpoint()
        found["MB"] = Path(database.path).stat().st_size / 1e6
        found["seal s"] = _timed(lambda: chain.seal(database, instants.now()))
        found["ingesting alone fills/s"], _ = _ingest(database, fills, 4.0)
        made: list[backups.Backup] = []
        with _ingesting(database, 2 * fills) as rates:
            found["backup s"] = _timed(lambda: made.append(backups.create(database, Path(folder) / "backups", instants.now())))
        found["ingesting meanwhile fills/s"], found["worst commit ms"] = rates
        found["restore s"] = _timed(lambda: _open(made[0], Path(folder)))
        found["verify s"] = _timed(lambda: verify(database, PLAN, instants.now(), None))
        ledger.post(fill_facts(1_000, first=50 * fills))
        found["verify quick s"] = _timed(lambda: verify(database, PLAN, instants.now(), None, depth=Depth.QUICK))
        found["verify full s"] = _timed(lambda: verify(database, PLAN, instants.now(), Path(folder) / "backups", depth=Depth.FULL))
        database.close()
    return found


def worst_commit_during_copy(megabytes: int = 50) -> float:
    """Milliseconds of the longest commit of a writer while a book of that size is copied."""
    with tempfile.TemporaryDirectory(prefix="jarvis-bench-") as folder, closing(DatabaseManager(Path(folder) / "b.db")) as database:
        database.initialize()
        ledger = Ledger(database)
        n = 0
        while Path(database.path).stat().st_size < megabytes * 1e6:
            ledger.post(fill_facts(5_000, first=n))
            n += 5_000
            database.checkpoint()
        with _ingesting(database, n, per_commit=50) as rates:
            for copy in range(5):
                database.backup(Path(folder) / f"copy-{copy}.db")
        return rates[1]


@contextmanager
def _ingesting(database: DatabaseManager, first: int, per_commit: int = COMMIT) -> Iterator[list[float]]:
    """Another process writes at full speed for the length of the block; its fills a second and longest commit (ms) are there after it."""
    command = [sys.executable, "-m", "benchmarks.protection", "ingest", database.path, str(first), str(per_commit)]
    writer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    writer.stdout.readline()
    rates: list[float] = []
    try:
        yield rates
    finally:
        said, _ = writer.communicate("enough\n")
        rates += map(float, said.split())


def _ingest(database: DatabaseManager, first: int, seconds: float, per_commit: int = COMMIT, ended: Callable[[], bool] = lambda: False) -> tuple[float, float]:
    """Fills a second, and milliseconds of the longest commit."""
    ledger, worst, count = Ledger(database), 0.0, 0
    taken = 0.0
    while taken < seconds and not ended():
        more = fill_facts(20_000, first=first + 10_000_000 + count)
        for at in range(0, len(more), per_commit):
            facts = more[at : at + per_commit]
            began = time.perf_counter()
            ledger.post(facts)
            lasted = time.perf_counter() - began
            worst, taken, count = max(worst, lasted), taken + lasted, count + len(facts)
            if ended():
                break
        database.keep_wal_short()
    return count / taken, worst * 1000


def _open(backup: backups.Backup, folder: Path) -> None:
    with backups.opened(backup, folder):
        pass


def _timed(work: Any) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    if sys.argv[1:2] == ["ingest"]:
        books = DatabaseManager(sys.argv[2])
        print("ready", flush=True)
        print(*_ingest(books, int(sys.argv[3]), 3600, int(sys.argv[4]), lambda: bool(select.select([sys.stdin], [], [], 0)[0])))
        books.close()
    else:
        print("CPU with : without, a fill", {k: round(v, 3) for k, v in ingestion_cost().items()})
        print("CPU us a fill, Ledger.post and sealing: {:.1f}, {:.1f}".format(*sealing_cost()))
        for size in (1, 100):
            print("sealing : worker, {} fills a message: {:.3f}  ({:.1f} : {:.1f} us)".format(size, *sealing_share(records_per_message=size)))
        print(f"worst commit while 50 MB are copied, ms: {worst_commit_during_copy():.0f}")
        for name, value in large_book(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000).items():
            print(f"{name:<30}{value:>12,.1f}")

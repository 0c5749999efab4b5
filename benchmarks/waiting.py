"""How long people wait for backup, restore, verification and rebuild of a large book: each command as it is typed, with a fresh process.

python -m benchmarks waiting [--facts N] [--rounds N] [--against CHECKOUT] [--only COMMAND ...] [--keep FOLDER]

`--against` measures the code of another checkout beside this one, in turns, on the same book. Processor time counts on a machine that is
shared: user and system, of the process and of those it started.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha3_256, sha256
from pathlib import Path
from typing import Any

import zstandard

from jarvis_client.contract.instants import to_datetime
from persistence.copies.backups import COMPRESSION_LEVEL

from .common import START, median

HERE = Path(__file__).resolve().parent.parent
DAYS = 300
#: What is done with fresh copies, because it changes the book.
COMMANDS: dict[str, tuple[str, ...]] = {
    "backup create": ("backup", "create"),
    "backup verify": ("backup", "verify"),
    "restore": ("restore", "--latest"),
    "restore --to": ("restore", "--latest", "--to", "elsewhere.db"),
    "verify": ("verify",),
    "verify --full": ("verify", "--full"),
    "verify --chain": ("verify", "--chain"),
    "db check": ("db", "check"),
    "rebuild --check": ("rebuild", "--check"),
    "rebuild": ("rebuild",),
    "db salvage": ("db", "salvage", "salvaged.db"),
}


def records(count: int) -> Iterator[dict[str, Any]]:
    """A year of an engine: two accounts, five pairs, orders of one to three fills with their events, deposits, an equity snapshot an hour."""
    chance = random.Random(1)
    day = 86_400_000_000
    per_day, made = max(count // DAYS, 100), 0
    symbols = ("BTC/USDT", "ETH/USDT", "SOL/USDT", "XRP/USDT", "BNB/USDT")
    while made < count:
        number, made_before = made // per_day, made
        begin = START + number * day
        for account in ("main", "other"):
            if made == 0 or number % 30 == 0:
                yield {
                    "type": "deposit",
                    "deposit_id": f"d{number}:{account}",
                    "account_id": account,
                    "currency": "USDT",
                    "amount": "100000",
                    "occurred_at": begin,
                }
                made += 1
            for hour in range(24):
                value = f"{100_000 + chance.randrange(5_000)}.50"
                at = begin + hour * day // 24 + 1
                yield {"type": "metrics", "snapshot_id": f"m{number}:{hour}:{account}", "account_id": account, "observed_at": at, "total_value_usd": value}
                made += 1
        order = 0
        while made - made_before < per_day:
            account, symbol = ("main", "main", "other")[order % 3], symbols[order // 2 % 5]
            at, order_id = begin + (made - made_before) * (day // (per_day + 3)), f"{number:05d}-{order:06d}"
            same = {"account_id": account, "order_id": order_id, "symbol": symbol, "side": ("buy", "sell")[order % 2]}
            parts = 1 + order % 3
            if order % 4 == 0:
                placed = {"status": "placed", "event_id": f"e{order_id}", "occurred_at": at, "order_type": "limit", "quantity": f"0.{parts}", "price": "100.5"}
                yield {"type": "order", **same, **placed}
                made += 1
            for part in range(parts):
                fill = {"fill_id": f"venue:{symbol[:3]}:{order_id}:{part}", "quantity": "0.1", "price": f"{chance.randrange(9_000, 11_000) / 100:.2f}"}
                yield {"type": "fill", **same, **fill, "fee": f"0.{chance.randrange(1, 10**5):08d}", "executed_at": at + part + 1}
                made += 1
            order += 1


@dataclass
class Taken:
    """What one run of a command took."""

    wall: float
    processor: float
    peak_mb: float


@dataclass
class Side:
    """One checkout that is measured."""

    name: str
    checkout: Path
    found: dict[str, list[Taken]] = field(default_factory=dict)

    def run(self, folder: Path, *words: str, fine: Sequence[int] = (0,)) -> Taken:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("JARVIS_")}
        environment |= {"PYTHONPATH": f"{self.checkout}{os.pathsep}{self.checkout / 'clients' / 'python'}", "JARVIS_LOGGING__LEVEL": "error"}
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        command = [sys.executable, "-m", "jarvis", "--config", str(folder / "config"), *words]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode not in fine:
            raise SystemExit(f"{self.name}: {' '.join(words)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return Taken(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, after.ru_maxrss / 1024)


def make_book(folder: Path, count: int) -> None:
    """A book of that many records, rolled up, with one backup beside it."""
    (folder / "config").mkdir(parents=True)
    (folder / "data").mkdir(mode=0o700)
    side, lines = Side("making", HERE), folder / "records.ndjson"
    with lines.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(record) + "\n" for record in records(count))
    side.run(folder, "db", "init")
    side.run(folder, "import", str(lines))
    side.run(folder, "rollup", "--to", f"{to_datetime(START) + timedelta(days=DAYS - 1):%Y-%m-%d}")
    lines.unlink()


@contextmanager
def copy_of(book: Path, parent: Path) -> Iterator[Path]:
    """The book in a folder of its own, for what changes it."""
    folder = Path(tempfile.mkdtemp(dir=parent, prefix="run-"))
    try:
        shutil.copytree(book, folder / "book")
        for path in (folder / "book" / "data").iterdir():
            # What the copy has left to write is no work of the command.
            with path.open("rb") as file:
                os.fsync(file.fileno())
        yield folder / "book"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(sides: Sequence[Side], book: Path, parent: Path, commands: Sequence[str], rounds: int) -> None:
    for number in range(rounds):
        for name in commands:
            for side in sides if number % 2 == 0 else reversed(sides):
                with copy_of(book, parent) as folder:
                    if name in ("backup verify", "restore", "restore --to", "verify --full"):
                        side.run(folder, "backup", "create")
                    taken = side.run(folder, *COMMANDS[name], fine=(0, 1))
                    side.found.setdefault(name, []).append(taken)
                    print(f"{side.name:<8} {name:<18} {taken.wall:8.1f} s {taken.processor:8.1f} s of processor {taken.peak_mb:8.0f} MB", flush=True)


def speeds(book: Path) -> dict[str, float]:
    """What this machine does of each work that cannot be left out, in MB a second of one core."""
    content = (book / "data" / "jarvis_trading.db").read_bytes()[: 64 << 20]
    compressed = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL).compress(content)

    def speed(work: Callable[[], Any]) -> float:
        began = time.process_time()
        work()
        return len(content) / 1e6 / max(time.process_time() - began, 1e-6)

    return {
        "reading from memory": speed((book / "data" / "jarvis_trading.db").read_bytes) * (book / "data" / "jarvis_trading.db").stat().st_size / len(content),
        "SHA-256": speed(lambda: sha256(content)),
        "SHA3-256": speed(lambda: sha3_256(content)),
        f"compressing, level {COMPRESSION_LEVEL}": speed(lambda: zstandard.ZstdCompressor(level=COMPRESSION_LEVEL).compress(content)),
        "decompressing": speed(lambda: zstandard.ZstdDecompressor().decompress(compressed)),
    }


def table(sides: Sequence[Side], commands: Sequence[str]) -> None:
    head = [f"{side.name}, {what}" for what in ("processor s", "wall s") for side in sides]
    print("\n| command | " + " | ".join(head) + (" | processor, after : before |" if len(sides) > 1 else " |"))
    print("|" + " --- |" * (len(head) + len(sides)))
    for name in commands:
        cpu = [median([t.processor for t in side.found[name]]) for side in sides]
        wall = [median([t.wall for t in side.found[name]]) for side in sides]
        ratio = f" {cpu[-1] / cpu[0]:.2f} |" if len(sides) > 1 else ""
        print(f"| {name} | " + " | ".join(f"{v:.1f}" for v in (*cpu, *wall)) + " |" + ratio)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--facts", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--against", type=Path, help="another checkout, measured beside this one")
    parser.add_argument("--only", nargs="+", choices=COMMANDS, default=list(COMMANDS), metavar="COMMAND")
    parser.add_argument("--keep", type=Path, help="where the book is made, and found again by the next run")
    options = parser.parse_args(arguments)
    sides = [Side("now", HERE)] if options.against is None else [Side("before", options.against.resolve()), Side("now", HERE)]
    parent = options.keep or Path(tempfile.mkdtemp(prefix="jarvis-bench-"))
    book = parent / f"book-{options.facts}"
    try:
        if not book.exists():
            make_book(book, options.facts)
        size = (book / "data" / "jarvis_trading.db").stat().st_size
        print(f"a book of {options.facts:,} facts, {size / 1e6:,.0f} MB; each command once a round, {options.rounds} round{'s' * (options.rounds != 1)}\n")
        for work, speed in speeds(book).items():
            print(f"{work:<24}{speed:>8,.0f} MB/s")
        print()
        measure(sides, book, parent, options.only, options.rounds)
        table(sides, options.only)
    finally:
        if options.keep is None:
            shutil.rmtree(parent)

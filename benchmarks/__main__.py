"""`make bench`: every figure of `benchmarks/README.md`, side by side in one run. Ratios count; absolute speeds are this machine's.

python -m benchmarks [--transactions N] [--backlog N] [--days N] [--quick]
python -m benchmarks waiting [--facts N] [--rounds N] [--against CHECKOUT]     how long people wait for backup, restore, verify and rebuild
python -m benchmarks servers [--fills N] [--rounds N]                          SQLite and PostgreSQL, by batches and writers
"""

from __future__ import annotations

import argparse
import gc
import importlib.metadata
import json
import logging
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import apsw
import structlog

from jarvis_client import Publisher
from persistence.books.ledger import Ledger
from persistence.imports import import_lines
from workers.app import tune_interpreter
from workers.messages import item_of_line

from . import driver, history, latency, protection, rollup, servers, waiting
from .common import fill_records, fresh_books, seconds
from .workers import Server, rate

ROWS: list[tuple[str, str, str]] = []


def say(what: str, figure: str, target: str) -> None:
    ROWS.append((what, figure, target))
    print(f"{what:<78} {figure:<34} {target}", flush=True)


def best_of(times: int, work: Callable[[], float]) -> float:
    return max(work() for _ in range(times))


def import_rate(count: int) -> float:
    lines = [json.dumps({"type": "fill", **r}).encode() for r in fill_records(count)]
    with fresh_books() as database:
        return count / seconds(lambda: import_lines(Ledger(database), lines, item_of_line))


def publishing() -> tuple[float, float]:
    """Records a second: one by one as stock Dramatiq enqueues, and pipelined in bulk."""
    import dramatiq
    from dramatiq.brokers.redis import RedisBroker

    server = Server()
    actor = dramatiq.actor(lambda record: None, actor_name="record_fill", queue_name="fills", broker=RedisBroker(url=server.url))
    records = fill_records(20_000)
    one_by_one = 2_000 / seconds(lambda: [actor.send(r) for r in records[:2_000]])
    bulk = 20_000 / seconds(lambda: Publisher(server.url).publish_fills(records, records_per_message=100))
    server.close()
    return one_by_one, bulk


def other(mode: str, count: int) -> float:
    server = Server()
    folder = tempfile.mkdtemp(prefix="jarvis-bench-")
    done = subprocess.run([sys.executable, "-m", "benchmarks.others", mode, server.url, folder, str(count)], capture_output=True, text=True, check=False)
    server.close()
    return count / float(done.stdout.split()[-1])


def main() -> None:
    if sys.argv[1:2] == ["waiting"]:
        waiting.main(sys.argv[2:])
        return
    if sys.argv[1:2] == ["servers"]:
        servers.main(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--transactions", type=int, default=1_000_000, help="size of the large book")
    parser.add_argument("--backlog", type=int, default=200_000, help="messages of the memory test")
    parser.add_argument("--days", type=int, default=3_650, help="days of the account whose rollups are measured")
    parser.add_argument("--fills", type=int, default=100_000, help="fills of the book that is backed up and verified")
    parser.add_argument("--quick", action="store_true", help="one round of each")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    logging.disable(logging.WARNING)
    tune_interpreter()
    rounds = 1 if options.quick else 3
    versions = ", ".join(f"{n} {importlib.metadata.version(n)}" for n in ("dramatiq", "redis", "pydantic", "celery", "sqlalchemy", "rq"))
    print(f"Python {platform.python_version()}, SQLite {apsw.sqlite_lib_version()}, {versions}; WAL, synchronous=FULL, 1,000 fills a commit\n")

    found = driver.compare(20_000, rounds * 2)
    bare, post = 1e6 / found["bare driver"], 1e6 / found["Ledger.post"]
    say("Ledger.post, 1,000 fills a batch : bare driver", f"{post / bare:.2f}  ({post:,.0f} : {bare:,.0f} fills/s)", "0.85")
    ready = 1e6 / found["made ready"]
    say("the same, fills made ready by their reader", f"{ready / bare:.2f}  ({ready:,.0f})", "0.85")
    # A book of the same size for both: indexes of a larger one cost more.
    pairs = [(import_rate(60_000), 1e6 / driver.compare(60_000, 1)["bare driver"]) for _ in range(rounds)]
    imported, beside = max(a for a, _ in pairs), max(b for _, b in pairs)
    say("import of NDJSON, 60,000 fills : bare driver", f"{imported / beside:.2f}  ({imported:,.0f} : {beside:,.0f})", "0.65")
    gc.collect()
    # Two to three seconds of work for everybody.
    ours = best_of(rounds, lambda: rate("ours", 60_000))
    committing = best_of(rounds, lambda: rate("stock-commit", 3_000))
    empty = best_of(rounds, lambda: rate("stock-empty", 4_000))
    say("one worker, single fills : stock actor that commits each by Ledger.post", f"{ours / committing:.1f}  ({ours:,.0f} : {committing:,.0f})", "20")
    say("one worker, single fills : stock worker with an empty actor", f"{ours / empty:.1f}  ({ours:,.0f} : {empty:,.0f})", "12")
    two = best_of(rounds, lambda: rate("ours", 60_000, processes=2))
    say("two worker processes on one database : one", f"{two / ours:.2f}  ({two:,.0f})", "1.6")
    batches = best_of(rounds, lambda: rate("ours", 100_000, records_per_message=100))
    say("batch messages of 100 fills : bare driver", f"{batches / bare:.2f}  ({batches:,.0f})", "0.65")
    for mode, name in (("celery", "Celery + SQLAlchemy"), ("dramatiq", "Dramatiq + SQLAlchemy"), ("rq", "RQ + sqlite3")):
        theirs = best_of(1, lambda mode=mode: other(mode, 1_500))
        say(f"one worker, single fills : {name}", f"{ours / theirs:.1f}  ({theirs:,.0f})", "4")
    one, bulk = publishing()
    say("publishing in bulk : one by one", f"{bulk / one:.1f}  ({bulk:,.0f} : {one:,.0f} records/s)", "10")
    waits = latency.measure(seconds=3 if options.quick else 8, trials=3 if options.quick else 30)
    say("publish to durable at 500 messages/s, p50 and p99, ms", f"{waits['p50']:.1f}, {waits['p99']:.1f}  (fsync {waits['fsync']:.2f})", "1.5, 5")
    say("first message after 5 s of silence, median and worst, ms", f"{waits['first median']:.1f}, {waits['first worst']:.1f}", "3, 10")
    stages = latency.first_message_stages(3 if options.quick else 10)
    say("where the time of a first message goes, ms to each stage", ", ".join(f"{stage} {ms:.1f}" for stage, ms in stages.items()), "")
    early, late = latency.worker_memory(options.backlog)
    say(f"memory of a worker under a backlog of {options.backlog:,} messages, MiB, early and late", f"{early:.0f}, {late:.0f}", "flat, under 250")
    started = time.perf_counter()
    for name, ratio in history.measure(options.transactions).items():
        target = {"ingestion, time-ordered ids": "0.95", "ingestion, random ids": "0.95"}.get(name, "within 1.5")
        say(f"{options.transactions:,} transactions in the book : empty, {name}", f"{ratio:.2f}", target)
    print(f"\n(the large book took {time.perf_counter() - started:.0f} s)")
    nights = rollup.one_account(options.days)
    ratio = nights["late ms"] / nights["early ms"]
    say(
        f"a day's rollup of 500 fills at day {options.days:,} : day 10",
        f"{ratio:.2f}  ({nights['late ms']:.1f} : {nights['early ms']:.1f} ms)", "the same within noise",
    )  # fmt: skip
    say(f"rebuild of {options.days * 500:,} fills, and a fill of it", f"{nights['rebuild s']:.1f} s, {nights['us a fill']:.1f} us", "")
    say("a night of 1,000 accounts with 20 fills each", f"{rollup.many_accounts():.1f} s", "")
    for what, ratio in protection.ingestion_cost(3 if options.quick else 7).items():
        say(f"CPU time of ingestion with : without the {what}", f"{ratio:.3f}", "1.05")
    for size in (1, 100):
        share, sealing, working = protection.sealing_share(1 if options.quick else 5, 20_000 * (1 if size == 1 else 3), size)
        say(
            f"CPU time of sealing : of a worker, {size} fills a message",
            f"{share:.3f}  ({sealing:.1f} : {working:.1f} us a fill)",
            "0.04" if size == 1 else "0.05",
        )
    say("longest commit while 50 MB are copied, ms", f"{protection.worst_commit_during_copy():.0f}", "100")
    for name, value in protection.large_book(options.fills).items():
        say(f"a book of {options.fills:,} fills: {name}", f"{value:,.1f}", "")
    page = Path(__file__).parent / "last_run.md"
    lines = ["| what | figure | at least |", "| --- | --- | --- |", *(f"| {a} | {b} | {c} |" for a, b, c in ROWS)]
    page.write_text(f"Python {platform.python_version()}, SQLite {apsw.sqlite_lib_version()}, {versions}\n\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

"""One worker process over queues filled beforehand: ours, and what stock Dramatiq does with the same messages."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import redis

from jarvis.embedded_broker import server_binary
from jarvis_client import Publisher
from persistence.beside import cores

from .common import fill_records


class Server:
    """A Valkey of the benchmark's own, without persistence: the worker is what is measured."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="jb-"))
        self.url = f"unix://{self.folder}/s"
        arguments = ["--port", "0", "--unixsocket", f"{self.folder}/s", "--dir", str(self.folder), "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen([server_binary(), *arguments], stdout=subprocess.DEVNULL)
        self.client = redis.Redis(unix_socket_path=f"{self.folder}/s")
        while True:
            try:
                self.client.ping()
                break
            except redis.RedisError:
                time.sleep(0.01)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def consume_ours(url: str, path: str, count: int, name: str, *, alone: bool) -> float:
    from workers.app import create_worker, tune_interpreter

    tune_interpreter()
    worker = create_worker(path, url, worker_name=name, second_reader=alone)
    started, before = time.perf_counter(), time.process_time()
    worker.start()
    counts = worker.writer.counts
    quiet = 0
    # Twice in a row: between the end of a fetch and the worker's own count a message shows in neither.
    while quiet < 2:
        time.sleep(0.005)
        quiet = quiet + 1 if _finished(url, worker.broker) else 0
    taken = time.perf_counter() - started
    assert counts.applied <= count
    worker.stop()
    # For those who ask for its processor time, that of its second process included; everybody else reads the last number.
    reader = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(time.process_time() - before + reader.ru_utime + reader.ru_stime)
    return taken


def _finished(url: str, broker: Any) -> bool:
    return not broker.in_flight and not broker._reserved and not any(broker.queue_lengths().values())


def consume_stock(url: str, path: str, count: int, *, commit: bool) -> float:
    import dramatiq
    from dramatiq.brokers.redis import RedisBroker

    from jarvis_client.contract.forms import fact_of
    from persistence.books.ledger import Ledger
    from persistence.database import DatabaseManager

    broker = RedisBroker(url=url)
    database = DatabaseManager(path, max_connections=8)
    database.initialize()
    ledger = Ledger(database)
    done: list[int] = []

    def act(record: Any) -> None:
        if commit:
            ledger.post([fact_of("fill", record)])
        done.append(1)

    dramatiq.actor(act, actor_name="record_fill", queue_name="fills", broker=broker)
    worker = dramatiq.Worker(broker, worker_threads=8)
    started = time.perf_counter()
    worker.start()
    while len(done) < count:
        time.sleep(0.005)
    taken = time.perf_counter() - started
    worker.stop()
    return taken


def rate(mode: str, count: int, *, processes: int = 1, records_per_message: int = 1) -> float:
    """Fills a second of a worker process (or several side by side) in a mode: ours, stock-empty, stock-commit."""
    server = Server()
    try:
        Publisher(server.url).publish_fills(fill_records(count), records_per_message=records_per_message)
        command = [sys.executable, "-m", "benchmarks.workers", mode, server.url, str(server.folder / "books.db"), str(count)]
        if processes > 1:
            # Make the books before the workers race for them.
            from persistence.database import DatabaseManager

            DatabaseManager(server.folder / "books.db").initialize()
        # As the supervisor starts them: workers that share the cores have none for a second process each.
        alone = "alone" if cores() >= 2 * processes else "sharing"
        running = [subprocess.Popen([*command, f"w{n}", alone], stdout=subprocess.PIPE, text=True) for n in range(processes)]
        taken = [float(p.communicate()[0].split()[-1]) for p in running]
        return count / max(taken)
    finally:
        server.close()


def processor_time(count: int, *, records_per_message: int = 1) -> tuple[float, float]:
    """Microseconds of CPU time a fill: of a worker from Redis to durable, its start left out by a first run of one message; of sealing what it left."""
    from jarvis_client.contract import instants
    from persistence.database import DatabaseManager
    from persistence.proof import chain

    used = []
    for fills in (1, count):
        # A server each: the messages of one go to the books that took them first.
        server = Server()
        try:
            Publisher(server.url).publish_fills(fill_records(fills), records_per_message=records_per_message)
            path = server.folder / "books.db"
            command = [sys.executable, "-m", "benchmarks.workers", "ours", server.url, str(path), str(fills), "w", "alone"]
            used.append(float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()[-2]))
            database = DatabaseManager(path)
            before = time.process_time()
            chain.seal(database, instants.now())
            sealing = time.process_time() - before
            database.close()
        finally:
            server.close()
    return (used[1] - used[0]) / count * 1e6, sealing / count * 1e6


if __name__ == "__main__":
    import logging

    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    logging.disable(logging.WARNING)
    if len(sys.argv) > 2:
        mode, url, path, count, name, sharing = sys.argv[1:7]
        if mode == "ours":
            print(consume_ours(url, path, int(count), name, alone=sharing == "alone"))
        else:
            print(consume_stock(url, path, int(count), commit=mode == "stock-commit"))
        sys.stdout.flush()
        os._exit(0)
    else:
        for mode, count in (("stock-empty", 4000), ("stock-commit", 3000), ("ours", 15000)):
            print(mode, round(rate(mode, count)))
        print("two processes", round(rate("ours", 30000, processes=2)))
        print("batches of 100", round(rate("ours", 60000, records_per_message=100)))

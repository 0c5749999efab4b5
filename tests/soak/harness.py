"""Faults, staged: a known stream is published while a fault is injected again and again, then everything is counted.

For every fault: distinct records published = applied + distinct quarantined, books equal to an undisturbed run, Redis holds
nothing, and no hand was needed. `python -m soak.harness` (from `tests/`, or `make soak`) prints the table; the seed is printed
and can be given.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw
import redis
from books import books
from parts import BrokerServer, closing

from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from persistence.proof.books_checks import check_books
from workers.messages import ROUTES, fact_of
from workers.publisher import Publisher, encode

TESTS = Path(__file__).parents[1]
AT = 1_767_225_600_000_000
PATIENCE_SECONDS = 90.0
#: Within so long a worker commits what it has acknowledged, should it do so in the wrong order.
NOTHING_COMES_SECONDS = 3.0


def stream(count: int, chance: random.Random) -> tuple[list[tuple[str, dict[str, Any]]], list[bytes]]:
    """Good records (some of them twice, out of order) and hostile payloads."""
    good: list[tuple[str, dict[str, Any]]] = []
    for n in range(count):
        good.append(("fill", {
            "fill_id": f"f{n}", "account_id": f"acc{n % 3}", "order_id": f"o{n // 2}", "symbol": "BTC/USDT", "side": chance.choice(("buy", "sell")),
            "quantity": f"0.{chance.randrange(1, 9999):04d}", "price": str(chance.randrange(10_000, 90_000)), "fee": "0.01", "executed_at": AT + n,
        }))  # fmt: skip
        if n % 50 == 0:
            good.append(("deposit", {"deposit_id": f"d{n}", "account_id": f"acc{n % 3}", "currency": "USDT", "amount": "100", "occurred_at": AT + n}))
    good += chance.choices(good, k=count // 20)
    for _ in range(count // 10):
        a, b = chance.randrange(len(good)), chance.randrange(len(good))
        good[a], good[b] = good[b], good[a]
    hostile = [json.dumps({"hostile": n}).encode() for n in range(20)] + [b"{", b"\xff", b"null"]
    return good, hostile


@dataclass
class Result:
    """One line of the table."""

    fault: str
    injected: int = 0
    published: int = 0
    lost: int = 0
    doubled: int = 0
    longest_recovery: float = 0.0
    problems: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.why()

    def why(self) -> list[str]:
        counts = [f"    {n:,} {word} of {self.published:,}" for n, word in ((self.lost, "lost"), (self.doubled, "doubled")) if n]
        return counts + [f"    {problem}" for problem in self.problems]


class Stage:
    """A broker, a worker under a supervisor of the harness's own (start it again when it ends), a stream, and one fault."""

    def __init__(self, seed: int, module: str = "jarvis") -> None:
        self.chance = random.Random(seed)
        self.folder = Path(tempfile.mkdtemp(prefix="js-"))
        (self.folder / "redis").mkdir()
        self.server = BrokerServer(self.folder / "redis")
        self.server.start()
        self.path = self.folder / "books.db"
        DatabaseManager(self.path).initialize()
        self.ended = threading.Event()
        self.worker: subprocess.Popen[bytes] | None = None
        self._module = module
        self.locks = 0
        self._keeper = threading.Thread(target=self._keep_running, daemon=True)
        self._keeper.start()

    def _keep_running(self) -> None:
        environment = {**os.environ, "JARVIS_DATABASE__PATH": str(self.path), "JARVIS_BROKER__URL": self.server.url, "PYTHONPATH": str(TESTS)}
        with (self.folder / "log").open("ab") as log:
            while not self.ended.is_set():
                command = [sys.executable, "-m", self._module, "worker", "run"]
                self.worker = subprocess.Popen(command, env=environment, cwd=self.folder, stderr=log, start_new_session=True)
                self.worker.wait()
                self.ended.wait(0.05)

    def recorded(self) -> int:
        # A connection of its own for every look: this process also kills and locks. It waits: a worker that was just started
        # again recovers the WAL alone, and a look refused is no record lost.
        connection = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            connection.set_busy_timeout(30_000)
            return int(connection.execute("SELECT (SELECT count(*) FROM facts) + (SELECT count(*) FROM quarantine)").get)
        finally:
            connection.close()

    def left_in_redis(self) -> int:
        with suppress(redis.RedisError), self.server.client() as client:
            return len([k for k in client.keys("dramatiq:*") if not k.startswith((b"dramatiq:__heartbeats__", b"dramatiq:__alive__", b"dramatiq:__jarvis__"))])
        return -1

    def signal_worker(self, number: int) -> None:
        if self.worker is not None:
            with suppress(ProcessLookupError):
                os.kill(self.worker.pid, number)

    def close(self) -> None:
        self.ended.set()
        self.signal_worker(signal.SIGCONT)
        self.signal_worker(signal.SIGTERM)
        self._keeper.join(40)
        with suppress(Exception):
            self.server.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


# -- the faults: each injects once, and returns when the cause is gone ------------------------------------------------------


def nothing(stage: Stage) -> None:
    time.sleep(0.2)


def kill_worker(stage: Stage) -> None:
    stage.signal_worker(signal.SIGKILL)


def terminate_worker(stage: Stage) -> None:
    if stage.worker is not None:
        with suppress(ProcessLookupError):
            os.killpg(stage.worker.pid, signal.SIGTERM)


def stop_worker_beyond_its_heartbeat(stage: Stage) -> None:
    stage.signal_worker(signal.SIGSTOP)
    time.sleep(11)
    stage.signal_worker(signal.SIGCONT)


def kill_broker(stage: Stage) -> None:
    stage.server.kill()
    time.sleep(stage.chance.uniform(0, 0.5))
    stage.server.start()


def stall_broker_beyond_the_timeout(stage: Stage) -> None:
    assert stage.server._process is not None
    stage.server._process.send_signal(signal.SIGSTOP)
    time.sleep(11)
    stage.server._process.send_signal(signal.SIGCONT)


def reset_connections(stage: Stage) -> None:
    with suppress(redis.RedisError), stage.server.client() as client:
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def fill_broker(stage: Stage) -> None:
    with suppress(redis.RedisError), stage.server.client() as client:
        client.config_set("maxmemory", "1mb")
        time.sleep(1)
        client.config_set("maxmemory", "0")


def make_broker_read_only(stage: Stage) -> None:
    with suppress(redis.RedisError), stage.server.client() as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        time.sleep(1)
        client.execute_command("REPLICAOF", "NO", "ONE")


def lock_database(stage: Stage) -> None:
    """Mostly for seconds; every fifth time for a minute."""
    stage.locks += 1
    connection = apsw.Connection(str(stage.path))
    connection.set_busy_timeout(10_000)
    connection.execute("BEGIN IMMEDIATE")
    time.sleep(60 if stage.locks % 5 == 0 else stage.chance.uniform(1, 7))
    connection.execute("ROLLBACK")
    connection.close()


def forbid_larger_files(stage: Stage) -> None:
    """A full disk, as the worker sees it: no file may grow for a while."""
    if stage.worker is None:
        return
    import resource

    with suppress(ProcessLookupError, PermissionError, ValueError):
        _, hard = resource.prlimit(stage.worker.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(stage.worker.pid, resource.RLIMIT_FSIZE, (4096, hard))
        time.sleep(1.5)
        resource.prlimit(stage.worker.pid, resource.RLIMIT_FSIZE, (hard, hard))


def step_clock(stage: Stage) -> None:
    """Days forward, then back, for the worker's wall clock (see `stepping_clock.py`)."""
    for days in (35, -2, 0):
        (stage.folder / "clock").write_text(str(days * 86_400))
        time.sleep(0.7)


@dataclass(frozen=True)
class Fault:
    inject: Callable[[Stage], None]
    #: How often in the short form and in the long one, and the pause between two.
    short: int
    long: int
    pause: float = 0.3
    #: About how long one injection and the way back take, so that the stream lasts as long as the faults.
    takes: float = 1.0


FAULTS: dict[str, Fault] = {
    "none": Fault(nothing, 1, 1),
    "SIGKILL of the worker": Fault(kill_worker, 6, 200, 0.7),
    "SIGTERM to its group": Fault(terminate_worker, 3, 40, 1.2),
    "SIGSTOP beyond the heartbeat": Fault(stop_worker_beyond_its_heartbeat, 1, 5, 1.0, 11.0),
    "SIGKILL of the broker": Fault(kill_broker, 3, 40, 0.8),
    "broker stalls beyond the timeout": Fault(stall_broker_beyond_the_timeout, 1, 5, 1.0, 11.0),
    "connection resets": Fault(reset_connections, 6, 100),
    "broker out of memory": Fault(fill_broker, 2, 15),
    "broker read-only": Fault(make_broker_read_only, 1, 15),
    "database locked by another": Fault(lock_database, 1, 10, 0.3, 4.0),
    "clock steps forward and back": Fault(step_clock, 1, 5, 0.3, 2.0),
    "no file may grow (full disk)": Fault(forbid_larger_files, 1, 15, 0.3, 2.0),
}


def run(name: str, *, seed: int, records: int, times: int | None = None, module: str = "jarvis", patience: float = PATIENCE_SECONDS) -> Result:
    """Publish the stream while the fault is injected, wait until all is settled, and count."""
    fault = FAULTS[name]
    times = fault.short if times is None else times
    stage = Stage(seed, "soak.stepping_clock" if fault.inject is step_clock else module)
    result = Result(name)
    try:
        good, hostile = stream(records, stage.chance)
        facts = [fact_of(kind, record) for kind, record in good]
        distinct = len({f.identity for f in facts}) + len(hostile)
        seconds = times * (fault.pause + fault.takes)
        publishing = threading.Thread(target=_publish, args=(stage, good, hostile, seconds, result.problems), daemon=True)
        publishing.start()
        for _ in range(times):
            time.sleep(fault.pause * stage.chance.uniform(0.5, 1.5))
            fault.inject(stage)
            result.injected += 1
            result.longest_recovery = max(result.longest_recovery, _recovery(stage, distinct))
        # However slow the machine: what was not published yet is not lost.
        publishing.join()
        _settle(stage, distinct, patience)
        result.published = distinct
        found, left = stage.recorded(), stage.left_in_redis()
        result.lost, result.doubled = max(0, distinct - found), max(0, found - distinct)
        if left:
            result.problems.append(f"{left} keys left in Redis" if left > 0 else "Redis did not answer")
        result.problems += _differences(stage, facts)
        return result
    finally:
        stage.close()


def _publish(stage: Stage, good: list[tuple[str, dict[str, Any]]], hostile: list[bytes], seconds: float, problems: list[str]) -> None:
    """Over about so many seconds; what the broker refuses is published again, as an engine would."""
    try:
        _publish_all(stage, good, hostile, seconds)
    except redis.RedisError as error:
        problems.append(f"the broker took nothing for {PATIENCE_SECONDS:.0f} s: {error}")


def _publish_all(stage: Stage, good: list[tuple[str, dict[str, Any]]], hostile: list[bytes], seconds: float) -> None:
    publisher = Publisher(stage.server.url)
    size = 25
    pause = seconds / max(1, len(good) / size)
    for n in range(0, len(good), size):
        _insist(lambda n=n: publisher.publish_many(good[n : n + size]))
        for payload in hostile[n // size :: max(1, len(good) // size)]:
            _insist(lambda payload=payload: _push(stage, payload))
        time.sleep(pause)
    for payload in hostile:
        _insist(lambda payload=payload: _push(stage, payload))


def _push(stage: Stage, payload: bytes) -> None:
    message_id, message = encode(ROUTES["deposit"], "HOSTILE")
    body = message.replace(b'"HOSTILE"', payload) if payload.startswith(b'{"') or payload == b"null" else payload
    with stage.server.client() as client, client.pipeline(transaction=True) as pipeline:
        pipeline.hset("dramatiq:deposits.msgs", message_id, body)
        pipeline.rpush("dramatiq:deposits", message_id)
        pipeline.execute()


def _insist(publish: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            publish()
            return
        except redis.RedisError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _settle(stage: Stage, distinct: int, patience: float) -> None:
    """Wait until all is recorded and nothing is left in Redis, or until nothing can come any more: what has been acknowledged is gone for good."""
    deadline = time.monotonic() + patience
    before, gone_since = -1, time.monotonic()
    while time.monotonic() < deadline:
        found, left = stage.recorded(), stage.left_in_redis()
        if found >= distinct and not left:
            return
        if left or found != before:
            before, gone_since = found, time.monotonic()
        elif time.monotonic() - gone_since > NOTHING_COMES_SECONDS:
            return
        time.sleep(0.05)


def _recovery(stage: Stage, distinct: int) -> float:
    """Seconds until something further is recorded, after a fault's cause is gone; nothing to record is recovery enough."""
    before, started = stage.recorded(), time.monotonic()
    while time.monotonic() - started < 30:
        now = stage.recorded()
        if now > before or now >= distinct or stage.left_in_redis() == 0:
            break
        time.sleep(0.02)
    return time.monotonic() - started


def _differences(stage: Stage, facts: list[Any]) -> list[str]:
    """What the disturbed books have otherwise than those of the same facts in one undisturbed batch."""
    with closing(DatabaseManager(stage.folder / "undisturbed.db")) as expected, closing(DatabaseManager(stage.path)) as found:
        Ledger(expected).post(facts)
        wrong = [f.check for f in check_books(found)]
        a, b = books(expected), books(found)
        return wrong + [f"{name} differs" for name in sorted({*a, *b}) if a.get(name) != b.get(name)]


def table(results: list[Result]) -> str:
    lines = [f"{'fault':<34}{'injected':>9}{'published':>11}{'lost':>6}{'doubled':>9}{'longest recovery':>18}"]
    for r in results:
        lines.append(f"{r.fault:<34}{r.injected:>9}{r.published:>11,}{r.lost:>6}{r.doubled:>9}{r.longest_recovery:>16.1f} s")
        lines += r.why()
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--short", action="store_true", help="each fault a few times only")
    parser.add_argument("faults", nargs="*", help=f"of: {', '.join(FAULTS)}")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    results = []
    for name in options.faults or FAULTS:
        fault = FAULTS[name]
        results.append(run(name, seed=options.seed, records=options.records, times=fault.short if options.short else fault.long))
        print("\n".join([f"{'ok  ' if results[-1].passed else 'FAIL'} {name}", *results[-1].why()]), flush=True)
    proof = run("SIGKILL of the worker", seed=options.seed, records=3_000, times=8, module="soak.broken_worker", patience=10.0)
    print(table(results))
    print(f"the harness can fail: a worker that acknowledges before it commits lost {proof.lost} of {proof.published:,}")
    return 0 if all(r.passed for r in results) and proof.lost else 1


if __name__ == "__main__":
    sys.exit(main())

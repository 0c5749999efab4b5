"""Faults, staged: a known stream is published while a fault is injected again and again, then everything is counted.

For every fault: distinct records published = applied + distinct quarantined, books equal to an undisturbed run, Redis holds
nothing, and no hand was needed. `python -m soak.harness` (from `tests/`, or `make soak`) prints the table; the seed is printed
and can be given.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import redis
from books import books
from parts import closing

from jarvis_client import Publisher
from jarvis_client.contract import instants
from jarvis_client.contract.forms import fact_of
from jarvis_client.contract.routes import ROUTES, encode
from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from persistence.proof.books_checks import check_books
from scheduler.jobs import roll_up_accounts
from scheduler.rollup.options import RollupPlan
from soak.faults import FAULTS
from soak.stage import Fault, Stage

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


def run(name: str, *, seed: int, records: int, times: int | None = None, module: str | None = None, patience: float = PATIENCE_SECONDS) -> Result:
    """Publish the stream while the fault is injected, wait until all is settled, and count."""
    fault = FAULTS[name]
    times = fault.short if times is None else times
    stage = Stage(seed, module or fault.module, scheduler=fault.scheduler, clock=fault.clock)
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
        result.problems += stage.problems + _differences(stage, facts, fault)
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


def _differences(stage: Stage, facts: list[Any], fault: Fault) -> list[str]:
    """What the disturbed books have otherwise than those of the same facts in one undisturbed batch."""
    # In a folder of its own: beside the backups of the disturbed books no others are begun.
    (stage.folder / "undisturbed").mkdir()
    with closing(DatabaseManager(stage.folder / "undisturbed" / "books.db")) as expected, closing(DatabaseManager(stage.path)) as found:
        Ledger(expected).post(facts)
        if fault.scheduler:
            stage.stop("scheduler")
            for database in (expected, found):
                roll_up_accounts(database, RollupPlan(), instants.now())
        wrong = [f.check for f in check_books(found)]
        a, b = books(expected), books(found)
        return wrong + [f"{name} differs" for name in sorted({*a, *b}) if a.get(name) != b.get(name)]


def table(results: list[Result]) -> str:
    lines = [f"{'fault':<36}{'injected':>9}{'published':>11}{'lost':>6}{'doubled':>9}{'longest recovery':>18}"]
    for r in results:
        lines.append(f"{r.fault:<36}{r.injected:>9}{r.published:>11,}{r.lost:>6}{r.doubled:>9}{r.longest_recovery:>16.1f} s")
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

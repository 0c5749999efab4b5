"""Kills on PostgreSQL: two hosts with two workers and a scheduler each, one server, a known stream with duplicates, voids and hostile records.

Workers are killed, the server crashes or loses its power, connections are cut, over and over. In the end distinct records published =
applied + quarantined, the books' exports are byte for byte those of an undisturbed run on SQLite, and nothing is left in Redis.
`python -m soak.hosts` (from `tests/`, or `make soak`) prints the table; the seed is printed and can be given.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import redis
from books import books
from parts import BrokerServer
from postgres import Server, server_of_a_test

from jarvis_client import Publisher
from jarvis_client.contract import instants
from jarvis_client.contract.forms import fact_of
from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from persistence.proof import chain
from persistence.server import ServerDatabase
from scheduler.jobs import roll_up_accounts
from scheduler.rollup.options import RollupPlan
from scheduler.verification import Depth, verify
from soak.harness import AT, _publish, stream

TESTS = Path(__file__).parents[1]
WORKERS = (("host-a", "a1"), ("host-a", "a2"), ("host-b", "b1"), ("host-b", "b2"))
PATIENCE_SECONDS = 180.0
#: What one fault and the way back from it take, about.
FAULT_SECONDS = 1.0


class Hosts:
    """The processes of two hosts, each started again when it ends."""

    def __init__(self, server: Server, seed: int, module: str = "jarvis") -> None:
        self._module = module
        self.chance = random.Random(seed)
        self.postgres = server
        self.folder = Path(tempfile.mkdtemp(prefix="js-"))
        (self.folder / "redis").mkdir()
        self.server = BrokerServer(self.folder / "redis")
        self.server.start()
        self.url = server.url(tcp=True)
        with closing(ServerDatabase(self.url)) as database:
            database.initialize()
        self._ended = threading.Event()
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self._processes: list[subprocess.Popen[bytes]] = []
        keepers = [(host, ("worker", "run"), name) for host, name in WORKERS]
        keepers += [(host, ("scheduler", "run"), "") for host in ("host-a", "host-b")]
        self._keepers = [threading.Thread(target=self._keep_running, args=keeper, daemon=True) for keeper in keepers]
        for keeper in self._keepers:
            keeper.start()

    def _keep_running(self, host: str, command: tuple[str, ...], name: str) -> None:
        folder = self.folder / host
        folder.mkdir(exist_ok=True)
        (folder / "url").write_text(self.url)
        (folder / "url").chmod(0o600)
        settings = {
            "JARVIS_DATABASE__URL_FILE": str(folder / "url"), "JARVIS_BROKER__URL": self.server.url, "JARVIS_SCHEDULER__TICK_SECONDS": "0.5",
            "JARVIS_MONITORING__LISTEN": "", "PYTHONPATH": str(TESTS), **({"JARVIS_WORKER__NAME": name} if name else {}),
        }  # fmt: skip
        with (folder / f"log-{name or 'scheduler'}").open("ab") as log:
            while not self._ended.is_set():
                process = subprocess.Popen([sys.executable, "-m", self._module, *command], env={**os.environ, **settings}, cwd=folder, stderr=log)
                self._processes.append(process)
                if name:
                    self.workers[name] = process
                process.wait()
                self._ended.wait(0.05)

    # -- faults ------------------------------------------------------------------------------------------------------

    def kill_worker(self) -> None:
        worker = self.workers[self.chance.choice(sorted(self.workers))]
        with suppress(ProcessLookupError):
            worker.send_signal(signal.SIGKILL)

    def crash_server(self) -> None:
        self.postgres.crash()
        self.postgres.start()

    def kill_server(self) -> None:
        self.postgres.kill()
        time.sleep(self.chance.uniform(0, 0.5))
        self.postgres.start()

    def cut_connections(self) -> None:
        with psycopg.connect(self.postgres.url(), autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'jarvis%'")

    # -- what is there -----------------------------------------------------------------------------------------------

    def recorded(self) -> int:
        with psycopg.connect(self.postgres.url()) as connection:
            [count] = connection.execute("SELECT (SELECT count(*) FROM facts) + (SELECT count(*) FROM quarantine WHERE reason <> 'no payload')").fetchone() or (
                0,
            )
        return int(count)

    def left_in_redis(self) -> list[str]:
        beside = (b"dramatiq:__heartbeats__", b"dramatiq:__alive__", b"dramatiq:__jarvis__.")
        with self.server.client() as client:
            return sorted(key.decode() for key in client.keys("dramatiq:*") if not key.startswith(beside))

    def asked_for(self) -> int:
        """Runs of jobs that are still to be made."""
        with psycopg.connect(self.postgres.url()) as connection:
            [count] = connection.execute(
                "SELECT count(*) FROM job_runs WHERE request_id IS NOT NULL AND (state IN ('requested', 'claimed') OR retry_at IS NOT NULL)"
            ).fetchone() or (0,)
        return int(count)

    def last_words(self) -> list[str]:
        """Of each process, above information."""
        said = []
        for log in sorted(self.folder.glob("host-*/log-*")):
            lines = [line for line in log.read_text().splitlines() if '"level": "info"' not in line and '"level": "warning"' not in line]
            said += [f"{log.parent.name}/{log.name}: {line[:300]}" for line in lines[-2:]]
        return said

    def stop(self) -> None:
        self._ended.set()
        for process in self._processes:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        for keeper in self._keepers:
            keeper.join(60)

    def close(self) -> None:
        self.stop()
        self.server.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


#: By weight: workers are killed most, as they would be.
FAULTS: dict[str, tuple[int, Callable[[Hosts], None]]] = {
    "SIGKILL of a worker": (14, Hosts.kill_worker),
    "the server crashes": (2, Hosts.crash_server),
    "SIGKILL of every process of the server": (1, Hosts.kill_server),
    "every connection is cut": (3, Hosts.cut_connections),
}


@dataclass
class Result:
    """What was injected, and what is wrong: nothing where `problems` is empty."""

    injected: Counter[str] = field(default_factory=Counter)
    published: int = 0
    deliveries: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


def with_voids(good: list[tuple[str, dict[str, Any]]], chance: random.Random) -> list[tuple[str, dict[str, Any]]]:
    """The same stream with voids of some of its records, before or after what they void."""
    found = list(good)
    for n, (kind, record) in enumerate(chance.sample(good, len(good) // 25)):
        void = {"void_id": f"v{n}", "account_id": record["account_id"], "kind": kind, "id": record[f"{kind}_id"], "reason": "wrong", "occurred_at": AT + n}
        found.insert(chance.randrange(len(found)), ("void", void))
    return found


def run(*, seed: int, records: int, times: int, module: str = "jarvis", patience: float = PATIENCE_SECONDS) -> Result:
    """Publish the stream while faults are injected, wait until all is settled, and count."""
    result, started = Result(), time.monotonic()
    with server_of_a_test() as server:
        hosts = Hosts(server, seed, module)
        try:
            good, hostile = stream(records, hosts.chance)
            good = with_voids(good, hosts.chance)
            facts = [fact_of(kind, record) for kind, record in good]
            result.published, result.deliveries = len({fact.identity for fact in facts}) + len(hostile), len(good) + len(hostile)
            publishing = threading.Thread(target=_publish, args=(hosts, good, hostile, times * FAULT_SECONDS, result.problems), daemon=True)
            publishing.start()
            names, weights = list(FAULTS), [weight for weight, _ in FAULTS.values()]
            for n in range(times):
                time.sleep(hosts.chance.uniform(0.2, 0.8))
                # Each at least once, in the shortest run, too.
                name = names[n] if n < len(names) else hosts.chance.choices(names, weights)[0]
                FAULTS[name][1](hosts)
                result.injected[name] += 1
                if n % 5 == 2:
                    with suppress(redis.RedisError):
                        Publisher(hosts.server.url).request_job(hosts.chance.choice(("rollup", "seal")))
            publishing.join()
            _settle(hosts, result, patience)
            hosts.stop()
            result.problems += _differences(hosts, facts)
            if result.problems:
                result.problems += hosts.last_words()
        finally:
            hosts.close()
    result.seconds = time.monotonic() - started
    return result


def _settle(hosts: Hosts, result: Result, patience: float) -> None:
    deadline = time.monotonic() + patience
    while hosts.recorded() < result.published or hosts.left_in_redis() or hosts.asked_for():
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    found, left = hosts.recorded(), hosts.left_in_redis()
    if found != result.published:
        result.problems.append(f"{found:,} of {result.published:,} distinct records were recorded or are in quarantine")
    if left:
        result.problems.append(f"left in Redis: {', '.join(left[:5])}")


def _differences(hosts: Hosts, facts: list[Any]) -> list[str]:
    """What the disturbed books have otherwise than those of the same facts in one undisturbed batch on SQLite."""
    with closing(DatabaseManager(hosts.folder / "undisturbed.db", durable=False)) as expected, closing(ServerDatabase(hosts.url, folder=hosts.folder)) as found:
        expected.initialize()
        Ledger(expected).post(facts)
        for database in (expected, found):
            roll_up_accounts(database, RollupPlan(), instants.now())
            chain.seal(database, instants.now())
        wrong = [f"{f.check}: {f.where}: {f.expected}, {f.found}" for f in verify(found, RollupPlan(), instants.now(), None, depth=Depth.FULL)]
        a, b = books(expected), books(found)
        runs = found.execute_query("SELECT job, state, count(*) FROM job_runs WHERE request_id IS NOT NULL AND state <> 'succeeded' GROUP BY job, state")
        found_by_day = "SELECT job, error FROM job_runs WHERE state = 'failed' AND error LIKE 'Findings%'"
        wrong += [f"{job}, while faults were injected: {error}" for job, error in found.execute_query(found_by_day)]
        wrong += [f"{count} requests of {job} {state}" for job, state, count in runs]
        return wrong + [f"{name} differs" for name in sorted({*a, *b}) if a.get(name) != b.get(name)]


def table(result: Result) -> str:
    lines = [f"{name:<42}{count:>6}" for name, count in result.injected.items()]
    lines.append(f"{'deliveries':<42}{result.deliveries:>6,}")
    lines.append(f"{'distinct records':<42}{result.published:>6,}")
    lines.append(f"{'seconds':<42}{result.seconds:>6,.0f}")
    return "\n".join([*lines, *(result.problems or ["nothing lost, nothing doubled, every export as on SQLite, nothing left in Redis"])])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--times", type=int, default=300, help="how many faults")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    result = run(seed=options.seed, records=options.records, times=options.times)
    print(table(result))
    return 1 if result.problems else 0


if __name__ == "__main__":
    sys.exit(main())

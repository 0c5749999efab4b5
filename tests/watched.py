"""What tests of figures share: a status with every part, and how an exposition is read."""

from __future__ import annotations

import random
import socket
import time
import urllib.request
from contextlib import suppress
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from jarvis.monitoring.children import ChildrenSeries
from jarvis.monitoring.health import Health
from jarvis.monitoring.process_series import ProcessSeries
from jarvis.monitoring.status_series import StatusSeries
from jarvis.monitoring.worker_series import WorkerSeries
from jarvis.settings_monitoring import Thresholds
from jarvis.status.model import (
    Broker,
    Copies,
    Disk,
    Gaps,
    Job,
    Process,
    Proof,
    Quarantine,
    Queue,
    Records,
    State,
    Status,
    Storage,
    Stray,
)  # fmt: skip
from jarvis.supervisor import Child
from jarvis_client.contract import instants
from workers.app import create_worker

HOUR, DAY = 3_600_000_000, 86_400_000_000


def a_job(name: str, now: int, **changes: Any) -> Job:
    job = Job(
        name=name, says="what it does", cron="5 0 * * *", zone="UTC", enabled=True, paused_since=None, state="succeeded", last_started_at=now - HOUR, last_ended_at=now - HOUR,
        last_success_at=now - HOUR, last_seconds=1.5, result="done", failed=False, next_at=now + HOUR, next_try_at=None, late_since=None,
    )  # fmt: skip
    return replace(job, **changes)


def a_status(now: int | None = None, **changes: Any) -> Status:
    """Of a daemon with which all is well, as of `now`."""
    now = instants.now() if now is None else now
    status = Status(
        taken_at=now, version="1.0", host="host", folder="data", namespace="dramatiq",
        processes=(
            Process(name="worker", kind="worker", state=State.RUNNING),
            Process(name="scheduler", kind="scheduler", state=State.RUNNING),
        ),
        broker=Broker(place="localhost:6379", reachable=True, round_trip_seconds=0.001),
        queues=(Queue(name="fills", waiting=7, held=2, oldest_at=now - 3_000_000), Queue(name="orders", waiting=0, held=0)),
        records=Records(total=1_000, begun_at=now - 30 * DAY, last_minute=5, last_hour=50, last_commit_at=now - 1_000_000),
        quarantine=Quarantine(held=0, by_reason={}, oldest_at=None, newest_at=None),
        gaps=Gaps(missing=0, producers=0, first_noticed_at=None),
        notes=3,
        strays=(),
        jobs=(a_job("backup", now), a_job("rollup", now), a_job("verification", now)),
        copies=(
            Copies(place="data/backups", second=False, count=7, bytes=7_000, newest_at=now - HOUR),
            Copies(place="/mnt/other", second=True, count=7, bytes=7_000, newest_at=now - HOUR),
        ),
        proof=Proof(verified_at=now - HOUR, findings=0, found=None, drilled_at=now - DAY),
        storage=Storage(
            path="data/jarvis_trading.db", database_bytes=50_000_000, log_bytes=1_000_000, free_bytes_inside=4_096,
            disks=(Disk(folders=("data", "data/backups"), free_bytes=50_000_000_000, total_bytes=100_000_000_000),),
        ),
    )  # fmt: skip
    return replace(status, **changes)


#: By alarm, what of a status is otherwise while it holds.
def wrong(name: str, now: int) -> dict[str, Any]:
    well = a_status(now)
    assert well.storage is not None
    assert well.copies is not None
    first, second = well.copies
    changes: dict[str, dict[str, Any]] = {
        "JarvisBrokerAway": {"broker": Broker(place="localhost:6379", reachable=False, problem="refused")},
        "JarvisNoWorker": {"processes": (Process(name="worker", kind="worker", state=State.STOPPED), well.processes[1])},  # type: ignore[index]
        "JarvisBooksUnreadable": {"records": None, "unread": {"records": "disk I/O error"}},
        "JarvisQueueWaits": {"queues": (Queue(name="fills", waiting=7, held=2, oldest_at=now - 90_000_000),)},
        "JarvisBrokerLostMessages": {"strays": (Stray(kind="the broker was emptied", subject="fills", count=1, since=now),)},
        "JarvisVerificationFindings": {"proof": Proof(verified_at=now - HOUR, findings=2, found="a sum differs", drilled_at=now - DAY)},
        "JarvisDiskLow": {"storage": replace(well.storage, disks=(Disk(folders=("data",), free_bytes=900_000_000, total_bytes=1_000_000_000),))},
        "JarvisBackupStale": {"copies": (replace(first, newest_at=now - 27 * HOUR), second)},
        "JarvisCopyStale": {"copies": (first, replace(second, newest_at=None, count=0))},
        "JarvisJobFailed": {"jobs": (a_job("backup", now, failed=True), a_job("rollup", now))},
        "JarvisJobMissed": {"jobs": (a_job("backup", now, late_since=now - HOUR), a_job("rollup", now))},
        "JarvisQuarantineHeld": {"quarantine": Quarantine(held=2, by_reason={"conflict": 2}, oldest_at=now, newest_at=now)},
        "JarvisGaps": {"gaps": Gaps(missing=4, producers=1, first_noticed_at=now)},
        "JarvisUnclaimedMessages": {"strays": (Stray(kind="messages on a queue that nobody reads", subject="mails", count=9, since=now),)},
        "JarvisVerificationStale": {"proof": Proof(verified_at=now - 27 * HOUR, findings=0, found=None, drilled_at=now - DAY)},
        "JarvisDrillStale": {"proof": Proof(verified_at=now - HOUR, findings=0, found=None, drilled_at=now - 9 * DAY)},
        "JarvisLogLong": {"storage": replace(well.storage, log_bytes=300_000_000)},
    }
    return changes[name]


#: Those that a status alone cannot stage: a process is down, or says itself that it is not ready.
OF_PROCESSES = {"JarvisAbsent", "JarvisNoScheduler", "JarvisWorkerNotReady"}


def get(address: str, path: str = "/metrics", *, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body, whatever the status."""
    connection = HTTPConnection(address, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def figures(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """By name and labels. Fails where a sample stands twice, which no scraper takes."""
    found: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, tuple(sorted(sample.labels.items()))
            assert key not in found, f"{key} stands twice"
            found[key] = sample.value
    return found


def figure(text: str, name: str, /, **labels: str) -> float | None:
    """The one sample of a name that has at least these labels; None where there is none."""
    found = [value for (said, its), value in figures(text).items() if said == name and labels.items() <= dict(its).items()]
    assert len(found) <= 1, f"{name}{labels} is said {len(found)} times"
    return found[0] if found else None


def scrape(address: str) -> str:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
    return text


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
    return port


def free_neighbours() -> int:
    """The first of two ports side by side that nobody has; below those that the system gives to clients, so that none of them gets one meanwhile."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as first, socket.socket() as second, suppress(OSError):
            first.bind(("127.0.0.1", port))
            second.bind(("127.0.0.1", port + 1))
            return port


def wait_for_figure(address: str, expected: float, name: str, /, *, seconds: float = 30.0, **labels: str) -> None:
    deadline, last = time.monotonic() + seconds, None
    while time.monotonic() < deadline:
        last = figure(scrape(address), name, **labels)
        if last == expected:
            return
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds:g} s in vain until {name}{labels} is {expected}; it is {last}")


def every_source(folder: Path) -> list[Collector]:
    """Whatever any process tells figures with, over a worker that was not started and a status with every part."""
    health = Health("worker")
    health.says({})
    worker = create_worker(folder / "b.db", "redis://127.0.0.1:1/0")
    told = StatusSeries(a_status, Thresholds())
    return [ProcessSeries(health, "worker"), WorkerSeries(worker, "worker"), told, ChildrenSeries(lambda: {"worker": Child("worker", [], {}, None)})]

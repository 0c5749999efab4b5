"""The alert rules and the dashboard before a real Prometheus: each alert fires by its fault and resolves without it."""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import yaml
from command import run
from daemons import running
from parts import closing, wait_until
from prometheus import RULES, program, prometheus
from watched import a_status, figures, free_neighbours, wrong

from jarvis.monitoring.health import Health
from jarvis.monitoring.merging import exposition, plain_text, registry_of
from jarvis.monitoring.process_series import ProcessSeries
from jarvis.monitoring.server import Answer, MonitoringServer
from jarvis.monitoring.status_series import StatusSeries
from jarvis.monitoring.worker_series import WorkerSeries
from jarvis.settings_monitoring import Thresholds
from jarvis.status.alarms import ALARMS
from jarvis.status.model import Status
from jarvis_client import Publisher
from jarvis_client.contract import instants
from jarvis_client.contract.facts import Deposit
from jarvis_client.contract.outcome import APPLIED
from persistence.database import DatabaseManager
from persistence.domain.strays import StrayKind
from persistence.repositories.strays import SQLiteStrayRepository
from workers.app import create_worker

HOUSE = Path(__file__).parents[2]
NAMES = sorted(alarm.name for alarm in ALARMS)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def package():
    with tempfile.TemporaryDirectory(prefix="jt-") as folder:
        yield Path(folder)


class Told:
    """What a daemon of two processes would tell, to be changed by a test."""

    def __init__(self, folder: Path) -> None:
        self.changes: dict = {}
        self.worker, self.scheduler = Health("worker"), Health("scheduler")
        self.worker.says({})
        self.scheduler.says({})
        self.recorder = create_worker(folder / "b.db", "redis://127.0.0.1:1/0")
        self.has_scheduler = True

    def status(self) -> Status:
        return a_status(**self.changes)

    def registry(self):
        of_worker = [ProcessSeries(self.worker, "worker"), WorkerSeries(self.recorder, "worker")]
        of_scheduler = [ProcessSeries(self.scheduler, "scheduler"), StatusSeries(self.status, Thresholds(), cache_seconds=0)]
        return registry_of([*of_worker, *(of_scheduler if self.has_scheduler else [])])

    def page(self, accept: str) -> Answer:
        return Answer(200, *exposition(self.registry(), accept))

    def stage(self, name: str) -> None:
        if name == "JarvisWorkerNotReady":
            self.worker.says({"worker": "it is said so"})
        elif name == "JarvisNoScheduler":
            self.has_scheduler = False
        else:
            self.changes = wrong(name, instants.now())

    def mend(self) -> None:
        self.changes, self.has_scheduler = {}, True
        self.worker.says({})


# -- promtool ---------------------------------------------------------------------------------------------------------------------------


def test_promtool_takes_the_rules_and_the_example(package):
    promtool = program("promtool", package)
    for arguments in (["rules", RULES], ["config", RULES.with_name("prometheus.yml")]):
        done = subprocess.run([promtool, "check", *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr + done.stdout


def test_promtool_takes_what_is_told(package, tmp_path):
    text = plain_text(Told(tmp_path).registry())
    done = subprocess.run([program("promtool", package), "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    # Its one rule of style that does not hold here: a time of an event is told as a Unix time, which it takes for a counter's.
    assert done.returncode == 0, done.stdout + done.stderr


def series_of(told: Told, now: int) -> list[dict[str, str]]:
    """The figures as promtool's series. Its clock begins at the second 0, so `now` is moved there and instants with it."""
    found = []
    for (name, labels), value in figures(plain_text(told.registry())).items():
        if name.endswith("_timestamp_seconds"):
            value -= now / 1e6
        text = ", ".join(f"{label}={json.dumps(said)}" for label, said in (*labels, ("job", "jarvis"), ("instance", "a")))
        found.append({"series": f"{name}{{{text}}}", "values": f"{value!r}x80"})
    return [*found, {"series": 'up{job="jarvis", instance="a"}', "values": "1x80"}]


@pytest.mark.parametrize("name", [None, *NAMES])
def test_by_its_fault_an_alert_fires_alone_and_when_all_is_well_none_does(name, package, tmp_path):
    now = instants.now()
    told = Told(tmp_path)
    if name is not None:
        told.stage(name)
    expected = [] if name is None else [{"labels": f'{{alertname="{name}"}}', "value": 1}]
    test = {
        "rule_files": [str(RULES)], "evaluation_interval": "15s",
        "tests": [{
            "interval": "15s", "input_series": series_of(told, now),
            "promql_expr_test": [{"expr": 'count by (alertname) (count by (alertname, severity) (ALERTS{alertstate="firing"}))', "eval_time": "15m", "exp_samples": expected}],
        }],
    }  # fmt: skip
    (tmp_path / "test.yml").write_text(yaml.safe_dump(test))
    done = subprocess.run([program("promtool", package), "test", "rules", tmp_path / "test.yml"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout


# -- Prometheus -------------------------------------------------------------------------------------------------------------------------


@contextmanager
def served(told: Told) -> Iterator[MonitoringServer]:
    server = MonitoringServer("127.0.0.1", 0, {"/metrics": told.page})
    server.start()
    try:
        yield server
    finally:
        with suppress(OSError):
            server.stop()


@pytest.mark.timeout(300)
def test_each_alert_fires_and_resolves(package, tmp_path):
    told = Told(tmp_path)
    with served(told) as server, prometheus(tmp_path, program("prometheus", package), server.address) as watching:
        wait_until(lambda: watching.query("jarvis_build_info"), "it has scraped", 20)
        for name in NAMES:
            told.stage(name)
            wait_until(lambda name=name: name in watching.alerts(), f"{name} fires", 20)
            says = watching.alerts()[name]["annotations"]
            assert "error" not in says["description"], says
            told.mend()
            wait_until(lambda: not watching.alerts(), f"{name} resolves", 30)
        server.stop()
        wait_until(lambda: "JarvisAbsent" in watching.alerts(), "JarvisAbsent fires", 20)


#: Panels that are empty while all is well.
MAY_BE_EMPTY = {"Alarms that hold"}


@pytest.mark.timeout(120)
def test_every_panel_of_the_dashboard_has_data(package, tmp_path):
    told = Told(tmp_path)

    def record() -> None:
        now = instants.now()
        deposit = Deposit(deposit_id="d", account_id="a", currency="USDT", amount=1, occurred_at=instants.to_datetime(now))
        told.recorder.writer.figures.committed([deposit], [APPLIED], 0.002, [("deposits", "record_deposit")], [now // 1_000])

    panels = json.loads((HOUSE / "deploy/grafana/jarvis.json").read_text())["panels"]
    queries = [
        (panel["title"], target["expr"].replace("$job", "jarvis").replace("$__rate_interval", "4s")) for panel in panels for target in panel.get("targets", ())
    ]
    assert len(queries) > 40
    with served(told) as server, prometheus(tmp_path, program("prometheus", package), server.address) as watching:

        def has_data(query: str) -> bool:
            record()
            return bool(watching.query(query))

        for title, query in queries:
            if title in MAY_BE_EMPTY:
                assert watching.query(query) == []
            else:
                wait_until(lambda query=query: has_data(query), f"{title} has data: {query}", 20)


@pytest.mark.timeout(300)
def test_faults_of_real_processes_fire_and_resolve(package, broker_server, short_folder, tmp_path):
    port, fired = free_neighbours(), lambda: set(watching.alerts())
    settings = {"JARVIS_BROKER__URL": broker_server.url, "JARVIS_MONITORING__LISTEN": f"127.0.0.1:{port}"}
    with (
        running(short_folder, "worker", "run", **settings) as worker,
        running(short_folder, "scheduler", "run", **settings) as scheduler,
        prometheus(tmp_path, program("prometheus", package), f"127.0.0.1:{port}", f"127.0.0.1:{port + 1}") as watching,
    ):
        wait_until(lambda: worker.is_ready() and scheduler.is_ready(), "both are ready", 60)
        wait_until(lambda: not fired(), "all is well", 30)

        broker_server.kill()
        wait_until(lambda: {"JarvisBrokerAway", "JarvisWorkerNotReady"} <= fired(), "the broker is missed", 30)
        broker_server.start()
        wait_until(lambda: not fired(), "it is back", 60)

        worker.process.kill()
        wait_until(lambda: {"JarvisNoWorker", "JarvisAbsent"} <= fired(), "the worker is missed", 30)
        assert "JarvisNoScheduler" not in fired()
        with running(short_folder, "worker", "run", **settings):
            wait_until(lambda: not fired(), "a worker is there again", 60)
            scheduler.process.kill()
            wait_until(lambda: {"JarvisNoScheduler", "JarvisAbsent"} <= fired(), "the scheduler is missed", 30)
            assert "JarvisNoWorker" not in fired()


@pytest.mark.timeout(300)
def test_faults_in_queues_books_and_jobs_fire_and_resolve(package, broker_server, short_folder, tmp_path):
    port, fired = free_neighbours(), lambda: set(watching.alerts())
    (short_folder / "carry.sh").write_text('test ! -e "$(dirname "$0")/broken"\n')
    settings = {
        "JARVIS_BROKER__URL": broker_server.url, "JARVIS_MONITORING__LISTEN": f"127.0.0.1:{port}", "JARVIS_DATABASE__PATH": str(short_folder / "b.db"),
        "JARVIS_DATABASE__BACKUP__SECOND__COMMAND": f"sh {short_folder}/carry.sh {{file}}",
    }  # fmt: skip
    deposit = {"account_id": "acc", "currency": "USDT", "occurred_at": 1_767_225_600_000_000}
    publisher, client = Publisher(broker_server.url), broker_server.client()

    def jarvis(*arguments: str) -> int:
        return run(*arguments, folder=short_folder, **settings).returncode

    def becomes(name: str) -> None:
        wait_until(lambda: name in fired(), f"{name} fires", 60)

    def is_over(name: str) -> None:
        wait_until(lambda: name not in fired(), f"{name} resolves", 60)

    with (
        running(short_folder, "worker", "run", **settings) as worker,
        running(short_folder, "scheduler", "run", **settings) as scheduler,
        prometheus(tmp_path, program("prometheus", package), f"127.0.0.1:{port}", f"127.0.0.1:{port + 1}") as watching,
    ):
        wait_until(lambda: worker.is_ready() and scheduler.is_ready(), "both are ready", 60)
        wait_until(lambda: not fired(), "all is well", 60)

        publisher.publish_deposit(deposit_id="d1", amount="5", **deposit)
        publisher.publish_deposit(deposit_id="d1", amount="6", **deposit)
        becomes("JarvisQuarantineHeld")
        assert jarvis("quarantine", "discard", "1", "--reason", "a test") == 0
        is_over("JarvisQuarantineHeld")

        for number in (1, 3):
            publisher.publish_deposit(deposit_id=f"s{number}", amount="5", producer="engine", sequence=number, **deposit)
        becomes("JarvisGaps")
        publisher.publish_deposit(deposit_id="s2", amount="5", producer="engine", sequence=2, **deposit)
        is_over("JarvisGaps")

        (short_folder / "broken").touch()
        assert jarvis("jobs", "run", "backup", "--wait") == 1
        becomes("JarvisJobFailed")
        (short_folder / "broken").unlink()
        assert jarvis("jobs", "run", "backup", "--wait") == 0
        is_over("JarvisJobFailed")

        # Workers find these within minutes; what they leave in the books is what counts here.
        with closing(DatabaseManager(short_folder / "b.db")) as database:
            strays = SQLiteStrayRepository(database)
            for kind, name in ((StrayKind.LOST_PAYLOADS, "JarvisUnclaimedMessages"), (StrayKind.BROKER_EMPTIED, "JarvisBrokerLostMessages")):
                strays.note(kind, "elsewhere", 1, "a test")
                becomes(name)
                assert strays.settle(kind, "elsewhere")
                is_over(name)

        worker.process.send_signal(signal.SIGSTOP)
        old = {
            "queue_name": "deposits", "actor_name": "record_deposit", "args": [{"deposit_id": "d9", "amount": "5", **deposit}], "kwargs": {}, "options": {},
            "message_id": "o", "message_timestamp": (instants.now() - 120_000_000) // 1_000,
        }  # fmt: skip
        client.hset("dramatiq:deposits.msgs", "o", json.dumps(old))
        client.rpush("dramatiq:deposits", "o")
        becomes("JarvisQueueWaits")
        worker.process.send_signal(signal.SIGCONT)
        is_over("JarvisQueueWaits")
        wait_until(lambda: not fired(), "all is well again", 60)
    client.close()

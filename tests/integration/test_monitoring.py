"""Figures and health of real processes: what they serve is what happened."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from daemons import child_of, problems, running
from parts import wait_until
from watched import figure, free_port, get, scrape, wait_for_figure

from jarvis.embedded_broker import running_broker
from jarvis.monitoring.pipe import SupervisorPipe
from jarvis_client import Publisher

DEPOSIT = {"account_id": "acc", "currency": "USDT", "amount": "5", "occurred_at": 1_767_225_600_000_000}


def test_under_jarvis_up_one_port_tells_of_all_processes(short_folder):
    with running(short_folder, "up") as daemon:
        wait_until(daemon.is_ready, "all are ready", 60)
        assert json.loads(get(daemon.address, "/healthz")[2])["alive"] is True
        url = running_broker(short_folder)
        assert url is not None
        publisher = Publisher(url)
        publisher.publish_deposits([{"deposit_id": f"d{n}", **DEPOSIT} for n in range(30)], records_per_message=10)
        publisher.publish_deposits([{"deposit_id": "d1", **DEPOSIT}, {"deposit_id": "d2", **DEPOSIT, "amount": "6"}])
        wait_for_figure(daemon.address, 30, "jarvis_records_total", kind="deposit", outcome="applied")
        wait_for_figure(daemon.address, 1, "jarvis_records_total", kind="deposit", outcome="duplicate")
        wait_for_figure(daemon.address, 1, "jarvis_quarantined_records_total", reason="conflict")
        text = scrape(daemon.address)
        messages = figure(text, "dramatiq_messages_total", queue_name="deposits", actor_name="record_deposit", process="worker")
        assert messages == 5
        assert figure(text, "jarvis_publish_to_durable_seconds_count") == messages
        assert figure(text, "jarvis_publish_to_durable_seconds_bucket", le="60") == messages
        assert figure(text, "jarvis_event_to_durable_seconds_count") == 30
        assert figure(text, "jarvis_batch_records_sum") == 32
        assert figure(text, "jarvis_fetched_messages_total", queue="deposits") == messages
        assert {process: figure(text, "jarvis_ready", process=process) for process in ("up", "broker", "worker", "scheduler")} == dict.fromkeys(
            ("up", "broker", "worker", "scheduler"), 1
        )
        assert figure(text, "process_resident_memory_bytes", process="scheduler")


def test_a_worker_that_is_killed_is_missed_until_it_is_back(short_folder):
    with running(short_folder, "up") as daemon:
        wait_until(daemon.is_ready, "all are ready", 60)
        worker = child_of(daemon.process.pid, "worker run")
        assert worker is not None
        os.kill(worker, signal.SIGSTOP)  # so that it cannot be back before anybody looks
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: "worker" in problems(daemon.address), "the worker is missed")
        wait_until(daemon.is_ready, "it is back", 60)
        wait_for_figure(daemon.address, 1, "jarvis_child_restarts_total", process="worker")
        wait_for_figure(daemon.address, 1, "jarvis_ready", process="worker")


def test_a_worker_that_is_stopped_is_not_ready_whatever_it_said_before(short_folder):
    with running(short_folder, "up") as daemon:
        wait_until(daemon.is_ready, "all are ready", 60)
        wait_for_figure(daemon.address, 1, "jarvis_ready", process="worker")
        worker = child_of(daemon.process.pid, "worker run")
        assert worker is not None
        os.kill(worker, signal.SIGSTOP)
        wait_until(lambda: "said nothing" in problems(daemon.address).get("worker", ""), "the worker is missed", 60)
        wait_for_figure(daemon.address, 0, "jarvis_ready", process="worker", kind="worker")
        os.kill(worker, signal.SIGCONT)
        wait_until(daemon.is_ready, "it goes on", 60)


def test_processes_that_run_by_themselves_serve_a_port_each(short_folder):
    port = free_port()
    listen = {"JARVIS_MONITORING__LISTEN": f"127.0.0.1:{port}"}
    with running(short_folder, "broker", "run", **listen) as broker, running(short_folder, "worker", "run", **listen) as worker:
        wait_until(worker.is_ready, "the worker is ready", 60)
        wait_until(broker.is_ready, "the broker is ready")
        with running(short_folder, "scheduler", "run", **listen) as scheduler:
            wait_until(scheduler.is_ready, "the scheduler is ready", 60)
            assert [d.address for d in (worker, scheduler, broker)] == [f"127.0.0.1:{port + n}" for n in range(3)]
            assert figure(scrape(worker.address), "jarvis_broker_up", process="worker") == 1


def test_a_worker_without_its_broker_is_alive_and_says_why_it_is_not_ready(broker_server, short_folder):
    with running(short_folder, "worker", "run", JARVIS_BROKER__URL=broker_server.url) as worker:
        wait_until(worker.is_ready, "it is ready", 60)
        broker_server.kill()
        wait_until(lambda: not worker.is_ready(), "it notices that the broker is gone")
        assert "not reachable" in problems(worker.address)["worker"]
        assert get(worker.address, "/healthz")[0] == 200
        assert figure(scrape(worker.address), "jarvis_broker_up", process="worker") == 0
        broker_server.start()
        wait_until(worker.is_ready, "it is ready again", 60)


def test_a_port_that_is_taken_costs_a_warning_and_is_used_once_it_is_free(broker_server, short_folder):
    port = free_port()
    with running(short_folder, "worker", "run", JARVIS_BROKER__URL=broker_server.url, JARVIS_MONITORING__LISTEN=f"127.0.0.1:{port}") as first:
        wait_until(first.is_ready, "the first is ready", 60)
        named = {"JARVIS_WORKER__NAME": "second", "JARVIS_MONITORING__LISTEN": f"127.0.0.1:{port}"}
        with running(short_folder, "worker", "run", JARVIS_BROKER__URL=broker_server.url, **named) as second:
            wait_until(lambda: second.said("worker started"), "the second records all the same", 60)
            (warning,) = second.said("figures and health are not served: the address cannot be listened on; set monitoring.listen to another, or to nothing")
            assert (warning["level"], warning["address"]) == ("warning", f"127.0.0.1:{port}")
            first.end()
            wait_until(lambda: second.said("figures and health are served"), "it serves them now")
            assert second.address == f"127.0.0.1:{port}"


def test_a_textfile_is_there_while_the_process_runs(broker_server, short_folder):
    (short_folder / "node").mkdir()
    file = short_folder / "node" / "jarvis-worker.prom"
    with running(
        short_folder, "worker", "run", JARVIS_BROKER__URL=broker_server.url, JARVIS_MONITORING__TEXTFILE=str(file.parent), JARVIS_MONITORING__LISTEN=""
    ):
        wait_until(file.exists, "it is written", 60)
        assert figure(file.read_text(), "jarvis_build_info", process="worker") == 1
        assert [path.name for path in file.parent.iterdir()] == ["jarvis-worker.prom"]
    assert list(file.parent.iterdir()) == []


def test_a_folder_for_the_textfile_that_is_not_there_costs_a_warning(broker_server, short_folder):
    with running(short_folder, "worker", "run", JARVIS_BROKER__URL=broker_server.url, JARVIS_MONITORING__TEXTFILE=str(short_folder / "none")) as worker:
        wait_until(worker.is_ready, "it is ready", 60)
        assert len([line for line in worker.lines() if line["level"] == "warning" and "node_exporter" in line["event"]]) == 1


def test_nothing_is_served_where_no_address_is_set(broker_server, short_folder):
    with running(short_folder, "worker", "run", JARVIS_BROKER__URL=broker_server.url, JARVIS_MONITORING__LISTEN="") as worker:
        wait_until(lambda: worker.said("worker started"), "it records", 60)
        open_sockets = {os.readlink(link) for link in Path(f"/proc/{worker.process.pid}/fd").iterdir()}
        tables = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
        assert not [entry for entry in tables if entry[3] == "0A" and f"socket:[{entry[9]}]" in open_sockets]  # 0A: it listens


@pytest.mark.parametrize("reads", [False, True], ids=["a supervisor that is stopped", "a supervisor that reads"])
def test_a_supervisor_cannot_hold_a_process_up(reads, tmp_path):
    reading, writing = os.pipe()
    pipe = SupervisorPipe(writing)
    told = []
    for n in range(200):
        if pipe.tell({"figures": "x" * 3_000, "number": n}):
            told.append(n)
        if reads:
            _drain(reading, into := tmp_path / "read")
    if not reads:
        _drain(reading, into := tmp_path / "read")
        assert pipe.tell({"number": "last"})
        _drain(reading, into)
    lines = [json.loads(line) for line in into.read_bytes().splitlines()]
    assert [line["number"] for line in lines if line["number"] != "last"] == (list(range(200)) if reads else told)
    assert (len(told) == 200) is reads
    os.close(reading)
    os.close(writing)


def _drain(reading: int, into: Path) -> None:
    os.set_blocking(reading, False)
    with open(into, "ab") as file:
        while True:
            try:
                file.write(os.read(reading, 1 << 20))
            except BlockingIOError:
                return

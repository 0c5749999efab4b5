"""Errors of a broker: which pass, which do not, what is said of them, and how often."""

from __future__ import annotations

import math
import socket
from pathlib import Path

import pytest
import redis
import structlog
from redis import exceptions

from jarvis.cli.common import sentence_of
from jarvis.systemd import StatusLine
from jarvis_client.contract.broker_faults import CATALOGUE, CLOSED_SOCKET, FAILOVER_SECONDS, NOT_REACHABLE, REFUSED, UNREADABLE_FILE, fault_of
from workers.reachability import Reachability

REFUSED_CONNECTION = redis.ConnectionError("Error 111 connecting to localhost:6379. Connection refused.")
WRONG_PASSWORD = exceptions.AuthenticationError("invalid username-password pair or user is disabled.")
REPLICA = exceptions.ReadOnlyError("You can't write against a read only replica.")


@pytest.mark.parametrize(
    ("error", "predicate", "patience"),
    [
        (REFUSED_CONNECTION, "not reachable", math.inf), (redis.TimeoutError("Timeout reading from socket"), "not reachable", math.inf),
        (redis.ConnectionError("Connection closed by server."), "not reachable", math.inf),
        (exceptions.BusyLoadingError("Redis is loading the dataset in memory"), "is loading its file", math.inf),
        (redis.ResponseError("BUSY Redis is busy running a script."), "is busy with a script", math.inf), (REPLICA, "is a replica, which takes no writes", 60),
        (exceptions.MasterDownError("Link with MASTER is down"), "has lost its primary", math.inf),
        (redis.ResponseError("NOREPLICAS Not enough good replicas to write."), "has too few replicas", math.inf),
        (exceptions.ClusterDownError("Hash slot not served"), "has lost a part of its cluster", math.inf),
        (exceptions.MovedError("3999 127.0.0.1:6381"), "is a cluster", 0), (exceptions.ClusterCrossSlotError("Keys in request don't hash"), "is a cluster", 0),
        (WRONG_PASSWORD, "refuses user or password", 0), (exceptions.AuthenticationError("HELLO must be called with"), "refuses user or password", 0),
        (exceptions.NoPermissionError("User u has no permissions to run the 'set' command"), "grants too few rights", 0),
        (redis.ResponseError("DENIED Redis is running in protected mode"), "is in protected mode", 0),
        (exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."), "is full", 0),
        (redis.ResponseError("OOM command not allowed when used memory > 'maxmemory'."), "is full", 0),
        (redis.ResponseError("MISCONF Redis is configured to save"), "cannot write to its disk", 0),
        (redis.ResponseError("WRONGTYPE Operation against a key"), "holds a key of the wrong type", 0),
        (redis.ConnectionError("max number of clients reached"), "takes no more connections", math.inf),
        (redis.ResponseError("DB index is out of range"), "has no such database", 0), (redis.ResponseError("unknown command `BLMOVE`"), "is too old", 0),
        (exceptions.InvalidResponse("Protocol Error: b'HTTP/1.1 400 Bad Request'"), "is no Redis", 0),
        (redis.ConnectionError("Error 1 connecting to h:1. [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"), "cannot be spoken to by TLS", 0),
        (redis.ConnectionError("Error -2 connecting to h:1. Name or service not known."), "has a host that is not known", 60),
        (redis.ResponseError("SOMETHING new"), "refuses", math.inf),
    ],
)  # fmt: skip
def test_an_error_is_known_for_what_it_means(error, predicate, patience):
    fault = fault_of(error)
    assert (fault.predicate, fault.patience) == (predicate, patience)
    assert fault.remedy
    assert str(error).rstrip(".") in fault.sentence(error)
    assert fault.sentence(error).endswith(fault.remedy)


def test_every_entry_of_the_catalogue_has_its_own_predicate():
    predicates = [fault.predicate for _, fault in CATALOGUE]
    assert len(predicates) == len({*predicates})


def test_every_event_of_the_catalogue_stands_in_the_guide():
    guide = (Path(__file__).parents[2] / "docs" / "runbook.md").read_text()
    for fault in (NOT_REACHABLE, REFUSED, UNREADABLE_FILE, CLOSED_SOCKET, *(fault for _, fault in CATALOGUE)):
        assert f"{fault.predicate}`" in guide or f"{fault.predicate}, trying again`" in guide, fault.predicate


def test_a_file_that_the_url_names_is_named_where_the_client_only_says_errno(tmp_path):
    error = redis.ConnectionError("Error 2 connecting to localhost:7394. No such file or directory.")
    fault = fault_of(error, f"rediss://:pw@localhost:7394?ssl_ca_certs={tmp_path}/ca.crt")
    assert fault.event(grave=True) == "broker needs a file that cannot be read"
    assert f"ssl_ca_certs names {tmp_path}/ca.crt, which does not exist" in fault.remedy
    assert fault_of(error, f"unix://{tmp_path}/s") is NOT_REACHABLE
    refused = redis.ConnectionError(f"Error 13 connecting to {tmp_path}/s. Permission denied.")
    assert "may not open" in fault_of(refused, f"unix://{tmp_path}/s").predicate


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def watch(clock):
    return Reachability("redis://u:hunter2@host:7/1", clock=clock, now=lambda: 1_767_225_600_000_000)


def test_an_outage_is_told_of_again_and_again_with_since_when(watch, clock):
    with structlog.testing.capture_logs() as lines:
        for second in range(2_000):
            clock.seconds = float(second)
            watch.failed("heartbeat", REFUSED_CONNECTION)
        clock.seconds = 2_000.5
        watch.succeeded("heartbeat")
    assert [line.get("for_seconds") for line in lines] == [0, 60, 300, 600, 1_200, 1_800, None]
    assert {line["event"] for line in lines[:-1]} == {"broker not reachable, trying again"}
    assert all(line["log_level"] == "warning" and line["since"] == "2026-01-01T00:00:00.000000Z" and line["what_to_do"] for line in lines[:-1])
    assert (lines[-1]["event"], lines[-1]["after_seconds"], lines[-1]["broker"]) == ("broker reachable again", 2000.5, "redis at host:7/1")
    assert "hunter2" not in str(lines)


def test_what_will_not_pass_is_an_error_of_its_own_event(watch):
    with structlog.testing.capture_logs() as lines:
        watch.failed("heartbeat", REFUSED_CONNECTION)
        watch.failed("fills", WRONG_PASSWORD)
        watch.failed("orders", WRONG_PASSWORD)
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("broker not reachable, trying again", "warning"),
        ("broker refuses user or password", "error"),
    ]
    assert "correct user and password in broker.url" in lines[1]["what_to_do"]


def test_a_replica_is_taken_for_a_failover_for_a_minute(watch, clock):
    with structlog.testing.capture_logs() as lines:
        for second in (0, 30, FAILOVER_SECONDS, FAILOVER_SECONDS + 1):
            clock.seconds = float(second)
            watch.failed("heartbeat", REPLICA)
    assert [(line["event"], line["log_level"]) for line in lines] == [
        ("broker is a replica, which takes no writes, trying again", "warning"), ("broker is a replica, which takes no writes", "error"),
    ]  # fmt: skip


def test_one_queue_s_trouble_ends_with_its_own_success_alone(watch):
    with structlog.testing.capture_logs() as lines:
        for _ in range(5):
            watch.failed("fills", redis.ResponseError("WRONGTYPE Operation against a key"))
            assert not watch.succeeded("orders") or watch.reachable is False
            watch.succeeded("heartbeat")
        assert not watch.reachable
        assert watch.succeeded("fills")
    assert watch.reachable
    assert [line["event"] for line in lines] == ["broker holds a key of the wrong type", "broker reachable again"]


def test_texts_without_end_are_not_all_told(watch):
    with structlog.testing.capture_logs() as lines:
        for n in range(100):
            watch.failed("fills", redis.ResponseError(f"SOMETHING {n}"))
    assert len(lines) == 8


def test_the_line_for_systemd_says_how_it_is(watch, tmp_path, monkeypatch):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(str(tmp_path / "n"))
    listener.setblocking(False)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "n"))
    line = StatusLine()
    line.tell(watch.says(), "READY=1")
    assert listener.recv(1000) == b"READY=1\nSTATUS=connecting to redis at host:7/1"
    watch.succeeded("heartbeat")
    line.tell(watch.says())
    line.tell(watch.says())
    assert listener.recv(1000) == b"STATUS=reading from redis at host:7/1"
    watch.failed("heartbeat", redis.ConnectionError("two\nlines redis://:hunter2@host"))
    line.tell(watch.says())
    assert listener.recv(1000) == b"STATUS=broker not reachable since 2026-01-01T00:00:00.000000Z (redis at host:7/1): two lines redis://:***@host"
    with pytest.raises(BlockingIOError):
        listener.recv(1000)
    listener.close()


def test_a_command_says_what_the_publisher_noted_of_an_error():
    error = exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'.")
    error.add_note(fault_of(error).sentence(error))
    assert sentence_of(error) == "the broker is full: command not allowed when used memory > 'maxmemory'; let the workers catch up, or raise its maxmemory"
    assert "could not be used: Connection refused; look at broker.url" in sentence_of(redis.ConnectionError("Connection refused"))

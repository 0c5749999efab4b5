"""What a publisher makes of a broker of several servers: how long it tries, what passes, who has a slot."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import redis
from redis.exceptions import AskError, ClusterDownError, MovedError, NoScriptError, ResponseError, TryAgainError

from jarvis_client import MalformedRecord, Publisher, aio_primaries, primaries
from jarvis_client.connecting import RETRIES, RETRIES_OVER_A_FAILOVER, patience
from jarvis_client.contract.address import read_address
from jarvis_client.contract.address_options import OPTIONS, SENTINEL_OPTIONS, TLS_OPTIONS
from jarvis_client.contract.broker_faults import fault_of, passes_with_a_failover
from jarvis_client.primaries import Finder, elsewhere, owner_of, question_of

SENTINEL = "redis+sentinel://h1,h2/books"


@pytest.mark.parametrize(
    ("url", "retries", "spool", "tries", "pauses"),
    [
        ("redis://h", None, False, RETRIES, 0), ("redis://h", None, True, 1, 0), ("redis://h", 3, False, 3, 0),
        (SENTINEL, None, False, 0, RETRIES_OVER_A_FAILOVER), (SENTINEL, None, True, 0, 1), (SENTINEL, 3, False, 0, 3), ("redis+cluster://h", 0, False, 0, 0),
    ],
)  # fmt: skip
def test_a_publisher_waits_for_another_server_to_take_over(url, retries, spool, tries, pauses):
    found = patience(read_address(url), retries, spool=spool)
    assert (found.retries, len(found.pauses)) == (tries, pauses)


def test_a_failover_of_half_a_minute_is_waited_for_and_its_end_seen_within_a_second():
    pauses = patience(read_address(SENTINEL), None, spool=False).pauses
    assert 25 < sum(pauses) < 35
    assert max(pauses) <= 1


@pytest.mark.parametrize(
    ("error", "clause"),
    [
        (MovedError("3999 127.0.0.1:6381"), "moves our namespace to another node"), (AskError("3999 127.0.0.1:6381"), "moves our namespace to another node"),
        (TryAgainError("Multiple keys request during rehashing of slot"), "moves our namespace to another node"),
        (ClusterDownError("The cluster is down"), "has lost a part of its cluster"),
        (ResponseError("NOREPLICAS Not enough good replicas to write."), "has too few replicas"),
    ],
)  # fmt: skip
def test_what_a_server_says_that_is_not_the_primary_passes(error, clause):
    passing = elsewhere(error)
    assert passing is not None
    assert fault_of(passing).clause.startswith(clause)
    assert passes_with_a_failover(passing)


@pytest.mark.parametrize("error", [NoScriptError("No matching script."), ResponseError("WRONGTYPE Operation against a key"), ResponseError("NOPERM no")])
def test_what_any_server_would_say_does_not(error):
    assert elsewhere(error) is None
    assert not passes_with_a_failover(error)


def test_the_owner_of_a_slot_is_read_from_what_any_node_says():
    slots = [[0, 99, [b"10.0.0.1", 6379, b"id", []], [b"10.0.0.4", 6379, b"id", []]], [100, 16383, [None, 6380, b"id"]]]
    assert owner_of(99, slots, "asked") == ("10.0.0.1", 6379)
    assert owner_of(100, slots, "asked") == ("asked", 6380)
    assert owner_of(5, slots[1:], "asked") is None


class Sentinel:
    """Answers once as many threads ask as there are to be."""

    def __init__(self, port: int, answer: list[object] | None, together: threading.Barrier) -> None:
        self.connection_pool = SimpleNamespace(connection_kwargs={"host": "127.0.0.1", "port": port})
        self._answer, self._together = answer, together

    def execute_command(self, *_: str) -> list[object] | None:
        self._together.wait(60)
        return self._answer


def test_threads_that_ask_at_the_same_time_are_all_answered():
    together = threading.Barrier(8)
    question = question_of(read_address(SENTINEL), "dramatiq")
    finder = Finder(question, [Sentinel(port, [b"10.0.0.1", b"6379"], together) for port in (1, 2)])
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(finder.discover_master, ["books"] * 8))
    assert found == [("10.0.0.1", 6379)] * 8


def test_who_knows_nothing_is_not_believed_while_another_knows():
    alone = threading.Barrier(1)
    question = question_of(read_address(SENTINEL), "dramatiq")
    finder = Finder(question, [Sentinel(1, None, alone), Sentinel(2, [b"10.0.0.1", b"6379"], alone)])
    assert [finder.discover_master("books") for _ in range(3)] == [("10.0.0.1", 6379)] * 3
    with pytest.raises(redis.ConnectionError, match="no sentinel knows a primary called books"):
        Finder(question, [Sentinel(1, None, alone)]).discover_master("books")


@pytest.mark.parametrize("number", [-1, 17, True, "1", 1.0])
def test_a_number_of_replicas_that_cannot_be_is_refused(number):
    with pytest.raises(MalformedRecord, match="a whole number from 0 to 16"):
        Publisher("redis://h", wait_replicas=number)


@pytest.mark.parametrize("scheme", ["redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"])
@pytest.mark.parametrize("connected", [primaries.connect, aio_primaries.connect], ids=["threads", "asyncio"])
def test_the_options_of_a_url_are_ones_that_the_client_takes(scheme, connected):
    values = {"db": "0", "protocol": "2", "ssl_cert_reqs": "none", "ssl_check_hostname": "no", "ssl_min_version": "771", "socket_keepalive": "yes"}
    options = {**OPTIONS, **(TLS_OPTIONS if scheme.startswith("rediss") else {}), **(SENTINEL_OPTIONS if scheme.endswith("sentinel") else {})}
    for name in options:
        certificate = "&ssl_certfile=/c" if name == "ssl_keyfile" else ""
        url = f"{scheme}://user:word@h1,h2/{'books' if scheme.endswith('sentinel') else ''}?{name}={values.get(name, '1')}{certificate}"
        client = connected(url, "{jarvis}")
        connection = client.connection_pool.make_connection()
        assert connection.credential_provider is None
        assert (connection.username, connection.password) == ("user", "word")

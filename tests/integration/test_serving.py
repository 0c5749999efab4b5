"""What the server's parts promise, apart from a process: books that refuse to write, bounds, connections that end, the description."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import threading

import pytest
import uvicorn
from books import NEW_YEAR, deposit, fill, withdrawal
from openapi_spec_validator import OpenAPIV31SpecValidator
from parts import wait_until

from jarvis.settings import Settings
from jarvis.web import connection as connections
from jarvis.web import cursor, desk
from jarvis.web.app import create_app
from jarvis.web.asking import Asked
from jarvis.web.desk import Desk, Reading
from jarvis.web.guard import is_loopback, name_of
from jarvis.web.openapi import description
from jarvis.web.problems import Problem
from jarvis.web.routes import ROUTES
from jarvis_client.contract.errors import Invalid, Unavailable
from persistence.books.ledger import Ledger
from persistence.domain.errors import TookTooLong
from persistence.reading import ReadOnlyBooks
from persistence.repositories import SQLiteAccountRepository, SQLiteOrderRepository, SQLiteTransactionRepository
from persistence.repositories.orders import OrderPlace
from scheduler.notes import look_for_notes

ENDLESS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


@pytest.fixture
def read_only(database):
    Ledger(database).record([deposit(), *(fill(n, order_id=f"o{n}", executed_at=1_767_225_600_000_000 + n // 3) for n in range(20))])
    with contextlib.closing(ReadOnlyBooks(database.path, 4)) as books:
        yield books


def test_every_way_to_write_is_refused(read_only):
    for write in (
        lambda: SQLiteAccountRepository(read_only).deactivate("acc"),
        lambda: read_only.execute_update("DELETE FROM facts"),
        lambda: read_only.initialize(),
        lambda: Ledger(read_only).record([deposit(2)]),
        lambda: read_only.execute_query("DELETE FROM facts RETURNING 1"),
    ):
        with pytest.raises((Unavailable, Invalid), match=r"for reading"):
            write()
    with pytest.raises(Unavailable, match="for reading alone"), read_only.get_connection(writing=True):
        pass
    assert SQLiteTransactionRepository(read_only).count("acc") == 61


def test_who_reads_for_too_long_is_stopped_and_the_next_one_is_not(read_only):
    with pytest.raises(TookTooLong, match="took longer than it may; ask for less at a time"), read_only.moment(0.05):
        read_only.execute_query(ENDLESS)
    with read_only.moment(5):
        assert read_only.execute_query("SELECT count(*) FROM facts") == [(21,)]


def test_a_moment_shows_nothing_that_is_committed_meanwhile(read_only, database):
    with read_only.moment(5):
        before = SQLiteTransactionRepository(read_only).count("acc")
        Ledger(database).record([deposit(2)])
        assert SQLiteTransactionRepository(read_only).count("acc") == before
    assert SQLiteTransactionRepository(read_only).count("acc") == before + 1


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
def test_pages_of_facts_of_one_instant_have_each_once(read_only, limit):
    orders, transactions = SQLiteOrderRepository(read_only), SQLiteTransactionRepository(read_only)
    found, after = [], None
    while page := orders.page("acc", limit, after):
        found, after = [*found, *(o.order_id for o in page)], OrderPlace.of(page[-1])
    assert found == [o.order_id for o in orders.find_by_account("acc", None)]
    moved, place = [], None
    while rows := transactions.page("acc", limit, place):
        moved, place = [*moved, *(t for t, _ in rows)], rows[-1][1]
    assert moved == transactions.find_by_account("acc", None)


@pytest.mark.parametrize(
    "text", ["", "x", "W10", "eyJhIjoxfQ", "WzEsMl0", "WyJhIl0", "W3RydWVd", "WzFlOTk5XQ", "WzE4NDQ2NzQ0MDczNzA5NTUxNjE2XQ", "é" * 10, "A" * 5_000]
)
def test_a_cursor_that_we_did_not_write_is_refused(text):
    with pytest.raises(Problem, match="must be the `next` of the page before"):
        cursor.read(text, int)
    assert cursor.read(cursor.written(5, "ü", b"\0"), int, str, bytes) == (5, "ü", b"\0")


@pytest.mark.parametrize(
    ("host", "name"),
    [("a", "a"), ("A:80", "a"), ("[::1]:80", "::1"), ("[::1]", "::1"), ("::1", "::1"), ("a.", "a"), ("a.:80", "a"), ("", ""), (" a ", "a"), ("a:b:c", "a:b:c")],
)
def test_the_name_in_a_host(host, name):
    assert name_of(host) == name


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("a", False)],
)
def test_what_counts_as_loopback(host, loopback):
    assert is_loopback(host) is loopback


def test_so_many_wait_and_no_more(read_only, monkeypatch):
    monkeypatch.setattr(desk, "MOST_WAITING", 2)
    go_on, begun = threading.Event(), threading.Semaphore(0)
    one = Desk(Reading(read_only, Settings()))

    def slow(_reading):
        begun.release()
        return go_on.wait(20)

    async def asked():
        waiting = [asyncio.ensure_future(one.answer(slow, over_a_moment=False)) for _ in range(desk.AT_A_TIME + 2)]
        await asyncio.to_thread(lambda: [begun.acquire(timeout=20) for _ in range(desk.AT_A_TIME)])
        with pytest.raises(Problem, match="requests are answered at a time") as refused:
            await one.answer(slow, over_a_moment=False)
        assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "1"})
        go_on.set()
        return await asyncio.gather(*waiting)

    assert all(asyncio.run(asked()))
    one.close()


def test_an_answer_that_comes_too_late_is_told_and_counts_until_it_has_ended(read_only, monkeypatch):
    monkeypatch.setattr(desk, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(desk, "MOST_WAITING", 1 - desk.AT_A_TIME)
    go_on = threading.Event()
    one = Desk(Reading(read_only, Settings()))

    async def asked():
        with pytest.raises(Problem, match="took longer than"):
            await one.answer(lambda _: go_on.wait(20), over_a_moment=False)
        with pytest.raises(Problem, match="requests are answered at a time"):
            await one.answer(lambda _: None, over_a_moment=False)
        go_on.set()
        monkeypatch.setattr(desk, "MOST_WAITING", 1)
        monkeypatch.setattr(desk, "ANSWER_SECONDS", 20)
        return await one.answer(lambda reading: SQLiteTransactionRepository(reading.books).count("acc"), over_a_moment=True)

    assert asyncio.run(asked()) == 61
    one.close()


@pytest.fixture
def address(read_only):
    """Where the application answers, in a thread of this process."""
    app = create_app(Reading(read_only, Settings()))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, http=connections.BoundedConnection, ws="none", lifespan="off", log_config=None, access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        wait_until(lambda: server.started, "the server has started")
        yield listener.getsockname()
        server.should_exit = True
        thread.join()


def test_who_connects_and_says_nothing_is_let_go(monkeypatch, address):
    monkeypatch.setattr(connections, "SILENCE_SECONDS", 0.1)
    for beginning in (b"", b"GET /api/v1/acc"):
        with socket.create_connection(address, timeout=20) as silent:
            silent.sendall(beginning)
            with contextlib.suppress(ConnectionResetError):
                assert silent.recv(100) == b""


def test_a_connection_ends_whatever_its_client_does(monkeypatch, address):
    monkeypatch.setattr(connections, "CONNECTION_SECONDS", 0.3)
    connection = http.client.HTTPConnection(*address, timeout=20)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        while True:
            connection.request("GET", "/api/v1/accounts")
            connection.auto_open = 0
            assert connection.getresponse().read()
    connection.close()


def test_the_oldest_connection_gives_way(monkeypatch, address):
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 3)
    with contextlib.ExitStack() as held:
        opened = [held.enter_context(socket.create_connection(address, timeout=20)) for _ in range(4)]
        with contextlib.suppress(ConnectionResetError):
            assert opened[0].recv(100) == b""
        opened[3].sendall(b"GET /api/v1/accounts HTTP/1.0\r\nHost: localhost\r\n\r\n")
        assert opened[3].recv(100).startswith(b"HTTP/1.1 200 ")


def test_a_defect_is_a_problem_and_not_the_end(monkeypatch, address):
    monkeypatch.setattr(SQLiteAccountRepository, "find_all", lambda _: 1 / 0)
    connection = http.client.HTTPConnection(*address, timeout=20)
    connection.request("GET", "/api/v1/accounts")
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["detail"]) == (500, "this is a defect of the server; its log tells where; please report it")
    connection.request("GET", "/api/v1/balances?account=acc")
    assert connection.getresponse().status == 200
    connection.close()


def test_the_description_is_one(read_only):
    for token in (False, True):
        told = description(ROUTES, token=token)
        OpenAPIV31SpecValidator(told).validate()
        assert ("security" in told) is token
        assert json.loads(json.dumps(told)) == told
    asked = {p["name"]: p for p in told["paths"]["/api/v1/performance"]["get"]["parameters"]}
    assert [name for name, p in asked.items() if p["required"]] == ["account"]
    assert asked["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}
    assert {route.by.__name__ for route in ROUTES} == {path["get"]["operationId"] for path in told["paths"].values()}
    assert all(issubclass(route.asked, Asked) for route in ROUTES)


def test_who_does_not_read_what_was_asked_is_cut_off(monkeypatch, address):
    monkeypatch.setattr(connections, "CONNECTION_SECONDS", 0.2)
    monkeypatch.setattr(connections, "ENDING_SECONDS", 0.2)
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        slow.settimeout(20)
        slow.connect(address)
        # More than the buffers between us take: the description is 80 kB.
        asked = b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100
        with contextlib.suppress(ConnectionError):
            slow.sendall(asked)
        with pytest.raises(ConnectionError):
            wait_until(lambda: slow.send(b"\r\n") < 0, "the server has cut it off")


def test_notes_are_told_without_looking_at_what_is_new(read_only, database):
    plan = Settings().rollup_plan
    Ledger(database).record([withdrawal(amount="5000"), deposit(3, account_id="other"), withdrawal(2, account_id="other", amount="9000")])
    told = look_for_notes(database, plan, NEW_YEAR).notes
    assert {note.account_id for note in told} == {"acc", "other"}
    assert look_for_notes(read_only, plan, NEW_YEAR, known=True).notes == told
    # What nobody has looked at has no number yet.
    Ledger(database).record([withdrawal(4, account_id="third", amount="7")])
    assert {note.account_id: note.number is None for note in look_for_notes(read_only, plan, NEW_YEAR, known=True).notes}["third"]

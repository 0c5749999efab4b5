"""Three pages for GET, whatever clients do."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from parts import wait_until
from structlog.testing import capture_logs
from watched import get

from jarvis.monitoring import server as module
from jarvis.monitoring.server import MOST_CONNECTIONS, Answer, MonitoringServer


def page(accept):
    return Answer(200, "text/plain", f"you accept {accept}".encode())


@pytest.fixture
def server():
    serving = MonitoringServer("127.0.0.1", 0, {"/metrics": page})
    serving.start()
    yield serving
    serving.stop()


def connect(server, said=b""):
    connection = socket.create_connection(server.server_address, timeout=10)
    connection.sendall(said)
    return connection


def test_a_page_is_told_what_its_reader_accepts(server):
    status, headers, body = get(server.address, "/metrics?name=x", Accept="anything")
    assert (status, body, headers["content-length"], headers["server"]) == (200, b"you accept anything", "19", "jarvis")


@pytest.mark.parametrize(
    ("method", "path", "status", "says"),
    [
        ("GET", "/", 404, b"there are /metrics"),
        ("GET", "/metrics/", 404, b"there are /metrics"),
        ("POST", "/metrics", 405, b"only GET"),
        ("DELETE", "/metrics", 405, b"only GET"),
        ("HEAD", "/metrics", 405, b""),
        ("OPTIONS", "/metrics", 405, b"only GET"),
    ],
)
def test_anything_else_is_refused(server, method, path, status, says):
    answered, _, body = get(server.address, path, method=method)
    assert answered == status
    assert says in body


@pytest.mark.parametrize(
    "said", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\n\n", b"GET " + b"x" * 70_000 + b"\r\n\r\n", b"\r\n", b"GET /metrics HTTP/9.9\r\n\r\n"]
)
def test_what_is_no_request_gets_no_page_and_harms_nobody(server, said, capfd):
    with connect(server, said) as connection:
        assert b"you accept" not in b"".join(iter(lambda: _received(connection), b""))
    assert get(server.address)[0] == 200
    assert capfd.readouterr() == ("", "")


def _received(connection):
    try:
        return connection.recv(65_536)
    except ConnectionResetError:
        return b""


def test_clients_that_say_nothing_hold_nobody_up_and_take_no_more_threads_than_there_are_places(server):
    silent = [connect(server, b"GET /met") for _ in range(3 * MOST_CONNECTIONS)]
    started = time.monotonic()
    assert get(server.address)[0] == 200
    assert time.monotonic() - started < 2
    wait_until(lambda: len(_handlers()) <= MOST_CONNECTIONS, "the oldest have given way")
    for connection in silent:
        connection.close()
    wait_until(lambda: not _handlers(), "their threads have ended")


def _handlers():
    return [thread for thread in threading.enumerate() if "process_request_thread" in thread.name]


def test_a_client_that_sends_a_byte_now_and_then_is_ended_all_the_same(server, monkeypatch):
    monkeypatch.setattr(module, "CONNECTION_SECONDS", 0.5)
    with connect(server, b"GET /metrics HTTP/1.0\r\n") as dripping:
        ended = threading.Event()

        def drip():
            try:
                while not ended.wait(0.05):
                    dripping.sendall(b"X")
            except OSError:
                ended.set()

        threading.Thread(target=drip, daemon=True).start()
        wait_until(lambda: _received(dripping) == b"", "the server has ended it")
        ended.set()


def test_a_client_that_does_not_read_its_answer_holds_nobody_up(server, monkeypatch):
    monkeypatch.setattr(module, "CONNECTION_SECONDS", 0.5)
    server.pages = {"/metrics": lambda _: Answer(200, "text/plain", b"x" * 50_000_000)}
    with connect(server, b"GET /metrics HTTP/1.0\r\n\r\n"):
        wait_until(lambda: _handlers(), "the answer is under way")
        wait_until(lambda: not _handlers(), "the server has given it up")


def test_a_page_that_fails_is_told_of_and_harms_nobody_else(server):
    def fail(_):
        raise RuntimeError("a defect")

    server.pages = {"/metrics": page, "/fails": fail}
    with capture_logs() as logs:
        assert get(server.address, "/fails")[0] == 500
    assert [(line["event"], line["page"]) for line in logs] == [("a page could not be made", "/fails")]
    assert get(server.address)[0] == 200


def test_an_address_that_is_taken_is_an_error_of_the_system(server):
    with pytest.raises(OSError, match="in use"):
        MonitoringServer("127.0.0.1", server.server_address[1], {})


def test_it_listens_on_addresses_of_both_families():
    serving = MonitoringServer("::1", 0, {"/metrics": page})
    serving.start()
    try:
        assert serving.address.startswith("[::1]:")
        assert get(serving.address)[0] == 200
    finally:
        serving.stop()


def test_a_start_asks_no_resolver(monkeypatch):
    monkeypatch.setattr(socket, "getfqdn", lambda *_: pytest.fail("a resolver was asked"))
    MonitoringServer("127.0.0.1", 0, {}).stop()

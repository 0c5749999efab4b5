"""`/metrics`, `/healthz` and `/readyz` over HTTP: three answers to GET, and nothing else.

The standard library's server is enough for that. What it lacks is a bound: here a connection lives for some seconds, whatever its client
does, and there are so many at a time; the oldest gives way to a new one.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn
from typing import Any, NamedTuple

import structlog

log = structlog.get_logger("monitoring")

#: A scrape takes milliseconds; Prometheus itself gives up after ten seconds.
CONNECTION_SECONDS = 10.0
#: More at a time than any number of scrapers and probes need.
MOST_CONNECTIONS = 16


class Answer(NamedTuple):
    status: int
    content_type: str
    body: bytes


#: What answers a GET of a path: told the request's `Accept`.
Page = Callable[[str], Answer]


class MonitoringServer(ThreadingMixIn, HTTPServer):
    """Serves pages from threads of its own once started. Raises `OSError` where the address cannot be listened on."""

    daemon_threads = True
    #: Those that wait to be accepted; the connections below are bounded on their own.
    request_queue_size = 32

    def __init__(self, host: str, port: int, pages: Mapping[str, Page]) -> None:
        self.pages = pages
        self._open: dict[socket.socket, float] = {}
        self._guard = threading.Lock()
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.25}, name="monitoring-server", daemon=True)

    @property
    def address(self) -> str:
        host, port = self.server_address[:2]
        return f"[{host!s}]:{port}" if self.address_family is socket.AF_INET6 else f"{host!s}:{port}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        if self._thread.is_alive():
            self.shutdown()
            self._thread.join()
        self.server_close()

    def server_bind(self) -> None:
        """Without looking up the host's name, which the library does and which may ask a resolver that does not answer."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "", self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._guard:
            self._open[request] = time.monotonic()
            if len(self._open) > MOST_CONNECTIONS:
                _end(min(self._open, key=self._open.__getitem__))
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Some times a second: end what has lasted too long. A time limit of the socket would begin anew with each byte."""
        oldest = time.monotonic() - CONNECTION_SECONDS
        with self._guard:
            for connection in [c for c, since in self._open.items() if since < oldest]:
                _end(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


def _end(connection: socket.socket) -> None:
    """Whoever waits on it goes on, and closes it."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    server: MonitoringServer
    timeout = CONNECTION_SECONDS
    # Each answer ends its connection: nobody keeps one open for what comes twice a minute.
    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        page = self.server.pages.get(self.path.partition("?")[0])
        if page is None:
            answer = Answer(404, "text/plain; charset=utf-8", f"not found; there are {', '.join(self.server.pages)}\n".encode())
        else:
            answer = self._answer_of(page)
        self._send(answer)

    def _answer_of(self, page: Page) -> Answer:
        try:
            return page(self.headers.get("Accept", ""))
        except Exception:  # whoever asks gets an answer, and the next one asks again
            log.exception("a page could not be made", page=self.path)
            return Answer(500, "text/plain; charset=utf-8", b"it could not be made; the log says why\n")

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """In place of the library's page of HTML; for a method that there is none of, 405."""
        if code == 501:
            self._send(Answer(405, "text/plain; charset=utf-8", b"only GET is answered\n"), Allow="GET")
        else:
            self._send(Answer(code, "text/plain; charset=utf-8", f"{message or 'this is no request'}\n".encode()))

    def _send(self, answer: Answer, **headers: str) -> None:
        self.send_response(answer.status)
        for name, value in {"Content-Type": answer.content_type, "Content-Length": str(len(answer.body)), "Cache-Control": "no-store", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def version_string(self) -> str:
        return "jarvis"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a scrape every few seconds is no news either."""

"""The process of `jarvis serve` and `jarvis web`: the application in uvicorn, until it is told to stop."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable

import structlog
import uvicorn

from jarvis.monitoring.pipe import SupervisorPipe
from jarvis.processes import LOOK_SECONDS, StopSignal, Unhealthy, end_within, say_alive
from jarvis.settings import Settings
from jarvis.systemd import notify
from jarvis.web import token as tokens
from jarvis.web.app import DESCRIPTION, create_app
from jarvis.web.connection import KEEP_ALIVE_SECONDS, LONGEST_REQUEST_BYTES, BoundedConnection
from jarvis.web.desk import AT_A_TIME, Reading
from jarvis.web.guard import is_loopback
from jarvis_client.contract.errors import Invalid, Unavailable
from persistence.engine.contract import BooksToRead
from persistence.opening import open_to_read
from persistence.reading import ReadOnlyBooks

log = structlog.get_logger("web")

#: Connections that wait to be taken.
BACKLOG = 128
#: For answers that are under way when it is told to stop.
DRAIN_SECONDS = 5


def run(settings: Settings, *, pages: bool = False, listening: Callable[[str], None] = lambda _url: None) -> None:
    """Answer until SIGTERM or SIGINT; with `pages` for people, too. `listening` is told where, once it answers. Raises `Invalid` before it
    listens where anybody beyond this machine could read without a token."""
    chosen = settings.web
    host, _, port = chosen.listen.rpartition(":")
    host = host.strip("[]")
    token = None if chosen.token_file is None else tokens.read(chosen.token_file)
    if token is None and not is_loopback(host):
        raise Invalid(
            f"web.listen is {chosen.listen}, which others can reach, and there is no token: name a file in web.token_file and run "
            "`jarvis serve --make-token`, or listen on 127.0.0.1"
        )
    if chosen.token_file is not None and tokens.is_open_to_others(chosen.token_file):
        log.warning("the token can be read by others", remedy=f"chmod 600 {chosen.token_file}")
    # What others send it is no news; ours says when it begins and ends.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    stop, pipe = StopSignal(), SupervisorPipe.of_environment()
    books = open_books(settings)
    with books.get_connection():
        pass  # books that are not there, or not ours, are told of before anybody asks
    app = create_app(Reading(books, settings), hosts=chosen.hosts, token=token, pages=pages)
    with _listening(host, int(port)) as listener:
        server = uvicorn.Server(
            uvicorn.Config(
                app, http=BoundedConnection, ws="none", lifespan="off", log_config=None, access_log=False, server_header=False, proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS, timeout_graceful_shutdown=DRAIN_SECONDS, h11_max_incomplete_event_size=LONGEST_REQUEST_BYTES,
            )
        )  # fmt: skip
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="web", daemon=True)
        thread.start()
        bound = listener.getsockname()
        shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        url = f"http://{shown}:{bound[1]}"
        log.info("answering", url=url, description=DESCRIPTION, pages=pages, token=token is not None)
        listening(url)
        notify("READY=1")
        while not stop.wait(LOOK_SECONDS):
            if not thread.is_alive():
                raise Unhealthy("the server has ended by itself; the lines before say why")
            say_alive(pipe)
        notify("STOPPING=1")
        server.should_exit = True
        thread.join(DRAIN_SECONDS + 2)
    books.close()
    log.info("stopped")
    end_within()


def open_books(settings: Settings) -> BooksToRead:
    """The books as configured, for reading; a connection for each request that is answered at a time."""
    if settings.database.url is not None:
        return open_to_read(settings.database.url.get_secret_value(), AT_A_TIME, settings.data_folder)
    performance, backup = settings.database.performance, settings.database.backup
    return ReadOnlyBooks(
        settings.database.path, AT_A_TIME, wal_mode=performance.wal_mode, checkpoints=performance.checkpoints == "jarvis", backup_folder=backup.path,
        second_folder=backup.second.path, cache_mb=16,
    )  # fmt: skip


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, so that asyncio sends at once what it is given: else a body waits 40 ms for the client to confirm the headers.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # At once, so that whoever connects as soon as it says that it answers is waited on and not refused.
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise Unavailable(f"could not listen on {host} port {port}: {error.strerror or error}; choose another in web.listen, or with --listen") from error
    return listener

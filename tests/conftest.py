"""Real parts for every test: a database in a folder of its own, a Valkey server on a socket of its own."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from parts import BrokerServer

from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager

# Files and processes are slow to make; a slow example is not a wrong one.
hypothesis_settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
hypothesis_settings.load_profile("house")


@pytest.fixture(autouse=True)
def _no_settings_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in os.environ if n.startswith("JARVIS_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[DatabaseManager]:
    manager = DatabaseManager(tmp_path / "books.db")
    manager.initialize()
    yield manager
    manager.close()


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
def short_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="jt-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)

"""What a service sees of the others that is shown neither the table of locks nor their processes, as the units are."""

from __future__ import annotations

import pytest

from jarvis.embedded_broker import EmbeddedBroker
from jarvis.settings import Settings
from jarvis.status.gathering import gather
from jarvis_client.contract import instants
from persistence import files
from persistence.files import is_seen_locked, locked_file
from persistence.holders import Process


@pytest.fixture
def hardened(monkeypatch):
    """ProcSubset=pid and ProtectProc=invisible, as far as they matter here."""
    monkeypatch.setattr(files, "in_lock_table", lambda _path: False)
    monkeypatch.setattr(files, "sees_locks", lambda: False)
    monkeypatch.setattr(Process, "of", classmethod(lambda cls, _pid: None))


def test_who_holds_a_lock_runs_though_nothing_is_seen_of_it(hardened, tmp_path):
    lock = tmp_path / "scheduler.lock"
    assert not is_seen_locked(lock)
    with locked_file(lock, "scheduler"):
        assert is_seen_locked(lock)
        assert is_seen_locked(lock), "looking takes nothing away"
    assert not is_seen_locked(lock)


def test_the_embedded_broker_is_found_where_its_socket_is_for_a_group(short_folder):
    run = short_folder / "run"
    run.mkdir()
    run.chmod(0o2750)
    settings = Settings(database={"path": short_folder / "data" / "books.db"}, broker={"socket_folder": run})
    with EmbeddedBroker(short_folder / "data", run).running():
        broker = gather(settings, now=instants.now(), broker_only=True).broker
    assert broker is not None
    assert (broker.reachable, broker.problem) == (True, None)

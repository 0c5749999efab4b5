"""How the daemon over a folder stands, for tests that stage what is told."""

from __future__ import annotations

from pathlib import Path

from jarvis.settings import Settings
from jarvis.status.gathering import gather
from jarvis.status.model import Process, Status
from jarvis_client.contract import instants


def settings_of(folder: Path, url: str | None = None, **more: object) -> Settings:
    return Settings(database={"path": folder / "b.db", "backup": {"path": folder / "backups", **more}}, broker={"url": url})


def look(settings: Settings, **options) -> Status:
    return gather(settings, now=instants.now(), **options)


def process_of(status: Status, name: str) -> Process:
    assert status.processes is not None
    [process] = [process for process in status.processes if process.name == name]
    return process


def message(number: int) -> dict[str, object]:
    return {"deposit_id": f"d{number}", "account_id": "a", "currency": "USDT", "amount": "1", "occurred_at": 1_767_225_600_000_000}

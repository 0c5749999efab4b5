"""The locks in a data folder: one for each process that may run over it once."""

from __future__ import annotations

from pathlib import Path

from jarvis.settings import Settings


def supervisor_lock(settings: Settings) -> Path:
    """The lock of `jarvis up`."""
    return settings.data_folder / "jarvis.lock"


def worker_lock(settings: Settings, name: str) -> Path:
    """The lock of the worker of this name."""
    return settings.data_folder / f"worker-{name}.lock"


def scheduler_lock(settings: Settings) -> Path:
    return settings.data_folder / "scheduler.lock"


def worker_names(settings: Settings) -> list[str]:
    """One name per worker process: each holds messages under its own."""
    name, processes = settings.worker.name, settings.worker.processes
    return [name] if processes == 1 else [f"{name}-{n}" for n in range(1, processes + 1)]

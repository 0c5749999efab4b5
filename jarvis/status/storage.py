"""What the books take up on disk, and what is free of each disk that we write to."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from jarvis.settings import Settings
from jarvis.status.model import Disk, Storage
from jarvis.status.patience import PATIENCE_SECONDS, Patience
from jarvis_client.contract.errors import Unavailable
from persistence.engine.contract import Database
from persistence.engine.sqlite.connect import free_bytes_of


def read_storage(settings: Settings, database: Database, patience: Patience) -> Storage:
    """Read from the files alone, so that a database that cannot be opened is no hindrance; one that is missing has no bytes. A server is asked."""
    if settings.database.url is not None:
        held = database.storage()
        return Storage(
            path=database.path, database_bytes=held.file_bytes, log_bytes=held.log_bytes, free_bytes_inside=held.free_bytes,
            disks=tuple(_disks(settings, patience)),
        )  # fmt: skip
    path = settings.database.path.absolute()
    return Storage(
        path=str(path), database_bytes=_size(path), log_bytes=_size(path.with_name(f"{path.name}-wal")), free_bytes_inside=free_bytes_of(str(path)),
        disks=tuple(_disks(settings, patience)),
    )  # fmt: skip


def _disks(settings: Settings, patience: Patience) -> Iterator[Disk]:
    backup = settings.database.backup
    folders = [settings.data_folder, *([backup.path] if backup.enabled else []), *([] if backup.second.path is None else [backup.second.path])]
    if settings.broker.url is None:
        folders.append(settings.data_folder / "broker")
    by_device: dict[int, list[Path]] = {}
    for folder in folders:
        # What is not there, or does not answer, is told among the copies.
        with suppress(OSError, Unavailable):
            by_device.setdefault(patience.within(PATIENCE_SECONDS, f"{folder} on its disk", folder.stat).st_dev, []).append(folder)
    for together in by_device.values():
        usage = shutil.disk_usage(together[0])
        yield Disk(folders=tuple(str(folder.absolute()) for folder in together), free_bytes=usage.free, total_bytes=usage.total)


def _size(path: Path) -> int:
    with suppress(OSError):
        return os.stat(path).st_size
    return 0

"""What is kept beside the books and the backups until somebody says that it may go: nothing here is ever removed by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from persistence.engine.sqlite.database import BESIDE
from persistence.files import remove

_SUFFIX = re.compile(f"({'|'.join(BESIDE)})$")


@dataclass(frozen=True, slots=True)
class KeptAside:
    """A file with what lies beside it under the same name, and what it is."""

    path: Path
    what: str
    bytes: int
    since: datetime


def kept_aside(database: str | Path, backup_folder: Path) -> list[KeptAside]:
    """What restores, failed proofs and rescues have left, the oldest first."""
    folder, name = Path(database).absolute().parent, Path(database).name
    places = (
        (folder, f"{name}.before-restore-*", "the database before a restore"),
        (folder, "after-*.ndjson", "records from after a backup"),
        (backup_folder, "failed-jarvis-*", "a copy that failed its proof"),
        (backup_folder, "unproved-*.db", "the books before a rebuild, unproved"),
        (backup_folder, "rescued-*.db", "the rescue of a deleted file"),
    )
    found = [kept for place, pattern, what in places for kept in _found(place, pattern, what)]
    return sorted(found, key=lambda kept: (kept.since, kept.path.name))


def _found(folder: Path, pattern: str, what: str) -> Iterator[KeptAside]:
    # Of a database that was gone only its log may be there.
    for base in sorted({path.with_name(_SUFFIX.sub("", path.name)) for path in folder.glob(pattern)}):
        with suppress(FileNotFoundError):  # gone since
            parts = [part for part in _parts(base) if part.is_file() and not part.is_symlink()]
            if parts:
                # When it was put aside, however old what it holds is.
                since = datetime.fromtimestamp(parts[0].stat().st_ctime, UTC).replace(microsecond=0)
                yield KeptAside(base, what, sum(part.stat().st_size for part in parts), since)


def _parts(path: Path) -> tuple[Path, ...]:
    return (path, *(Path(f"{path}{suffix}") for suffix in (*BESIDE, "-mark")))


def remove_kept(kept: Sequence[KeptAside]) -> None:
    for one in kept:
        for part in _parts(one.path):
            remove(part)

"""The migrations that an engine's folder carries, `schema/NNNN_name.sql`, and what is said of books that are newer than all of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from persistence.domain.errors import WrongDatabase


@dataclass(frozen=True, slots=True)
class Migration:
    version: int
    name: str
    sql: str


@cache
def carried_in(package: str) -> tuple[Migration, ...]:
    """Every migration in the `schema` folder of an engine's package, in order."""
    found = sorted((f for f in files(f"{package}.schema").iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    return tuple(Migration(int(f.name[:4]), f.name[5:-4], f.read_text("utf-8")) for f in found)


def refuse_newer(version: int, newest: int, place: str) -> None:
    """Raises `WrongDatabase` for a schema that a newer program made."""
    if version > newest:
        raise WrongDatabase(f"{place} has schema version {version}, this program knows up to {newest}; it was left untouched: install the newer jarvis-trading")


__all__ = ["Migration", "carried_in", "refuse_newer"]

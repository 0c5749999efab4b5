"""Where the recipes' files are read: packed into the wheel, or as they lie in a checkout."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

#: Where the wheel has deploy/, config/ and docs/ (pyproject.toml puts them there).
PACKED = "packed"


def _root() -> Traversable:
    packed = files("jarvis.recipes") / PACKED
    return packed if packed.is_dir() else Path(__file__).parents[2]


def source(path: str) -> str:
    """The text of a file such as `deploy/redis/redis.conf`."""
    return _root().joinpath(*path.split("/")).read_text("utf-8")


def sources(folder: str, *endings: str) -> dict[str, str]:
    """The texts of the files of a folder, by their names; those that end so. Empty where there is no such folder."""
    found = _root().joinpath(*folder.split("/"))
    if not found.is_dir():
        return {}
    return {file.name: file.read_text("utf-8") for file in sorted(found.iterdir(), key=lambda f: f.name) if file.is_file() and file.name.endswith(endings)}

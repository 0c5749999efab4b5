"""The files of a recipe, and what would become of each in a folder: new, unchanged, different, or the operator's own and kept."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from jarvis.errors import Refused
from persistence.files import replaced


@dataclass(frozen=True)
class PlannedFile:
    """A file by its path below the folder that the recipe is written to."""

    path: str
    content: bytes
    mode: int = 0o644
    #: Made once, then the operator's own: it is never compared and never overwritten.
    kept: bool = False
    #: Its content is never shown, and nobody but its owner may read it.
    secret: bool = False


@dataclass(frozen=True)
class Step:
    """What is left to do, and the commands that do it."""

    says: str
    commands: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    files: tuple[PlannedFile, ...]
    steps: tuple[Step, ...]
    #: What other choices of the same recipe write, and the option for it: left behind, it would still take effect.
    others: Mapping[str, str] = field(default_factory=dict)


class Fate(StrEnum):
    NEW = "new"
    UNCHANGED = "unchanged"
    DIFFERENT = "different"
    KEPT = "kept"


@dataclass(frozen=True)
class Planned:
    """One file of a recipe in a folder."""

    file: PlannedFile
    target: Path
    fate: Fate

    def difference(self) -> Iterator[str]:
        """The lines of a unified diff between what is there and what would be written."""
        if self.file.secret or b"\0" in self.file.content:
            yield "(its content is not shown)"
            return
        before, after = (content.decode("utf-8", "replace").splitlines() for content in (self.target.read_bytes(), self.file.content))
        yield from difflib.unified_diff(before, after, "is there", "would be written", lineterm="")


def plan(recipe: Recipe, folder: Path) -> list[Planned]:
    """What would become of each file. Reads only. Raises `OSError` where a file that is there cannot be read."""
    return [Planned(file, folder / file.path, _fate(file, folder / file.path)) for file in recipe.files]


def _fate(file: PlannedFile, target: Path) -> Fate:
    if not os.path.lexists(target):
        return Fate.NEW
    if file.kept:
        return Fate.KEPT
    return Fate.UNCHANGED if target.is_file() and target.read_bytes() == file.content else Fate.DIFFERENT


def left_over(recipe: Recipe, folder: Path) -> dict[Path, str]:
    """Files that an earlier choice left, such as the drop-in of a Redis that is not used any more, each with the option that writes it."""
    written = {file.path for file in recipe.files}
    return {folder / path: option for path, option in recipe.others.items() if path not in written and os.path.lexists(folder / path)}


def write(planned: list[Planned], *, force: bool = False) -> None:
    """Write what is new, each file whole or not at all; what differs only by `force`.

    Raises `Refused`, before anything is written, naming the files that differ.
    """
    different = [one for one in planned if one.fate is Fate.DIFFERENT]
    if different and not force:
        names = "\n".join(f"  {one.target}" for one in different)
        raise Refused(f"nothing was written, because these files are there and differ:\n{names}\n--dry-run shows how; --force overwrites them")
    if folders := [one for one in planned if one.target.is_dir()]:
        raise Refused(f"{folders[0].target} is a folder, and a file of this recipe has this name; move it away")
    for one in planned:
        if one.fate in (Fate.NEW, Fate.DIFFERENT):
            _make_folders(one.target.parent)
            with replaced(one.target, of_the_caller=True) as file:
                file.write(one.file.content)
            one.target.chmod(one.file.mode)
        elif one.file.secret and one.target.stat().st_mode & 0o077:
            one.target.chmod(one.file.mode)


def _make_folders(folder: Path) -> None:
    """Folders that services of other users go through, whatever the umask of whoever runs this."""
    if folder.exists():
        return
    _make_folders(folder.parent)
    folder.mkdir()
    folder.chmod(0o755)

"""What is known before anything is looked at."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from jarvis.errors import SettingsError
from jarvis.settings import Settings, load_settings_with_places
from jarvis.settings_sources import Places


@dataclass(frozen=True)
class Case:
    """`settings` is None where they cannot be used; `problems` then tells why. The system's own files lie below `root`."""

    config: Path
    named: bool
    now: int
    settings: Settings | None = None
    places: Places = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    root: Path = Path("/")

    def text_of(self, path: str) -> str | None:
        """The text of one of the system's files; None where it is missing or closed to us."""
        try:
            return (self.root / path).read_text("utf-8", "replace")
        except OSError:
            return None

    @property
    def mounts(self) -> str:
        return self.text_of("proc/self/mountinfo") or ""

    @property
    def disks(self) -> str:
        return self.text_of("etc/fstab") or ""


def case_of(config: Path, now: int, *, named: bool = False, root: Path = Path("/")) -> Case:
    try:
        settings, places = load_settings_with_places(config, named=named)
    except SettingsError as error:
        return Case(config, named, now, problems=tuple(error.problems), root=root)
    return Case(config, named, now, settings, places, root=root)

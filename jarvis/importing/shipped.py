"""The profiles that come with the program, one YAML file each, read when one is asked for."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jarvis.importing.profile import Profile
from jarvis.settings_sources import read_text, read_yaml

_FOLDER = Path(__file__).parent / "profiles"


def shipped_names() -> list[str]:
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


@cache
def shipped(name: str) -> Profile:
    """The profile of that name, which is one of `shipped_names`."""
    values, _ = read_yaml(read_text(_FOLDER / f"{name}.yaml"))
    return Profile.model_validate(values)

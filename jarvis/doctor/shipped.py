"""Where the files for systemd lie that belong to this version: in the package, else in the checkout that it runs from."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import jarvis


def shipped_units() -> dict[str, str] | None:
    """The units and their common drop-in, by their path below systemd's folder; None where this installation has none of them."""
    for folder in (resources.files(jarvis) / "deploy" / "systemd", Path(jarvis.__file__).parents[1] / "deploy" / "systemd"):
        if folder.is_dir():
            return {name: file.read_text("utf-8") for name, file in _files(folder) if name.endswith(".service") or "/" in name}
    return None


def _files(folder: Traversable, above: str = "") -> list[tuple[str, Traversable]]:
    found = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        found += _files(entry, f"{above}{entry.name}/") if entry.is_dir() else [(f"{above}{entry.name}", entry)]
    return found

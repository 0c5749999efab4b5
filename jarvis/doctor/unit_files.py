"""systemd's units as files say them: a fragment and its drop-ins, the last word on each key. No systemd is asked."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from jarvis.doctor.case import Case

NAMES = ("jarvis-broker.service", "jarvis-worker.service", "jarvis-scheduler.service")
#: The first of them that has a file wins.
FOLDERS = ("etc/systemd/system", "run/systemd/system", "usr/local/lib/systemd/system", "usr/lib/systemd/system", "lib/systemd/system")
#: Of them each line adds to the ones before.
LISTS = {"Environment", "ReadWritePaths", "LoadCredential", "RestrictAddressFamilies", "IPAddressAllow", "EnvironmentFile"}
CREDENTIAL = "broker-url"


@dataclass(frozen=True)
class Unit:
    """What a unit's files say together."""

    name: str
    values: dict[str, list[str]] = field(default_factory=dict)

    def last(self, key: str) -> str:
        return (self.values.get(key) or [""])[-1]

    def words(self, key: str) -> list[str]:
        return [word for line in self.values.get(key, ()) for word in line.split()]

    @property
    def environment(self) -> dict[str, str]:
        pairs = [word.partition("=") for line in self.values.get("Environment", ()) for word in shlex.split(line)]
        return {name: value for name, _, value in pairs}

    @property
    def writable(self) -> list[Path]:
        """The folders that it may write to, where the rest is closed."""
        states = [Path("/var/lib") / name for name in self.words("StateDirectory")]
        return states + [Path(word.lstrip("-+")) for word in self.words("ReadWritePaths")]

    def may_write(self, path: Path) -> bool:
        return self.last("ProtectSystem") != "strict" or any(path.is_relative_to(folder) for folder in self.writable)


def installed(case: Case, name: str) -> Path | None:
    """Where a file stands that systemd would read: a unit, or a drop-in by `unit.d/name`."""
    return next((path for folder in FOLDERS if (path := case.root / folder / name).is_file()), None)


def units(case: Case) -> Iterator[Unit]:
    """Those of ours that are installed, each with its drop-ins."""
    for name in NAMES:
        fragment = installed(case, name)
        if fragment is not None:
            yield Unit(name, merged([fragment, *_drop_ins(case, name)]))


def hands_over_credential(case: Case) -> bool:
    return any(line.startswith(f"{CREDENTIAL}:") for unit in units(case) for line in unit.values.get("LoadCredential", ()))


def merged(files: Iterable[Path]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for file in files:
        for _, key, value in lines_of(file.read_text("utf-8", "replace")):
            if not value:
                found.pop(key, None)
            elif key in LISTS:
                found.setdefault(key, []).append(value)
            else:
                found[key] = [value]
    return found


def lines_of(text: str) -> list[tuple[str, str, str]]:
    """(section, key, value) of every line that says something."""
    found, section = [], ""
    for line in re.sub(r"\\\n", " ", text).splitlines():
        line = line.strip()
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith(("#", ";")):
            key, _, value = line.partition("=")
            found.append((section, key.strip(), value.strip()))
    return found


def number_of(text: str) -> int | None:
    """A limit as systemd reads it, such as 512M; of a soft and a hard one the hard one. None for infinity, a share, or none at all."""
    match = re.fullmatch(r"(?:\w+:)?(\d+)([KMGT]?)", text)
    return int(match[1]) << 10 * " KMGT".index(match[2] or " ") if match else None


def _drop_ins(case: Case, name: str) -> list[Path]:
    """In the order in which systemd reads them: by their names, whatever folder they lie in."""
    found: dict[str, Path] = {}
    for folder in FOLDERS:
        for drop_ins in (f"{name}.d", "jarvis-.service.d"):
            for path in sorted((case.root / folder / drop_ins).glob("*.conf")):
                found.setdefault(path.name, path)
    return [found[name] for name in sorted(found)]

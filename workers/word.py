"""A worker's word: what it says of itself every few seconds, in Redis for whoever has the broker, and in a file beside its lock for when the
broker is away.

    {namespace}:__jarvis__.workers      a hash, a field for each worker's name
    {folder of the lock}/worker-NAME.json

Anybody who may write there can write anything, so a word is read with care and believed in nothing but what people are shown.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self, get_type_hints

from persistence.files import make_file, remove

#: A worker that has not spoken for so long is not remembered any more.
REMEMBERED_MICROSECONDS = 7 * 86_400_000_000
#: Longer words are nobody's.
LONGEST_BYTES = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """Instants are microseconds UTC by the worker's clock; counts are since its start, in records save for `messages`."""

    name: str
    home: str
    """Who lives in its folder: only a worker of the same home is the same one."""
    place: str
    """host:folder."""
    pid: int
    version: str
    state: str
    """running, not ready, draining or stopped."""
    said_at: int
    started_at: int
    problem: str | None = None
    """Why it is not ready."""
    not_ready_since: int | None = None
    in_flight: int = 0
    messages: int = 0
    applied: int = 0
    duplicates: int = 0
    quarantined: int = 0
    last_commit_at: int | None = None
    lag_seconds: float | None = None
    """From publishing, by the publisher's clock, to durable: of the newest batch."""
    last_minute: int = 0
    last_hour: int = 0
    broker_reachable: bool = True
    broker_since: int | None = None
    """Since when it reaches its broker, or does not."""

    def text(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def read(cls, text: str | bytes) -> Self | None:
        """None for what is no word."""
        if len(text) > LONGEST_BYTES:
            return None
        try:
            found = json.loads(text)
        except ValueError:
            return None
        if not isinstance(found, dict):
            return None
        known: dict[str, Any] = {field.name: found[field.name] for field in fields(cls) if field.name in found}
        if not all(isinstance(value, _TYPES[name]) for name, value in known.items()):
            return None
        try:
            return cls(**known)
        except TypeError:  # it lacks something
            return None


_TYPES = get_type_hints(Word)


def path_of_word(folder: Path, name: str) -> Path:
    """Where the worker of this name keeps its word, beside its lock."""
    return folder / f"worker-{name}.json"


def keep_word(path: Path, word: Word) -> None:
    """Replace the word in a file, so that nobody reads half of one. Nothing happens where it cannot be written; it need not outlive the machine."""
    partial = path.with_name(f".{path.name}.partial")
    with suppress(OSError):
        remove(partial)
        with open(make_file(partial), "w", encoding="utf-8", errors="replace") as file:
            file.write(word.text())
        os.replace(partial, path)


def kept_word(path: Path) -> Word | None:
    """The word in a file; None where there is none."""
    try:
        with open(path, "rb") as file:
            return Word.read(file.read(LONGEST_BYTES + 1))
    except OSError:
        return None

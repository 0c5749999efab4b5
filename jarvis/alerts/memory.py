"""What stands and what was told, kept over restarts in a file beside the database. Not in the books: an alarm may be about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import structlog
from pydantic import TypeAdapter, ValidationError

from jarvis.alerts.told import Entry
from jarvis.status.alarms import Raised
from persistence.files import replaced

log = structlog.get_logger("alerts")

NAME = "alarms.json"
#: Many times what may stand at once, for every channel.
LONGEST_FILE_BYTES = 16 << 20


@dataclass(slots=True)
class KeptAlarm:
    """An alarm that stands."""

    alarm: Raised
    since: int


@dataclass(frozen=True, slots=True)
class Failing:
    """A channel that does not deliver."""

    since: int
    failures: int
    problem: str
    next_try_at: int


@dataclass(slots=True)
class KeptChannel:
    """What one channel was told. `summary_done`: the time of the newest summary that it has delivered, as a slot of the timetable."""

    told: list[Entry] = field(default_factory=list)
    summary_done: int | None = None
    failing: Failing | None = None


@dataclass(slots=True)
class Counted:
    """How many records there were at the summary of a slot, and how many of them came since the one before, where there was one."""

    slot: int
    at: int
    records: int
    new: int | None = None
    since: int | None = None


@dataclass(slots=True)
class Memory:
    """`saved_at` and every other time: microseconds UTC by the clock on the wall."""

    saved_at: int = 0
    standing: list[KeptAlarm] = field(default_factory=list)
    channels: dict[str, KeptChannel] = field(default_factory=dict)
    counted: Counted | None = None


_ADAPTER = TypeAdapter(Memory)


def load(path: Path) -> Memory | None:
    """What was kept; None where there is nothing, or nothing readable: then what stands is told anew."""
    try:
        with open(path, "rb") as file:
            return _ADAPTER.validate_json(file.read(LONGEST_FILE_BYTES))
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        log.warning("what was told of alarms cannot be read, so those that stand are told again", file=str(path), error=type(error).__name__)
        return None


def save(path: Path, memory: Memory) -> None:
    """Whole or not at all. Raises `OSError` where the disk does not take it."""
    with replaced(path) as file:
        file.write(_ADAPTER.dump_json(memory, indent=1))

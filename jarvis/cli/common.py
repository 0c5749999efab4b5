"""What the front door and all commands share: exit codes, what is said of an error, what was chosen before the command.

`jarvis --help` loads this and no more, so nothing that is slow to load is asked for here.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from jarvis.errors import Refused, SettingsError
from jarvis_client.contract.errors import BooksError, HeldElsewhere, Invalid
from persistence.domain.errors import Immutable, WrongDatabase, WrongFolder


class Exit(IntEnum):
    """What a script can rely on."""

    DONE = 0
    FINDINGS = 1
    USAGE = 2
    FAILED = 3
    REFUSED = 4


EXIT_CODES_HELP = "Exit codes: 0 done · 1 done with findings · 2 wrong usage · 3 could not be done · 4 refused"


@dataclass
class Chosen:
    """What stands before the command. It waits here for `context.py`, which loads the settings."""

    config: Path = Path("config")
    #: Whether somebody asked for that folder, by --config or JARVIS_CONFIG.
    named: bool = False
    #: The zone of the times that people are shown: `local`, or the name of one.
    time_zone: str = "UTC"


CHOSEN = Chosen()


def say(text: str) -> None:
    """A line for people, on stderr."""
    print(text, file=sys.stderr, flush=True)


def exit_code_of(error: Exception) -> Exit | None:
    """The exit code of an error that has a sentence for people; None for a defect, which should show its trace."""
    match error:
        case SettingsError() | Invalid():
            return Exit.USAGE
        case WrongDatabase() | HeldElsewhere() | WrongFolder() | Immutable() | Refused():
            return Exit.REFUSED
        case BooksError() | OSError():
            return Exit.FAILED
    # By its module: importing the client takes longer than most commands do.
    if type(error).__module__.partition(".")[0] == "redis":
        return Exit.FAILED
    return None


def sentence_of(error: Exception) -> str:
    """What is said of an error that has an exit code: errors of ours are sentences already."""
    if type(error).__module__.partition(".")[0] == "redis":
        # Whoever spoke to the broker has noted what its error means.
        return "; ".join(getattr(error, "__notes__", ())) or f"the broker could not be used: {error}; look at broker.url"
    if isinstance(error, OSError) and error.strerror:
        name = f"{error.filename}: " if error.filename else ""
        return f"{name}{error.strerror}; check the path, its owner and mode, the free space and `ulimit -f`"
    return str(error)

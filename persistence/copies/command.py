"""The command of the second place: what carries a copy on to where no folder leads."""

from __future__ import annotations

from pathlib import Path

from jarvis_client.contract.errors import Invalid, Unavailable
from persistence.commands import run_words, words_of

#: Longer than any upload of a day's backup takes.
COMMAND_SECONDS = 3600.0
#: What stands for the copy's path in a command.
PLACE = "{file}"


def refuse_command(command: str) -> None:
    """Raises `Invalid` for a command that names no copy, or that no shell would read."""
    if not any(PLACE in word for word in words_of(command)):
        raise Invalid(f"{command!r} does not say {PLACE}, which stands for the copy, so it would carry nothing; such as: aws s3 cp {PLACE} s3://bucket/jarvis/")


def run_for(command: str, target: Path, seconds: float = COMMAND_SECONDS) -> None:
    """Run the command for a copy, and wait for it alone: what it leaves running (ssh's shared connection) may go on.

    Raises `Unavailable` where it cannot be started, fails, or takes too long: then it ends with all that it started.
    """
    stands = f"the backup itself stands, {target}; a mended command is read when the scheduler starts again"
    try:
        code, said = run_words([word.replace(PLACE, target.as_posix()) for word in words_of(command)], seconds)
    except OSError as error:
        raise Unavailable(f"database.backup.second.command could not be run: {error}; {stands}") from error
    if code is None:
        raise Unavailable(f"database.backup.second.command took longer than {seconds:,.0f} seconds and was ended; {stands}")
    if code:
        raise Unavailable(f"database.backup.second.command ended with {code}{': ' if said else ''}{said}; {stands}")

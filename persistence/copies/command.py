"""The command of the second place: what carries a copy on to where no folder leads."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from jarvis_client.contract.errors import Invalid, Unavailable

#: Longer than any upload of a day's backup takes.
COMMAND_SECONDS = 3600.0
#: What stands for the copy's path in a command.
PLACE = "{file}"
#: Of what a command that failed has said.
SHOWN_BYTES = 300


def refuse_command(command: str) -> None:
    """Raises `Invalid` for a command that names no copy, or that no shell would read."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise Invalid(f"{command!r} cannot be read: {error}; close what is quoted") from None
    if not any(PLACE in word for word in words):
        raise Invalid(f"{command!r} does not say {PLACE}, which stands for the copy, so it would carry nothing; such as: aws s3 cp {PLACE} s3://bucket/jarvis/")


def run_for(command: str, target: Path, seconds: float = COMMAND_SECONDS) -> None:
    """Run the command for a copy, and wait for it alone: what it leaves running (ssh's shared connection) may go on.

    Raises `Unavailable` where it cannot be started, fails, or takes too long: then it ends with all that it started.
    """
    words = [word.replace(PLACE, target.as_posix()) for word in shlex.split(command)]
    stands = f"the backup itself stands, {target}; a mended command is read when the scheduler starts again"
    # Into a file: a pipe is open until the last of its holders is gone, however long ago the command has ended.
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, start_new_session=True)
        except OSError as error:
            raise Unavailable(f"database.backup.second.command could not be run: {error}; {stands}") from error
        try:
            code = process.wait(seconds)
        except BaseException as error:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            raise Unavailable(f"database.backup.second.command took longer than {seconds:,.0f} seconds and was ended; {stands}") from error
        if code:
            said.seek(max(0, said.seek(0, os.SEEK_END) - SHOWN_BYTES))
            words_said = said.read().decode(errors="replace").strip()
            raise Unavailable(f"database.backup.second.command ended with {code}{': ' if words_said else ''}{words_said}; {stands}")

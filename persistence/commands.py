"""Commands that an operator names in the settings: read without a shell, given a time, ended with all that they started."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, NamedTuple

from jarvis_client.contract.errors import Invalid

#: Of what a command has said, its end.
SHOWN_BYTES = 300


class Ended(NamedTuple):
    """How a command ended. `code` is None where it took too long; `said` is the end of what it wrote on both its outputs."""

    code: int | None
    said: str


def words_of(command: str) -> list[str]:
    """The words of a command. Raises `Invalid` for what no shell would read, and for what names no program."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise Invalid(f"{command!r} cannot be read: {error}; close what is quoted") from None
    if not words:
        raise Invalid(f"{command!r} names no program; name one, or leave the key without a value")
    return words


def run_words(words: Sequence[str], seconds: float, given: bytes = b"") -> Ended:
    """Run a program with `given` on its standard input, and wait for it alone: what it leaves running may go on.

    One that takes longer than `seconds` is ended with all that it started. Raises `OSError` where it cannot be started.
    """
    # Files, not pipes: a pipe is open until the last of its holders is gone, however long ago the command has ended, and one that nobody
    # reads holds up who writes.
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as said:
        asked.write(given)
        asked.seek(0)
        process = subprocess.Popen(words, stdin=asked, stdout=said, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            code = process.wait(seconds)
        except BaseException as error:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            return Ended(None, _end_of(said))
        return Ended(code, _end_of(said))


def _end_of(said: IO[bytes]) -> str:
    said.seek(max(0, said.seek(0, os.SEEK_END) - SHOWN_BYTES))
    return said.read().decode(errors="replace").strip()

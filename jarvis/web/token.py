"""The token that requests bring where a server asks for one."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from jarvis_client.contract.errors import Invalid, Unavailable

#: Of randomness, which nobody guesses.
_BYTES = 32
#: A token that somebody chose is at least as long as those that nobody tries.
SHORTEST = 24
LONGEST = 4_096


def make(path: Path) -> None:
    """Write a new token into a file of mode 600. Raises `Invalid` where the file is there already: somebody uses that token."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Invalid(f"{path} is there already; move it away first, and restart the server and its clients with the new one") from None
    except OSError as error:
        raise Unavailable(f"could not write {path}: {error.strerror}; make its folder, or name another file in web.token_file") from error
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(_BYTES) + "\n")


def read(path: Path) -> str:
    """The token of a file. Raises `Invalid` where it cannot be one, `Unavailable` where the file cannot be read."""
    try:
        with open(path, "rb") as file:
            content = file.read(LONGEST + 1)
    except OSError as error:
        remedy = "`jarvis serve --make-token` makes one" if isinstance(error, FileNotFoundError) else "check its owner and mode"
        raise Unavailable(f"could not read web.token_file, {path}: {error.strerror}; {remedy}") from error
    token = content.decode("ascii", "replace").strip()
    if not SHORTEST <= len(token) <= LONGEST or any(not "!" <= c <= "~" for c in token):
        raise Invalid(f"{path} holds no token: one line of {SHORTEST} or more letters, digits and signs; `jarvis serve --make-token` makes one")
    return token


def is_open_to_others(path: Path) -> bool:
    """Whether others than the file's owner may read it."""
    return bool(path.stat().st_mode & 0o077)

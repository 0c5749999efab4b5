"""Passwords of the users of a Redis. One that exists is kept; the others are made here, from the system's own randomness."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from jarvis.errors import Refused

#: Of randomness. A hash of as much cannot be guessed back, so a file of users may be read by anybody.
PASSWORD_BYTES = 32
#: In a URL, or as a value of an environment file. Ours need no encoding.
_IN_A_FILE = re.compile(r"(?:://[A-Za-z0-9_.-]+:|^[A-Z_]*PASSWORD=)([A-Za-z0-9_-]{16,})(?=@|$)", re.MULTILINE)


class Passwords:
    """By user: read from the file that each has below a folder, or made anew."""

    def __init__(self, folder: Path, files: Mapping[str, str]) -> None:
        self._of = {user: _read(folder / file) or secrets.token_urlsafe(PASSWORD_BYTES) for user, file in files.items()}

    def __getitem__(self, user: str) -> str:
        return self._of[user]

    def put_into(self, users_acl: str) -> str:
        """The text of users.acl with the SHA-256 of each user's password, which is all that a Redis needs."""
        for user, password in self._of.items():
            users_acl = users_acl.replace(f"{{{user}}}", hashlib.sha256(password.encode()).hexdigest())
        return users_acl


def _read(path: Path) -> str | None:
    """The password in a file; None where there is no file. Raises `Refused` where it holds none of ours."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return None
    found = _IN_A_FILE.search(text)
    if found is None:
        raise Refused(f"{path} is there and holds no password that was made here, so its user could not be given the same one; move it away for a new one")
    return found[1]

"""What can go wrong with a record or a call, in families that tell a caller what to do.

`Invalid` and its kin are wrong for ever: the same input fails again, so it is quarantined or shown to whoever sent it.
`Unavailable` and its kin are wrong for now: the same call may succeed later, so it is kept and tried again.
"""

from __future__ import annotations

from pathlib import Path

from jarvis_client.contract.outcome import Reason


class BooksError(Exception):
    """Base of every error that the books raise on purpose."""


class Invalid(BooksError, ValueError):
    """A value or a record that breaks a rule; the message names the value, the rule and the remedy."""


class MalformedRecord(Invalid):
    """A record or a message that breaks a rule of the contract, for ever. `reason` is the word it is quarantined under."""

    def __init__(self, detail: str, reason: Reason = Reason.MALFORMED) -> None:
        super().__init__(detail)
        self.reason = reason


class Unavailable(BooksError):
    """The store cannot take this now (busy, full, unreachable). Keep the work and try again."""


class HeldElsewhere(Unavailable):
    """Another process holds a lock that allows only one; the message says who, `lock` is the lock's file where it has one."""

    def __init__(self, message: str, *, lock: Path | None = None) -> None:
        super().__init__(message)
        self.lock = lock

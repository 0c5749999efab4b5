"""What a check returns: the words in which everything that is wrong is told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    where: str
    expected: str
    found: str
    look: str
    """The command that shows more."""
    source: str = ""
    """The file that says what is expected, where one does."""
    level: str = "finding"


@dataclass(frozen=True, slots=True)
class Note:
    """What was recorded and is odd. It fails nothing. One for each check, account and subject."""

    number: int | None
    """What `jarvis notes accept` takes; None where it is new and the books cannot be written to."""
    check: str
    account_id: str
    subject: str
    count: int
    records: tuple[str, ...]
    """The first of them."""
    where: str
    expected: str
    found: str
    look: str
    """What would settle it."""
    level: str = "note"


#: Findings shown per check; more of the same say nothing new.
SHOWN = 20

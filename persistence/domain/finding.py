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


#: Findings shown per check; more of the same say nothing new.
SHOWN = 20

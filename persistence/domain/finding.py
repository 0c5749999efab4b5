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

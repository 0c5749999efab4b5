"""What a verification that found something leaves in the table of runs, and how it is read back: apart from the job, so that who only looks
does not load what it needs."""

from __future__ import annotations

import re

from jarvis_client.contract.errors import BooksError

_TEXT = re.compile(r"Findings: ([\d,]+) findings?, the first: (.*)", re.DOTALL)


class Findings(BooksError):
    """Verification found something; says how much and what the first finding is. Trying again would find it again."""

    try_again = False


def findings_in(error: str) -> tuple[int, str] | None:
    """How many findings the table of runs keeps of a verification, and the first of them; None where it failed otherwise."""
    match = _TEXT.match(error)
    return None if match is None else (int(match[1].replace(",", "")), match[2])

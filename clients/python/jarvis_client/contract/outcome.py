"""What becomes of a delivery: exactly one of applied, duplicate, quarantined."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Reason(StrEnum):
    """Why a record cannot be applied, in one word that filters and alarms can use."""

    MALFORMED = "malformed"
    """No JSON, or not the envelope or record that the contract describes."""
    UNKNOWN_KIND = "unknown kind"
    CONFLICT = "conflict"
    """The identity is recorded with other content."""
    ACCOUNT_DELETED = "account deleted"
    REFUSED = "refused by the store"
    """It broke a constraint of the database that no earlier check knows."""
    NO_PAYLOAD = "no payload"
    """An id came through a queue, and what it stands for did not."""


class Refusal(NamedTuple):
    """A record that can never be applied, whole, on its way to quarantine."""

    raw: bytes
    reason: str
    detail: str
    kind: str | None = None
    account_id: str | None = None
    record_id: str | None = None
    producer: str | None = None
    sequence: int | None = None


class Outcome(NamedTuple):
    """`status` is `applied`, `duplicate` or `quarantined`; a quarantined one says why, and so does the duplicate of one."""

    status: str
    reason: str = ""
    detail: str = ""

    @property
    def recorded(self) -> bool:
        """Whether the books have the record: applied now, or by an earlier delivery."""
        return self.status != "quarantined" and not self.reason

    def __str__(self) -> str:
        return f"{self.status}({self.reason})" if self.reason else self.status


APPLIED = Outcome("applied")
DUPLICATE = Outcome("duplicate")

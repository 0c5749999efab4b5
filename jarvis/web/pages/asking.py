"""What a page may be asked: as the API is asked, but that what a form leaves blank is left out."""

from __future__ import annotations

from typing import Literal
from urllib.parse import parse_qsl, urlencode

from pydantic import Field

from jarvis.web.asking import MOST_PARAMETERS, ORDER_STATUSES, TRANSACTION_TYPES, AccountId, Asked, Code, Paged, Period, Text
from jarvis.web.asking import Quarantine as AskedQuarantine
from jarvis_client.contract.outcome import Reason

REASONS = tuple(str(reason) for reason in Reason)
STATUSES, TYPES = ("open", *ORDER_STATUSES), TRANSACTION_TYPES


class Listed(Paged):
    limit: int = Field(50, ge=1, le=500)


class Quarantine(AskedQuarantine):
    limit: int = Field(50, ge=1, le=500)
    reason: Literal[*REASONS] | None = None  # type: ignore[valid-type]


class Record(Asked):
    number: int = Field(ge=1, lt=2**63)


class Notes(Listed):
    account: AccountId | None = None


class Jobs(Asked):
    job: Text | None = None


class Orders(Listed):
    account: AccountId | None = None
    status: Literal[*STATUSES] | None = None  # type: ignore[valid-type]
    symbol: Text | None = None


class Transactions(Listed):
    account: AccountId | None = None
    type: Literal[*TYPES] | None = None  # type: ignore[valid-type]
    currency: Code | None = None


class Account(Period):
    benchmark: Code | None = None


def without_blanks(query: bytes) -> bytes:
    """A query as a form sends it, without the fields that nobody filled in. What is no query stays as it is, to be told as such."""
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_PARAMETERS, encoding="utf-8", errors="strict")
    except ValueError:
        return query
    return urlencode([(name, value) for name, value in pairs if value.strip()]).encode("ascii")

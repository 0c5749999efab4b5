"""What an account was worth, as the engine saw it."""

from __future__ import annotations

from datetime import date as Date
from decimal import Decimal
from typing import Any, NamedTuple, Self

from jarvis_client.contract import instants
from jarvis_client.contract.conventions import DEFAULT_CONVENTIONS, Conventions, Moment, identifier, instant_of
from jarvis_client.contract.decimals import Number, canonical, exact
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.facts.base import SEPARATOR, Fact


class _SnapshotFields(NamedTuple):
    account_id: str
    snapshot_id: str
    observed_at: int
    date: str | None
    total_value_usd: Decimal
    reported: str | None
    extra: str | None
    given_time: str | None
    producer: str | None
    sequence: int | None


class EquitySnapshot(_SnapshotFields, Fact):
    """What an account was worth at an instant, in USD, as the engine saw it. `reported` is JSON of figures it computed itself."""

    __slots__ = ()
    kind = "metrics"

    def __new__(
        cls,
        *,
        account_id: str,
        total_value_usd: Number,
        observed_at: Moment | None = None,
        date: Date | None = None,
        snapshot_id: str | None = None,
        reported: str | None = None,
        extra: str | None = None,
        producer: str | None = None,
        sequence: int | None = None,
        conventions: Conventions = DEFAULT_CONVENTIONS,
    ) -> Self:
        if (observed_at is None) == (date is None):
            raise Invalid("a snapshot needs exactly one of observed_at and date")
        if date is not None:
            instant, default_id = instants.end_of_day(date, conventions.zone_of(account_id)), date.isoformat()
        else:
            assert observed_at is not None
            instant = instant_of(observed_at)
            default_id = instants.to_text(instant)
        return cls._make((
            identifier(account_id, "account_id"), identifier(snapshot_id or default_id, "snapshot_id"), instant,
            None if date is None else date.isoformat(), exact(total_value_usd, "total_value_usd"), reported, extra, None, producer, sequence,
        ))  # fmt: skip

    @property
    def record_id(self) -> str:
        return self.snapshot_id

    @property
    def instant(self) -> int:
        return self.observed_at

    def record(self) -> dict[str, Any]:
        found = super().record()
        if self.date is not None:
            # The contract takes one of the two, and the date is what was said.
            del found["observed_at"]
        return found

    def content(self) -> str:
        # A date is content, the instant it stands for is not: that depends on the account's zone, which is a setting.
        return SEPARATOR.join((
            "metrics", self.account_id, self.snapshot_id, self.date or str(self.observed_at), canonical(self.total_value_usd),
            self.reported or "", self.extra or "",
        ))  # fmt: skip

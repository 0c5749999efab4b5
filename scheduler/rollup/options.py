"""What an operator may choose about the figures. Any change rebuilds the rows of the account it applies to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date as Date
from decimal import Decimal
from functools import cached_property

from jarvis_client.contract.conventions import USD_LIKE
from jarvis_client.contract.decimals import ONE, canonical
from jarvis_client.contract.instants import DayZone, day_zone, day_zone_name


@dataclass(frozen=True)
class RollupOptions:
    """The options of one account. `day_ends` is the time at which a day ends, on the date that names it; 00:00 is midnight.
    `annualization` is observations a year; `risk_free_rate` is annual; `window_days` None means since inception; `opening_value` is what
    the account was worth before its first record, where that is known. What a reducing fill leaves is dust below `dust_notional_usd` and
    below `dust_share` of the trade's largest size. `pairs`: notations of instruments.
    """

    timezone: str = "UTC"
    day_ends: str = "00:00"
    annualization: float = 365.0
    risk_free_rate: float = 0.0
    observation_days: str = "all"
    window_days: int | None = None
    flow_timing: str = "in_start_out_end"
    cost_basis: str = "wac"
    trade_grouping: str = "flat_to_flat"
    min_base_usd: Decimal = ONE
    dust_notional_usd: Decimal = ONE
    dust_share: Decimal = Decimal("0.01")
    min_observations: int = 2
    valuation: str = "auto"
    opening_value: Decimal | None = None
    usd_like: frozenset[str] = frozenset(USD_LIKE)
    pairs: tuple[tuple[str, str], ...] = ()

    @cached_property
    def zone(self) -> DayZone:
        return day_zone(self.day_zone)

    @cached_property
    def day_zone(self) -> str:
        """The name of the zone and of the time at which its days end."""
        return day_zone_name(self.timezone, self.day_ends)

    @cached_property
    def digest(self) -> str:
        """What tells one set of options from another, stored beside the rows that were made under it."""
        fields = {name: canonical(v) if isinstance(v, Decimal) else sorted(v) if isinstance(v, frozenset) else v for name, v in asdict(self).items()}
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:32]

    @cached_property
    def daily_risk_free(self) -> float:
        """The annual rate as one observation's: (1 + rf)^(1/A) - 1."""
        return float((1.0 + self.risk_free_rate) ** (1.0 / self.annualization) - 1.0)

    def observes(self, day: Date) -> bool:
        return self.observation_days == "all" or day.weekday() < 5


@dataclass(frozen=True)
class RollupPlan:
    """Which options apply to which account. A day may be rolled up by hand once it has been over for the grace."""

    default: RollupOptions = field(default_factory=RollupOptions)
    accounts: Mapping[str, RollupOptions] = field(default_factory=dict)
    grace_microseconds: int = 5 * 60 * 1_000_000

    def of(self, account_id: str) -> RollupOptions:
        return self.accounts.get(account_id, self.default)

    @property
    def zones(self) -> tuple[str, ...]:
        """Every zone whose ends of days matter, the default one first."""
        return tuple(dict.fromkeys([self.default.day_zone, *sorted(o.day_zone for o in self.accounts.values())]))

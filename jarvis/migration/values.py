"""One field of an old entity, however it was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Any

from jarvis_client.contract.decimals import EXACT, exact
from jarvis_client.contract.errors import Invalid
from jarvis_client.contract.instants import EPOCH, MICROSECOND

#: Microseconds of the units that an epoch may be in.
EPOCH_UNITS = {"seconds": 1_000_000, "milliseconds": 1_000, "microseconds": 1}


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read what the files leave open: the zone of times without an offset, the unit of times that are numbers, other words of types."""

    zone: tzinfo | None = None
    epoch: str | None = None
    types: Mapping[str, str] = field(default_factory=dict)


def plain(name: str) -> str:
    """A name without case, `_`, `-` and blanks: accountId, account_id and Account-ID are one."""
    return name.casefold().replace("_", "").replace("-", "").replace(" ", "")


def word_of(value: Any) -> str:
    """A word: of an enum's name, of `OrderSide.BUY`, of an object with its value or code, in lower case."""
    if isinstance(value, dict):
        value = next((value[name] for name in ("value", "code", "name") if name in value), "")
    return str(value).rpartition(".")[2].strip().casefold()


def currency_of(value: Any) -> str:
    return word_of(value).upper()


def money_of(value: Any, currency: Any, name: str) -> tuple[Decimal, str]:
    """An amount and its currency: a number, a text, a text with its currency behind it, or an object of both. Raises `Invalid`."""
    if isinstance(value, dict):
        found = {plain(key): part for key, part in value.items()}
        value, currency = found.get("amount", found.get("value")), found.get("currency", currency)
    elif isinstance(value, str) and len(parts := value.split()) == 2:
        value, currency = parts
    if value is None:
        raise Invalid(f"{name} is missing")
    if not currency:
        raise Invalid(f'{name} is {value!r:.60} without a currency; write {{"amount": …, "currency": …}} or a field currency')
    return exact(value, name), currency_of(currency)


def time_of(value: Any, name: str, reading: Reading) -> datetime:
    """A time: ISO 8601, or a number in the unit that was told. Raises `Invalid` for what cannot be placed without being told more."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        if reading.epoch is None:
            raise Invalid(f"{name} is the number {value}; say its unit: --epoch seconds, milliseconds or microseconds")
        return EPOCH + int(EXACT.multiply(Decimal(value), EPOCH_UNITS[reading.epoch])) * MICROSECOND
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise Invalid(f"{name} is {value!r:.60}; a time is ISO 8601, such as 2026-01-05T09:00:00Z, or a number") from None
    if moment.tzinfo is not None:
        return moment
    if reading.zone is None:
        raise Invalid(f"{name} is {value}, which has no offset; say the zone of such times: --zone UTC, or Europe/Berlin")
    local = moment.replace(tzinfo=reading.zone)
    if local.utcoffset() != local.replace(fold=1).utcoffset():
        raise Invalid(f"{name} is {value}, which clocks in {reading.zone} show twice or never; write it with its offset")
    return local


def kept(value: Any) -> Any:
    """A value for the fields that a record keeps: numbers as the text they were written in."""
    if isinstance(value, dict):
        return {name: kept(part) for name, part in value.items()}
    if isinstance(value, list):
        return [kept(part) for part in value]
    return str(value) if isinstance(value, Decimal) else value

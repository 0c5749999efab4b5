"""What a request may ask: the parameters of a query, checked all at once."""

from __future__ import annotations

from datetime import date as Date
from typing import Annotated, Any, Literal, Self
from urllib.parse import parse_qsl

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from jarvis.reading.statement import FIRST_YEAR, LAST_YEAR, day, days_of_month, days_of_year
from jarvis.settings_sources import did_you_mean
from jarvis.web.problems import Fault, Problem, fault, problem
from jarvis_client.contract.conventions import code, identifier, storable_text
from persistence.domain.order import OrderStatus
from persistence.domain.transaction import TransactionType
from persistence.repositories.quarantine import STATES

#: Of a listing. A page of so many rows is some hundred kilobytes.
MOST_ROWS = 1_000
ORDER_STATUSES = tuple(str(status) for status in OrderStatus)
TRANSACTION_TYPES = tuple(str(name) for name in TransactionType)
#: More than any path takes.
MOST_PARAMETERS = 20


def _day(text: object) -> object:
    """A day in its one form, of a year that records can be of."""
    try:
        found = day(str(text))
    except ValueError:
        raise ValueError("must be a day, such as 2026-03-31") from None
    if not FIRST_YEAR <= found.year <= LAST_YEAR:
        raise ValueError(f"must be of the years {FIRST_YEAR} to {LAST_YEAR}, of which records can be")
    return found


def _of_years(days: tuple[Date, Date]) -> None:
    if not FIRST_YEAR <= days[0].year <= LAST_YEAR:
        raise ValueError


def _month(text: str) -> str:
    try:
        _of_years(days_of_month(text))
    except ValueError:
        raise ValueError(f"must be a month, such as 2026-03, of the years {FIRST_YEAR} to {LAST_YEAR}") from None
    return text


def _year(text: str) -> str:
    try:
        _of_years(days_of_year(text))
    except ValueError:
        raise ValueError(f"must be a year, such as 2026, from {FIRST_YEAR} to {LAST_YEAR}") from None
    return text


AccountId = Annotated[
    str, AfterValidator(lambda text: identifier(text, "account")), Field(min_length=1, max_length=128, description="The account's id.", examples=["main"])
]
Code = Annotated[str, AfterValidator(lambda text: code(text, "currency")), Field(min_length=1, max_length=32, examples=["USDT"])]
Text = Annotated[str, AfterValidator(lambda text: storable_text(text, "text")), Field(min_length=1, max_length=200)]
Day = Annotated[Date, BeforeValidator(_day)]


class Asked(BaseModel):
    """The parameters of a path. One that it does not have is refused: it would be a filter that does not filter."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Paged(Asked):
    limit: int = Field(100, ge=1, le=MOST_ROWS, description="At most so many rows.")
    after: str | None = Field(None, min_length=1, max_length=4_000, description="The `next` of the page before; without it, the first page.")


class OfAccount(Asked):
    account: AccountId


class PagedOfAccount(Paged):
    account: AccountId


class Accounts(Paged):
    active: bool = Field(False, description="Only active ones.")


class Orders(PagedOfAccount):
    status: Literal["open", *ORDER_STATUSES] | None = Field(None, description="Only these; `open` are pending and partially filled ones.")  # type: ignore[valid-type]
    symbol: Text | None = Field(None, description="Only this instrument, in any notation.", examples=["BTC/USDT"])


class OpenOrders(PagedOfAccount):
    symbol: Text | None = Field(None, description="Only this instrument, in any notation.", examples=["BTC/USDT"])


class Transactions(PagedOfAccount):
    type: Literal[*TRANSACTION_TYPES] | None = Field(None, description="Only this type.")  # type: ignore[valid-type]
    currency: Code | None = Field(None, description="Only this currency.")


class Standing(PagedOfAccount):
    date: Day | None = Field(None, description="As it stood at the end of this day in the account's zone; without it, now.")


class Period(OfAccount):
    first: Day | None = Field(None, alias="from", description="From this day on, in the account's zone; without it, from the first.")
    last: Day | None = Field(None, alias="to", description="Up to this day, included; without it, to the last.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.first is not None and self.last is not None and self.last < self.first:
            raise ValueError(f"to: must not be before from, which is {self.first}")
        return self


class Rows(Period, Paged):
    currency: Code = Field("USD", alias="in", description="Money in this currency, at each day's rate, and the ratios of the converted values.")


class Summary(Period):
    currency: Code = Field("USD", alias="in", description="Money in this currency, at each day's rate, and the ratios of the converted values.")


class Statement(Period):
    date: Day | None = Field(None, description="One day; without any period, yesterday.")
    month: Annotated[str, AfterValidator(_month)] | None = Field(None, description="A month.", examples=["2026-03"])
    year: Annotated[str, AfterValidator(_year)] | None = Field(None, description="A year.", examples=["2026"])

    @model_validator(mode="after")
    def _one_period(self) -> Self:
        given = [name for name in ("date", "month", "year") if getattr(self, name) is not None]
        given += ["from, to"] if self.first is not None or self.last is not None else []
        if len(given) > 1:
            raise ValueError(f"{given[1]}: must not stand beside {given[0]}, which is a period, too")
        return self

    @property
    def days(self) -> tuple[Date, Date] | None:
        """Those of a period that is named whole."""
        if self.date is not None:
            return self.date, self.date
        return days_of_month(self.month) if self.month is not None else days_of_year(self.year) if self.year is not None else None


class Quarantine(Paged):
    state: Literal["all", *STATES] = Field("held", description="Which records.")  # type: ignore[valid-type]
    account: AccountId | None = Field(None, description="Only of this account.")


class Gaps(Paged):
    producer: Text | None = Field(None, description="Only of this producer.")


class Notes(Paged):
    account: AccountId | None = Field(None, description="Only of this account.")


def read(query: bytes, model: type[Asked]) -> Asked:
    """What a query asks. Raises `Problem` with everything that is wrong with it."""
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_PARAMETERS, encoding="utf-8", errors="strict")
    except ValueError:
        rule = f"must be at most {MOST_PARAMETERS} parameters, percent-encoded as UTF-8"
        raise problem(400, rule, "encode each value, as encodeURIComponent does", value=query.decode("latin-1")) from None
    names = [name for name, _ in pairs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Problem(400, [fault("must be given once", "leave the other one out", name) for name in twice])
    try:
        return model.model_validate(dict(pairs))
    except ValidationError as error:
        known = [field.alias or name for name, field in model.model_fields.items()]
        raise Problem(400, [_fault(dict(e), known) for e in error.errors(include_url=False)]) from None


#: What is said of what pydantic finds; the rest are our own sentences.
_RULES = {
    "bool_parsing": "must be true or false",
    "greater_than_equal": "must be {ge} or more",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "less_than_equal": "must be {le} or less",
    "literal_error": "must be {expected}",
    "missing": "is needed",
    "string_too_long": "must have {max_length} characters or fewer",
    "string_too_short": "must have {min_length} characters or more",
}


def _fault(error: dict[str, Any], known: list[str]) -> Fault:
    name = str(error["loc"][0]) if error["loc"] else None
    value = error.get("input")
    if error["type"] == "extra_forbidden":
        return fault(f"there is no such parameter{did_you_mean(str(name), known)}", f"there are {', '.join(known) or 'none'}", name, value)
    if error["type"] in _RULES:
        rule, is_missing = _RULES[error["type"]].format(**error.get("ctx", {})), error["type"] == "missing"
        return fault(rule, "give it" if is_missing else "give another value", name, None if is_missing else value)
    said = str(error["msg"]).removeprefix("Value error, ")
    if name is None:  # of several parameters: our sentence begins with the one to change
        name, _, said = said.partition(": ")
        value = None
    rule, _, remedy = said.partition("; ")
    return fault(rule, remedy or "give another value", name, value)

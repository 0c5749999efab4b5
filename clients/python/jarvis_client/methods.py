"""The methods of every publisher: one per kind, with the arguments of the function in `records`, and one per kind in bulk.

A publisher says what publishing one record gives, and what publishing many does: the methods give that.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, ParamSpec, Self, TypeVar, overload

from jarvis_client import records
from jarvis_client.fields import (
    BalanceFields,
    DepositFields,
    FeeFields,
    FillFields,
    MetricsFields,
    OrderFields,
    RateFields,
    VoidFields,
    WithdrawalFields,
)
from jarvis_client.mistaken import refuse_no_record, wrong_arguments
from jarvis_client.records import Record

Given = ParamSpec("Given")
Fields = TypeVar("Fields")
One = TypeVar("One")
Many = TypeVar("Many")


class PublishingOne(Generic[Given, Fields, One]):
    """A publisher's method for one kind: takes the fields by keyword, or a dictionary of them."""

    def __init__(self, make: Callable[Given, Record[Fields]], publish: Callable[[str, Mapping[str, Any]], One]) -> None:
        self._make: Callable[..., Record[Any]] = make
        self._publish = publish
        self.__doc__ = make.__doc__

    @property
    def __signature__(self) -> inspect.Signature:
        """What `help` and editors show: the fields."""
        return inspect.signature(self._make)

    @overload
    def __call__(self, record: Fields, /) -> One: ...

    @overload
    def __call__(self, *args: Given.args, **fields: Given.kwargs) -> One: ...

    def __call__(self, *given: Any, **fields: Any) -> One:
        if given:
            kind = self._make.__name__
            if len(given) > 1:
                raise TypeError(f"publish_{kind}() takes one record, or its fields by their names; {len(given)} values without a name were given")
            refuse_no_record(kind, given[0])
            return self._publish(kind, {**given[0], **fields})
        try:
            kind, said = self._make(**fields)
        except TypeError as error:
            raise wrong_arguments(self._make.__name__, fields, self.__signature__.parameters.keys(), error) from None
        return self._publish(kind, said)


class Method(Generic[Given, Fields]):
    """Declares a publisher's method for one kind."""

    def __init__(self, make: Callable[Given, Record[Fields]]) -> None:
        self._make = make
        self.__doc__ = make.__doc__
        signature = inspect.signature(make)
        itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
        self.__signature__ = signature.replace(parameters=[itself, *signature.parameters.values()], return_annotation=inspect.Signature.empty)

    def __set_name__(self, owner: type, name: str) -> None:
        self.__name__ = name

    @overload
    def __get__(self, publisher: None, owner: type) -> Self: ...

    @overload
    def __get__(self, publisher: RecordMethods[One, Many], owner: type) -> PublishingOne[Given, Fields, One]: ...

    def __get__(self, publisher: RecordMethods[One, Many] | None, owner: type) -> Self | PublishingOne[Given, Fields, One]:
        return self if publisher is None else PublishingOne(self._make, publisher.publish)

    def __call__(self, publisher: RecordMethods[One, Many], /, *args: Given.args, **fields: Given.kwargs) -> One:
        return self.__get__(publisher, type(publisher))(*args, **fields)


class RecordMethods(ABC, Generic[One, Many]):
    """What publishers have in common. `One` is what publishing one record gives, `Many` what publishing many does."""

    publish_fill = Method(records.fill)
    publish_fee = Method(records.fee)
    publish_deposit = Method(records.deposit)
    publish_withdrawal = Method(records.withdrawal)
    publish_order = Method(records.order)
    publish_metrics = Method(records.metrics)
    publish_balance = Method(records.balance)
    publish_rate = Method(records.rate)
    publish_void = Method(records.void)

    @abstractmethod
    def publish(self, kind: str, record: Mapping[str, Any]) -> One:
        """Publish one record of a kind. Raises `MalformedRecord` before anything is sent."""

    @abstractmethod
    def publish_many(self, records: Iterable[tuple[str, Mapping[str, Any]]], *, records_per_message: int = 1) -> Many:
        """Publish (kind, record) pairs in few round trips; several records of one kind may share a message.

        Records are checked as they are read, and sent in groups: after an error, those before it may have been sent already
        (publishing them again is harmless).
        """

    def publish_fills(self, records: Iterable[FillFields], *, records_per_message: int = 1) -> Many:
        return self._many("fill", records, records_per_message)

    def publish_fees(self, records: Iterable[FeeFields], *, records_per_message: int = 1) -> Many:
        return self._many("fee", records, records_per_message)

    def publish_deposits(self, records: Iterable[DepositFields], *, records_per_message: int = 1) -> Many:
        return self._many("deposit", records, records_per_message)

    def publish_withdrawals(self, records: Iterable[WithdrawalFields], *, records_per_message: int = 1) -> Many:
        return self._many("withdrawal", records, records_per_message)

    def publish_orders(self, records: Iterable[OrderFields], *, records_per_message: int = 1) -> Many:
        return self._many("order", records, records_per_message)

    def publish_metrics_many(self, records: Iterable[MetricsFields], *, records_per_message: int = 1) -> Many:
        return self._many("metrics", records, records_per_message)

    def publish_balances(self, records: Iterable[BalanceFields], *, records_per_message: int = 1) -> Many:
        return self._many("balance", records, records_per_message)

    def publish_rates(self, records: Iterable[RateFields], *, records_per_message: int = 1) -> Many:
        return self._many("rate", records, records_per_message)

    def publish_voids(self, records: Iterable[VoidFields], *, records_per_message: int = 1) -> Many:
        return self._many("void", records, records_per_message)

    def _many(self, kind: str, records: Iterable[Any], records_per_message: int) -> Many:
        return self.publish_many(((kind, record) for record in records), records_per_message=records_per_message)

"""What engines give in place of a record, and what they meant: each is said in a sentence with its remedy."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from jarvis_client.contract.errors import MalformedRecord
from jarvis_client.contract.near_misses import meant_by
from jarvis_client.contract.showing import shown

#: Every structure of ccxt has these three, and no record has.
_OF_CCXT = {"info", "datetime", "timestamp"}
_FROM_CCXT = {
    "fill": "fill_from_ccxt",
    "fee": "fees_from_ccxt",
    "order": "order_from_ccxt",
    "deposit": "deposit_from_ccxt",
    "withdrawal": "withdrawal_from_ccxt",
    "rate": "rate_from_ccxt",
}


def refuse_no_record(kind: str, given: object) -> None:
    """Raises `MalformedRecord` for what is no dictionary, such as several records where one belongs, or one where several do."""
    if not isinstance(given, Mapping):
        many = "publish_metrics_many" if kind == "metrics" else f"publish_{kind}s"
        raise MalformedRecord(f"{kind}: {_described(given)} is no record; publish_{kind} takes one dictionary of fields, {many} takes several")


def kind_and_record(given: object) -> tuple[str, Any]:
    """The pair that `publish_many` is given. Raises `MalformedRecord` for anything else, such as a record alone."""
    match given:
        case (str(kind), record):
            return kind, record
    raise MalformedRecord(f'{shown(given)} is no pair of a kind and a record, such as ("fill", {{…}}); the records of one kind go to publish_fills, …')


def pointed_to_ccxt(kind: str, record: Mapping[str, Any], error: MalformedRecord) -> MalformedRecord:
    """The error, with the way to a record where it was raised for a structure as ccxt returns it."""
    if kind not in _FROM_CCXT or not record.keys() >= _OF_CCXT:
        return error
    return MalformedRecord(
        f"{kind}: this is a structure of ccxt; jarvis_client.ccxt.{_FROM_CCXT[kind]} makes a record of it. As it is: {str(error).removeprefix(f'{kind}: ')}"
    )


def wrong_arguments(kind: str, given: Mapping[str, Any], known: Set[str], error: TypeError) -> TypeError:
    """Python's error of a call, under the name of the method that was called, and with what an unknown argument may have meant."""
    said = str(error).replace(f"{kind}()", f"publish_{kind}()", 1)
    unknown = next((name for name in given if name not in known), None)
    if unknown is None:
        return TypeError(said)
    meant = meant_by(kind, unknown, tuple(known))
    return TypeError(f"{said}: {meant or 'the fields of your own go into extra={…}'}")


def _described(given: object) -> str:
    return f"a {type(given).__name__} of {len(given)}" if isinstance(given, list | tuple) else shown(given)

"""What JSON can say of Python's values, and the one text of what it says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

from jarvis_client.contract.decimals import canonical, exact


def json_value(value: Any) -> Any:
    """What JSON can say of a Python value: decimals as strings, times as RFC 3339."""
    if isinstance(value, Decimal):
        return canonical(value) if value.is_finite() else str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, str) and type(value) is not str:
        return str(value)
    if isinstance(value, list | tuple):
        return [json_value(element) for element in value]
    if isinstance(value, Mapping):
        return {name: json_value(element) for name, element in value.items()}
    if isinstance(value, bool | int | str) or value is None:
        return value
    if isinstance(value, Real):  # numpy's and pandas' numbers are numbers
        return int(value) if isinstance(value, Integral) else float(value)
    return value


def canonical_json(value: Any) -> str:
    """One text per JSON value: keys sorted, no spaces, numbers as canonical decimals (`1.50` and `1.5` are one number).

    Raises `Invalid` for NaN, infinities and numbers beyond the contract's limits.
    """
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(str(k), ensure_ascii=False)}:{canonical_json(v)}" for k, v in sorted(value.items())) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(canonical_json(v) for v in value) + "]"
    if value is None or isinstance(value, bool | str):
        return json.dumps(value, ensure_ascii=False)
    return canonical(exact(value, "an unknown field"))

"""How the daemon stands, as plain values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from jarvis.status.alarms import Raised
from jarvis.status.model import Status
from jarvis_client.contract.instants import to_text


def status(found: Status, alarms: Iterable[Raised]) -> dict[str, Any]:
    return {**plain(asdict(found)), "alarms": [plain(asdict(alarm)) for alarm in alarms]}


def is_instant(name: str) -> bool:
    """Whether a field of this name counts microseconds since 1970."""
    return name.endswith(("_at", "_since")) or name == "since"


def plain(value: Any, name: str = "") -> Any:
    """As JSON says it: instants as RFC 3339."""
    if isinstance(value, dict):
        return {key: plain(inner, key) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return to_text(value) if isinstance(value, int) and is_instant(name) else value

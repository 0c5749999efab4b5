"""Which version of this program runs: backups say which one took them, locks which one holds them."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version

DISTRIBUTION = "jarvis-trading"


@cache
def program_version() -> str:
    """The version that was installed when it was first asked for: a process keeps its own, whatever is installed beneath it later."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"

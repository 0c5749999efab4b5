"""Waiting for a process that is on its way out: one that drains, or one whose supervisor was killed and that notices within a second.

Refusing to start beside it would leave the daemon down for a reason that passes by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog

from jarvis_client.contract.errors import HeldElsewhere
from persistence.files import is_locked
from persistence.holders import Process, holder_of

log = structlog.get_logger("jarvis")

#: A whole daemon takes up to 50 seconds: worker and scheduler drain, then the broker saves what it holds.
PATIENCE_SECONDS = 60.0
#: A lock that was let go between two looks has no holder for a moment.
UNKNOWN_SECONDS = 1.0


def wait_for_predecessor(locks: Iterable[Path], stopped: Callable[[float], bool]) -> bool:
    """True once none of these locks is held by a process that is on its way out; False where we are `stopped` before.

    Raises `HeldElsewhere` where a holder means to stay, or does not go in time.
    """
    said: set[Path] = set()
    began = time.monotonic()
    while held := [lock for lock in locks if is_locked(lock)]:
        waited = time.monotonic() - began
        for lock in held:
            holder = holder_of(lock)
            leaves = holder.going or is_orphan(holder.process)
            if not leaves and (holder.process is not None or waited > UNKNOWN_SECONDS):
                raise HeldElsewhere(f"{lock} is held by {holder}; stop it first, or use another folder or name", lock=lock)
            if waited > PATIENCE_SECONDS:
                raise HeldElsewhere(
                    f"{lock} is held by {holder}, which has been told to end and has not in {PATIENCE_SECONDS:.0f} s; if it hangs, end it by `kill -9`: what it"
                    " held comes again", lock=lock,
                )  # fmt: skip
            if leaves and lock not in said:
                said.add(lock)
                log.warning("a predecessor still drains, waiting for it", held_by=str(holder), lock=str(lock))
        if stopped(0.1):
            return False
    return True


def is_orphan(process: Process | None) -> bool:
    """Whether it was started by a supervisor of ours that is gone: it drains as soon as it has noticed."""
    if process is None or not process.here:
        return False
    supervisor = process.variable("JARVIS_SUPERVISOR") or ""
    return supervisor.isdecimal() and process.parent not in (int(supervisor), None)

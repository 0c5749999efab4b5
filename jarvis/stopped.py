"""Telling a process that somebody stopped from one that hangs."""

from __future__ import annotations

from pathlib import Path


def is_stopped(pid: int) -> bool:
    """Whether a process stands still because of a SIGSTOP or a debugger: it goes on where it was, so ending it would help nobody.
    False where the system has no /proc to tell."""
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    # The name before it is in brackets, and may hold any.
    return state.rpartition(b")")[2].split()[:1] in ([b"T"], [b"t"])

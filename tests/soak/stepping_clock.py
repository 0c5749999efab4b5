"""A worker whose wall clock can be moved: it adds the seconds in the file `clock` of its folder. `python -m soak.stepping_clock`."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

real_ns, real = time.time_ns, time.time


def offset() -> int:
    with suppress(OSError, ValueError):
        return int(Path("clock").read_text())
    return 0


if __name__ == "__main__":
    time.time_ns = lambda: real_ns() + offset() * 10**9
    time.time = lambda: real() + offset()
    # The ledger takes its clock as a default when it is imported, so it has to be moved before that.
    from persistence.domain import instants

    now = instants.now
    instants.now = lambda: now() + offset() * 10**6
    from jarvis.cli import main

    main()

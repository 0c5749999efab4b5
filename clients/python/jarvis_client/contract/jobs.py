"""Jobs that can be asked for: their names, and a request as it is filed in the table of runs."""

from __future__ import annotations

from typing import NamedTuple

#: What the scheduler can be asked to run, by hand or by a message.
JOB_NAMES = ("rollup", "checkpoint", "seal", "statistics", "backup", "verification", "restore_drill", "clean_up")


class JobRequest(NamedTuple):
    """A run somebody asked for. Its id keeps it from being filed twice; `arguments` is a JSON object."""

    request_id: str
    job: str
    arguments: str
    producer: str | None = None
    sequence: int | None = None

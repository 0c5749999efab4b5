"""A worker that acknowledges before it commits: the harness has to notice. `python -m soak.broken_worker`, in place of the real one."""

from __future__ import annotations

import time

from workers.batching import BatchWriter, Submission

commit = BatchWriter._commit


def acknowledge_first(self: BatchWriter, batch: list[Submission]) -> bool:
    self._settle([s.delivery for s in batch])
    time.sleep(0.05)  # the moment between the two, made wide enough to be hit
    return commit(self, batch)


if __name__ == "__main__":
    BatchWriter._commit = acknowledge_first  # type: ignore[method-assign]
    from jarvis.cli import main

    main()

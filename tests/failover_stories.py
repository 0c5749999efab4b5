"""What becomes of records while the broker fails over: an engine publishes, a worker records, something happens, and then it is counted."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from parts import wait_until

from workers.app import RecorderWorker, create_worker

TESTS = Path(__file__).parent


class Count(NamedTuple):
    """`doubled` is what the balance has beyond the records in the books; `again` are deliveries of what was recorded already."""

    tried: int
    acknowledged: int
    recorded: int
    lost: int
    doubled: int
    again: int
    pause: float


class Story:
    """One run. Its engine is a process of its own, so that it may live behind another network."""

    def __init__(self, folder: Path, url: str, namespace: str, wait_replicas: int, inside: Sequence[str], spool: Path | None) -> None:
        self.worker: RecorderWorker | None = None
        self._folder = folder
        self._url, self._namespace = url, namespace
        self._notes = folder / "notes"
        self._notes.touch()
        command = [*inside, sys.executable, str(TESTS / "publishing_engine.py"), url, namespace, str(wait_replicas), str(self._notes)]
        self.engine = subprocess.Popen([*command, *([str(spool)] if spool else [])], env={**os.environ, "PYTHONPATH": str(TESTS.parent)})
        self._messages = self._duplicates = 0

    def record(self) -> None:
        """Start a worker over the books."""
        self.worker = create_worker(self._folder / "books.db", self._url, namespace=self._namespace)
        self.worker.start()

    @staticmethod
    def now() -> float:
        """By the clock of the notes, which all processes of a machine share."""
        return time.monotonic()

    def said(self, word: str) -> list[tuple[str, float]]:
        found = [line.split() for line in self._notes.read_text().splitlines() if line.startswith(word)]
        return [(words[1], float(words[2])) for words in found]

    def failures(self) -> list[str]:
        return [line.split(" ", 3)[3] for line in self._notes.read_text().splitlines() if line.startswith("failed")]

    def wait_for_acknowledged(self, count: int, seconds: float = 60.0) -> None:
        """So many more than there are."""
        until = len(self.said("acked")) + count
        wait_until(lambda: len(self.said("acked")) >= until, f"{until} records are acknowledged", seconds)

    def end_engine(self) -> None:
        self.engine.terminate()
        self.engine.wait(60)

    def count(self) -> Count:
        """End both, once everything that is there is recorded, and count."""
        self.end_engine()
        if self.worker is None:
            self.record()
        worker = self.worker
        assert worker is not None
        tried, acked = [{name for name, _ in self.said(word)} for word in ("tried", "acked")]
        still = time.monotonic() + 20

        def is_recorded() -> bool:
            # What is lost never comes; it is waited for, and then counted.
            return worker.status().backlog == 0 and worker.broker.in_flight == 0 and (acked <= self._recorded() or time.monotonic() > still)

        wait_until(is_recorded, "everything that arrived is recorded", 90)
        recorded = self._recorded()
        [(balance,)] = worker.database.execute_query("SELECT available FROM balances WHERE account_id = 'main' AND currency = 'USDT'") or [("0",)]
        again = worker.writer.counts.duplicate
        worker.stop()
        times = [at for _, at in self.said("acked")]
        pause = max((b - a for a, b in pairwise(times)), default=0.0)
        return Count(len(tried), len(acked), len(recorded), len(acked - recorded), int(balance) - len(recorded), again, round(pause, 2))

    def _recorded(self) -> set[str]:
        assert self.worker is not None
        return {text for (text,) in self.worker.database.execute_query("SELECT record_id FROM facts WHERE kind = 'deposit'")}


@contextmanager
def story(
    url: str, *, wait_replicas: int = 0, namespace: str = "dramatiq", inside: Sequence[str] = (), recording: bool = True, spool: bool = False
) -> Iterator[Story]:
    with tempfile.TemporaryDirectory(prefix="jt-") as folder:
        told = Story(Path(folder), url, namespace, wait_replicas, inside, Path(folder) / "spool" if spool else None)
        try:
            if recording:
                told.record()
            yield told
        finally:
            told.engine.kill()
            told.engine.wait()
            if told.worker is not None:
                told.worker.stop()

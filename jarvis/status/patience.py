"""Asking what may never answer, such as a share on a network that is gone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from jarvis_client.contract.errors import Unavailable

T = TypeVar("T")

#: Whoever asks how things stand waits no longer for one folder.
PATIENCE_SECONDS = 2.0


class Patience:
    """Asks on threads of its own. Who has not answered yet is not asked again, so that one that never does costs one thread and no more."""

    def __init__(self) -> None:
        self._asked: dict[str, threading.Thread] = {}

    def within(self, seconds: float, whom: str, ask: Callable[[], T]) -> T:
        """What `ask` gives or raises. Raises `Unavailable` where that takes longer."""
        given: list[T] = []
        raised: list[BaseException] = []

        def run() -> None:
            try:
                given.append(ask())
            except BaseException as error:
                raised.append(error)

        before = self._asked.get(whom)
        if before is None or not before.is_alive():
            thread = self._asked[whom] = threading.Thread(target=run, name="ask-patiently", daemon=True)
            thread.start()
            thread.join(seconds)
        if raised:
            raise raised[0]
        if not given:
            raise Unavailable("does not answer; can its disk, or the machine that has it, be reached?")
        return given[0]

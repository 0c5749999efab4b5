"""Asking what may never answer, such as a share on a network that is gone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from persistence.domain.errors import Unavailable

T = TypeVar("T")

#: Whoever asks how things stand waits no longer for one folder.
PATIENCE_SECONDS = 2.0


def within(seconds: float, ask: Callable[[], T], otherwise: str) -> T:
    """What `ask` gives or raises. Raises `Unavailable` with the text `otherwise` where that takes longer; its thread is left behind."""
    given: list[T] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            given.append(ask())
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, name="ask-patiently", daemon=True)
    thread.start()
    thread.join(seconds)
    if raised:
        raise raised[0]
    if not given:
        raise Unavailable(otherwise)
    return given[0]

"""How far a long operation is, for whoever waits for it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Is told the stage that an operation is at, in words for people, and how much of that stage is done.

    Called once a check, a megabyte or a thousand records, and only from the thread that runs the operation, so it may draw; it must not
    raise. `done` and `of` count whatever the stage works through: only their ratio means something. `of` is 0 where nobody can know how
    much there is. Stages follow each other, each from its own beginning; one may come again.
    """

    def __call__(self, stage: str, done: int, of: int, /) -> None: ...


def silent(_stage: str, _done: int, _of: int, /) -> None:
    """Nobody is waiting."""


__all__ = ["Progress", "silent"]

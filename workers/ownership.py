"""Whose books the messages of a namespace go to. The broker keeps the id of the books that took from it last, under one key.

An unmounted disk, a wrong path and two workers over two folders look alike from here: a worker comes with other books. It is refused
before it fetches anything, because what it acknowledged would be missing in the right ones.
"""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

from persistence.domain.errors import OtherBooks
from workers import redis_scripts


def place_of(folder: str | Path) -> str:
    """Where a worker lives: its machine, and the folder of its locks."""
    return f"{platform.node()}:{Path(folder).resolve()}"


class NamespaceBooks:
    """The books that a namespace's messages go to: `{namespace}:__jarvis__.books` holds their id, a blank, and where they are kept."""

    def __init__(self, client: Any, namespace: str, home: str) -> None:
        self._client = client
        self._claim = client.register_script(redis_scripts.CLAIM)
        self._namespace = namespace
        self._home = home
        self.key = f"{namespace}:__jarvis__.books"

    def claim(self, book_id: str) -> None:
        """Take a namespace that is nobody's yet. Raises `OtherBooks` where it belongs to others, `redis.RedisError` where Redis does not tell."""
        # In one step: of two workers that come at once, one is the first.
        theirs, _, home = self._claim(keys=[self.key], args=[book_id, self._home, 0]).decode(errors="replace").partition(" ")
        self._refuse_others(theirs, home, book_id)

    def look(self, book_id: str) -> bool:
        """Whether the namespace is taken by these books already; nothing is changed. Raises as `claim` does."""
        found = self._client.get(self.key)
        if found is None:
            return False
        theirs, _, home = found.decode(errors="replace").partition(" ")
        self._refuse_others(theirs, home, book_id)
        return True

    def _refuse_others(self, theirs: str, home: str, book_id: str) -> None:
        if theirs != book_id:
            raise OtherBooks(
                f"the messages of namespace {self._namespace!r} on this broker go to the books {theirs} (at {home or 'an unknown place'}), these are "
                f"{book_id} (at {self._home}). Is the disk mounted, is database.path right, does another worker run over another folder? "
                "If these books are to have the messages from now on: `jarvis worker run --take-over`, or `jarvis up --take-over`"
            )

    def take_over(self, book_id: str) -> None:
        """Let the namespace's messages go to these books from now on. Raises `redis.RedisError`."""
        self._claim(keys=[self.key], args=[book_id, self._home, 1])


__all__ = ["NamespaceBooks", "place_of"]

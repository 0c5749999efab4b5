"""A worker's sign of life in Redis: whose name is at work from where, and whether the broker still is what it was.

One script says that this worker lives, and how it is, refuses where another of its name lives elsewhere, and counts. What it counts stands in the
broker's mark, beside a token that the books remember: a broker that has another token was emptied, or is another one; one that
counts backwards came back without its last writes.
"""

from __future__ import annotations

import fcntl
import os
import platform
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import redis
import structlog

from jarvis_client.contract.errors import HeldElsewhere
from persistence.domain.strays import StrayKind
from persistence.files import fsync_folder, open_or_make
from workers import redis_scripts
from workers.word import REMEMBERED_MICROSECONDS, Word

log = structlog.get_logger("broker")

#: A peer whose heartbeat is older than this is dead. Kept by Redis's own clock, so that no client's clock matters.
HEARTBEAT_SECONDS = 3
DEAD_AFTER_MS = 10_000
#: What names who lives in a folder.
HOME = "worker.home"


class Heartbeat:
    """What a worker tells Redis every few seconds, and what it learns by it.

    `home` is where the worker lives, its first word who that is. `refused` is set while a worker of this name lives elsewhere; nothing is
    fetched then. `losses` are for the books: what became of the broker.
    """

    def __init__(self, client: Any, namespace: str, broker_id: str, home: str) -> None:
        self.home = home
        self.refused: HeldElsewhere | None = None
        self.token: str | None = None
        self.losses: deque[tuple[StrayKind, str]] = deque()
        #: What this worker says of itself, asked with every beat; None while there is nobody to ask.
        self.word: Callable[[], Word | None] = lambda: None
        self._client = client
        self._name = broker_id.removeprefix("jarvis-")
        self._beats = 0
        #: Losses so far: several threads beat at a time, and one of them tells of each.
        self._told = 0
        self._broker_id = broker_id
        self._beat = client.register_script(redis_scripts.BEAT)
        self._keys = [
            f"{namespace}:__alive__.{broker_id}", f"{namespace}:__heartbeats__", f"{namespace}:__jarvis__.mark", f"{namespace}:__jarvis__.sequences",
            words_key(namespace),
        ]  # fmt: skip
        self._lock = threading.Lock()

    def beat(self) -> bool:
        """True once Redis knows that this worker lives; False where one of its name lives elsewhere. Raises `redis.RedisError`."""
        before = self.token, self._beats, self._told
        # The clock is for Dramatiq clients of other makes, whose maintenance looks at it.
        word = self.word()
        said = "" if word is None else word.text()
        told = [self.home, DEAD_AFTER_MS, self._broker_id, time.time_ns() // 1_000_000, str(uuid.uuid4()), said, self._name]
        # Not below the lock: while Redis stalls, every thread that asks would wait for those before it.
        found = self._beat(keys=self._keys, args=told)
        with self._lock:
            if len(found) == 1:
                self._refuse(found[0].decode(errors="replace"))
                return False
            self.refused = None
            self._compare(found[0].decode(errors="replace"), found[1], before)
            return True

    def refuse_namesakes(self) -> None:
        """Raises `HeldElsewhere` where a worker of this name is at work on this broker from elsewhere: both would hold what one fetched.

        Redis may be down: every further beat asks again.
        """
        with suppress(redis.RedisError):
            if not self.beat() and self.refused is not None:
                raise self.refused

    def last_word(self) -> None:
        """Leave the worker's word behind, for who asks what became of it. Raises `redis.RedisError`."""
        word = self.word()
        if word is not None and self.refused is None:
            self._client.hset(self._keys[-1], self._name, word.text())

    def forget_the_long_gone(self) -> None:
        """Remove the words of workers that have said nothing for days, and what is no word. Raises `redis.RedisError`."""
        oldest = time.time_ns() // 1_000 - REMEMBERED_MICROSECONDS
        for field, text in self._client.hscan_iter(self._keys[-1], count=100):
            word = Word.read(text)
            if word is None or word.said_at < oldest:
                self._client.hdel(self._keys[-1], field)

    def _refuse(self, home: str) -> None:
        if self.refused is None:
            log.error("a worker of this name is at work on this broker from elsewhere; nothing is fetched", worker=self._name, home=home)
        self.refused = _namesake(self._name, home)

    def _compare(self, token: str, beats: int, before: tuple[str | None, int, int]) -> None:
        if self.token not in (None, token):
            self._lost(StrayKind.BROKER_EMPTIED, "it has no mark of ours: it was emptied, or it is another one; what waited in it and was not recorded is gone")
            self._beats = 0
        elif (before[0], before[2]) == (token, self._told) and beats <= before[1]:
            self._lost(StrayKind.BROKER_WENT_BACK, f"it has counted {beats} beats of {before[1]}: it came back without its last writes")
            self._beats = 0
        self.token, self._beats = token, max(beats, self._beats)

    def _lost(self, kind: StrayKind, example: str) -> None:
        log.error(f"{kind}: publish again what engines sent lately; what is recorded already counts as a duplicate", found=example)
        self._told += 1
        self.losses.append((kind, example))


def words_key(namespace: str) -> str:
    """The hash of what the workers of a namespace say of themselves, by name."""
    return f"{namespace}:__jarvis__.workers"


def home_of(folder: Path) -> str:
    """Who lives in a folder: the same one whenever a worker comes back over it, whatever its host is called by then. A copy of the
    folder is another home, as its file is another file."""
    name = _name_in(folder) or _moved_in(folder)
    return f"{name} {_place(folder)}"


def _moved_in(folder: Path) -> str:
    """The name that the first of the workers gave which move into a folder at the same time."""
    with open(open_or_make(folder / HOME), "r+b") as file:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        name = _name_in(folder)
        if name is None:
            name = str(uuid.uuid4())
            file.truncate()
            file.write(f"{os.fstat(file.fileno()).st_ino} {name}\n".encode())
            file.flush()
            os.fsync(file.fileno())
            fsync_folder(folder)
    return name


def look_for_namesake(client: Any, namespace: str, worker_name: str, folder: Path) -> None:
    """Raises `HeldElsewhere` where a worker of this name is at work on this broker and does not live in this folder; nothing is changed."""
    found = client.get(f"{namespace}:__alive__.jarvis-{worker_name}")
    home = (found or b"").decode(errors="replace")
    if home and home.partition(" ")[0] != _name_in(folder):
        raise _namesake(worker_name, home)


def _namesake(name: str, home: str) -> HeldElsewhere:
    return HeldElsewhere(
        f"a worker named {name!r} is at work on this broker from {home.partition(' ')[2] or home}; "
        "give this one another worker.name (JARVIS_WORKER__NAME), or another broker.namespace"
    )


def _name_in(folder: Path) -> str | None:
    path = folder / HOME
    with suppress(FileNotFoundError):
        number, _, name = path.read_text(errors="replace").strip().partition(" ")
        if number == str(path.stat().st_ino) and name:
            return name
    return None


def _place(folder: Path) -> str:
    return f"{platform.node()}:{folder.resolve()}"

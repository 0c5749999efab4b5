"""Keys of our queues that are of another type than they should be: told once, and no outage. Only the queue that they belong to waits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import redis
import structlog

from jarvis_client.contract import instants
from jarvis_client.contract.broker_faults import WRONG_TYPE, fault_of, words_of

log = structlog.get_logger("broker")


class MisusedKey(NamedTuple):
    """A key that is of another type than it should be."""

    key: str
    found: str
    expected: str

    @property
    def remedy(self) -> str:
        return f"it is a {self.found} and should be a {self.expected}: RENAME {self.key} somewhere, look who writes it, and restrict publishers (users.acl)"


class MisusedKeys:
    """The queues that cannot be read for such a key, as the threads of a worker meet with them. True while there are any."""

    def __init__(self, client: Any, keys: Callable[[str], Sequence[str]]) -> None:
        """`keys` gives the list, the payloads and the holdings of a queue."""
        self._client = client
        self._keys = keys
        self._queues: set[str] = set()
        #: Since when there are any; an instant.
        self.since: int | None = None

    def __bool__(self) -> bool:
        return bool(self._queues)

    @property
    def queues(self) -> list[str]:
        return sorted(self._queues)

    def tell(self, queue: str, error: Exception) -> bool:
        """Whether this error of a queue is of that kind; nothing of the queue is taken or lost until it is mended."""
        if fault_of(error) is not WRONG_TYPE:
            return False
        if queue not in self._queues:
            self.since = self.since if self._queues else instants.now()
            self._queues.add(queue)
            try:
                found = list(self.of(queue))
            except redis.RedisError:
                found = []
            remedies = "; ".join(key.remedy for key in found) or WRONG_TYPE.remedy
            log.error(WRONG_TYPE.event(grave=True), queue=queue, error=words_of(error), what_to_do=remedies)
        return True

    def mended(self, queue: str) -> None:
        """The queue was read."""
        if queue in self._queues:
            self._queues.discard(queue)
            log.info("a queue whose key was of the wrong type is read again", queue=queue)

    def of(self, queue: str) -> Iterable[MisusedKey]:
        """Those of a queue. Raises `redis.RedisError`."""
        for key, expected in zip(self._keys(queue), ("list", "hash", "set"), strict=True):
            found = self._client.type(key).decode()
            if found not in (expected, "none"):
                yield MisusedKey(key, found, expected)

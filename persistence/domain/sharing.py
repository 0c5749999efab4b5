"""Entities that several threads share."""

from __future__ import annotations

import threading
from typing import Any, Self


class EntityLock:
    """A lock that belongs to one entity and does not travel: a copy of the entity, or its pickle, gets one of its own."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        self._lock.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[type[EntityLock], tuple[()]]:
        return EntityLock, ()


class Shared:
    """An entity with a lock: whoever changes several of its fields holds it, and so does a save while it reads them."""

    __slots__ = ("lock",)

    lock: EntityLock

    def __new__(cls, *_: Any, **__: Any) -> Self:
        entity = super().__new__(cls)
        entity.lock = EntityLock()
        return entity

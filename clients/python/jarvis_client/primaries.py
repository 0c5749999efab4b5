"""Brokers of several servers: which of them takes writes now.

A primary and its replicas, of which sentinels know who is who, or the node of a cluster that has the slot of our namespace. Every new connection
asks, and one whose server has stepped down ends: whoever tries again reaches the next one. All keys of a namespace lie on one server, so whatever
runs over one connection to a single Redis runs here as it is: scripts, pipelines, waits.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any, NamedTuple

import redis
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import AskError, ClusterDownError, ResponseError, TryAgainError
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError, SentinelConnectionPool, SentinelManagedConnection, SentinelManagedSSLConnection

from jarvis_client.contract.address import Address, read_address, shown_host
from jarvis_client.contract.broker_faults import NO_PRIMARY, SLOT_MOVES, words_of

#: Whoever tells where the primary is does so at once, or is asked no longer: there are others.
ASKING_SECONDS = 2.0
#: A primary that was cut off answers nobody; so much later it is another one's turn.
SOCKET_SECONDS = 5.0


def connect(url: str, namespace: str, **limits: Any) -> redis.Redis:
    """A client of the broker at a URL. `limits` hold where the URL says nothing else. Raises `Invalid`.

    On a cluster a namespace has a name in braces (`address.refuse_namespace`).
    """
    address = read_address(url)
    if not address.finder:
        return redis.Redis.from_url(url, **limits)
    given = connection_options(address, limits)
    question = question_of(address, namespace)
    kind = _TLSConnection if address.scheme == "rediss" else _Connection
    finder: Any = Finder(question, [redis.Redis(host, port, retry=Retry(NoBackoff(), 0), **question.options) for host, port in address.hosts])
    return redis.Redis.from_pool(SentinelConnectionPool(question.name, finder, connection_class=kind, **given))  # type: ignore[no-untyped-call]


class Question(NamedTuple):
    """How to ask where the primary is, and how to read the answer."""

    name: str
    command: tuple[str, ...]
    #: Of a reply, and of the host that was asked.
    read: Callable[[Any, str], tuple[str, int] | None]
    #: What a connection is made with to whoever is asked.
    options: dict[str, Any]
    #: What those say who were asked and know of none.
    unknown: str


def question_of(address: Address, namespace: str) -> Question:
    """What is to be asked of the hosts in a URL."""
    said = {name: value for name, value in address.options.items() if name in ("protocol", "socket_keepalive") or name.startswith("ssl_")}
    limits = {"socket_timeout": ASKING_SECONDS, "socket_connect_timeout": ASKING_SECONDS, "ssl": address.scheme == "rediss"}
    if address.finder == "sentinel":
        user = _user(address.options.get("sentinel_username", ""), address.options.get("sentinel_password", ""))
        command = ("SENTINEL GET-MASTER-ADDR-BY-NAME", address.service)
        return Question(address.service, command, _named, {**said, **user, **limits}, f"no sentinel knows a primary called {address.service}")
    slot = key_slot(namespace.encode())
    options = {**said, **_user(address.username, address.password), **limits}
    return Question(str(slot), ("CLUSTER SLOTS",), lambda reply, host: owner_of(slot, reply, host), options, f"no node has slot {slot}")


def connection_options(address: Address, limits: dict[str, Any]) -> dict[str, Any]:
    """What a connection to the server is made with."""
    said = {name: value for name, value in address.options.items() if not name.startswith("sentinel_")}
    bounded = {"socket_timeout": SOCKET_SECONDS, "socket_connect_timeout": ASKING_SECONDS}
    return {**bounded, **limits, **said, "db": address.db, **_user(address.username, address.password)}


def owner_of(slot: int, reply: list[Any], asked: str) -> tuple[str, int] | None:
    """The node that has a slot, by the reply to CLUSTER SLOTS; one that does not know its own address is the one that was asked."""
    for first, last, (host, port, *_), *_ in reply:
        if first <= slot <= last:
            return _text(host) if _text(host) not in ("", "?") else asked, int(port)
    return None


def _named(reply: Any, _asked: str) -> tuple[str, int] | None:
    return (_text(reply[0]), int(reply[1])) if reply else None


def _text(value: bytes | str | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""


class Finder:
    """Asks in turn, so that one that is cut off from the others, and tells what was so before, is not believed for ever."""

    def __init__(self, question: Question, asked: list[Any]) -> None:
        self._question = question
        self._asked = asked
        #: Counted by whatever thread asks next.
        self._turns = count()

    def discover_master(self, _name: str) -> tuple[str, int]:
        """Raises an error of redis's where nobody knows."""
        errors = Errors(self._question)
        turn = next(self._turns)
        for n in range(len(self._asked)):
            client = self._asked[(turn + n) % len(self._asked)]
            try:
                found = self._question.read(client.execute_command(*self._question.command), host_of(client)[0])
            except redis.RedisError as error:
                errors.add(client, error)
                continue
            if found is not None:
                return found
        raise errors.summary()


class Errors:
    """What those said who were asked in vain."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._refusal: redis.RedisError | None = None
        self._said: list[str] = []

    def add(self, client: Any, error: redis.RedisError) -> None:
        self._said.append(f"{shown_host(*host_of(client))}: {words_of(error).rstrip('.')}")
        if isinstance(error, ResponseError | redis.AuthenticationError):
            self._refusal = error

    def summary(self) -> redis.RedisError:
        """That one was refused, which does not pass; else an error that may."""
        return self._refusal or MasterNotFoundError(f"{NO_PRIMARY}: {'; '.join(self._said) or self._question.unknown}")


def host_of(client: Any) -> tuple[str, int]:
    options = client.connection_pool.connection_kwargs
    return options["host"], options["port"]


def elsewhere(error: ResponseError) -> redis.ConnectionError | None:
    """What a server says that is not the primary any more, or will not be in a moment, as an error that passes: the next connection goes to the one
    that is. None for everything else that a server says."""
    if isinstance(error, ClusterDownError):
        return redis.ConnectionError(f"CLUSTERDOWN {error}")
    if isinstance(error, AskError | TryAgainError):
        return redis.ConnectionError(f"{SLOT_MOVES}: {error}")
    # One whose replicas have gone to another primary hears of it last.
    return redis.ConnectionError(str(error)) if str(error).startswith("NOREPLICAS") else None


def refuse_former(connection: Any, primary: tuple[str, int]) -> None:
    """Raises redis's ConnectionError where the connection does not lead to the primary."""
    if (connection.host, connection.port) != primary:
        raise redis.ConnectionError(f"{shown_host(*primary)} is the primary now, no longer {shown_host(connection.host, connection.port)}")


class _Connection(SentinelManagedConnection):
    """A connection to the primary, or to the node that has the slot; it ends where that is another one by now."""

    def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return super().read_response(*args, **options)
        except ResponseError as error:
            if (passing := elsewhere(error)) is None:
                raise
            self.disconnect()  # type: ignore[no-untyped-call]
            raise passing from error


class _TLSConnection(_Connection, SentinelManagedSSLConnection):
    pass


def _user(name: str, password: str) -> dict[str, str]:
    return {key: value for key, value in (("username", name), ("password", password)) if value}

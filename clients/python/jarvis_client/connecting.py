"""How a publisher reaches its broker: its URL checked, its patience bounded."""

from __future__ import annotations

from typing import Any, NamedTuple

from redis.backoff import AbstractBackoff, ExponentialWithJitterBackoff, NoBackoff

from jarvis_client.contract.address import MOST_REPLICAS, Address, read_address, refuse_namespace
from jarvis_client.contract.errors import Invalid, MalformedRecord

#: Tries after the first, with a pause of up to 0.2, 0.4, 0.8, 1 and 1 seconds before each: a restart is over by then.
RETRIES = 5
#: Of a broker that fails over: half a minute. Sentinels and clusters take some seconds to miss a server, and some to agree on the next one.
RETRIES_OVER_A_FAILOVER = 30
#: With a spool, what cannot be sent at once is kept: the engine waits for no longer than a lost connection takes to be made anew.
RETRIES_WITH_SPOOL = 1
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 1.0


class Patience(NamedTuple):
    """How long a publisher tries. The client makes a lost connection anew `retries` times; `pauses` are between tries of the publisher's own,
    which wait for another server to take over, too."""

    retries: int
    backoff: AbstractBackoff
    pauses: tuple[float, ...] = ()


def patience(address: Address, retries: int | None, *, spool: bool) -> Patience:
    if not address.finder:
        usual = RETRIES_WITH_SPOOL if spool else RETRIES
        return Patience(usual if retries is None else retries, ExponentialWithJitterBackoff(cap=LONGEST_PAUSE_SECONDS, base=FIRST_PAUSE_SECONDS))
    usual = RETRIES_WITH_SPOOL if spool else RETRIES_OVER_A_FAILOVER
    tries = range(usual if retries is None else retries)
    return Patience(0, NoBackoff(), tuple(min(FIRST_PAUSE_SECONDS * 2 ** min(n, 10), LONGEST_PAUSE_SECONDS) for n in tries))


def checked_replicas(number: int, client: Any) -> int:
    """For how many replicas a publisher waits. Raises `MalformedRecord`."""
    if type(number) is not int or not 0 <= number <= MOST_REPLICAS:
        raise MalformedRecord(f"wait_replicas is {number!r}; it must be a whole number from 0 to {MOST_REPLICAS}")
    if number and client is not None and not hasattr(client, "connection_pool"):
        raise MalformedRecord(f"wait_replicas needs one connection, which a {type(client).__name__} does not give; name the broker's url instead of a client")
    return number


def checked_address(url: str | None, namespace: str) -> Address:
    """What a URL says. Raises `MalformedRecord` where it, or the namespace with it, cannot be used, saying what to write instead."""
    if url is None:
        raise MalformedRecord("give the broker's url (the one that `jarvis up` prints), or a redis client")
    try:
        address = read_address(url)
    except Invalid as error:
        raise MalformedRecord(f"the broker's url {error}") from None
    if (problem := address.unreadable_file()) is not None:
        raise MalformedRecord(f"the broker's url: {problem}")
    try:
        refuse_namespace(address, namespace)
    except Invalid as error:
        raise MalformedRecord(f"the namespace {error}") from None
    return address

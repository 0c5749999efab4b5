"""A broker of several servers: can another one take over, and would it have what this one accepted?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from jarvis.doctor.diagnosis import Diagnosis, problem, warning, well
from jarvis.settings import Settings
from jarvis_client.contract.address import Address, shown_host
from jarvis_client.contract.broker_faults import fault_of, words_of
from jarvis_client.primaries import question_of
from workers.broker_server import told

#: Of two, the one that is left is no majority.
FEWEST_SENTINELS = 3


def look(address: Address, namespace: str) -> Iterator[Diagnosis]:
    """Do those answer who tell where the primary is?"""
    subject = "sentinels" if address.finder == "sentinel" else "nodes"
    question = question_of(address, namespace)
    usable = 0
    for host, port in address.hosts:
        place = shown_host(host, port)
        with redis.Redis(host, port, retry=Retry(NoBackoff(), 0), **question.options) as client:
            try:
                if address.finder == "sentinel":
                    said = _text(client.execute_command("SENTINEL", "CKQUORUM", address.service))
                    usable = max(usable, int((re.search(r"(\d+) usable", said) or ["", "0"])[1]))
                elif question.read(client.execute_command(*question.command), host) is None:
                    yield problem(subject, f"{place} knows no node for {namespace!r}", question.unknown, "bring the cluster back (redis-cli --cluster check)")
            except redis.ResponseError as error:
                yield problem(subject, f"{place}: {words_of(error).rstrip('.')}", "a majority of the sentinels has to agree on a failover", _remedy(error))
            except redis.RedisError as error:
                fault = fault_of(error)
                yield warning(subject, f"{place} {fault.clause}: {words_of(error).rstrip('.')}", "the others have to do", "start it, or correct broker.url")
    if 0 < usable < FEWEST_SENTINELS:
        rule = "a majority has to agree, and of two there is none once one is lost"
        yield warning(subject, f"there are {usable}", rule, f"run {FEWEST_SENTINELS}, on a host each")
    elif usable:
        yield well(subject, f"{usable} can agree on a failover of {address.service}")


def look_at_replicas(client: Any, settings: Settings) -> Iterator[Diagnosis]:
    """Does anybody have what the primary accepts?"""
    found = told(client, "replication")
    if found.get("role") != "master":
        return
    replicas, wanted = int(found.get("connected_slaves", 0)), settings.publisher.wait_replicas
    where = getattr(client.connection_pool, "master_address", None)
    primary = f"the primary, {shown_host(*where)}," if where else "the primary"
    if replicas < max(1, wanted):
        rule = "it loses what was not recorded yet when it is lost" if not replicas else f"publisher.wait_replicas asks for {wanted}"
        yield warning("replicas", f"{primary} has {replicas or 'none'}", rule, "start them, and look at INFO replication")
    elif "min_slaves_good_slaves" not in found:
        rule = "a primary that is cut off goes on accepting records, which a failover drops"
        remedy = "CONFIG SET min-replicas-to-write 1 and min-replicas-max-lag 10, on every server, and the same in its configuration file"
        yield warning("replicas", f"{primary} has {replicas}, and needs none of them", rule, remedy)
    else:
        yield well("replicas", f"{primary} has {replicas}, and accepts nothing without them")


def _remedy(error: redis.ResponseError) -> str:
    said = str(error).lower()
    if "no such master" in said:
        return "correct the name behind the hosts in broker.url (SENTINEL MASTERS lists those that there are)"
    return "start the other sentinels" if "noquorum" in said else fault_of(error).remedy


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

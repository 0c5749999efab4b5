"""The broker: whether it answers, how it is set up, what it allows us, and to whose books its messages go."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from jarvis.broker import broker_url
from jarvis.doctor import certificates, failover
from jarvis.doctor.case import Case
from jarvis.doctor.diagnosis import Diagnosis, Level, not_checked, problem, refused, warning, well
from jarvis.embedded_broker import LAUNCHER_LOCK
from jarvis.errors import SettingsError
from jarvis.opening import reading_books
from jarvis.settings import Settings
from jarvis_client.contract import instants
from jarvis_client.contract.address import client_url, read_address
from jarvis_client.contract.broker_faults import NO_DISK, REPLICA, fault_of, words_of
from jarvis_client.contract.errors import BooksError, Invalid, Unavailable
from jarvis_client.contract.instants import MOST_AHEAD
from jarvis_client.contract.routes import JOBS_ROUTE, ROUTES
from jarvis_client.contract.showing import first_few
from jarvis_client.primaries import connect
from persistence.books.book import book_id
from persistence.domain.showing import size
from persistence.files import is_seen_locked
from workers.broker_server import refuse_old_server, told, version_of, weaknesses
from workers.heartbeat import look_for_namesake
from workers.other_makes import refuse_other_programs
from workers.ownership import NamespaceBooks, place_of
from workers.rights import NOT_TRIED, TRIED, refused_rights
from workers.strays import SILENT_SECONDS

#: A worker's own patience would make a look at a silent broker long.
SECONDS = 5.0
#: Round trips that are timed; the middle one counts.
TRIPS = 5
#: As long as a batch waits to fill up: slower, and the way there becomes what a worker waits for.
SLOW_MS = 20.0
#: Where a broker without evictions is near its end: it refuses what comes then.
FULL_SHARE = 0.8


def look(case: Case, settings: Settings) -> Iterator[Diagnosis]:
    try:
        url = broker_url(settings)
    except SettingsError as error:
        yield problem("broker", "; ".join(error.problems))
        return
    except Unavailable as error:
        # That nothing runs is no fault of the surroundings; that what runs does not answer is one.
        runs = settings.broker.url is None and is_seen_locked(settings.data_folder / "broker" / LAUNCHER_LOCK)
        yield refused("broker", error, Level.PROBLEM if runs else Level.NOT_CHECKED)
        return
    address = read_address(url)
    if address.scheme == "rediss":
        yield from certificates.look(address, case.now)
    if address.finder:
        yield from failover.look(address, settings.broker.namespace)
    once = Retry(NoBackoff(), 0)
    with connect(client_url(url), settings.broker.namespace, socket_timeout=SECONDS, socket_connect_timeout=SECONDS, retry=once) as client:
        try:
            yield from _reached(client, address.place)
            yield from _set_up(client)
            if address.finder or settings.publisher.wait_replicas:
                yield from failover.look_at_replicas(client, settings)
            yield from _rights(client, settings.broker.namespace)
            yield from _ownership(client, settings)
        except redis.RedisError as error:
            fault = fault_of(error, url)
            yield problem("broker", f"{address.place} {fault.clause}: {words_of(error).rstrip('.')}", "", fault.remedy)


def _reached(client: Any, place: str) -> Iterator[Diagnosis]:
    trips, apart = [], 0.0
    for _ in range(TRIPS):
        began, before = time.perf_counter(), instants.now()
        with suppress(redis.exceptions.NoPermissionError):  # it has answered; what it allows is told apart
            seconds, micros = client.time()
            apart = (seconds * 1_000_000 + micros) - (before + instants.now()) / 2
        trips.append((time.perf_counter() - began) * 1_000)
    middle = sorted(trips)[TRIPS // 2]
    if middle > SLOW_MS:
        rule = f"a batch waits {SLOW_MS:g} ms to fill up, and several round trips go with each"
        yield warning("broker", f"{place} answers in {middle:.1f} ms", rule, "look at the network and at its load, or run it nearer")
    else:
        yield well("broker", f"{place} answers in {middle:.2f} ms")
    if abs(apart) > MOST_AHEAD:
        said = f"{abs(apart) / 1e6:,.0f} s {'ahead of' if apart > 0 else 'behind'} this machine's"
        yield warning(
            "broker's clock", said, f"clocks that are kept in time are less than {MOST_AHEAD / 1e6:.0f} s apart", "set the one that is wrong (timedatectl)"
        )


def _set_up(client: Any) -> Iterator[Diagnosis]:
    version = version_of(client)
    if version is None:
        yield not_checked("set-up", "this user may not ask for it", "grant INFO, as `jarvis deploy redis` does for a worker")
        return
    try:
        refuse_old_server(client)
    except Invalid as error:
        yield refused("version", error)
    server = told(client, "server")
    valkey = server.get("valkey_version")
    yield well("version", f"Valkey {valkey}" if valkey else f"Redis {version}")
    found = weaknesses(client) or []
    for weakness in found:
        shown = ", ".join(f"{name.replace('_', '-')} {text}" for name, text in weakness.details.items() if name != "so")
        rule = weakness.details.get("so", "what it has accepted stays until it is recorded")
        yield warning("set-up", f"{weakness.event}{shown and f' ({shown})'}", rule, weakness.remedy)
    yield from _cannot_write(client)
    if not found:
        yield well("set-up", "keeps an append-only file, evicts nothing")
    memory = told(client, "memory")
    most, taken = int(memory.get("maxmemory", 0)), int(memory.get("used_memory", 0))
    if most and taken > FULL_SHARE * most:
        value = f"{size(taken)} of {size(most)} are taken"
        yield warning("memory", value, "a full broker refuses what engines publish", "let the workers catch up, or raise its maxmemory")


def _cannot_write(client: Any) -> Iterator[Diagnosis]:
    """What it answers every publisher with an error for, whoever asks."""
    if told(client, "replication").get("role") == "slave":
        yield problem("set-up", f"the broker {REPLICA.predicate}", "a worker and an engine both write", REPLICA.remedy)
    if told(client, "persistence").get("aof_last_write_status", "ok") != "ok":
        yield problem("set-up", f"the broker {NO_DISK.predicate}", "it takes no message that it cannot keep", NO_DISK.remedy)


def _rights(client: Any, namespace: str) -> Iterator[Diagnosis]:
    missing = refused_rights(client, namespace)
    if missing:
        remedy = "grant them as `jarvis deploy redis` does, for the keys of this namespace"
        yield problem("rights", f"this user may not use {first_few(missing)} in the namespace {namespace!r}", next(iter(missing.values())), remedy)
    else:
        yield well("rights", f"{len(TRIED)} commands are allowed; not tried, because they add: {', '.join(n.replace('|', ' ') for n in NOT_TRIED)}")


def _ownership(client: Any, settings: Settings) -> Iterator[Diagnosis]:
    """Whose books the messages go to, and whether somebody else takes them."""
    namespace = settings.broker.namespace
    queues = sorted({route.queue for route in (*ROUTES.values(), JOBS_ROUTE)})
    with suppress(redis.exceptions.NoPermissionError):  # told above
        try:
            refuse_other_programs(client, namespace, [*queues, *(f"{queue}.DQ" for queue in queues)], SILENT_SECONDS)
            yield well("other programs", f"none takes from the namespace {namespace!r}")
        except BooksError as error:
            yield refused("other programs", error)
        try:
            look_for_namesake(client, namespace, settings.worker.name, settings.data_folder)
        except BooksError as error:
            yield refused("worker's name", error)
        ours = None
        with suppress(BooksError, OSError), reading_books(settings) as connection:
            ours = book_id(connection)
        if ours is None:
            yield not_checked("whose messages", "there are no books that could be read")
            return
        try:
            theirs = NamespaceBooks(client, namespace, place_of(settings.data_folder)).look(ours)
            yield well("whose messages", f"those of {namespace!r} go to these books" if theirs else f"{namespace!r} is nobody's yet")
        except BooksError as error:
            yield refused("whose messages", error)

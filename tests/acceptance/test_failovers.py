"""The table of docs/growing.md: what is acknowledged, recorded, lost and doubled when the host of the broker goes, in each of the ways it can.

Each row is an engine that publishes without a pause, a worker that records, and one thing that happens. Run it with `-s` for the figures.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from itertools import pairwise

import pytest
from failover_stories import Count, Story, story
from failovers import Cluster, Watched, clustered, watched
from networks import Network, can_be_made, network
from parts import wait_until
from redis.crc import key_slot

pytestmark = pytest.mark.slow

NAMESPACE = "{jarvis}"
SLOT = key_slot(NAMESPACE.encode())
#: What docs/growing.md has in the configuration of every server.
GUARDED = ("min-replicas-to-write 1", "min-replicas-max-lag 10")
needs_networks = pytest.mark.skipif(not can_be_made(), reason="needs root, for network namespaces")


def killed(servers: Watched, told: Story) -> None:
    former = servers.primary
    former.kill()
    wait_until(lambda: servers.primary is not former, "another server is the primary", 60)
    told.wait_for_acknowledged(1, 60)
    former.start()
    wait_until(former.follows, "the former primary is a replica", 60)


def frozen(servers: Watched, told: Story) -> None:
    """Its kernel takes connections, and nobody answers: as a host whose disk hangs."""
    former = servers.primary
    former.signal(signal.SIGSTOP)
    wait_until(lambda: servers.primary is not former, "another server is the primary", 60)
    told.wait_for_acknowledged(1, 60)
    former.signal(signal.SIGCONT)
    wait_until(former.follows, "the former primary is a replica", 60)


def planned(servers: Watched, told: Story) -> None:
    former = servers.primary
    servers.fail_over()
    wait_until(former.follows, "the former primary is a replica", 60)


def paused(servers: Watched, told: Story) -> None:
    """As planned, and the former primary takes nothing from before the other is promoted until it is a replica."""
    with servers.primary.client() as client:
        client.client_pause(20_000, all=False)
    planned(servers, told)


def coordinated(servers: Watched, told: Story) -> None:
    servers.fail_over("COORDINATED")


SAYS = {
    killed: "the primary is killed", frozen: "the primary stops answering", planned: "`SENTINEL FAILOVER books`",
    paused: "`CLIENT PAUSE 20000 WRITE`, then `SENTINEL FAILOVER books`", coordinated: "`SENTINEL FAILOVER books COORDINATED`",
}  # fmt: skip


@pytest.mark.parametrize("wait_replicas", [0, 1])
@pytest.mark.parametrize("happens", [killed, frozen, planned, paused, coordinated])
def test_a_broker_that_fails_over_doubles_nothing_and_loses_nothing_that_replicas_had(happens: Callable[[Watched, Story], None], wait_replicas: int) -> None:
    with watched(extra=GUARDED) as servers, story(servers.url, wait_replicas=wait_replicas) as told:
        told.wait_for_acknowledged(50)
        happens(servers, told)
        told.wait_for_acknowledged(50)
        count = told.count()
        show(SAYS[happens], wait_replicas, count)
        assert told.failures() == []
    assert count.doubled == 0
    # Without a pause the former primary, and a replica that still follows it, go on for a moment beside the promoted one.
    if wait_replicas and happens is not planned:
        assert count.lost == 0
        assert count.recorded == count.tried


@pytest.mark.parametrize("wait_replicas", [0, 1])
def test_what_waits_in_a_primary_that_dies_ahead_of_its_replicas_is_what_can_be_lost(wait_replicas: int) -> None:
    with watched() as servers, story(servers.url, wait_replicas=wait_replicas, recording=False) as told:
        told.wait_for_acknowledged(50)
        primary, replicas = servers.primary, servers.replicas
        for replica in replicas:
            replica.signal(signal.SIGSTOP)
        with primary.client() as client:
            client.execute_command("CLIENT", "KILL", "TYPE", "replica")
        wait_for_tried(told, 50 if not wait_replicas else 1)
        primary.kill()
        for replica in replicas:
            replica.signal(signal.SIGCONT)
        told.wait_for_acknowledged(50, 60)
        count = told.count()
        show("the primary is killed, no worker runs, its replicas were away for a moment", wait_replicas, count)
    assert count.doubled == 0
    assert (count.lost > 0) == (wait_replicas == 0), "without WAIT the stage loses some, else it would prove nothing"


CUT = {
    (False, True): "its host is cut off", (True, False): "its host is cut off for 20 s with the engine, without `min-replicas-to-write`",
    (True, True): "its host is cut off for 20 s with the engine",
}  # fmt: skip


@needs_networks
@pytest.mark.parametrize(
    ("engine_beside_it", "wait_replicas", "guarded"), [(False, 0, True), (False, 1, True), (True, 0, False), (True, 0, True), (True, 1, True)]
)
def test_a_host_that_is_cut_off_loses_what_only_it_has(engine_beside_it: bool, wait_replicas: int, guarded: bool) -> None:
    with network(3) as hosts, watched(extra=GUARDED if guarded else (), on=hosts) as servers:
        inside = hosts.inside(0) if engine_beside_it else ()
        with story(servers.url, wait_replicas=wait_replicas, inside=inside) as told:
            told.wait_for_acknowledged(50)
            cut_for_a_while(hosts, servers, told, engine_beside_it=engine_beside_it)
            told.wait_for_acknowledged(50, 60)
            count = told.count()
            show(CUT[engine_beside_it, guarded], wait_replicas, count)
    assert count.doubled == 0
    if wait_replicas:
        assert count.lost == 0
    if engine_beside_it and not wait_replicas:
        assert count.lost > 0, "the stage is to show what WAIT is for"


def cut_for_a_while(hosts: Network, servers: Watched, told: Story, *, engine_beside_it: bool) -> None:
    former = servers.primary
    assert former is servers.servers[0]
    hosts.cut(0)
    wait_until(lambda: servers.primary is not former, "the others agree on another primary", 60)
    if engine_beside_it:
        # As long as a primary that asks for replicas takes to miss them, and a moment more.
        tried = told.said("tried")[0][1]
        wait_until(lambda: told.now() - tried > 20, "the cut lasted", 60)
    hosts.mend(0)
    wait_until(former.follows, "the former primary is a replica", 60)


@pytest.mark.parametrize("wait_replicas", [0, 1])
def test_a_cluster_whose_node_dies_goes_on_with_its_replica(wait_replicas: int) -> None:
    with clustered(replicas=1) as cluster, story(cluster.url, namespace=NAMESPACE, wait_replicas=wait_replicas) as told:
        told.wait_for_acknowledged(50)
        former = cluster.owner(SLOT)
        former.kill()
        wait_until(lambda: cluster.owner(SLOT) is not former, "the replica has the slot", 60)
        former.start()
        told.wait_for_acknowledged(50, 60)
        count = told.count()
        show("the node of a cluster is killed", wait_replicas, count)
    assert count.doubled == 0
    if wait_replicas:
        assert count.lost == 0


def test_slots_that_move_back_and_forth_lose_nothing() -> None:
    with clustered() as cluster, story(cluster.url, namespace=NAMESPACE) as told:
        for _ in range(5):
            told.wait_for_acknowledged(50)
            cluster.move(SLOT, next_to(cluster))
        count = told.count()
        show("the slot of a cluster moves, five times", 0, count)
        assert told.failures() == []
    assert (count.lost, count.doubled, count.recorded) == (0, 0, count.tried)


def test_primaries_that_are_killed_one_after_the_other_lose_nothing() -> None:
    with watched(extra=GUARDED) as servers, story(servers.url, wait_replicas=1) as told:
        for _ in range(4):
            told.wait_for_acknowledged(30, 60)
            killed(servers, told)
            servers.wait_until_whole()
        count = told.count()
        show("four primaries are killed, one after the other", 1, count)
    assert (count.lost, count.doubled, count.recorded) == (0, 0, count.tried)


def test_an_engine_with_a_spool_does_not_wait_for_a_failover() -> None:
    with watched() as servers, story(servers.url, wait_replicas=1, spool=True) as told:
        told.wait_for_acknowledged(50)
        servers.primary.kill()
        told.wait_for_acknowledged(200, 60)
        count = told.count()
        show("the primary is killed, and the engine has a spool", 1, count)
        times = [at for _, at in told.said("acked")]
    assert (count.lost, count.doubled, count.recorded) == (0, 0, count.tried)
    assert max(after - before for before, after in pairwise(times)) < 5


def next_to(cluster: Cluster):
    owner = cluster.owner(SLOT)
    return cluster.nodes[(cluster.nodes.index(owner) + 1) % len(cluster.nodes)]


def wait_for_tried(told: Story, count: int) -> None:
    until = len(told.said("tried")) + count
    wait_until(lambda: len(told.said("tried")) >= until, f"{until} records are tried")


def show(name: str, wait_replicas: int, count: Count) -> None:
    print(f"\n| {name} | {wait_replicas} | " + " | ".join(f"{figure:,}" for figure in count) + " |")

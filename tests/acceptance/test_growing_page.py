"""docs/growing.md, typed from nothing to a broker that fails over: three hosts on this machine's loopback, each with an address of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command import run
from daemons import running
from failovers import Node, free_ports
from parts import wait_until

from jarvis.settings import load_settings
from jarvis_client import Publisher

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "growing.md").read_text()
ADDRESSES = {"h1": "127.0.0.1", "h2": "127.0.0.2", "h3": "127.0.0.3"}

Translate = Callable[[str], str]


def block(name: str) -> str:
    [found] = re.findall(rf"```{name}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


@pytest.fixture
def here() -> Translate:
    """A text of the page for this machine: addresses for names, and ports that are free."""
    port, sentinel_port = free_ports(2)

    def translated(text: str) -> str:
        text = text.replace("26379", "<sentinel>").replace("6379", str(port)).replace("<sentinel>", str(sentinel_port))
        text = re.sub(r"h1,h2,h3", ",".join(f"{name}:{sentinel_port}" for name in ADDRESSES), text) if "sentinel://" in text else text
        return re.sub(r"\bh[123]\b", lambda name: ADDRESSES[name[0]], text)

    return translated


@pytest.fixture
def hosts(here: Translate, short_folder: Path) -> Iterator[dict[str, tuple[Node, Node]]]:
    """A server and a sentinel on each host, with the lines of the page."""
    made: dict[str, tuple[Node, Node]] = {}
    try:
        for name, address in ADDRESSES.items():
            folder = short_folder / name
            folder.mkdir()
            # Of one machine: what leaves it would have the same address for all three.
            lines = block("text redis") + (block("text replica") if name != "h1" else "")
            servers = [*here(lines).splitlines(), f"replica-announce-ip {address}", "repl-diskless-sync-delay 0"]
            sentinel = [*here(block("text sentinel")).splitlines(), f"sentinel announce-ip {address}"]
            pair = (
                Node(folder, int(here("6379")), servers, host=address),
                Node(folder, int(here("26379")), sentinel, host=address, sentinel=True),
            )
            made[name] = pair
            pair[0].start()
        for _, watcher in made.values():
            watcher.start()
        wait_until(lambda: all(knows_all(watcher) for _, watcher in made.values()), "the sentinels know each other and the replicas", 60)
        yield made
    finally:
        for pair in made.values():
            for node in pair:
                node.kill()


def knows_all(sentinel: Node) -> bool:
    with sentinel.client() as client:
        state = client.execute_command("SENTINEL MASTER", "books")
    return (state["num-other-sentinels"], state["num-slaves"]) == (2, 2)


def test_three_hosts_record_and_go_on_when_one_is_handed_over_and_one_dies(hosts, here, short_folder, monkeypatch):
    monkeypatch.chdir(short_folder)
    config = short_folder / "config"
    config.mkdir()
    (config / "workers.yaml").write_text(here(block("yaml workers")))
    assert "jarvis doctor\njarvis up\n" in block("sh")
    said = {line["subject"]: line["value"] for line in json.loads(run("doctor", "--json", folder=short_folder).stdout)}
    assert said["sentinels"] == "3 can agree on a failover of books"
    assert said["replicas"] == f"the primary, 127.0.0.1:{here('6379')}, has 2, and accepts nothing without them"
    names: dict[str, Publisher] = {}
    exec(here(block("python")), names)  # type: ignore[arg-type]
    publisher = names["publisher"]
    with publisher, running(short_folder, "up") as daemon:
        wait_until(daemon.is_ready, "everything is up", 60)
        publish(publisher, 1)
        primary = hosts["h1"][0]
        command = here(block("sh coordinated")).split()
        assert command[:2] == ["valkey-cli", "-p"]
        with hosts["h1"][1].client() as client:
            assert command[2] == str(hosts["h1"][1].port)
            client.execute_command(*command[3:])
        wait_until(primary.follows, "the first host has handed over", 60)
        publish(publisher, 2)
        next(server for server, _ in hosts.values() if not server.follows()).kill()
        publish(publisher, 3)
        wait_until(lambda: publisher.spooled_bytes == 0, "what the spool has kept is sent", 60)
        wait_until(lambda: recorded(short_folder) == 3, "all three are recorded", 90)


def publish(publisher: Publisher, number: int) -> None:
    publisher.publish("deposit", {"deposit_id": f"d-{number}", "account_id": "main", "currency": "USDT", "amount": "1", "occurred_at": "2026-01-01T00:00:00Z"})


def recorded(folder: Path) -> int:
    done = run("transactions", "--account", "main", "--json", folder=folder, JARVIS_DATABASE__PATH=str(folder / "b.db"))
    return len(json.loads(done.stdout or "[]"))


def test_the_settings_of_a_cluster_are_settings(tmp_path):
    (tmp_path / "workers.yaml").write_text(block("yaml cluster"))
    assert load_settings(tmp_path).broker.namespace == "{jarvis}"


def test_every_row_of_the_table_is_staged():
    staged = (Path(__file__).parent / "test_failovers.py").read_text()
    rows = re.findall(r"^\| ([^|]+?) \| [01] \| ", PAGE, re.MULTILINE)
    assert len(rows) >= 12
    assert [row for row in rows if f'"{row}"' not in staged] == []

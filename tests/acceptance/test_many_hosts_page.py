"""docs/growing.md, "Many hosts on PostgreSQL", typed from nothing to two hosts: every block of it is run, with a server of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg
import pytest
from books import books, deposit, fill
from command import run
from daemons import running
from parts import wait_until
from postgres import Server, standby_of

from jarvis_client import Publisher
from persistence.books.ledger import Ledger
from persistence.database import DatabaseManager
from persistence.proof import chain
from persistence.server import ServerDatabase

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "growing.md").read_text().partition("## Many hosts on PostgreSQL")[2]

Translate = Callable[[str], str]


def block(name: str) -> str:
    [found] = re.findall(rf"```{name}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


@pytest.fixture
def here(postgres_server: Server, broker_server) -> Translate:
    """A text of the page for this machine, where its role and its database have been made as the page says."""
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        for statement in block("sql server").split(";\n"):
            if statement:
                connection.execute(statement)

    def translated(text: str) -> str:
        text = text.replace("db.example:5432", f"127.0.0.1:{postgres_server.port}")
        return text.replace("redis://redis.example:6379/0", broker_server.url)

    return translated


def typed(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Lines of a shell, in a folder, with this `jarvis`."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(["sh", "-e", "-c", text], cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=120, check=False)


def host(folder: Path, here: Translate, name: str) -> Path:
    """A recorder host with its files."""
    made = folder / name
    made.mkdir()
    assert typed(made, here(block("sh secret"))).returncode == 0
    assert (made / "database-url").stat().st_mode & 0o077 == 0
    (made / "config" / "database.yaml").write_text(block("yaml books"))
    (made / "config" / "workers.yaml").write_text(here(block("yaml host")).replace("host-a", name))
    return made


def test_two_hosts_share_one_server_and_either_may_stop(here, short_folder, broker_server, monkeypatch):
    monkeypatch.delenv("JARVIS_MONITORING__LISTEN")
    a, b = (host(short_folder, here, name) for name in ("host-a", "host-b"))
    made = typed(a, block("sh create"))
    assert made.returncode == 0, made.stderr
    assert "a-password-of-yours" not in made.stdout + made.stderr
    publisher = Publisher(broker_server.url, producer="engine-1")

    def publish(first: int, count: int) -> None:
        publisher.publish_deposits([deposit(n).record() for n in range(first, first + count)])

    with closing(ServerDatabase(here(block("sh secret")).split("'")[1])) as books, ExitStack() as running_hosts:
        command = tuple(block("sh run").split()[1:])
        # Each serves its figures on a port of its own here, as hosts of their own would do on the same.
        first, second = (running_hosts.enter_context(running(folder, *command, JARVIS_DATABASE__PATH=str(folder / "data" / "b.db"))) for folder in (a, b))
        publish(0, 500)
        wait_until(lambda: books.execute_query("SELECT count(*) FROM facts") == [(500,)], "both hosts have recorded", 60)
        first.end()
        publish(500, 100)
        wait_until(lambda: books.execute_query("SELECT count(*) FROM facts") == [(600,)], "the other host goes on alone", 60)
        for line in block("sh look").splitlines():
            looked = run(*line.split()[1:], folder=b)
            assert looked.returncode in (0, 1), looked.stderr
            assert "Traceback" not in looked.stderr
        second.end()
    verified = run("verify", "--full", "--json", folder=b)
    assert json.loads(verified.stdout) == [], verified.stdout


def test_books_that_are_there_already_move_to_the_server_and_back(here, short_folder):
    one = short_folder / "one"
    one.mkdir()
    with closing(DatabaseManager(one / "data" / "jarvis_trading.db")) as database:
        database.initialize()
        Ledger(database).post([deposit(1), fill(1), fill(2)])
        head = chain.seal(database, 1_800_000_000_000_000)
        before = books(database)
    assert typed(one, here(block("sh secret"))).returncode == 0
    moved = typed(one, block("sh move"))
    assert moved.returncode == 0, moved.stderr
    (one / "config" / "database.yaml").write_text(block("yaml books"))
    back = typed(one, block("sh back"))
    assert back.returncode == 0, back.stderr
    with closing(ServerDatabase(here(block("sh secret")).split("'")[1])) as there, closing(DatabaseManager(one / "books-again.db")) as again:
        assert books(there) == books(again) == before
        for database in (there, again):
            with database.get_connection() as connection:
                assert chain.head(connection) == head


def test_a_server_that_is_durable_only_by_half_is_refused(here, short_folder, postgres_server):
    one = host(short_folder, here, "host-a")
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute("ALTER ROLE jarvis SET synchronous_commit = off")
    made = typed(one, block("sh create"))
    assert made.returncode != 0
    assert "synchronous_commit is off" in " ".join(made.stderr.split())


def test_the_settings_of_a_primary_and_the_url_of_two_servers_are_taken(here, postgres_server):
    with standby_of(postgres_server) as standby:
        with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
            for line in block("text synchronous").splitlines():
                connection.execute(f"ALTER SYSTEM SET {line}")
            connection.execute("SELECT pg_reload_conf()")
        hosts = f"127.0.0.1:{standby.port},127.0.0.1:{postgres_server.port}"
        url = block("text urls").strip().replace("db1.example,db2.example", hosts)
        with closing(ServerDatabase(url)) as database:
            database.initialize()
            Ledger(database).post([deposit(1)])
            [(primary,)] = database.execute_query("SELECT NOT pg_is_in_recovery()")
        assert primary
        # It has the commit on its disk by now, and shows it a moment later.
        wait_until(lambda: shown_by(standby) == 1, "the standby shows it")


def shown_by(standby: Server) -> int:
    """How many records a server shows of the page's database; none while it has no tables yet."""
    with psycopg.connect(standby.url(database="jarvis")) as connection:
        if connection.execute("SELECT to_regclass('facts')").fetchone() == (None,):
            return 0
        [count] = connection.execute("SELECT count(*) FROM facts").fetchone() or (0,)
    return int(count)


def test_the_extra_that_the_page_installs_is_one_of_ours():
    extra = re.search(r"jarvis-trading\[(\w+)\]", block("sh install"))
    assert extra is not None
    assert f"\n{extra[1]} = [" in (Path(__file__).parents[2] / "pyproject.toml").read_text()

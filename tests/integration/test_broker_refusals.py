"""A real server that answers and refuses: what a worker's log, its status and `jarvis publish` say of it, and that it goes on once it is mended."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import redis
import structlog
from command import run
from parts import wait_until

from jarvis.embedded_broker import EmbeddedBroker, running_broker, server_binary
from jarvis_client import Publisher
from jarvis_client.contract.address import unix_url
from jarvis_client.contract.errors import Invalid
from workers import broker_server
from workers.app import RecorderWorker, create_worker

DEPOSIT = {"deposit_id": "d1", "account_id": "acc", "currency": "USDT", "amount": "5", "occurred_at": 1_767_225_600_000_000}
LINE = '{"type": "deposit", "deposit_id": "d1", "account_id": "acc", "currency": "USDT", "amount": "5", "occurred_at": 1767225600000000}\n'


@contextmanager
def server(folder: Path, *arguments: str) -> Iterator[Path]:
    socket = folder / "s"
    process = subprocess.Popen(
        [server_binary(), "--port", "0", "--unixsocket", str(socket), "--dir", str(folder), "--save", "", *arguments],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_until(socket.exists, "the server listens")
        yield socket
    finally:
        process.kill()
        process.wait()


@contextmanager
def working(folder: Path, url: str, **options: str) -> Iterator[tuple[RecorderWorker, list[structlog.typing.EventDict]]]:
    with structlog.testing.capture_logs() as lines:
        worker = create_worker(folder / "b.db", url, **options)
        with worker:
            yield worker, lines


@pytest.fixture(autouse=True)
def quick_heartbeat(monkeypatch):
    monkeypatch.setattr("workers.broker.HEARTBEAT_SECONDS", 0.1)


def events(lines: list[structlog.typing.EventDict], level: str) -> list[str]:
    return [line["event"] for line in lines if line["log_level"] == level]


def test_a_wrong_password_is_an_error_with_its_remedy_and_mended_while_the_worker_runs(short_folder):
    with server(short_folder, "--requirepass", "right") as socket, working(short_folder, f"unix://:hunter2@{socket}") as (worker, lines):
        wait_until(lambda: "broker refuses user or password" in events(lines, "error"), "the refusal is told")
        assert worker.broker.reachability.says().startswith("broker refuses user or password since ")
        assert not worker.status(ask_broker=False).ready
        redis.Redis(unix_socket_path=str(socket), password="right").config_set("requirepass", "hunter2")
        wait_until(lambda: "broker reachable again" in events(lines, "info"), "the worker goes on by itself")
        assert worker.broker.reachability.says() == f"reading from the socket {socket}"
        assert "hunter2" not in str(lines)


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ("nobody:x", "refuses user or password: invalid username-password pair"),
        ("weak:x", "grants too few rights: HSET dramatiq:deposits.msgs: User weak has no permissions to run the 'hset' command"),
        ("away:x", "grants too few rights: HSET dramatiq:deposits.msgs: No permissions to access a key"),
    ],
)
def test_publish_says_that_the_broker_did_answer(short_folder, user, said):
    with server(short_folder) as socket:
        redis.Redis(unix_socket_path=str(socket)).execute_command("ACL SETUSER weak on >x ~* +multi +exec +rpush")
        redis.Redis(unix_socket_path=str(socket)).execute_command("ACL SETUSER away on >x ~other:* +multi +exec +rpush +hset")
        done = run("publish", "-", folder=short_folder, stdin=LINE, JARVIS_BROKER__URL=f"unix://{user}@{socket}")
    assert done.returncode == 3
    assert said in done.stderr
    assert "does not answer" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_right_that_is_missing_is_named_by_its_command(short_folder):
    with server(short_folder) as socket:
        redis.Redis(unix_socket_path=str(socket)).execute_command("ACL SETUSER weak on >x ~* +@all -evalsha")
        with working(short_folder, f"unix://weak:x@{socket}") as (_, lines):
            Publisher(unix_url(socket)).publish_deposit(DEPOSIT)
            wait_until(lambda: "broker grants too few rights" in events(lines, "error"), "the missing right is told")
    [told] = {line["error"] for line in lines if line["event"] == "broker grants too few rights"}
    assert "'evalsha'" in told


@contextmanager
def tls_of_nobody(folder: Path) -> Iterator[int]:
    """A port that answers with a certificate which no authority has signed."""
    name = ["-subj", "/CN=localhost", "-keyout", "k", "-out", "c"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", *name], cwd=folder, check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "c", folder / "k")

    def answer(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with suppress(OSError), connection:
                    context.wrap_socket(connection, server_side=True).close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=(listener,))
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_certificate_that_is_not_trusted_is_told_as_one_and_a_file_that_went_away_by_its_name(short_folder):
    with tls_of_nobody(short_folder) as port:
        url = f"rediss://:hunter2@127.0.0.1:{port}?ssl_ca_certs={short_folder}/ca"
        (short_folder / "ca").write_bytes((short_folder / "c").read_bytes())
        with working(short_folder, url) as (_, lines):
            wait_until(lambda: "broker cannot be spoken to by TLS" in events(lines, "error"), "the certificate is told")
            (short_folder / "ca").unlink()
            wait_until(lambda: "broker needs a file that cannot be read" in events(lines, "error"), "the file is told")
    assert any(f"ssl_ca_certs names {short_folder}/ca, which does not exist" in line.get("what_to_do", "") for line in lines)
    assert "hunter2" not in str(lines)


def test_a_replica_is_told_as_one(short_folder):
    with server(short_folder, "--replicaof", "127.0.0.1", "1") as socket, working(short_folder, unix_url(socket)) as (_, lines):
        wait_until(lambda: "broker is a replica, which takes no writes, trying again" in events(lines, "warning"), "the replica is told")


def test_a_key_of_the_wrong_type_stops_its_queue_alone_and_is_told_once(short_folder):
    with server(short_folder) as socket:
        client = redis.Redis(unix_socket_path=str(socket))
        client.set("dramatiq:orders", "x")
        with working(short_folder, unix_url(socket)) as (worker, lines):
            wait_until(lambda: "broker holds a key of the wrong type" in events(lines, "error"), "the key is told of")
            Publisher(unix_url(socket)).publish_deposit(DEPOSIT)
            wait_until(lambda: worker.writer.counts.applied == 1, "the other queues are read")
            assert worker.broker.reachable
            assert not worker.status().ready
            worker.strays.look()
            client.delete("dramatiq:orders")
            wait_until(lambda: worker.status().ready, "the queue is read again")
    [told] = [line for line in lines if line["event"] == "broker holds a key of the wrong type"]
    assert told["queue"] == "orders"
    assert "RENAME dramatiq:orders somewhere" in told["what_to_do"]
    assert not [line for line in lines if "wrong type" in line["event"] and line["log_level"] != "info" and line is not told]
    assert events(lines, "info").count("a queue whose key was of the wrong type is read again") == 1
    assert "broker reachable again" not in events(lines, "info")


def test_a_full_broker_says_so(short_folder):
    with server(short_folder) as socket, working(short_folder, unix_url(socket)) as (worker, lines):
        client = redis.Redis(unix_socket_path=str(socket))
        wait_until(lambda: worker.broker.reachability.says().startswith("reading"), "the worker reads")
        client.config_set("maxmemory", 1)
        wait_until(lambda: "broker is full" in events(lines, "error"), "that it is full is told")
        with pytest.raises(redis.RedisError) as refused:
            Publisher(unix_url(socket)).publish_deposit(DEPOSIT)
        assert "the broker is full" in refused.value.__notes__[0]
        client.config_set("maxmemory", 0)
        wait_until(lambda: worker.broker.reachable, "it goes on")


def test_a_cluster_is_told_with_the_namespace_that_works(short_folder):
    with server(short_folder, "--cluster-enabled", "yes") as socket:
        client = redis.Redis(unix_socket_path=str(socket))
        client.execute_command("CLUSTER ADDSLOTSRANGE 0 16383")
        wait_until(lambda: client.execute_command("CLUSTER INFO")["cluster_state"] == "ok", "the cluster is whole")
        with working(short_folder, unix_url(socket)) as (_, lines):
            wait_until(lambda: "broker is a cluster" in events(lines, "error"), "the cluster is told")
        assert any("{jarvis}" in line["what_to_do"] for line in lines if line["event"] == "broker is a cluster")
        with working(short_folder, unix_url(socket), namespace="{jarvis}") as (worker, _):
            Publisher(unix_url(socket), namespace="{jarvis}").publish_deposit(DEPOSIT)
            wait_until(lambda: worker.writer.counts.applied == 1, "the deposit is recorded")


def test_what_loses_messages_in_a_server_of_one_s_own_is_told_with_its_remedy(short_folder):
    with server(short_folder, "--maxmemory-policy", "allkeys-lru") as socket, working(short_folder, unix_url(socket)) as (_, lines):
        wait_until(lambda: len(events(lines, "warning")) == 2, "both are told")
    assert events(lines, "warning") == ["broker drops messages when it is full", "broker keeps no append-only file"]
    assert all("CONFIG SET" in line["what_to_do"] for line in lines if line["log_level"] == "warning")


def test_a_user_who_may_not_ask_the_server_about_itself_is_told_nothing(short_folder):
    with server(short_folder, "--maxmemory-policy", "allkeys-lru") as socket:
        redis.Redis(unix_socket_path=str(socket)).execute_command("ACL SETUSER w on >x ~* +@all -info -config")
        with working(short_folder, f"unix://w:x@{socket}") as (worker, lines):
            wait_until(lambda: events(lines, "debug"), "it has asked")
            assert worker.broker.reachable
    assert (len(events(lines, "debug")), events(lines, "warning")) == (1, [])


def test_a_server_that_is_too_old_is_refused(short_folder, monkeypatch):
    monkeypatch.setattr(broker_server, "OLDEST", (99, 0))
    with server(short_folder) as socket:
        worker = create_worker(short_folder / "b.db", unix_url(socket))
        with pytest.raises(Invalid, match=r"names a Redis 7\.\d+\.\d+; a worker needs 6\.2"):
            worker.start()
        worker.broker.close()


@pytest.mark.parametrize("name", ["50%25 off", "a?b=c", "a#b", "new\nline", "a b [c]"])
def test_a_data_folder_of_any_name_has_a_broker_that_workers_and_publishers_find(short_folder, name):
    folder = short_folder / name
    folder.mkdir()
    with EmbeddedBroker(folder).running() as url:
        assert running_broker(folder) == url
        done = run("publish", "-", folder=short_folder, stdin=LINE, JARVIS_DATABASE__PATH=str(folder / "b.db"))
        assert done.returncode == 0, done.stderr
        with working(folder, url) as (worker, _):
            wait_until(lambda: worker.writer.counts.applied == 1, "the deposit is recorded")


def test_limits_in_a_url_end_no_wait_of_an_idle_queue(short_folder):
    with server(short_folder) as socket:
        worker = create_worker(short_folder / "b.db", f"{unix_url(socket)}?socket_timeout=0.1&max_connections=64&health_check_interval=30")
        for client in (worker.broker.client, worker.broker.waiting_client):
            assert client.connection_pool.connection_kwargs["socket_timeout"] >= 10
        worker.broker.close()
    with pytest.raises(Invalid, match=r"the broker's url has the option decode_responses"):
        create_worker(short_folder / "c.db", f"{unix_url(socket)}?decode_responses=True")
